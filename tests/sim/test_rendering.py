"""Pictures and videos: they show the simulated pose, and without a backend they say how to get one."""

import subprocess
from functools import cache
from importlib.resources import files
from pathlib import Path

import imageio.v3 as iio
import mujoco
import numpy as np
import pytest
from exotwin.controllers.device import Shape, load_device
from exotwin.sim import rendering
from exotwin.sim.appearance import build_scene, swing_arms
from exotwin.sim.body import build_model
from exotwin.sim.rendering import (
    RenderingUnavailable,
    render_picture,
    render_strip,
    render_video,
    rendering_backend,
    rendering_hint,
)
from exotwin.sim.subjects import Subject
from exotwin.sim.terrain import LEVEL, Level, Ramp, Stairs, Terrain, ground_height
from pydantic import ValidationError

FOLDER = Path(str(files("exotwin.assets").joinpath("devices")))
HILL = Terrain((Level(length_m=1.0), Stairs(count=3), Level(length_m=1.0), Ramp(slope_deg=10, length_m=4.0)))
SUBJECT = Subject(height_m=1.9, mass_kg=90.0)
needs_backend = pytest.mark.skipif(rendering_backend() is None, reason=rendering_hint())


def device(name):
    return load_device(FOLDER / f"{name}.yaml") if name else None


@cache
def physics(name):
    return build_model(SUBJECT, device(name), 0.002)


def physics_of(terrain):
    """How many surfaces the simulated ground has."""
    model = build_model(SUBJECT, None, 0.002, terrain)
    return int((model.geom_conaffinity > 0).sum())


def walk(name, n, distance=0.0, terrain=LEVEL):
    """Poses (n, nq) of a stiff-kneed march with the pelvis moved forward evenly by a distance (m), 1 m above ground."""
    model = physics(name)
    qpos = np.tile(model.qpos0, (n, 1))
    qpos[:, 0] = np.linspace(0.0, distance, n)
    qpos[:, 2] = [1.0 + ground_height(terrain.rows(), x) for x in qpos[:, 0]]
    for side, phase in (("r", 0.0), ("l", np.pi)):
        qpos[:, model.joint(f"hip_flexion_{side}").qposadr[0]] = 0.4 * np.sin(np.linspace(0, 6, n) + phase + 1)
    return qpos


def red(image):
    """Mask of the active muscles, the only red thing in view."""
    r, g, b = (image[..., k].astype(int) for k in range(3))
    return (r > g + 70) & (r > b + 70)


@pytest.fixture
def no_cached_backend():
    rendering_backend.cache_clear()
    yield
    rendering_backend.cache_clear()


# --- backend ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_cached_backend")
@pytest.mark.parametrize("asked", ["", "egl", "osmesa", "off"])
def test_bare_machine_has_no_backend_and_starts_no_process(monkeypatch, capfd, asked):
    def fail(*_, **__):
        raise AssertionError("a process was started")

    monkeypatch.setattr(rendering.sys, "platform", "linux")
    monkeypatch.setenv("MUJOCO_GL", asked)
    monkeypatch.setattr(rendering, "LIBRARIES", {"egl": "libNoSuchEGL.so.1", "osmesa": "libNoSuchMesa.so.8"})
    monkeypatch.setattr(subprocess, "run", fail)
    assert rendering_backend() is None
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("no_cached_backend")
def test_broken_driver_is_no_backend(monkeypatch, capfd):
    tried = []

    def crash(command, env, **_):
        tried.append(env["MUJOCO_GL"])
        if len(tried) > 1:
            raise subprocess.TimeoutExpired(command, 1.0)
        return subprocess.CompletedProcess(command, -11)

    monkeypatch.setattr(rendering.sys, "platform", "linux")
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(rendering.ctypes, "CDLL", lambda name: None)
    monkeypatch.setattr(subprocess, "run", crash)
    assert rendering_backend() is None
    assert tried == ["egl", "osmesa"]
    assert capfd.readouterr() == ("", "")


