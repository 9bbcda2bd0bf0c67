"""B-mode ultrasound images of the calf muscles: fascicles, aponeuroses and speckle from the muscles' architecture.

Optional and off by default: a device whose `sensors:` have `ultrasound:` has the probe. Nothing in the loop reads the
images: they are made from a run's muscle lengths after it, or one by one as it goes, and saved beside the recording.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...controllers.interface import FloatArray
from ...controllers.sensor_specs.ultrasound import UltrasoundSpec
from ..compiled import compiled

PIXELS = 300
TEXTURE = 1024  # speckle texture's side in pixels; it repeats beyond, several times the image's size
LINES = 2048  # entries of the table of fascicles along the aponeurosis
LINE_STEP = 1e-4  # m between them
LINE_GAP_M = 0.0018  # mean distance of visible sheaths across the fascicles; chosen, a fascicle bundle or two
LINE_WIDTH_M = 0.00025  # standard deviation of a sheath's brightness across it; chosen
APONEUROSIS_M = 0.0004  # standard deviation of an aponeurosis' brightness across it; chosen
APONEUROSIS_GAIN = 12.0  # its amplitude over the muscle's; chosen, the brightest structure of such images
SEPTUM_M = 0.001  # between two muscles; chosen
WHITE_DB = 30.0  # dB over the mean speckle of muscle at the skin that is white at gain 0; chosen


class Architecture(NamedTuple):
    """Fibre length (m) and pennation (rad) of a muscle at its optimal fibre length."""

    fibre_m: float
    pennation: float


# Medial gastrocnemius and soleus of OpenSim's gait2392 (Delp et al. 1990, IEEE Trans Biomed Eng 37:757).
ARCHITECTURE = {
    "gastroc": Architecture(0.060, math.radians(17.0)),
    "soleus": Architecture(0.050, math.radians(25.0)),
}


def fascicle(muscle: str, normalised_length: float) -> tuple[float, float, float]:
    """Length (m), pennation (rad) and thickness (m) of a muscle's fascicles.

    normalised_length: length along the tendon over that at optimal fibre length, as in `truth.BLOCKS` "fibre_length".
    Thickness is constant (Zajac 1989, Crit Rev Biomed Eng 17:359), as it nearly is in the medial gastrocnemius in vivo
    (Maganaris et al. 1998, J Physiol 512:603). Raises KeyError for another muscle than those of `ARCHITECTURE`.
    """
    optimal, angle = ARCHITECTURE[muscle]
    thickness = optimal * math.sin(angle)
    along = max(0.05, normalised_length) * optimal * math.cos(angle)
    return math.hypot(along, thickness), math.atan2(thickness, along), thickness


class Ultrasound:
    """A probe on one calf, which makes images at its own rate.

    The tissue's scatterers are fixed to it. Their speckle is a texture of complex Gaussian numbers smoothed by the
    point spread, so its amplitude is Rayleigh distributed (Wagner et al. 1983, IEEE Trans Sonics Ultrason 30:156); it
    is laid over the muscles at their optimal length and moves with the tissue, which decorrelates it as far as the
    muscle is sheared. Sheaths and aponeuroses modulate the amplitude; depth attenuates it; it is compressed
    logarithmically. The fascicles run from the superficial aponeurosis down towards positive x (distally).
    """

    def __init__(self, spec: UltrasoundSpec) -> None:
        self.spec = spec
        self._pixel = np.array([spec.width_m, spec.depth_m]) / PIXELS
        net = 2.0 * spec.attenuation_db_per_cm_mhz * spec.frequency_mhz - spec.tgc_db_per_cm
        self._loss = net * 100.0  # dB per m of depth
        self._rest = np.array([fascicle(m, 1.0)[1:] for m in spec.muscles])
        self._tops = spec.fat_m + np.concatenate([[0.0], np.cumsum(self._rest[:-1, 1] + SEPTUM_M)])

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a new run: another place on the calf, the probe where it was put."""
        spec = self.spec
        self._rng = rng
        self._speckle = _speckle(rng, spec.psf_lateral_m / self._pixel[0], spec.psf_axial_m / self._pixel[1])
        self._lines = np.stack([_sheaths(rng, angle, spec.line_contrast) for angle, _ in self._rest])
        self._gain_db = spec.gain_db + spec.gain_sd_db * float(rng.standard_normal())
        self._probe = np.zeros(2)  # slip, tilt over their standard deviations
        self._time: float | None = None

    def image(self, time: float, normalised_length: Sequence[float]) -> NDArray[np.uint8]:
        """The (300, 300) image at a time (s), rows from the skin inwards, columns from proximal to distal.

        normalised_length: of each muscle of the spec, see `fascicle`.
        """
        spec, rng = self.spec, self._rng
        if self._time is not None:
            stays = math.exp(-max(0.0, time - self._time) / spec.slip_s)
            self._probe = stays * self._probe + math.sqrt(1.0 - stays**2) * rng.standard_normal(2)
        self._time = time
        now = [fascicle(m, x) for m, x in zip(spec.muscles, normalised_length, strict=True)]
        out = np.empty((PIXELS, PIXELS), np.uint8)
        _draw(
            self._speckle,
            self._lines,
            self._tops,
            self._rest[:, 1],
            1.0 / np.tan(self._rest[:, 0]),
            1.0 / np.tan([angle for _, angle, _ in now]),
            self._pixel,
            spec.slip_sd_m * self._probe[0],
            spec.tilt_sd_rad * self._probe[1],
            self._loss,
            10.0 ** (-spec.noise_db / 20.0),
            rng.integers(0, TEXTURE, 2),
            self._gain_db - WHITE_DB,
            255.0 / spec.dynamic_range_db,
            out,
        )
        return out


