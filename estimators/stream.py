"""Runs a bundle's graph one frame at a time through onnxruntime, with every buffer allocated once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort

from ..controllers.interface import FloatArray
from .spec import EstimatorSpec, StateMemory


class OnnxStream:
    """One frame in, one output out; the memory (state tensor or window) is kept here.

    A frame with a value that is not finite gives NaN in every output. What enters the memory then is the
    last finite value of that channel (before there was one: `initial`, the mean of the training data), so a
    dropout ends with the dropout and does not poison what follows.

    model: path of the graph. initial: (n_inputs,). Raises ValueError when the graph does not fit `spec`.
    """

    def __init__(self, model: Path, spec: EstimatorSpec, initial: FloatArray) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        try:
            self._session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises several unrelated types
            raise ValueError(f"{model}: onnxruntime cannot load it: {error}") from None
        memory, n_in, n_out = spec.memory, len(spec.inputs), len(spec.outputs)
        self._stateful = isinstance(memory, StateMemory)
        if isinstance(memory, StateMemory):
            takes = {"frame": (1, n_in), "state": memory.shape}
            gives = {"output": (1, n_out), "new_state": memory.shape}
        else:
            takes = {"window": (1, memory.frames, n_in)}
            gives = {"output": (1, n_out)}
        for what, expected, actual in (
            ("inputs", takes, {a.name: tuple(a.shape) for a in self._session.get_inputs()}),
            ("outputs", gives, {a.name: tuple(a.shape) for a in self._session.get_outputs()}),
        ):
            if expected != actual:
                raise ValueError(f"{model}: the spec asks for {what} {expected}, the graph has {actual}")

        self._initial = np.asarray(initial, dtype=np.float64)
        self._held = self._initial.copy()
        self._frame = np.zeros((1, n_in), dtype=np.float32)
        self._output = np.zeros((1, n_out), dtype=np.float32)
        self._seen = 0
        # Binding the buffers once saves a quarter of a call. Two states take turns as input and output.
        if isinstance(memory, StateMemory):
            self._memory = [np.zeros(memory.shape, dtype=np.float32) for _ in range(2)]
            self._needed = 1
            self._bindings = [
                self._bind(frame=self._frame, state=old, output=self._output, new_state=new)
                for old, new in (self._memory, self._memory[::-1])
            ]
        else:
            self._memory = [np.zeros((1, memory.frames, n_in), dtype=np.float32)]
            self._needed = memory.frames
            self._bindings = [self._bind(window=self._memory[0], output=self._output)]

    def _bind(self, **buffers: np.ndarray) -> ort.IOBinding:
        binding = self._session.io_binding()
        for name, buffer in buffers.items():
            bind = binding.bind_output if name in ("output", "new_state") else binding.bind_input
            bind(name, "cpu", 0, np.float32, buffer.shape, buffer.ctypes.data)
        return binding

    def reset(self) -> None:
        """Forget the past."""
        for buffer in self._memory:
            buffer[:] = 0.0
        self._held[:] = self._initial
        self._seen = 0

    def step(self, values: FloatArray) -> FloatArray:
        """Values (n_inputs,) of one frame -> a new array (n_outputs,); NaN where the class says."""
        # The sum is finite exactly when every value is (sensor values are far from overflow).
        complete = np.isfinite(values.sum())
        if complete:
            self._held[:] = values
        else:
            np.copyto(self._held, values, where=np.isfinite(values))
        if self._stateful:
            self._frame[0] = self._held
        else:
            window = self._memory[0][0]
            window[:-1] = window[1:]
            window[-1] = self._held
        self._session.run_with_iobinding(self._bindings[self._seen % len(self._bindings)])
        self._seen += 1
        if not complete or self._seen < self._needed:
            return np.full(self._output.shape[1], np.nan)
        return self._output[0].astype(np.float64)

    def run(self, values: FloatArray) -> FloatArray:
        """A whole sequence (n, n_inputs) from a fresh start -> (n, n_outputs)."""
        self.reset()
        return np.array([self.step(row) for row in values]).reshape(len(values), -1)