def test_without_backend_the_message_says_how_to_get_one(monkeypatch, tmp_path):
    monkeypatch.setattr(rendering, "rendering_backend", lambda: None)
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    poses = walk(None, 3)
    for render, motion, file in (
        (render_video, poses, "x.mp4"),
        (render_strip, poses, "x.png"),
        (render_picture, poses[0], "x.png"),
    ):
        with pytest.raises(RenderingUnavailable, match=r"apt-get install libegl1 libgl1.*libosmesa6"):
            render(tmp_path / file, SUBJECT, None, motion)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("MUJOCO_GL", "disable")
    assert "MUJOCO_GL=disable" in rendering_hint()


# --- what is drawn ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("terrain", [LEVEL, HILL], ids=["level", "hill"])
@pytest.mark.parametrize("name", [None, *sorted(path.stem for path in FOLDER.glob("*.yaml"))])
def test_drawn_person_has_the_coordinates_and_dynamics_of_the_simulated_one(name, terrain):
    drawn, real = build_scene(SUBJECT, device(name), terrain), physics(name)
    assert [drawn.joint(j).name for j in range(drawn.njnt)] == [real.joint(j).name for j in range(real.njnt)]
    np.testing.assert_array_equal(drawn.jnt_qposadr, real.jnt_qposadr)
    qpos = real.qpos0 + np.random.default_rng(0).uniform(-0.3, 0.3, real.nq)
    inertia = []
    for model in (drawn, real):
        data = mujoco.MjData(model)
        data.qpos[:] = qpos
        mujoco.mj_forward(model, data)
        full = np.zeros((model.nv, model.nv))
        mujoco.mj_fullM(model, data, full)
        inertia.append(full)
    np.testing.assert_allclose(inertia[0], inertia[1], rtol=1e-9, atol=1e-9)


def test_drawn_ground_lies_where_the_real_one_does_and_touches_nothing_more():
    model = build_scene(SUBJECT, None, HILL)
    data = mujoco.MjData(model)
    data.qpos[0] = -50.0
    mujoco.mj_kinematics(model, data)
    for x in np.arange(-4.05, HILL.length_m + 4.0, 0.31):
        ray = mujoco.mj_ray(
            model, data, np.array([x, 0.2, 20.0]), np.array([0.0, 0.0, -1.0]), None, 1, -1, np.zeros(1, np.int32)
        )
        painted = 20.0 - ray - ground_height(HILL.rows(), x)
        assert -1e-9 < painted < 0.003
    solid = [g for g in range(model.ngeom) if model.geom_conaffinity[g]]
    assert len(solid) == physics_of(HILL)


def test_arms_swing_against_the_legs():
    model = build_scene(SUBJECT, None)
    data = mujoco.MjData(model)
    data.qpos[model.joint("hip_flexion_r").qposadr] = 0.5
    data.qpos[model.joint("hip_flexion_l").qposadr] = -0.3
    swing_arms(model, data.qpos)
    mujoco.mj_kinematics(model, data)
    right, left = (data.body(f"forearm_{side}").xpos for side in "rl")
    assert left[0] > right[0] + 0.1
    assert left[1] > 0.1 > -0.1 > right[1]


def test_shape_of_a_bar_needs_its_other_end():
    with pytest.raises(ValidationError, match="to_m is for a bar"):
        Shape(kind="bar", at_m=(0, 0, 0), size_m=(0.01, 0, 0.01))
    with pytest.raises(ValidationError, match="to_m is for a bar"):
        Shape(kind="box", at_m=(0, 0, 0), to_m=(0, 1, 0), size_m=(0.01, 0.01, 0.01))


# --- files --------------------------------------------------------------------------------------------------------


@needs_backend
def test_picture_shows_the_person_and_the_activation(tmp_path):
    pose = walk("hip_knee_ankle", 5)[2]
    share = {}
    for level in (0.0, 1.0):
        path = tmp_path / f"{level}.png"
        render_picture(path, SUBJECT, device("hip_knee_ankle"), pose, activation=np.full(26, level), size=(240, 160))
        image = iio.imread(path)
        assert image.shape == (160, 240, 3)
        share[level] = red(image).mean()
    rows, columns = np.nonzero(red(image))
    assert 0.005 < share[1.0] < 0.2
    assert share[0.0] < 0.2 * share[1.0]
    assert 80 < columns.mean() < 160  # centred
    assert 70 < rows.mean() < 140  # the legs are below the middle
    bare = tmp_path / "bare.png"
    render_picture(bare, SUBJECT, None, walk(None, 5)[2], activation=np.ones(26), size=(240, 160))
    assert (iio.imread(bare).sum(axis=2) < 150).sum() < 0.5 * (image.sum(axis=2) < 150).sum()  # no dark exo