@dataclass(frozen=True, eq=False)
class Scan:
    """Images of a run: time (k,) s, image (k, 300, 300), pixel_m (2,) across and down."""

    time: FloatArray
    image: NDArray[np.uint8]
    pixel_m: FloatArray

    def content(self) -> bytes:
        """The .npz file with the fields as its arrays; the same images give the same bytes."""
        sink = io.BytesIO()
        np.savez_compressed(sink, time=self.time, image=self.image, pixel_m=self.pixel_m)
        return sink.getvalue()

    def write(self, path: str | Path) -> None:
        """Write `content` atomically. Raises OSError."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            partial.write_bytes(self.content())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def scan(normalised_length: FloatArray, rate_hz: float, spec: UltrasoundSpec, rng: np.random.Generator) -> Scan:
    """Images of a whole run from the muscles' lengths (n, n_muscles) at rate_hz, see `fascicle`.

    Each image shows the tissue at the last control tick.
    """
    probe = Ultrasound(spec)
    probe.reset(rng)
    seconds = len(normalised_length) / rate_hz
    times = np.arange(math.ceil(seconds * spec.frame_rate_hz - 1e-9)) / spec.frame_rate_hz
    ticks = np.floor(times * rate_hz + 1e-9).astype(np.int64)
    images = np.empty((len(times), PIXELS, PIXELS), np.uint8)
    for k, (time, tick) in enumerate(zip(times.tolist(), ticks, strict=True)):
        images[k] = probe.image(time, normalised_length[tick].tolist())
    return Scan(times, images, np.array([spec.width_m, spec.depth_m]) / PIXELS)


def _speckle(rng: np.random.Generator, lateral: float, axial: float) -> NDArray[np.float32]:
    """(2, TEXTURE, TEXTURE) real and imaginary part of speckle of mean square 2; point spread's sd in pixels."""
    from scipy.fft import fft2, fftfreq, ifft2

    noise = rng.standard_normal((2, TEXTURE, TEXTURE), dtype=np.float32)
    turns = 2.0 * np.pi * fftfreq(TEXTURE)
    spread = np.exp(-0.5 * ((axial * turns[:, None]) ** 2 + (lateral * turns[None, :]) ** 2)).astype(np.float32)
    field = ifft2(fft2(noise[0] + 1j * noise[1]) * spread)
    field *= math.sqrt(2.0) / np.sqrt(np.mean(np.abs(field) ** 2))
    return np.stack([field.real, field.imag]).astype(np.float32)


