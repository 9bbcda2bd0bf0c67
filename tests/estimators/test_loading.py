"""The loader: every window once, the right numbers, in random order, within its memory."""

from __future__ import annotations

import re
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exotwin.estimators.data import TorqueSequence, TorqueSignals, open_recording
from exotwin.estimators.dataset import open_dataset
from exotwin.estimators.loading import Example, Loader, every_window, torque_example, torque_loader
from exotwin.sim.recording import Recording, read_recording
from hypothesis import given
from hypothesis import strategies as st

ROW_BYTES = 16  # of `numbered`: 2 float32 inputs and an int64 label


def numbered(lengths: list[int], memory_mb: float = 1.0) -> tuple[Loader, Counter[Any]]:
    """Recordings whose row r of recording i holds (i, r) and r; and how often each was read."""
    reads: Counter[Any] = Counter()

    def make(recording: Any) -> Example:
        reads[recording] += 1
        row = np.arange(lengths[recording])
        return Example(np.stack([np.full(len(row), recording), row], axis=1).astype(np.float32), row)

    return Loader(range(len(lengths)), make, lengths, memory_mb), reads  # type: ignore[arg-type]


@given(
    lengths=st.lists(st.integers(0, 30), min_size=1, max_size=8),
    frames=st.integers(1, 12),
    stride=st.integers(1, 12),
    size=st.integers(1, 9),
    rows_kept=st.integers(1, 300),
    seed=st.integers(0, 5),
)
def test_each_window_comes_once(
    lengths: list[int], frames: int, stride: int, size: int, rows_kept: int, seed: int
) -> None:
    loader, _ = numbered(lengths, memory_mb=rows_kept * ROW_BYTES / 2**20)
    picks = every_window(loader.rows, frames, stride)
    seen = []
    for batch in loader.batches(picks, frames, size, np.random.default_rng(seed)):
        assert len(batch.picks) <= size
        expected = batch.picks[:, 1, None] + np.arange(frames)
        np.testing.assert_array_equal(batch.targets, expected)
        np.testing.assert_array_equal(batch.inputs[..., 1], expected)
        np.testing.assert_array_equal(batch.inputs[:, 0, 0], batch.picks[:, 0])
        seen += [tuple(pick) for pick in batch.picks.tolist()]
    plain = [(i, row) for i, n in enumerate(lengths) for row in range(0, n, stride) if row + frames <= n]
    assert sorted(seen) == plain


def order(loader: Loader, seed: int) -> list[tuple[int, int]]:
    picks = every_window(loader.rows, 10, 5)
    batches = loader.batches(picks, 10, 4, np.random.default_rng(seed))
    return [tuple(pick) for batch in batches for pick in batch.picks.tolist()]


