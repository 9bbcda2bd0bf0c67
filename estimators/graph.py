"""Builds small ONNX graphs by hand: a device runs every frame, so each operation is chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 17, 8  # onnxruntime 1.12 (2022) and later can read it

Ports = dict[str, tuple[int, ...]]


class GraphBuilder:
    """A float32 graph under construction; tensors are referred to by name."""

    def __init__(self) -> None:
        self._constants: list[onnx.TensorProto] = []
        self._nodes: list[onnx.NodeProto] = []

    def constant(self, name: str, values: np.ndarray) -> str:
        """A named constant: float32, or int64 where `values` are integers (shapes, indices)."""
        dtype = np.int64 if np.issubdtype(values.dtype, np.integer) else np.float32
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype), name))
        return name

    def add(self, operator: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
        """One operation; returns the name of its first output."""
        self._nodes.append(helper.make_node(operator, inputs, list(outputs), **attributes))
        return outputs[0]

    def serialise(self, takes: Ports, gives: Ports) -> bytes:
        """The checked model with these inputs and outputs of fixed shape."""
        inputs, outputs = (
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ports.items()]
            for ports in (takes, gives)
        )
        graph = helper.make_graph(self._nodes, "step", inputs, outputs, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString()
