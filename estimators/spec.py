"""What a learned part is: its input channels, memory, outputs and units, in one small document.

Every architecture meets the same contract. Raw recording channels in SI units go into the ONNX graph and
final units come out: normalisation and features (window statistics, spectra, a physics layer) live inside
the graph, so the device's runtime never learns what kind of network it runs. A recurrent or causal
convolutional net keeps its past in one state tensor; a feed-forward, convolutional or transformer net on
raw or feature windows takes the window itself.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..controllers.device import SIDED_JOINTS, SIDES
from ..controllers.interface import closest
from ..controllers.protocols import MODES

DEFAULT_JOINTS = tuple(f"{j}_{s}" for s in SIDES for j in ("hip_flexion", "knee_flexion", "ankle_dorsiflexion"))


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StateMemory(_Part):
    """The past lives in one tensor, zero at the start of a run.

    Graph: ``frame`` (1, n_inputs), ``state`` (*shape) -> ``output`` (1, n_outputs), ``new_state`` (*shape).
    horizon_frames: how many frames, the present one included, can reach an output; None when unbounded.
    """

    kind: Literal["state"] = "state"
    shape: tuple[int, ...]
    horizon_frames: int | None = Field(default=None, ge=1)


class WindowMemory(_Part):
    """The last `frames` frames are handed over each time, oldest first.

    Graph: ``window`` (1, frames, n_inputs) -> ``output`` (1, n_outputs). No answer (NaN) until it is full.
    """

    kind: Literal["window"] = "window"
    frames: int = Field(ge=1)


class EstimatorSpec(_Part):
    """Describes one estimator or classifier.

    inputs: recording column names, in the order of the graph's input. outputs: joints with side
    (kind ``torque``) or mode keys such as ``walk/slow`` (kind ``mode``), in the order of its output.
    """

    kind: Literal["torque", "mode"]
    inputs: tuple[str, ...] = Field(min_length=1)
    rate_hz: float = Field(gt=0)
    memory: Annotated[StateMemory | WindowMemory, Field(discriminator="kind")]
    outputs: tuple[str, ...] = Field(min_length=1)
    units: Literal["Nm/kg", "probability"]
    architecture: str
    hyperparameters: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> EstimatorSpec:
        for what, names in (("input", self.inputs), ("output", self.outputs)):
            if len(set(names)) != len(names):
                raise ValueError(f"{what} names repeat")
        if (self.units == "Nm/kg") != (self.kind == "torque"):
            raise ValueError(f"kind {self.kind!r} cannot answer in {self.units!r}")
        for name in self.outputs:
            if self.kind == "torque" and name not in SIDED_JOINTS:
                raise ValueError(f"no joint {name!r}{closest(name, SIDED_JOINTS)}")
            if self.kind == "mode" and name.partition("/")[0] not in MODES:
                raise ValueError(f"no mode {name!r}{closest(name.partition('/')[0], MODES)}")
        return self
