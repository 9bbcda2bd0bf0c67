"""Import of the shipped real trial: signs, axes and values against the raw files, and named complaints."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from exotwin.sim.exchange.opensim_import import import_opensim
from exotwin.sim.exchange.sto import read_table
from exotwin.sim.recording import Recording, read_recording
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TRIAL = Path(str(files("exotwin.assets"))) / "recordings" / "opensim_walk"
COORDINATES, MOMENTS, FORCES = (TRIAL / n for n in ("coordinates.sto", "id_walk.sto", "grf_walk.mot"))
MASS = 85.27


@pytest.fixture(scope="module")
def walk() -> Recording:
    return import_opensim([COORDINATES, MOMENTS, FORCES], MASS)


def raw(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The file read by numpy alone."""
    lines = path.read_text().splitlines()
    head = next(i for i, line in enumerate(lines) if line.strip() == "endheader")
    data = np.loadtxt(lines[head + 2 :])
    names = lines[head + 1].split()
    return data[:, 0], {name.split("/")[-2] if "/" in name else name: x for name, x in zip(names, data.T)}  # noqa: B905


def write(path: Path, columns: dict[str, np.ndarray], **header: object) -> Path:
    n = len(next(iter(columns.values())))
    lines = ["made up", "version=1", f"nRows={n}", f"nColumns={len(columns)}"]
    lines += [f"{key}={value}" for key, value in header.items()]
    lines += ["endheader", "\t".join(columns)]
    lines += ["\t".join(f"{x:.12g}" for x in row) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


def gait(n: int = 200, rate: float = 100.0, start: float = 0.0) -> dict[str, np.ndarray]:
    time = start + np.arange(n) / rate
    return {
        "time": time,
        "hip_flexion_r": 0.2 + 0.4 * np.cos(2 * np.pi * time),
        "knee_angle_r": 0.6 - 0.5 * np.cos(2 * np.pi * time),
    }


def test_columns(walk: Recording) -> None:
    joints = ("hip_flexion", "hip_adduction", "hip_rotation", "knee_flexion", "ankle_dorsiflexion")
    for side in "rl":
        for joint in joints:
            for family in ("angle", "velocity", "torque/net", "torque/biological"):
                assert np.isfinite(walk[f"{family}/{joint}_{side}"]).all()
    assert not [name for name in walk.columns if "beta" in name or "lumbar" in name or "arm" in name]
    assert walk.meta["rate_hz"] == 200.0
    assert (walk["time"][0], walk["time"][-1]) == (0.45, 1.795)
    np.testing.assert_allclose(np.diff(walk["time"]), 0.005)
    assert set(walk["mode"]) == {"walk"}


def test_values_are_the_raw_ones(walk: Recording) -> None:
    time, angle = raw(COORDINATES)
    _, moment = raw(MOMENTS)
    at = np.searchsorted(time, walk["time"] - 1e-6)
    for side in "rl":
        for theirs, ours in (
            ("hip_flexion", "hip_flexion"),
            ("knee_angle", "knee_flexion"),
            ("ankle_angle", "ankle_dorsiflexion"),
        ):
            np.testing.assert_allclose(walk[f"angle/{ours}_{side}"], angle[f"{theirs}_{side}"][at], atol=2e-3)
            rates = np.gradient(angle[f"{theirs}_{side}"], time)[at]
            error = (walk[f"velocity/{ours}_{side}"] - rates)[10:-10]  # the filter is free at the ends
            assert np.sqrt(np.mean(error**2)) < 0.03 * np.sqrt(np.mean(rates**2))
            raw_moment = moment[f"{theirs}_{side}_moment"][at]
            error = walk[f"torque/net/{ours}_{side}"] - raw_moment
            assert np.sqrt(np.mean(error**2)) < 0.5
    np.testing.assert_allclose(walk["pelvis/x"], angle["pelvis_tx"][at], atol=1e-3)
    np.testing.assert_allclose(walk["pelvis/y"], -angle["pelvis_tz"][at], atol=1e-3)
    np.testing.assert_allclose(walk["pelvis/z"], angle["pelvis_ty"][at], atol=1e-3)


@pytest.mark.parametrize("side", ["r", "l"])
def test_signs_are_ours(walk: Recording, side: str) -> None:
    phase = walk[f"phase/{side}"]
    ankle = walk[f"torque/net/ankle_dorsiflexion_{side}"] / MASS
    knee = walk[f"torque/net/knee_flexion_{side}"] / MASS
    hip = walk[f"torque/net/hip_flexion_{side}"] / MASS
    push_off = (phase > 0.45) & (phase < 0.55)
    loading = (phase > 0.12) & (phase < 0.2)
    assert ankle[push_off].mean() < -1.2  # plantarflexion
    assert knee[loading].mean() < -0.4  # extension
    assert hip[(phase > 0.02) & (phase < 0.08)].mean() < -0.3  # extension
    assert hip[push_off].mean() > 0.4  # flexion
    assert 0.6 < phase[walk[f"angle/knee_flexion_{side}"].argmax()] < 0.8
    assert np.rad2deg(walk[f"angle/knee_flexion_{side}"].max()) == pytest.approx(72, abs=3)
    power = ankle * walk[f"velocity/ankle_dorsiflexion_{side}"]
    assert 2.5 < power.max() < 5.0  # ankle push-off burst, W/kg
    assert 0.5 < phase[power.argmax()] < 0.62


def test_world_axes_and_forces(walk: Recording) -> None:
    assert walk["pelvis/x"][-1] - walk["pelvis/x"][0] > 1.5  # forward
    # One whole stride: mean vertical force is body weight (the plates read 84 kg), left foot to the left.
    one_stride = walk["time"] < walk["time"][0] + 1.1445
    up = (walk["grf/r/z"] + walk["grf/l/z"])[one_stride]
    assert up.mean() == pytest.approx(MASS * 9.81, rel=0.04)
    assert np.nanmean(walk["cop/l/y"]) - np.nanmean(walk["cop/r/y"]) > 0.1
    for side in "rl":
        assert walk[f"grf/{side}/z"].min() >= 0.0
        x, y = walk[f"cop/{side}/x"], walk[f"cop/{side}/y"]
        assert np.isnan(x).any()
        assert np.nanmax(np.abs(np.concatenate([x, y]))) < 2.0
        stance = (walk[f"phase/{side}"] > 0.1) & (walk[f"phase/{side}"] < 0.5)
        assert np.diff(x[stance & (walk["time"] < 1.4)]).min() > -0.01  # under a stance foot it moves forward
        braking = (walk[f"phase/{side}"] > 0.05) & (walk[f"phase/{side}"] < 0.2)
        assert walk[f"grf/{side}/x"][braking].mean() < -50.0


def test_plates_may_say_nothing_of_where_a_lifted_foot_is(walk: Recording, tmp_path: Path) -> None:
    time, force = raw(FORCES)
    columns = {name: x.copy() for name, x in force.items() if name != "time"}
    for side in "rl":
        lifted = columns[f"ground_force_{side}_vy"] <= 20.0
        for axis in "xyz":
            columns[f"ground_force_{side}_p{axis}"][lifted] = np.nan
    path = write(tmp_path / "grf.mot", {"time": time, **columns})
    found = import_opensim([COORDINATES, MOMENTS, path], MASS)
    for name in ("cop/r/x", "cop/r/y", "cop/l/x", "cop/l/y"):
        np.testing.assert_allclose(found[name], walk[name], atol=1e-9)
    trodden = int(np.flatnonzero(columns["ground_force_r_vy"] > 100.0)[5])
    columns["ground_force_r_px"][trodden] = np.nan
    write(path, {"time": time, **columns})
    with pytest.raises(ValueError, match=rf"grf\.mot: line {trodden + 7}, column 'ground_force_r_px': nan is not"):
        import_opensim([path], MASS)


def test_moments_in_another_unit_are_named_by_their_own_file_and_column(tmp_path: Path) -> None:
    time, moment = raw(MOMENTS)
    per_kg = {name: x / MASS for name, x in moment.items() if name != "time"}
    path = write(tmp_path / "id_per_kg.sto", {"time": time, **per_kg})
    with pytest.raises(ValueError, match=r"id_per_kg\.sto: column '(hip_flexion|ankle_angle)_[rl]_moment' reaches 1\."):
        import_opensim([COORDINATES, path, FORCES], MASS)


def test_free_moment_is_the_raw_one(walk: Recording) -> None:
    time, force = raw(FORCES)
    at = np.searchsorted(time, walk["time"] - 1e-6)
    np.testing.assert_allclose(walk["free_moment/r"], force["ground_torque_r_y"][at], atol=0.3)
    assert np.abs(walk["free_moment/r"][walk["grf/r/z"] == 0.0]).max() < 0.01


def test_phase_is_zero_at_the_known_heel_strikes(walk: Recording) -> None:
    def at(side: str, time: float) -> float:
        return float(np.interp(time, walk["time"], np.unwrap(walk[f"phase/{side}"], period=1.0))) % 1.0

    assert at("r", 0.45) == pytest.approx((0.45 - 0.267) / 1.1445, abs=0.005)  # 0.267 s is before the span
    assert min(at("r", 1.4115), 1 - at("r", 1.4115)) < 0.005
    assert min(at("l", 0.836), 1 - at("l", 0.836)) < 0.005
    assert at("l", 1.5) == pytest.approx((1.5 - 0.836) / 1.1445, abs=0.01)


def test_reads_back(walk: Recording, tmp_path: Path) -> None:
    walk.write(tmp_path / "walk.parquet")
    assert read_recording(tmp_path / "walk.parquet") == walk


def test_other_dialect_gives_the_same_recording(walk: Recording, tmp_path: Path) -> None:
    """Short names, degrees, knee positive in extension, gait2392's plate names, CoP in mm, other rates."""
    time, angle = raw(COORDINATES)
    flipped = {
        name: (np.rad2deg(x) if "pelvis_t" not in name or name == "pelvis_tilt" else x)
        * (-1 if name.startswith("knee_angle") else 1)
        for name, x in angle.items()
        if name != "time"
    }
    some = slice(None, None, 2)  # 500 Hz
    coordinates = write(
        tmp_path / "ik.mot",
        {"time": time[some], **{name: x[some] for name, x in flipped.items()}},
        inDegrees="yes",
    )
    time, moment = raw(MOMENTS)
    moments = {n: x * (-1 if n.startswith("knee_angle") else 1) for n, x in moment.items() if n != "time"}
    later = slice(50, None)
    dynamics = write(tmp_path / "id.sto", {"time": time[later], **{n: x[later] for n, x in moments.items()}})
    time, force = raw(FORCES)
    renamed = {
        name.replace("force_l_", "force_").replace("ground", "1_ground")
        if "_l_" in name
        else name.replace("_r_", "_"): x * (1000.0 if "_p" in name else 1.0)
        for name, x in force.items()
        if name != "time"
    }
    plates = write(tmp_path / "grf.mot", {"time": time, **renamed})

    other = import_opensim([plates, dynamics, coordinates], MASS)
    assert other["time"][0] == pytest.approx(0.5)
    assert list(other.columns) == list(walk.columns)
    for name, values in other.columns.items():
        if name in ("time", "mode"):
            continue
        expected = walk[name][-len(values) :]
        size = np.nanmax(np.abs(expected))
        # Away from the ends, where filters see different pasts.
        np.testing.assert_allclose(values[30:-30], expected[30:-30], atol=0.01 * size, err_msg=name)


def test_read_table_gives_the_file_as_it_is() -> None:
    table = read_table(COORDINATES)
    time, angle = raw(COORDINATES)
    np.testing.assert_array_equal(table["time"], time)
    np.testing.assert_array_equal(table["pelvis_tilt"], angle["pelvis_tilt"])
    with pytest.raises(KeyError, match=r"coordinates\.sto: no column 'pelvis_tlt'; did you mean 'pelvis_tilt'"):
        table["pelvis_tlt"]


def test_knee_sign_can_be_said_and_must_be_where_it_cannot_be_told(tmp_path: Path) -> None:
    columns = gait()
    path = write(tmp_path / "a.sto", columns)
    assert import_opensim([path], 70.0)["angle/knee_flexion_r"].max() > 1.0
    said = import_opensim([path], 70.0, knee_positive="extension")
    assert said["angle/knee_flexion_r"].max() < 0.0
    write(path, columns | {"knee_angle_r": 0.01 * columns["knee_angle_r"]})
    with pytest.raises(
        ValueError, match=r"a\.sto: column 'knee_angle_r': .* 20 deg: say knee_positive \(--knee-positive\)"
    ):
        import_opensim([path], 70.0)
    write(path, {"time": columns["time"], "knee_angle_r_moment": columns["knee_angle_r"]})
    with pytest.raises(
        ValueError, match=r"a\.sto: column 'knee_angle_r_moment': .* say knee_positive \(--knee-positive\)"
    ):
        import_opensim([path], 70.0)
    with pytest.raises(ValueError, match=r"no knee_positive .* 'flexon'; did you mean 'flexion'"):
        import_opensim([path], 70.0, knee_positive="flexon")  # type: ignore[arg-type]


def test_down_sampling_does_not_alias(tmp_path: Path) -> None:
    time = np.arange(2000) / 1000.0
    slow = 0.3 * np.sin(2 * np.pi * 2 * time)
    hum = 0.1 * np.sin(2 * np.pi * 197 * time)  # sampled at 200 Hz it would pass for 3 Hz
    path = write(tmp_path / "a.sto", {"time": time, "hip_flexion_r": slow + hum})
    angle = import_opensim([path], 70.0)["angle/hip_flexion_r"]
    np.testing.assert_allclose(angle[40:-40], slow[::5][40:-40], atol=0.005)


def test_velocity_is_the_analytic_derivative(tmp_path: Path) -> None:
    path = write(tmp_path / "a.sto", gait(n=400, rate=100.0))
    recording = import_opensim([path], 70.0, rate_hz=100.0)
    expected = -0.4 * 2 * np.pi * np.sin(2 * np.pi * recording["time"])
    np.testing.assert_allclose(recording["velocity/hip_flexion_r"][30:-30], expected[30:-30], atol=0.01 * 0.8 * np.pi)


def test_emg(tmp_path: Path) -> None:
    time = np.arange(400) / 1000.0
    lateral, medial = 0.2 + 0.1 * np.sin(20 * time), np.full(400, 0.6)
    path = write(
        tmp_path / "emg.sto",
        {"time": time, "vastus_lateralis": lateral, "vastus_medius": medial, "soleus": medial},
    )
    with pytest.raises(ValueError, match=r"emg\.sto: EMG column 'vastus_lateralis' names no leg"):
        import_opensim([path], 70.0)
    with pytest.raises(ValueError, match=r"no emg_side .* 'left'"):
        import_opensim([path], 70.0, emg_side="left")  # type: ignore[arg-type]
    recording = import_opensim([path], 70.0, emg_side="l")
    np.testing.assert_allclose(recording["emg_env/soleus_l"], 0.6, atol=1e-6)
    expected = ((lateral + medial) / 2)[::5]
    np.testing.assert_allclose(recording["emg_env/vasti_l"], expected, atol=2e-3)
    write(path, {"time": time, "soleus_r": lateral - 0.5})
    with pytest.raises(ValueError, match="'soleus_r' is no envelope"):
        import_opensim([path], 70.0)


def damaged(lines: list[str], row: int, text: str) -> list[str]:
    return [*lines[:row], text, *lines[row + 1 :]]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda lines: [], "the file is empty"),
        (lambda lines: lines[:3], "no 'endheader' line"),
        (lambda lines: lines[:5], "no column labels"),
        (lambda lines: lines[:100], "truncated: the header says 200 rows, there are 94"),
        (lambda lines: damaged(lines, 5, "tijd\thip_flexion_r\tknee_angle_r"), "first column is 'tijd'"),
        (
            lambda lines: damaged(lines, 5, "time\thip_flexion_r\thip_flexion_r"),
            "'hip_flexion_r' stands twice",
        ),
        (lambda lines: damaged(lines, 20, "0.14\t0.1"), "line 21 has 2 columns, the labels 3"),
        (lambda lines: damaged(lines, 20, "0.14\t0.1\t0.1\t7"), "line 21 has 4 columns, the labels 3"),
        (lambda lines: damaged(lines, 20, "0.14\tx1\t0.1"), "line 21, column 'hip_flexion_r': 'x1' is not"),
        (lambda lines: damaged(lines, 20, "0.13\t0.1\t0.1"), "line 21, column 'time': time does not increase"),
        (lambda lines: damaged(lines, 20, "nan\t0.1\t0.1"), "line 21, column 'time': nan is not a finite number"),
        (
            lambda lines: damaged(lines, 20, "0.14\t0.1\tnan"),
            "line 21, column 'knee_angle_r': nan is not a finite number",
        ),
        (lambda lines: damaged(lines, 20, "0.14\t0.1\t1e999"), "line 21, column 'knee_angle_r': inf is not a finite"),
        (lambda lines: damaged(lines, 20, "0.14\t0.1\t1_0"), "line 21, column 'knee_angle_r': '1_0' is not a number"),
        (
            lambda lines: damaged(lines, 20, "0.14\t41.0\t0.1"),
            "line 21, column 'hip_flexion_r': 41 is too much for 'angle/hip_flexion_r', at most 3.5",
        ),
        (
            lambda lines: damaged(lines, 5, "time\thip_flexon_r\tfoo"),
            "among its columns hip_flexon_r, foo; did you mean 'hip_flexion_r'",
        ),
    ],
)
def test_malformed_files_are_named(tmp_path: Path, damage: object, message: str) -> None:
    path = write(tmp_path / "bad.sto", gait())
    path.write_text("\n".join(damage(path.read_text().splitlines())))  # type: ignore[operator]
    with pytest.raises(ValueError) as caught:
        import_opensim([path], 70.0)
    assert "bad.sto" in str(caught.value)
    assert message in str(caught.value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=st.integers(0, 39), name=st.sampled_from(["time", "hip_flexion_r", "knee_angle_r"]), value=st.floats())
