"""The causal temporal convolutional network: in torch for training, as a one-frame ONNX graph for the device.

Dilated causal convolutions as in Bai, Kolter & Koltun 2018 (arXiv:1803.01271); the identity shortcut enters
before the nonlinearity, so that it folds into the present tap's weights and costs nothing when streaming.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .graph import GraphBuilder


class Tcn(nn.Module):
    """(batch, time, n_inputs) in recording units -> (batch, time, n_outputs) in Nm/kg.

    h_0 = relu(W x + b); h_{l+1} = relu(h_l + conv_l(h_l)) with `kernel` taps `dilations[l]` frames apart;
    the output is linear in the last h. The past before the first frame is zero.
    """

    def __init__(self, n_inputs: int, n_outputs: int, hidden: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        if kernel < 2 or min(dilations, default=0) < 1:
            raise ValueError(f"kernel {kernel} (at least 2) or dilations {dilations} (at least 1 each) make no past")
        self.dilations = dilations
        self.kernel = kernel
        self.inlet = nn.Linear(n_inputs, hidden)
        self.layers = nn.ModuleList(nn.Conv1d(hidden, hidden, kernel, dilation=d) for d in dilations)
        self.outlet = nn.Linear(hidden, n_outputs)
        for name, size in (("input", n_inputs), ("output", n_outputs)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_sd", torch.ones(size))

    def normalise(self, **statistics: np.ndarray) -> None:
        """Set `input_mean`, `input_sd`, `output_mean`, `output_sd`."""
        for name, values in statistics.items():
            self.get_buffer(name).copy_(torch.from_numpy(values))

    @property
    def horizon_frames(self) -> int:
        """Receptive field: frames that reach an output, the present one included."""
        return 1 + (self.kernel - 1) * sum(self.dilations)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """All frames at once; output t depends on frames <= t only."""
        normal = (frames - self.get_buffer("input_mean")) / self.get_buffer("input_sd")
        h = torch.relu(self.inlet(normal)).transpose(1, 2)
        for layer, dilation in zip(self.layers, self.dilations, strict=True):
            h = torch.relu(h + layer(functional.pad(h, ((self.kernel - 1) * dilation, 0))))
        return self.outlet(h.transpose(1, 2)) * self.get_buffer("output_sd") + self.get_buffer("output_mean")


def step_graph(model: Tcn) -> tuple[bytes, tuple[int, ...]]:
    """The streaming form of a trained network, and the shape of its state.

    The state holds the recent inputs h_l of every layer, row (t, l) at t * n_layers + l, oldest first. What
    past frames contribute to all layers does not wait for the present frame: one gather and one batched
    product serve them all. What is left of a layer is one product of the present h with a bias (onnxruntime
    fuses the relu into it). Normalisation is folded into the first and last product.
    """
    w = {name: values.detach().double().numpy() for name, values in model.state_dict().items()}
    n_layers, taps, hidden = len(model.dilations), model.kernel - 1, model.inlet.out_features
    n_inputs, n_outputs = model.inlet.in_features, model.outlet.out_features
    length = taps * max(model.dilations)
    shape = (length * n_layers, hidden)
    layers = range(n_layers)
    rows = [
        (length - (taps - k) * d) * n_layers + layer for layer, d in enumerate(model.dilations) for k in range(taps)
    ]
    convolutions = [w[f"layers.{layer}.weight"] for layer in layers]  # (out, in, kernel), oldest tap first
    past = [c[:, :, :-1].transpose(2, 1, 0).reshape(taps * hidden, hidden) for c in convolutions]
    bias = [w[f"layers.{layer}.bias"][None] for layer in layers]

    g = GraphBuilder()
    g.add("Gather", ["state", g.constant("past_rows", np.array(rows))], "past", axis=0)
    g.add("Reshape", ["past", g.constant("by_layer", np.array([n_layers, 1, taps * hidden]))], "past_by_layer")
    g.add("MatMul", ["past_by_layer", g.constant("past_weight", np.stack(past))], "past_sum")
    g.add("Add", ["past_sum", g.constant("bias", np.stack(bias))], "past_biased")
    g.add("Reshape", ["past_biased", g.constant("flat", np.array([n_layers, hidden]))], "past_flat")
    g.add("Split", ["past_flat"], *(f"past_{layer}" for layer in layers), axis=0)

    inlet = w["inlet.weight"] / w["input_sd"]
    inlet_bias = w["inlet.bias"] - inlet @ w["input_mean"]
    g.add("Gemm", ["frame", g.constant("inlet", inlet.T), g.constant("inlet_bias", inlet_bias)], "sum_in")
    g.add("Relu", ["sum_in"], "h_0")
    for layer in layers:
        present = convolutions[layer][:, :, -1].T + np.eye(hidden)
        g.add("Gemm", [f"h_{layer}", g.constant(f"present_{layer}", present), f"past_{layer}"], f"sum_{layer}")
        g.add("Relu", [f"sum_{layer}"], f"h_{layer + 1}")
    outlet = w["outlet.weight"] * w["output_sd"][:, None]
    outlet_bias = w["outlet.bias"] * w["output_sd"] + w["output_mean"]
    weights = [g.constant("outlet", outlet.T), g.constant("outlet_bias", outlet_bias)]
    g.add("Gemm", [f"h_{n_layers}", *weights], "output")

    bounds = {"first": n_layers, "last": shape[0], "axis": 0}
    g.add("Slice", ["state", *(g.constant(name, np.array([at])) for name, at in bounds.items())], "kept")
    g.add("Concat", ["kept", *(f"h_{layer}" for layer in layers)], "new_state", axis=0)
    model_bytes = g.serialise(
        takes={"frame": (1, n_inputs), "state": shape}, gives={"output": (1, n_outputs), "new_state": shape}
    )
    return model_bytes, shape