def _sheaths(rng: np.random.Generator, angle: float, contrast: float) -> NDArray[np.float32]:
    """(LINES,) amplitude along the superficial aponeurosis: sheaths of varied brightness at irregular distances."""
    length = LINES * LINE_STEP
    gap, width = LINE_GAP_M / math.sin(angle), LINE_WIDTH_M / math.sin(angle)
    count = round(length / gap)
    centres = (np.arange(count) + 0.25 * rng.uniform(-1.0, 1.0, count)) * (length / count)
    bright = (contrast - 1.0) * rng.uniform(0.5, 1.0, count)
    away = (np.arange(LINES) * LINE_STEP)[:, None] - centres
    away -= length * np.rint(away / length)
    return (1.0 + (bright * np.exp(-0.5 * (away / width) ** 2)).sum(axis=1)).astype(np.float32)


@compiled(fastmath=True)
def _draw(
    speckle: Any,
    lines: Any,
    tops: Any,
    thick: Any,
    flat: Any,
    now: Any,
    pixel: Any,
    slip: float,
    tilt: float,
    loss: float,
    noise: float,
    shift: Any,
    offset_db: float,
    levels: float,
    out: Any,
) -> None:
    """One image into out. tops, thick: (m,) depth and thickness of each muscle.

    flat, now: (m,) cotangent of its pennation at optimal length and at present. loss: dB per m of depth. An echo that
    offset_db brings to 0 dB is white; levels: grey levels per dB below.
    """
    across, down = pixel[0], pixel[1]
    rows, columns = out.shape
    middle = 0.5 * columns * across
    mask = TEXTURE - 1
    level, steep = math.cos(tilt), math.sin(tilt)
    for i in range(rows):
        depth = (i + 0.5) * down
        weaker = 10.0 ** (-loss * depth / 20.0)
        for j in range(columns):
            beside = (j + 0.5) * across - middle
            # The tissue under this pixel: the probe has slid by `slip` and turned by `tilt` about its middle.
            x = middle + slip + beside * level - depth * steep
            y = depth * level + beside * steep
            echo, home = 0.7, x
            for m in range(len(tops)):
                under = y - tops[m]
                near = min(abs(under), abs(under - thick[m])) / APONEUROSIS_M
                if 0.0 <= under <= thick[m]:
                    start = x - under * now[m]
                    place = start / LINE_STEP
                    left = math.floor(place)
                    part = place - left
                    one, two = lines[m, int(left) % LINES], lines[m, int(left + 1) % LINES]
                    echo = one + part * (two - one)
                    home = start + under * flat[m]
                if near < 4.0:
                    echo += APONEUROSIS_GAIN * math.exp(-0.5 * near * near)
            u, v = home / across, y / down
            left, upper = math.floor(u), math.floor(v)
            a, b = u - left, v - upper
            j0, i0 = int(left) & mask, int(upper) & mask
            j1, i1 = (j0 + 1) & mask, (i0 + 1) & mask
            power = 0.0
            strength = echo * weaker
            for c in range(2):
                field = speckle[c]
                above = field[i0, j0] + a * (field[i0, j1] - field[i0, j0])
                below = field[i1, j0] + a * (field[i1, j1] - field[i1, j0])
                said = strength * (above + b * (below - above))
                said += noise * field[(i + shift[0]) & mask, (j + shift[1]) & mask]
                power += said * said
            grey = 255.0 + levels * (10.0 * math.log10(0.5 * power + 1e-12) + offset_db)
            out[i, j] = int(min(255.0, max(0.0, grey + 0.5)))