def test_any_number_anywhere_is_taken_or_named(tmp_path: Path, row: int, name: str, value: float) -> None:
    """The complaint names the line and column that were changed; for the time the next line may be blamed."""
    columns = gait(n=40)
    columns[name][row] = value
    path = write(tmp_path / "bad.sto", columns)
    complaint = ""
    try:
        found = import_opensim([path], 70.0, knee_positive="flexion")["angle/knee_flexion_r"]
    except ValueError as error:
        complaint, found = str(error), np.zeros(1)
    assert np.isfinite(found).all()
    if complaint:
        assert "bad.sto" in complaint
        assert f"line {row + 7}, column '{name}'" in complaint or name == "time"


def test_a_gap_in_time_is_named(tmp_path: Path) -> None:
    columns = gait()
    columns["time"][100:] += 0.5
    path = write(tmp_path / "bad.sto", columns)
    with pytest.raises(ValueError, match=r"bad\.sto: line 107, column 'time': time jumps by 0\.51 s"):
        import_opensim([path], 70.0)


def test_files_that_do_not_go_together(tmp_path: Path) -> None:
    early, late = write(tmp_path / "a.sto", gait()), tmp_path / "b.sto"
    write(late, {"time": gait(start=9.0)["time"], "ankle_angle_r": np.zeros(200)})
    with pytest.raises(ValueError, match=r"no common time span: a\.sto 0\.000 to 1\.990 s; b\.sto 9\.000"):
        import_opensim([early, late], 70.0)
    with pytest.raises(ValueError, match=r"b\.sto: gives 'angle/hip_flexion_r', which another file gave"):
        import_opensim([early, write(late, gait())], 70.0)
    with pytest.raises(ValueError, match="no files"):
        import_opensim([], 70.0)
    with pytest.raises(FileNotFoundError):
        import_opensim([tmp_path / "none.sto"], 70.0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 1), junk=st.text(max_size=12))
def test_any_damage_is_a_named_error_or_a_sound_table(tmp_path: Path, cut: float, junk: str) -> None:
    path = write(tmp_path / "bad.sto", gait(n=40))
    text = path.read_text()
    at = int(cut * len(text))
    path.write_text(text[:at] + junk + (text[at:] if len(junk) % 2 else ""), encoding="utf-8")
    try:
        table = read_table(path)
    except ValueError as error:
        message = str(error)
    else:
        message = table.path.name
        assert table.values.shape == (len(table.time), len(table.names))
        assert (np.diff(table.time) > 0).all()
    assert "bad.sto" in message
