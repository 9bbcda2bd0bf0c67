"""Feeds training with windows and whole recordings: read when needed, kept as far as memory allows, shuffled.

Nothing but footers is read on opening. A recording is decoded when the first window of it is wanted and stays
in memory until the limit is reached; the oldest one then goes.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..controllers.interface import FloatArray
from .data import RecordingFile, TorqueSequence, TorqueSignals, hold_last

MEMORY_MB = 1024.0
Picks = NDArray[np.int64]


class Example(NamedTuple):
    """One recording to learn from.

    inputs: (rows, n_inputs) float32, all finite. targets: (rows, n_targets) float32, NaN where unknown, or
    (rows,) class numbers.
    """

    inputs: NDArray[np.float32]
    targets: NDArray[Any]


class WholeExample(NamedTuple):
    """A whole `Example` as tensors, which share its memory."""

    inputs: torch.Tensor
    targets: torch.Tensor


class Batch(NamedTuple):
    """Windows side by side: picks (n, 2) = (recording, first row) of each, inputs and targets (n, frames, ...)."""

    picks: Picks
    inputs: torch.Tensor
    targets: torch.Tensor


class Loader:
    """The examples of recordings, in their order: whole ones by index or in a loop, windows from `batches`, all as
    tensors.

    make: an example from a recording. rows: how many rows each example has, by default the recording's.
    memory_mb: of examples kept; the one in use is kept whatever its size.
    """

    def __init__(
        self,
        recordings: Sequence[RecordingFile],
        make: Callable[[RecordingFile], Example],
        rows: Sequence[int] | None = None,
        memory_mb: float = MEMORY_MB,
    ) -> None:
        self.rows: NDArray[np.int64] = np.array([r.rows for r in recordings] if rows is None else rows, np.int64)
        self._recordings, self._make = recordings, make
        self._limit = memory_mb * 2**20
        self._kept: OrderedDict[int, Example] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._recordings)

    def __iter__(self) -> Iterator[WholeExample]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, i: int) -> WholeExample:
        """The example of recording i; not to be written to. Raises what reading it raises."""
        example = self._example(i)
        return WholeExample(torch.from_numpy(example.inputs), torch.from_numpy(example.targets))

    def _example(self, i: int) -> Example:
        if i in self._kept:
            self._kept.move_to_end(i)
            return self._kept[i]
        example = self._make(self._recordings[i])
        self._bytes += _size(example)
        while self._kept and self._bytes > self._limit:
            self._bytes -= _size(self._kept.popitem(last=False)[1])
        self._kept[i] = example
        return example

    def batches(self, picks: Picks, frames: int, size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Windows of `frames` rows that begin at `picks`, each once, `size` at a time, in random order.

        Where memory holds all recordings, every order is equally likely. Else the recordings are dealt at random
        into pools that memory holds, anew each call, and windows are shuffled within one pool after another: each
        recording is decoded once. Raises ValueError for a window that does not lie inside its recording.
        """
        beyond = (picks[:, 1] < 0) | (picks[:, 1] + frames > self.rows[picks[:, 0]])
        if beyond.any():
            recording, row = picks[beyond][0]
            raise ValueError(f"{frames} rows from row {row} are not inside recording {recording}")
        pool = self._pools(rng)[picks[:, 0]]
        # Picks in random order, then sorted by pool alone.
        order = rng.permutation(len(picks))
        order = order[np.argsort(pool[order], kind="stable")]
        for start in range(0, len(order), size):
            yield self._batch(picks[order[start : start + size]], frames)

    def _pools(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Number of the pool of each recording."""
        any_example = next(iter(self._kept.values())) if self._kept else self._example(0)
        capacity = self._limit / sum(a.itemsize * math.prod(a.shape[1:]) for a in any_example)
        if self.rows.sum() <= capacity:
            return np.zeros(len(self), np.int64)
        # A recording is counted where it ends, so a pool may hold nearly one recording more than `room`.
        room = max(1.0, capacity - self.rows.max())
        dealt = rng.permutation(len(self))
        pools = np.empty(len(self), np.int64)
        pools[dealt] = np.cumsum(self.rows[dealt]) // room
        return pools

    def _batch(self, picks: Picks, frames: int) -> Batch:
        first = self._example(int(picks[0, 0]))
        inputs = np.empty((len(picks), frames, *first.inputs.shape[1:]), first.inputs.dtype)
        targets = np.empty((len(picks), frames, *first.targets.shape[1:]), first.targets.dtype)
        for k, (recording, row) in enumerate(picks.tolist()):
            example = self._example(recording)
            inputs[k] = example.inputs[row : row + frames]
            targets[k] = example.targets[row : row + frames]
        return Batch(picks, torch.from_numpy(inputs), torch.from_numpy(targets))


def every_window(rows: Sequence[int] | NDArray[np.int64], frames: int, stride: int) -> Picks:
    """Picks of all windows of `frames` rows, one every `stride` rows; a shorter recording has none."""
    starts = [np.arange(0, n - frames + 1, stride) for n in rows]
    return np.concatenate([np.stack([np.full(len(s), i), s], axis=1) for i, s in enumerate(starts)])


def torque_example(sequence: TorqueSequence, initial: FloatArray, least_rows: int = 0) -> Example:
    """Inputs as the runtime's memory would hold them; a frame with a missing channel has no target.

    initial: (n_channels,) what stands in for a channel before its first finite value. A recording shorter
    than `least_rows` is lengthened by frames without target.
    """
    known = np.isfinite(sequence.target) & np.isfinite(sequence.measured).all(axis=1, keepdims=True)
    inputs = hold_last(sequence.measured, initial).astype(np.float32)
    targets = np.where(known, sequence.target, np.nan).astype(np.float32)
    after = ((0, max(0, least_rows - len(inputs))), (0, 0))
    return Example(np.pad(inputs, after), np.pad(targets, after, constant_values=np.nan))


def torque_loader(
    recordings: Sequence[RecordingFile],
    signals: TorqueSignals,
    initial: FloatArray,
    least_rows: int = 0,
    memory_mb: float = MEMORY_MB,
) -> Loader:
    """A loader of `torque_example`: channels in their own units, biological torques in Nm/kg."""

    def make(recording: RecordingFile) -> Example:
        return torque_example(signals.read(recording), initial, least_rows)

    return Loader(recordings, make, [max(r.rows, least_rows) for r in recordings], memory_mb)


def _size(example: Example) -> int:
    return example.inputs.nbytes + example.targets.nbytes