@needs_backend
def test_video_follows_the_person(tmp_path):
    shares, path = [], tmp_path / "walk.mp4"
    poses = walk("hip_knee_ankle", 12, distance=15.0)
    render_video(
        path,
        SUBJECT,
        device("hip_knee_ankle"),
        poses,
        fps=50.0,
        size=(160, 90),
        activations=np.ones((12, 26)),
        captions="unpowered",
        progress=shares.append,
    )
    video = iio.imread(path)
    assert video.shape == (6, 90, 160, 3)
    assert iio.immeta(path)["fps"] == 25.0
    np.testing.assert_allclose(shares, np.arange(1, 7) / 6)
    for frame in video:
        assert red(frame).sum() > 20
        assert 60 < np.nonzero(red(frame))[1].mean() < 100


@needs_backend
@pytest.mark.parametrize("slope_deg", [10.0, -10.0])
def test_video_follows_up_and_down(tmp_path, slope_deg):
    path, ramp = tmp_path / "walk.mp4", Terrain([Ramp(slope_deg=slope_deg, length_m=30)])
    poses = walk(None, 12, distance=15.0, terrain=ramp)
    render_video(path, SUBJECT, None, poses, size=(160, 90), activations=np.ones((12, 26)), terrain=ramp)
    heights = [np.nonzero(red(frame))[0].mean() for frame in iio.imread(path)]
    assert np.ptp(heights) < 5.0
    assert 45 < np.mean(heights) < 80


@needs_backend
def test_strip_on_a_terrain_shows_the_poses_where_they_were(tmp_path):
    path, poses = tmp_path / "strip.png", walk(None, 40, distance=4.0, terrain=HILL)
    render_strip(path, SUBJECT, None, poses, frames=4, activations=np.ones((40, 26)), size=(240, 140), terrain=HILL)
    rows, columns = np.nonzero(red(iio.imread(path)))
    first, last = columns < 60, columns > 180
    assert first.sum() > 20
    assert last.sum() > 20
    assert rows[last].mean() < rows[first].mean() - 8  # higher up


@needs_backend
def test_strip_shows_every_pose(tmp_path):
    path = tmp_path / "strip.png"
    render_strip(path, SUBJECT, None, walk(None, 9), frames=4, activations=np.ones((9, 26)), size=(240, 140))
    image = iio.imread(path)
    assert image.shape == (140, 240, 3)
    figures = red(image).any(axis=0)
    gaps = np.flatnonzero(np.diff(figures.astype(int)) == -1)
    quarters = [red(image)[:, 60 * k : 60 * (k + 1)].sum() for k in range(4)]
    assert len(gaps) >= 3
    assert min(quarters) > 0.3 * max(quarters)


@needs_backend
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"qpos": walk(None, 4)[:, :-1]}, r"needs \(n, 19\)"),
        ({"qpos": np.full((4, 19), np.nan)}, "not finite in row 0"),
        ({"activations": np.ones((4, 13))}, r"\(4, 26\)"),
        ({"captions": ["one", "two"]}, "2 captions for 4 poses"),
        ({"size": (161, 90)}, "even"),
    ],
)
def test_video_of_unfitting_arrays_is_refused(tmp_path, change, message):
    arguments = {"qpos": walk(None, 4), "size": (160, 90)} | change
    with pytest.raises(ValueError, match=message):
        render_video(tmp_path / "x.mp4", SUBJECT, None, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_video_needs_a_folder_and_an_mp4_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        render_video(tmp_path / "missing" / "x.mp4", SUBJECT, None, walk(None, 2))
    with pytest.raises(ValueError, match=r"ends in \.mp4"):
        render_video(tmp_path / "x.gif", SUBJECT, None, walk(None, 2))
