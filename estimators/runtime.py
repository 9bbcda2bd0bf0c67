"""Runs bundles on the device: numpy and onnxruntime, nothing of the simulator or of training.

About sensors that fail: a frame in which any channel of the bundle is not finite gives NaN torques (or the
last mode at confidence 0), and the network's memory takes in the channel's last finite value instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..controllers.interface import ChannelLayout, FloatArray, SensorFrame, closest
from ..controllers.protocols import ModeEstimate
from .bundle import MODEL, BundleError, Manifest, read_manifest
from .spec import EstimatorSpec
from .stream import OnnxStream


class _OnnxPart:
    """What estimator and classifier share: the bundle, its stream, where its channels are in a frame."""

    def __init__(self, bundle: str | Path, kind: Literal["torque", "mode"]) -> None:
        self.manifest: Manifest = read_manifest(bundle)
        if self.spec.kind != kind:
            raise BundleError(f"{bundle}: a bundle of kind {self.spec.kind!r}, expected {kind!r}")
        try:
            self._stream = OnnxStream(Path(bundle) / MODEL, self.spec, np.array(self.manifest.normalisation.input_mean))
        except ValueError as error:
            raise BundleError(str(error)) from None
        self._layout: ChannelLayout | None = None
        self._indices = np.empty(0, dtype=np.intp)

    @property
    def spec(self) -> EstimatorSpec:
        """What the bundle says it is."""
        return self.manifest.spec

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels it needs in every frame."""
        return self.spec.inputs

    def reset(self) -> None:
        """Forget the past; call before a new run."""
        self._stream.reset()

    def _step(self, frame: SensorFrame) -> FloatArray:
        if frame.layout is not self._layout:
            self._indices = frame.layout.indices(self.channels)
            self._layout = frame.layout
        return self._stream.step(frame.values[self._indices])

    def run_offline(self, columns: Mapping[str, Any]) -> FloatArray:
        """A whole recording's columns, each (n,), from a fresh start -> (n, n_outputs).

        Same numbers as frame by frame. Resets. KeyError names a missing column and the closest there is.
        """
        for name in self.channels:
            if name not in columns:
                raise KeyError(f"no column {name!r}{closest(name, columns)}")
        return self._stream.run(np.stack([np.asarray(columns[name], float) for name in self.channels], axis=1))


class OnnxEstimator(_OnnxPart):
    """`TorqueEstimator` from a bundle folder.

    Raises FileNotFoundError or BundleError; `update` raises KeyError when the device lacks a channel.
    """

    def __init__(self, bundle: str | Path) -> None:
        super().__init__(bundle, "torque")

    @property
    def joints(self) -> tuple[str, ...]:
        """Joints it answers for, with side; the order of its output."""
        return self.spec.outputs

    def update(self, frame: SensorFrame, mode: ModeEstimate) -> FloatArray:
        """One frame in; (n_joints,) biological torque in Nm/kg out, NaN when a channel gave nothing."""
        return self._step(frame)


class OnnxModeClassifier(_OnnxPart):
    """`ModeClassifier` from a bundle folder.

    Raises FileNotFoundError or BundleError; `update` raises KeyError when the device lacks a channel.
    """

    def __init__(self, bundle: str | Path) -> None:
        super().__init__(bundle, "mode")
        self._classes = [name.partition("/")[::2] for name in self.spec.outputs]
        self._last = self._answer(0, 0.0)

    @property
    def classes(self) -> tuple[str, ...]:
        """Mode keys it tells apart; the order of `run_offline`'s probabilities."""
        return self.spec.outputs

    def reset(self) -> None:
        """Forget the past; call before a new run."""
        super().reset()
        self._last = self._answer(0, 0.0)

    def update(self, frame: SensorFrame) -> ModeEstimate:
        """One frame in, the likeliest mode out; the last one at confidence 0 when a channel gave nothing."""
        probabilities = self._step(frame)
        best = int(probabilities.argmax())
        confidence = float(probabilities[best])
        self._last = self._answer(best, confidence) if confidence == confidence else self._blind()
        return self._last

    def _answer(self, index: int, confidence: float) -> ModeEstimate:
        mode, speed_class = self._classes[index]
        return ModeEstimate(mode, confidence, speed_class)

    def _blind(self) -> ModeEstimate:
        return ModeEstimate(self._last.mode, 0.0, self._last.speed_class)
