"""`exotwin import` and `exotwin export` as a user calls them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from exotwin.scenarios import cli
from exotwin.sim.recording import Recording, read_recording
from made_c3d import write_c3d
from made_up import MASS, made_up


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """Exit code of `exotwin WORDS`."""
    monkeypatch.setattr(sys, "argv", ["exotwin", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


def test_there_and_back_as_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up().write(tmp_path / "rec.parquet")
    assert run(monkeypatch, "export", tmp_path / "rec.parquet", "--to", "csv") == 0
    back = tmp_path / "back.parquet"
    assert run(monkeypatch, "import", tmp_path / "rec.csv", "--map", "locohub", "--mass", MASS, "--out", back) == 0
    np.testing.assert_allclose(read_recording(back)["angle/hip_flexion_l"], made_up()["angle/hip_flexion_l"])


def test_opensim_and_mcap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mcap")
    made_up().write(tmp_path / "rec.parquet")
    assert run(monkeypatch, "export", tmp_path / "rec.parquet", "--to", "mot", "--out", tmp_path / "os" / "w.mot") == 0
    assert (tmp_path / "os" / "w_id.xml").exists()
    assert run(monkeypatch, "export", tmp_path / "rec.parquet", "--to", "mcap") == 0
    assert (tmp_path / "rec.mcap").stat().st_size > 10_000


def test_c3d_with_raw_emg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ezc3d")
    write_c3d(tmp_path / "t.c3d")
    (tmp_path / "map.yaml").write_text(
        "columns:\n  RKneeAngles/x: {to: angle/knee_flexion_r, unit: deg}\n  EMG.soleus: {to: emg/soleus_r}\n"
    )
    out = tmp_path / "out" / "t.parquet"
    words = ("import", tmp_path / "t.c3d", "--mass", MASS, "--out", out)
    assert run(monkeypatch, *words, "--map", tmp_path / "map.yaml") == 0
    assert {p.name for p in out.parent.iterdir()} == {"t.parquet", "t.emg.parquet"}


EMG_MAP = "columns:\n  t: {to: time}\n  hip: {to: angle/hip_flexion_r}\n"


def test_raw_emg_of_an_earlier_import_does_not_stay_beside_another_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f"{k / 1000},{0.5 * np.sin(k / 100)},{1e-4 * (k % 7)}\n" for k in range(2000))
    (tmp_path / "a.csv").write_text("t,hip,emg\n" + rows)
    (tmp_path / "without.yaml").write_text(EMG_MAP)
    (tmp_path / "with.yaml").write_text(EMG_MAP + "  emg: {to: emg/soleus_r}\n")
    words = ("import", tmp_path / "a.csv", "--mass", MASS, "--out", tmp_path / "out" / "a.parquet", "--map")
    assert run(monkeypatch, *words, tmp_path / "with.yaml") == 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"a.parquet", "a.emg.parquet"}
    assert run(monkeypatch, *words, tmp_path / "without.yaml") == 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"a.parquet"}


def test_raw_emg_that_cannot_be_written_leaves_no_recording_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f"{k / 1000},{0.5 * np.sin(k / 100)},{1e-4 * (k % 7)}\n" for k in range(2000))
    (tmp_path / "a.csv").write_text("t,hip,emg\n" + rows)
    (tmp_path / "map.yaml").write_text(EMG_MAP + "  emg: {to: emg/soleus_r}\n")
    (tmp_path / "a.emg.parquet").mkdir()  # in the way
    words = ("import", tmp_path / "a.csv", "--mass", MASS, "--map", tmp_path / "map.yaml")
    assert run(monkeypatch, *words, "--out", tmp_path / "a.parquet") != 0
    assert not (tmp_path / "a.parquet").exists()


def test_mcap_of_a_data_set_s_recording_has_its_raw_emg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = pytest.importorskip("mcap.reader")
    made_up().write(tmp_path / "task=walk" / "subject=s01" / "000.parquet")
    time = np.arange(2000) / 1000.0
    emg = Recording({"time": time, "emg/soleus_r": 1e-4 * np.sin(time)}, made_up().meta | {"rate_hz": 1000.0})
    emg.write(tmp_path / "_emg" / "task=walk" / "subject=s01" / "000.parquet")
    monkeypatch.chdir(tmp_path / "task=walk")
    assert run(monkeypatch, "export", "subject=s01/000.parquet", "--to", "mcap", "--out", "a.mcap") == 0
    with Path("a.mcap").open("rb") as file:
        topics = [channel.topic for _, channel, _ in reader.make_reader(file).iter_messages()]
    assert topics.count("/emg") == 2000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("export", "rec.parquet", "--to", "mott"), "no format to export --to 'mott'; did you mean 'mot'"),
        (("export", "rec.parquet"), "no format to export --to ''"),
        (("export", "none.parquet", "--to", "mot"), "no such recording"),
        (("export", "."), "is a bundle's folder: say --out"),
        (("import", "bad.csv", "--mass", "70", "--out", "out/x.parquet"), "say with --map which of its columns"),
        (
            ("import", "bad.csv", "--map", "locohub", "--mass", "70", "--out", "out/x.parquet"),
            "bad.csv: line 4, column 'hip_flexion_angle_ipsi_rad': 'x' is not a number",
        ),
        (("import", "bad.xyz", "--mass", "70", "--out", "out/x.parquet"), "bad.xyz: several files must all be"),
        (("import", "bad.mot", "--mass", "70", "--out", "out/x.parquet"), "bad.mot: the file is empty"),
        (
            ("import", "bad.csv", "--mode", "walk", "--mass", "70", "--out", "out/x.parquet"),
            "--mode is for OpenSim files",
        ),
        (
            ("import", "bad.csv", "--knee-positive", "flexion", "--mass", "70", "--out", "out/x.parquet"),
            "--knee-positive is for OpenSim files",
        ),
        (("import", "a.c3d", "--emg-side", "r", "--mass", "70", "--out", "out/x.parquet"), "--emg-side is for OpenSim"),
        (("import", "bad.mot", "--map", "m", "--mass", "70", "--out", "out/x.parquet"), "--map is for C3D and CSV"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing_behind(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    made_up(20).write("rec.parquet")
    rows = "".join(f"{k / 100},{'x' if k == 2 else 0.1}\n" for k in range(40))
    Path("bad.csv").write_text("time_s,hip_flexion_angle_ipsi_rad\n" + rows)
    for name in ("bad.mot", "bad.xyz"):
        Path(name).write_text("")
    before = set(tmp_path.rglob("*"))
    assert run(monkeypatch, *words) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert set(tmp_path.rglob("*")) == before
