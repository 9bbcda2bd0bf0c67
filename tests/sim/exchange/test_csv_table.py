"""CSV by a column map: units, signs, rates, and named complaints about every kind of damage."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from exotwin.sim.exchange import text
from exotwin.sim.exchange.columns import UNITS, ColumnMap, Source, load_column_map
from exotwin.sim.exchange.csv_table import import_csv, read_labels
from exotwin.sim.recording import Recording
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MASS = 70.0
MAP = """
mode: walk
columns:
  t: {to: time, unit: ms}
  knee: {to: angle/knee_flexion_r, unit: deg, sign: -1}
  hip: {to: angle/hip_flexion_r}
  moment: {to: torque/net/knee_flexion_r, unit: Nm/kg}
  fz: {to: grf/r/z, unit: BW, scale: 2}
  cop: {to: cop/r/x, unit: mm}
"""


def columns(n: int = 300, rate_hz: float = 200.0) -> dict[str, np.ndarray]:
    time = np.arange(n) / rate_hz
    up = np.clip(np.sin(2 * np.pi * time), 0, None)
    return {
        "t": 1000 * time,
        "knee": -30 + 28 * np.cos(2 * np.pi * time),
        "hip": 0.3 * np.sin(2 * np.pi * time),
        "moment": 0.5 * np.cos(2 * np.pi * time),
        "fz": 0.6 * up,
        "cop": np.where(up > 0.1, 1000 * time, np.nan),
        "who": np.arange(n),
    }


def write(path: Path, table: dict[str, np.ndarray], delimiter: str = ",") -> Path:
    rows = zip(*table.values(), strict=True)
    lines = [delimiter.join(table), *(delimiter.join("" if math.isnan(x) else repr(float(x)) for x in r) for r in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def column_map(tmp_path: Path) -> ColumnMap:
    path = tmp_path / "columns.yaml"
    path.write_text(MAP)
    return load_column_map(path)


def test_units_signs_and_what_follows(tmp_path: Path, column_map: ColumnMap) -> None:
    table = columns()
    for delimiter in ",;\t":
        found = import_csv(write(tmp_path / "a.csv", table, delimiter), column_map, MASS, 1.7).recording
        np.testing.assert_allclose(found["time"], table["t"] / 1000, atol=1e-12)
        np.testing.assert_allclose(found["angle/knee_flexion_r"], np.deg2rad(-table["knee"]))
        np.testing.assert_allclose(found["torque/net/knee_flexion_r"], MASS * table["moment"])
        np.testing.assert_allclose(found["torque/biological/knee_flexion_r"], MASS * table["moment"])
        np.testing.assert_allclose(found["grf/r/z"], 2 * MASS * 9.81 * table["fz"])
        loaded = np.isfinite(found["cop/r/x"])
        np.testing.assert_allclose(found["cop/r/x"][loaded], found["time"][loaded])
        time = found["time"][40:-40]
        expected = np.deg2rad(28) * 2 * np.pi * np.sin(2 * np.pi * time)
        np.testing.assert_allclose(found["velocity/knee_flexion_r"][40:-40], expected, atol=0.02)
        assert "who" not in " ".join(found.columns)
        assert found.meta["subject"]["height_m"] == 1.7
        assert set(found["mode"]) == {"walk"}


def test_other_rates_are_resampled(tmp_path: Path, column_map: ColumnMap) -> None:
    fast = import_csv(write(tmp_path / "a.csv", columns(1500, 1000.0)), column_map, MASS).recording
    slow = import_csv(write(tmp_path / "b.csv", columns(150, 100.0)), column_map, MASS).recording
    exact = import_csv(write(tmp_path / "c.csv", columns()), column_map, MASS).recording
    for other in (fast, slow):
        np.testing.assert_allclose(np.diff(other["time"]), 0.005)
        inside = slice(30, len(other) - 30)
        for name in ("angle/knee_flexion_r", "torque/net/knee_flexion_r"):
            size = np.abs(exact[name]).max()
            np.testing.assert_allclose(other[name][inside], exact[name][: len(other)][inside], atol=0.01 * size)
    assert np.isnan(slow["cop/r/x"]).any()


def test_raw_emg_goes_beside_at_its_own_rate(tmp_path: Path) -> None:
    time = np.arange(2000) / 1000.0
    table = {"t": time, "hip": 0.5 * np.sin(6 * time), "emg": 800 * np.sin(2 * np.pi * 90 * time)}
    found = import_csv(
        write(tmp_path / "a.csv", table),
        ColumnMap(
            columns={
                "t": Source(to="time"),
                "hip": Source(to="angle/hip_flexion_r"),
                "emg": Source(to="emg/soleus_l", unit="uV"),
            }
        ),
        MASS,
    )
    assert found.raw_emg is not None
    assert found.raw_emg.meta["rate_hz"] == pytest.approx(1000.0)
    np.testing.assert_allclose(found.raw_emg["emg/soleus_l"], 1e-6 * table["emg"][: len(found.raw_emg)])
    assert "emg/soleus_l" not in found.recording


def test_text_is_translated_and_held(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = "\n".join(f"{k / 100},{'gehen' if k < 30 else 'stehen'},{0.01 * k}" for k in range(60))
    path.write_text(f"t,what,hip\n{rows}\n")
    sources = {"t": Source(to="time"), "hip": Source(to="angle/hip_flexion_r")}
    what = Source(to="mode", values={"gehen": "walk", "stehen": "stand"})
    found = import_csv(path, ColumnMap(columns=sources | {"what": what}), MASS).recording
    assert found["mode"][found["time"] < 0.2999].tolist() == ["walk"] * 60
    assert set(found["mode"][found["time"] > 0.2999]) == {"stand"}
    for values, message in (
        ({"gehn": "walk"}, r"a\.csv: line 2, column 'what': no value 'gehen'; did you mean 'gehn'"),
        ({}, r"a\.csv: line 2, column 'what': no mode 'gehen'"),
    ):
        with pytest.raises(ValueError, match=message):
            import_csv(path, ColumnMap(columns=sources | {"what": Source(to="mode", values=values)}), MASS)


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("columns: {a: {to: angle/hip_flexon_r}}", "no joint 'hip_flexon_r'; did you mean 'hip_flexion_r'"),
        ("columns: {a: {to: angle/hip_flexion_r, unit: degrees}}", "no unit of 'angle/hip_flexion_r': 'degrees'"),
        ("columns: {a: {to: angle/hip_flexion_r, sgn: 1}}", "no key 'sgn'; did you mean 'sign'"),
        ("columns: {a: {to: angle/hip_flexion_r, sign: 2}}", "sign"),
        ("columns: {a: {to: angle/hip_flexion_r, scale: 0}}", "scale is 0"),
        ("columns: {a: {to: angle/hip_flexion_r, scale: .nan}}", "scale"),
        ("columns: {a: {to: time}, b: {to: time}}", "columns 'a' and 'b' both go to 'time'"),
        ("columns: {a: {to: mode, unit: m}}", "is text"),
        ("columns: {a: {to: mode, values: {x: wlk}}}", "no mode 'wlk'; did you mean 'walk'"),
        ("columns: {a: {to: time, values: {x: y}}}", "is numbers"),
        ("mode: swim\ncolumns: {a: {to: time}}", "no mode 'swim'"),
        ("columns: {}", "columns"),
        ("columns: [", "not valid YAML"),
        ("", "columns.yaml"),
    ],
)
def test_bad_maps_are_named(tmp_path: Path, yaml: str, message: str) -> None:
    path = tmp_path / "columns.yaml"
    path.write_text(yaml)
    with pytest.raises(ValueError) as caught:
        load_column_map(path)
    assert "columns.yaml" in str(caught.value)
    assert message in str(caught.value)


def test_every_unit_has_a_finite_factor() -> None:
    examples = {"s": "time", "rad": "angle/hip_flexion_r", "Nm": "torque/net/hip_flexion_r", "N": "grf/r/z"}
    for ours, column in examples.items():
        for unit in UNITS[ours]:
            assert math.isfinite(Source(to=column, unit=unit).factor(MASS))
    assert Source(to="grf/r/z", unit="BW").factor(MASS) == pytest.approx(686.7)
    assert Source(to="torque/net/hip_flexion_r", unit="Nmm/kg", sign=-1).factor(MASS) == pytest.approx(-0.07)


def cell(line: int, column: str, value: str):
    """Damage: one cell of a line (2 is the first of numbers)."""

    def apply(lines: list[str]) -> list[str]:
        at = lines[0].split(",").index(column)
        cells = lines[line - 1].split(",")
        return [*lines[: line - 1], ",".join([*cells[:at], value, *cells[at + 1 :]]), *lines[line:]]

    return apply


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda lines: [], "the file is empty"),
        (lambda lines: ["", *lines], "line 1 has no labels"),
        (lambda lines: lines[:1], "0 rows are too few"),
        (
            lambda lines: [lines[0].replace("hip", "hop"), *lines[1:]],
            "no column 'hip', which the column map names; did",
        ),
        (lambda lines: [lines[0].replace("who", "hip"), *lines[1:]], "column 'hip' stands twice"),
        (lambda lines: [*lines[:20], lines[20] + ",7", *lines[21:]], "line 21 has 8 cells, the labels 7"),
        (lambda lines: [*lines[:20], lines[20][:9], *lines[21:]], "line 21 has"),
        (cell(21, "hip", "x1"), "line 21, column 'hip': 'x1' is not a number"),
        (cell(21, "hip", "1_0"), "line 21, column 'hip': '1_0' is not a number"),
        (cell(21, "hip", "٣"), "line 21, column 'hip': '٣' is not a number"),
        (cell(21, "hip", ""), "line 21, column 'hip': nan is no finite number"),
        (cell(21, "knee", "NaN"), "line 21, column 'knee': nan is no finite number"),
        (cell(21, "knee", "1e999"), "line 21, column 'knee': inf is no finite number"),
        (cell(21, "cop", "inf"), "line 21, column 'cop': inf is no finite number"),
        (cell(21, "hip", "17.2"), "line 21, column 'hip': 17.2 is too much for 'angle/hip_flexion_r', at most 3.5"),
        (cell(21, "t", "10"), "line 21, column 't': time does not increase"),
        (cell(21, "t", ""), "line 21, column 't': nan is not a finite number"),
        (cell(301, "t", "99000"), "line 301, column 't': time jumps"),
        (lambda lines: [*lines[:20], '"' + lines[20], *lines[21:]], "line "),
    ],
)
def test_malformed_files_are_named(tmp_path: Path, column_map: ColumnMap, damage: object, message: str) -> None:
    path = write(tmp_path / "bad.csv", columns())
    path.write_text("\n".join(damage(path.read_text().splitlines())))  # type: ignore[operator]
    with pytest.raises(ValueError) as caught:
        import_csv(path, column_map, MASS)
    assert "bad.csv" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t": Source(to="time")}, "column 't': time steps by 5 s: another unit"),
        ({"knee": Source(to="angle/knee_flexion_r")}, "line 13, column 'knee': -3.655 is too much"),
        ({"cop": Source(to="cop/r/x", unit="m")}, "is too much for 'cop/r/x'"),
        ({"fz": Source(to="grf/r/z", unit="BW", sign=-1)}, "column 'fz': a ground reaction force pulls down"),
        ({"moment": Source(to="torque/net/knee_flexion_r", unit="Nm/kg", scale=1e3)}, "column 'moment'"),
        (
            {
                "hip": Source(to="angle/hip_flexion_r", unit="deg"),
                "knee": Source(to="angle/knee_flexion_r", scale=0.001),
            },
            "no joint moves more in a gait",
        ),
    ],
)
def test_wrong_units_are_named(tmp_path: Path, column_map: ColumnMap, change: dict, message: str) -> None:
    path = write(tmp_path / "bad.csv", columns())
    with pytest.raises(ValueError) as caught:
        import_csv(path, ColumnMap(columns={**column_map.columns, **change}), MASS)
    assert message in str(caught.value)


def only(tmp_path: Path, values: np.ndarray, **source: object) -> Recording:
    """What comes of a file with one column of 1.5 s beside the time."""
    path = write(tmp_path / "one.csv", {"t": np.arange(len(values)) / 200.0, "x": values})
    return import_csv(path, ColumnMap(columns={"t": Source(to="time"), "x": Source(**source)}), MASS).recording  # type: ignore[arg-type]


TIME = np.arange(300) / 200.0
KNEE_RAD = 0.6 - 0.5 * np.cos(2 * np.pi * TIME)
KNEE_NM_PER_KG = 0.5 * np.cos(2 * np.pi * TIME)
UP_BW = np.clip(1.8 * np.sin(2 * np.pi * TIME), 0.0, 1.1) + 0.002 * np.sin(300 * TIME)


@pytest.mark.parametrize(
    ("values", "to", "unit", "right"),
    [
        (KNEE_RAD, "angle/knee_flexion_r", "deg", "rad"),
        (KNEE_NM_PER_KG, "torque/net/knee_flexion_r", "Nm", "Nm/kg"),
        (2.0 * KNEE_NM_PER_KG, "torque/net/ankle_dorsiflexion_l", "Nm", "Nm/kg"),
        (UP_BW, "grf/l/z", "N", "BW"),
        (100.0 * UP_BW, "grf/l/z", "N", "%BW"),
    ],
)
def test_one_column_in_another_unit_is_named(
    tmp_path: Path, values: np.ndarray, to: str, unit: str, right: str
) -> None:
    with pytest.raises(ValueError, match=r"one\.csv: column 'x' reaches .* in a gait: is it in another unit\?"):
        only(tmp_path, values, to=to, unit=unit)
    assert to in only(tmp_path, values, to=to, unit=right)


NOISE = np.random.default_rng(0).normal(0.0, 1.0, 300)


@pytest.mark.parametrize(
    ("values", "to"),
    [
        (np.deg2rad(2.5) * np.sin(6 * TIME), "angle/knee_flexion_r"),  # locked by an orthosis
        (0.1 * MASS * np.sin(6 * TIME), "torque/net/knee_flexion_r"),
        (NOISE, "grf/r/z"),  # a plate that nobody trod on
        (3.0 + 0.3 * NOISE, "grf/r/z"),  # such a one with an offset
        (np.zeros(300), "grf/r/z"),
    ],
)
def test_little_that_is_possible_is_no_alarm(tmp_path: Path, values: np.ndarray, to: str) -> None:
    assert to in only(tmp_path, values, to=to)


def test_huge_files_are_refused_before_they_are_read(tmp_path: Path, column_map: ColumnMap) -> None:
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.truncate(text.MAX_BYTES + 1)  # sparse: takes no room
    for read in (lambda: import_csv(path, column_map, MASS), lambda: read_labels(path)):
        with pytest.raises(ValueError, match=r"huge\.csv: 1\.1 GB is too large"):
            read()
    with pytest.raises(FileNotFoundError, match=r"none\.csv: no such file"):
        import_csv(tmp_path / "none.csv", column_map, MASS)
    with pytest.raises(ValueError, match="not a file"):
        import_csv(tmp_path, column_map, MASS)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 1), junk=st.binary(max_size=12), keep=st.booleans())
def test_any_damage_is_a_named_error_or_a_sound_recording(
    tmp_path: Path, column_map: ColumnMap, cut: float, junk: bytes, keep: bool
) -> None:
    path = write(tmp_path / "bad.csv", columns(n=40))
    raw = path.read_bytes()
    at = int(cut * len(raw))
    path.write_bytes(raw[:at] + junk + (raw[at:] if keep else b""))
    found, complaint = attempt(path, column_map)
    if found is None:
        assert "bad.csv" in complaint
    else:
        assert np.isfinite(found["angle/hip_flexion_r"]).all()
        assert np.abs(found["angle/knee_flexion_r"]).max() <= 3.5 + 0.5


def attempt(path: Path, column_map: ColumnMap) -> tuple[Recording | None, str]:
    """What comes of a file: a recording, or the complaint about it."""
    try:
        return import_csv(path, column_map, MASS).recording, ""
    except ValueError as error:
        return None, str(error)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    row=st.integers(0, 39),
    name=st.sampled_from(["t", "knee", "hip", "moment", "fz", "cop"]),
    value=st.floats(allow_nan=True, allow_infinity=True),
)
def test_any_number_anywhere_is_taken_or_named(
    tmp_path: Path, column_map: ColumnMap, row: int, name: str, value: float
) -> None:
    """The complaint names the very line and column that were changed, or the next line for the time."""
    table = columns(n=40)
    table[name][row] = value
    path = write(tmp_path / "bad.csv", table)
    found, complaint = attempt(path, column_map)
    if found is None:
        assert f"column '{name}'" in complaint
        lines = (row + 2, row + 3) if name == "t" else (row + 2,)
        # A force that pulls down is told of the whole column; a first time that is far off shifts the blame.
        assert any(f"line {line}" in complaint for line in lines) or name in ("t", "fz")
    else:
        assert math.isfinite(value) or name == "cop"
        assert all(np.isfinite(found[c]).all() for c in found.columns if c.startswith(("angle", "torque", "grf")))