@pytest.mark.parametrize("rows_kept", [10_000, 250])
def test_the_seed_decides_the_order(rows_kept: int) -> None:
    orders = [order(numbered([100] * 6, rows_kept * ROW_BYTES / 2**20)[0], seed) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    loader, _ = numbered([100] * 6, rows_kept * ROW_BYTES / 2**20)
    order(loader, 3)  # what is in memory by now
    assert order(loader, 1) == orders[0]


@pytest.mark.parametrize("rows_kept", [10_000, 450])
def test_shuffling_is_fair(rows_kept: int) -> None:
    """Any recording is as likely to come first as any other, and neighbours in time end up far apart."""
    lengths, runs = [100] * 8, 400
    firsts: Counter[int] = Counter()
    apart = []
    for seed in range(runs):
        found = order(numbered(lengths, rows_kept * ROW_BYTES / 2**20)[0], seed)
        firsts[found[0][0]] += 1
        place = {pick: k for k, pick in enumerate(found)}
        apart.append(abs(place[0, 5] - place[0, 10]))
    # Binomial: 50 +- 6.6 of 400; four standard deviations.
    assert all(abs(firsts[i] - runs / 8) < 27 for i in range(8))
    # Two random places among n are n / 3 apart on average; a pool here holds at least three recordings of 19 windows.
    assert np.mean(apart) > 0.9 * 3 * 19 / 3


def test_batches_mix_recordings_that_memory_holds() -> None:
    loader, _ = numbered([100] * 8, 450 * ROW_BYTES / 2**20)
    picks = every_window(loader.rows, 10, 5)
    counts = [len(set(b.picks[:, 0].tolist())) for b in loader.batches(picks, 10, 16, np.random.default_rng(0))]
    assert np.mean(counts) > 2.5


def test_each_recording_is_read_once_an_epoch_or_once_at_all() -> None:
    tight, reads = numbered([100] * 20, 450 * ROW_BYTES / 2**20)
    for seed in range(3):
        order(tight, seed)
    assert reads.total() <= 3 * 20 + 1  # and once one of them, to know the size of a row
    roomy, reads = numbered([100] * 20)
    for seed in range(3):
        order(roomy, seed)
    assert set(reads.values()) == {1}


def test_memory_stays_within_its_limit() -> None:
    rows, width = 1000, 100
    made = Loader(range(40), lambda _: Example(np.zeros((rows, width), np.float32), np.zeros(rows)), [rows] * 40, 2.0)  # type: ignore[arg-type]
    tracemalloc.start()
    try:
        for _ in made.batches(every_window(made.rows, 10, 10), 10, 8, np.random.default_rng(0)):
            pass
        for _ in made:
            pass
        peak = tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()
    assert peak < 2.0 + 2 * 0.4 + 0.2  # all recordings are 16 MB; one is 0.4 MB


def test_a_window_outside_its_recording_is_refused() -> None:
    loader, _ = numbered([20, 30])
    with pytest.raises(ValueError, match="10 rows from row 25 are not inside recording 1"):
        next(loader.batches(np.array([[0, 10], [1, 25]]), 10, 2, np.random.default_rng(0)))


def test_torques_and_channels_of_files(dataset: Path) -> None:
    recordings = open_dataset(dataset).recordings("train")
    signals = TorqueSignals(("imu/shank_r/gz", "encoder/knee_flexion_r/angle"), ("knee_flexion_r",), 200.0)
    loader = torque_loader(recordings, signals, np.zeros(2), memory_mb=0.1)
    batch = next(loader.batches(every_window(loader.rows, 100, 50), 100, 64, np.random.default_rng(0)))
    assert batch.inputs.shape == (64, 100, 2)
    truths = [read_recording(r.path) for r in recordings]
    for (i, row), x, y in zip(batch.picks.tolist(), batch.inputs, batch.targets, strict=True):
        truth = truths[i]
        span = slice(row, row + 100)
        np.testing.assert_array_equal(x[:, 1], truth["encoder/knee_flexion_r/angle"][span].astype(np.float32))
        torque = truth["torque/biological/knee_flexion_r"][span] / truth.meta["subject"]["mass_kg"]
        np.testing.assert_allclose(y[:, 0], torque, rtol=1e-6)
    assert [len(x) for x, _ in loader] == loader.rows.tolist() == [2400] * 3
    for whole in (*loader, loader[1]):
        assert isinstance(whole.inputs, torch.Tensor)
        assert isinstance(whole.targets, torch.Tensor)
    i, row = batch.picks[0]
    torch.testing.assert_close(loader[int(i)].inputs[row : row + 100], batch.inputs[0])


def test_missing_values_are_held_and_do_not_count() -> None:
    nan = np.nan
    sequence = TorqueSequence(
        measured=np.array([[nan, 1.0], [2.0, nan], [3.0, 4.0]]), target=np.array([[1.0, 1.0], [2.0, 2.0], [3.0, nan]])
    )
    example = torque_example(sequence, initial=np.array([7.0, 8.0]), least_rows=4)
    np.testing.assert_array_equal(example.inputs[:3], [[7, 1], [2, 1], [3, 4]])
    np.testing.assert_array_equal(example.targets, [[nan, nan], [nan, nan], [3, nan], [nan, nan]])


def test_the_documented_loop_runs(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).parents[2] / "docs" / "training_data.md"
    (code,) = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "data").symlink_to(dataset)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["batch"].inputs.shape[1:] == (100, 18)
    assert len(names["windows"]) == 3 * 116  # (2400 - 100) / 20 + 1 of each recording
    assert names["y"].shape == (2400, 2)


def test_opening_reads_no_column(tmp_path: Path) -> None:
    """The pages of a file may be anything as long as nobody wants them."""
    time = np.arange(4000) / 200.0
    noise = np.random.default_rng(0).standard_normal(4000)
    columns = {"time": time, "angle/knee_flexion_r": noise}
    Recording(columns, {"subject": {"mass_kg": 70.0}, "rate_hz": 200.0}).write(tmp_path / "a.parquet")
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[4 : len(content) // 2] = bytes(len(content) // 2 - 4)
    (tmp_path / "a.parquet").write_bytes(content)
    opened = open_recording(tmp_path / "a.parquet")
    assert (opened.rows, opened.names) == (4000, ("time", "angle/knee_flexion_r"))
    with pytest.raises(ValueError, match=r"a\.parquet: truncated"):
        opened.read()
