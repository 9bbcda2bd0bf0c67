"""Pictures and videos of recorded motion, rendered off screen with MuJoCo's own renderer.

Needs EGL or OSMesa on Linux; `rendering_backend` says whether one of them works here.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..controllers.device import DeviceDescription
from .appearance import add_muscles, build_scene, swing_arms
from .body import SIDED_MUSCLES
from .subjects import Subject
from .terrain import LEVEL, Terrain

FloatArray = NDArray[np.float64]
Image = NDArray[np.uint8]
Seat = tuple[float, float] | None  # x and height, m, as `seat.seat_place`

LIBRARIES = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8"}
PROBE = """
import mujoco, mujoco.{0}
context = mujoco.{0}.GLContext(64, 64)
context.make_current()
mujoco.MjrContext(mujoco.MjSpec().compile(), mujoco.mjtFontScale.mjFONTSCALE_100)
"""
PROBE_SECONDS = 30.0
VIDEO_OVERSIZE, PICTURE_OVERSIZE = 4 / 3, 2  # drawn larger and shrunk, for smooth edges
CAMERA_SECONDS = 1.2  # the camera follows the walk's mean over about a stride


class RenderingUnavailable(RuntimeError):
    """No off-screen renderer works here; the message says how to get one."""


@functools.cache
def rendering_backend() -> str | None:
    """The off-screen backend that works here: egl, osmesa, cgl or glfw, or None.

    EGL is tried before OSMesa; the environment variable MUJOCO_GL restricts the choice as it does for MuJoCo. Each
    try runs in a process of its own, so that a broken driver harms nothing; without the library there is no try.
    """
    for backend in _candidates():
        library = LIBRARIES.get(backend)
        if library:
            try:
                ctypes.CDLL(library)
            except OSError:
                continue
        environment = {**os.environ, "MUJOCO_GL": backend}
        command = [sys.executable, "-c", PROBE.format(backend)]
        try:
            tried = subprocess.run(command, env=environment, capture_output=True, timeout=PROBE_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if tried.returncode == 0:
            return backend
    return None


def _candidates() -> tuple[str, ...]:
    asked = os.environ.get("MUJOCO_GL", "").lower().strip()
    if asked in ("disable", "disabled", "off", "false", "0"):
        return ()
    if sys.platform == "darwin":
        return ("cgl",)
    if not sys.platform.startswith("linux"):
        return ("glfw",)
    if asked in ("glfw", "glx"):
        return ("glfw",)
    return (asked,) if asked in LIBRARIES else tuple(LIBRARIES)


def rendering_hint() -> str:
    """How to make off-screen rendering work here."""
    asked = os.environ.get("MUJOCO_GL")
    if asked:
        return f"off-screen rendering does not work with MUJOCO_GL={asked}: unset it, or set it to egl or osmesa"
    return (
        "off-screen rendering needs EGL or OSMesa: on Debian or Ubuntu `apt-get install libegl1 libgl1` "
        "or `apt-get install libosmesa6`; no display or GPU is needed"
    )


class _Stage:
    """An off-screen canvas for one visual model; poses are put on it and seen by a camera."""

    def __init__(self, backend: str, model: mujoco.MjModel, size: tuple[int, int], fine: bool) -> None:
        width, height = size
        model.vis.global_.offwidth, model.vis.global_.offheight = width, height
        quality = model.vis.quality
        quality.offsamples = 0  # images are shrunk instead, which in software is several times faster
        quality.shadowsize = 4096 if fine else 1024
        quality.numslices, quality.numstacks = (48, 24) if fine else (18, 8)
        self.model, self.data = model, mujoco.MjData(model)
        self._gl = importlib.import_module(f"mujoco.{backend}").GLContext(width, height)
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._rect = mujoco.MjrRect(0, 0, width, height)
        self._option = mujoco.MjvOption()
        self._option.sitegroup[:] = 0
        self._perturb = mujoco.MjvPerturb()
        self.scene = mujoco.MjvScene(model, 4000)
        self.scene.flags[mujoco.mjtRndFlag.mjRND_HAZE] = 1
        self._image = np.zeros((height, width, 3), dtype=np.uint8)

    def close(self) -> None:
        self._context.free()
        self._gl.free()

    def pose(self, qpos: FloatArray, seat: Seat = None, moved: float = 0.0) -> None:
        """Take a pose, and put the seat where it is; moved: m that pose and seat are drawn from their place."""
        self.data.qpos[:] = qpos
        self.data.qpos[0] += moved
        if seat:
            self.data.mocap_pos[0] = seat[0] + moved, 0.0, seat[1]
        swing_arms(self.model, qpos)
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)
        mujoco.mj_tendon(self.model, self.data)

    def show(self, camera: mujoco.MjvCamera, activation: FloatArray | None) -> None:
        """Make the scene of the present pose."""
        every = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(self.model, self.data, self._option, self._perturb, camera, every, self.scene)
        add_muscles(self.model, self.data, self.scene, activation)

    def add(self, activation: FloatArray | None) -> None:
        """Add the present pose to the scene as one more figure."""
        moving = mujoco.mjtCatBit.mjCAT_DYNAMIC
        mujoco.mjv_addGeoms(self.model, self.data, self._option, self._perturb, moving, self.scene)
        add_muscles(self.model, self.data, self.scene, activation)

    def image(self) -> Image:
        """(height, width, 3) picture of the scene."""
        mujoco.mjr_render(self._rect, self.scene, self._context)
        mujoco.mjr_readPixels(self._image, None, self._rect, self._context)
        return self._image[::-1].copy()


@contextmanager
def _stage(
    subject: Subject,
    device: DeviceDescription | None,
    qpos: FloatArray,
    activations: FloatArray | None,
    size: tuple[int, int],
    fine: bool,
    terrain: Terrain,
    seat: Seat,
) -> Iterator[_Stage]:
    backend = rendering_backend()
    if backend is None:
        raise RenderingUnavailable(rendering_hint())
    model = build_scene(subject, device, terrain, seat is not None)
    worn = device.name if device else "no device"
    if qpos.ndim != 2 or qpos.shape[1] != model.nq or not len(qpos):
        raise ValueError(f"qpos has shape {qpos.shape}; a person with {worn} needs (n, {model.nq})")
    if not np.isfinite(qpos).all():
        raise ValueError(f"qpos is not finite in row {int(np.argmin(np.isfinite(qpos).all(axis=1)))}")
    if activations is not None and activations.shape != (len(qpos), len(SIDED_MUSCLES)):
        wanted = (len(qpos), len(SIDED_MUSCLES))
        raise ValueError(f"activations have shape {activations.shape}, not {wanted}")
    stage = _Stage(backend, model, size, fine)
    try:
        yield stage
    finally:
        stage.close()


def _camera(target: FloatArray, azimuth: float, elevation: float, distance: float) -> mujoco.MjvCamera:
    camera = mujoco.MjvCamera()
    camera.lookat[:] = target
    camera.azimuth, camera.elevation, camera.distance = azimuth, elevation, distance
    return camera


def render_video(
    path: str | Path,
    subject: Subject,
    device: DeviceDescription | None,
    qpos: FloatArray,
    fps: float = 50.0,
    size: tuple[int, int] = (960, 540),
    activations: FloatArray | None = None,
    captions: str | Sequence[str] | None = None,
    progress: Callable[[float], None] | None = None,
    video_fps: float = 25.0,
    terrain: Terrain = LEVEL,
    seat: Seat = None,
) -> None:
    """Write an mp4 (H.264) of a motion, seen by a camera that walks along, up and down.

    qpos: (n, nq) poses at fps Hz, as the simulated model's. activations: (n, 26) 0..1. captions: one text, or one
    for each pose. progress is told the share done. size: pixels, even numbers. video_fps: frames a second of the
    video, at most fps; a second of video takes about 2 s on one core without a GPU at the defaults.
    Raises RenderingUnavailable without a backend, FileNotFoundError without the folder, ValueError for arrays, sizes
    or a name that do not fit.
    """
    import imageio_ffmpeg

    qpos = np.asarray(qpos, dtype=float)
    n = len(qpos)
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} for the video {path.name}")
    if path.suffix != ".mp4":
        raise ValueError(f"{path.name}: a video's name ends in .mp4")
    if size[0] % 2 or size[1] % 2:
        raise ValueError(f"a video of {size[0]} x {size[1]} pixels: both must be even")
    texts = [captions] * n if isinstance(captions, str) else captions
    if texts is not None and len(texts) != n:
        raise ValueError(f"{len(texts)} captions for {n} poses")
    video_fps = min(video_fps, fps)
    rows = np.arange(0, n, fps / video_fps).astype(int)
    drawn = (math.ceil(VIDEO_OVERSIZE * size[0]), math.ceil(VIDEO_OVERSIZE * size[1]))
    with (
        _stage(subject, device, qpos, activations, drawn, False, terrain, seat) as stage,
        closing(imageio_ffmpeg.write_frames(str(path), size, fps=video_fps, macro_block_size=2, quality=7)) as film,
    ):
        film.send(None)
        target = _smooth_path(qpos[:, :3], fps) - np.array([0.0, 0.0, 0.03 * subject.height_m])
        for done, k in enumerate(rows, start=1):
            stage.pose(qpos[k], seat)
            camera = _camera(target[k], 118.0, -9.0, 3.0 * subject.height_m)
            stage.show(camera, None if activations is None else activations[k])
            image = _shrink(stage.image(), size)
            film.send(np.ascontiguousarray(_write_text(image, texts[k]) if texts else image))
            if progress:
                progress(done / len(rows))


def _smooth_path(points: FloatArray, fps: float) -> FloatArray:
    """Points (n, 3) without the wobble of the steps: a local straight-line fit."""
    from scipy.signal import savgol_filter

    window = min(int(CAMERA_SECONDS * fps), len(points))
    return savgol_filter(points, window, 1, axis=0) if window > 2 else points


def _write_text(image: Image, text: str) -> Image:
    from PIL import Image as Pillow
    from PIL import ImageDraw, ImageFont

    picture = Pillow.fromarray(image)
    font = ImageFont.load_default(size=max(12, image.shape[0] // 24))
    margin = image.shape[0] // 30
    ImageDraw.Draw(picture).text((margin, margin), text, fill=(40, 48, 58), font=font)
    return np.asarray(picture)


def render_picture(
    path: str | Path,
    subject: Subject,
    device: DeviceDescription | None,
    qpos: FloatArray,
    activation: FloatArray | None = None,
    size: tuple[int, int] = (1200, 800),
    azimuth: float = 140.0,
    elevation: float = -8.0,
    distance: float = 2.9,
    terrain: Terrain = LEVEL,
    seat: Seat = None,
) -> None:
    """Write one picture of a pose qpos (nq,).

    activation: (26,) 0..1. azimuth, elevation: direction in which the camera looks, deg (azimuth 90 looks to the
    person's left, 180 in the face); distance in body heights. The format follows the file's ending. Raises as
    `render_video`.
    """
    import imageio.v3 as iio

    poses = np.asarray(qpos, dtype=float)[None]
    levels = None if activation is None else np.asarray(activation)[None]
    drawn = (PICTURE_OVERSIZE * size[0], PICTURE_OVERSIZE * size[1])
    with _stage(subject, device, poses, levels, drawn, True, terrain, seat) as stage:
        stage.pose(poses[0], seat)
        target = poses[0, :3] - np.array([0.0, 0.0, 0.05 * subject.height_m])
        stage.show(_camera(target, azimuth, elevation, distance * subject.height_m), activation)
        iio.imwrite(path, _shrink(stage.image(), size))


def render_strip(
    path: str | Path,
    subject: Subject,
    device: DeviceDescription | None,
    qpos: FloatArray,
    frames: int = 6,
    activations: FloatArray | None = None,
    size: tuple[int, int] = (1500, 500),
    spacing: float = 0.5,
    terrain: Terrain = LEVEL,
    seat: Seat = None,
) -> None:
    """Write one picture with several poses of a motion (n, nq) in a row, in the order of time, from the left.

    The poses are evenly spread over the motion. On a level floor they are set `spacing` body heights apart; on a
    terrain they stand where they were, evenly spread over the way. Raises as `render_video`.
    """
    import imageio.v3 as iio

    qpos = np.asarray(qpos, dtype=float)
    drawn = (PICTURE_OVERSIZE * size[0], PICTURE_OVERSIZE * size[1])
    with _stage(subject, device, qpos, activations, drawn, True, terrain, seat) as stage:
        aspect = size[1] / size[0]
        if terrain.sections:
            rows = _evenly_along(qpos[:, 0], frames)
            poses, moved = qpos[rows], np.zeros(frames)
            low, high = poses[:, :3].min(axis=0), poses[:, :3].max(axis=0)
            centre = 0.5 * (low + high) - np.array([0.0, 0.0, 0.08 * subject.height_m])
            tall = max(high[2] - low[2] + 1.35 * subject.height_m, (high[0] - low[0] + subject.height_m) * aspect)
        else:
            rows = np.linspace(0, len(qpos) - 1, frames).round().astype(int)
            poses, step = qpos[rows].copy(), spacing * subject.height_m
            # Who has a seat keeps to it: the feet may stay while the pelvis moves.
            middle = poses[:, 0] if seat is None else np.full(frames, poses[:, 0].mean())
            poses[:, 1] = 0.0
            moved = (np.arange(frames) - (frames - 1) / 2) * step - middle
            tallest = poses[:, 2].mean() if seat is None else poses[:, 2].max()
            centre = np.array([0.0, 0.0, float(tallest) - 0.04 * subject.height_m])
            tall = max(1.25 * subject.height_m, step * (frames + 0.2) * aspect)
        distance = tall / 2 / math.tan(math.radians(stage.model.vis.global_.fovy) / 2)
        # The light follows the figure that makes the scene, so that is the middle one.
        for place in sorted(range(frames), key=lambda i: abs(i - frames // 2)):
            stage.pose(poses[place], seat, moved[place])
            activation = None if activations is None else activations[rows[place]]
            if place == frames // 2:
                stage.show(_camera(centre, 90.0, -6.0, distance), activation)
            else:
                stage.add(activation)
        iio.imwrite(path, _shrink(stage.image(), size))


def _evenly_along(x: FloatArray, count: int) -> NDArray[np.int64]:
    """Rows at which a walk along x (n,) first comes to `count` places at equal distances."""
    return np.searchsorted(np.maximum.accumulate(x), np.linspace(x[0], x.max(), count)).clip(max=len(x) - 1)


def _shrink(image: Image, size: tuple[int, int]) -> Image:
    from PIL import Image as Pillow

    return np.asarray(Pillow.fromarray(image).resize(size, Pillow.Resampling.BILINEAR))
