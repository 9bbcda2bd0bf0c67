"""Ultrasound images: the muscle's architecture is found again in them, and the speckle has its statistics."""

import numpy as np
import pytest
from exotwin.controllers.sensor_specs import UltrasoundSpec, with_preset
from exotwin.sim.sensors.ultrasound import PIXELS, Ultrasound, fascicle, scan
from pydantic import ValidationError
from scipy import ndimage

ONE = UltrasoundSpec(muscles=("gastroc",))


def picture(spec=ONE, lengths=(1.0,), seed=0, at=0.0):
    probe = Ultrasound(spec)
    probe.reset(np.random.default_rng(seed))
    return probe.image(at, lengths)


def amplitude(image, spec=ONE):
    """The echo's amplitude, from the grey levels."""
    return 10.0 ** (image.astype(float) / 255.0 * spec.dynamic_range_db / 20.0)


def aponeuroses(image, spec=ONE):
    """Depths (m) of the two brightest horizontal structures."""
    rows = ndimage.gaussian_filter1d(image.mean(axis=1), 1.5)
    first = int(np.argmax(rows))
    rest = rows.copy()
    rest[max(0, first - 30) : first + 30] = 0.0
    down = spec.depth_m / PIXELS
    return tuple(sorted((k + 0.5) * down for k in (first, int(np.argmax(rest)))))


def fascicle_angle(image, spec=ONE):
    """Angle (rad) of the lines between the aponeuroses: where the image summed along lines varies most (Radon)."""
    down, across = spec.depth_m / PIXELS, spec.width_m / PIXELS
    top, bottom = (round(depth / down) for depth in aponeuroses(image, spec))
    inside = image[top + 14 : bottom - 14].astype(float)
    inside -= inside.mean(axis=1, keepdims=True)
    rows, columns = inside.shape
    angles = np.radians(np.arange(8.0, 50.0, 0.5))
    varies = []
    for angle in angles:
        shift = np.arange(rows) * down / np.tan(angle) / across
        starts = np.arange(-shift[-1], columns)
        along = np.array(
            [np.interp(starts + s, np.arange(columns), r, 0, 0) for s, r in zip(shift, inside, strict=True)]
        )
        seen = sum((starts + s >= 0) & (starts + s < columns) for s in shift)
        long = seen > 0.5 * seen.max()
        varies.append(np.var(along.sum(axis=0)[long] / seen[long]))
    return float(angles[np.argmax(varies)])


def test_the_architecture_keeps_its_thickness_and_its_optimum():
    length, angle, thickness = fascicle("soleus", 1.0)
    assert (length, np.degrees(angle)) == (pytest.approx(0.05), pytest.approx(25.0))
    for normalised in (0.5, 0.8, 1.3):
        longer, flatter, same = fascicle("soleus", normalised)
        assert same == thickness
        assert longer * np.sin(flatter) == pytest.approx(thickness)
        assert longer * np.cos(flatter) == pytest.approx(normalised * length * np.cos(angle))


@pytest.mark.parametrize("muscle", ["gastroc", "soleus"])
@pytest.mark.parametrize("normalised", [0.6, 0.8, 1.0, 1.2])
def test_angle_and_length_of_the_fascicles_are_found_in_the_image(muscle, normalised):
    spec = UltrasoundSpec(muscles=(muscle,))
    length, angle, _ = fascicle(muscle, normalised)
    found = [picture(spec, (normalised,), seed) for seed in range(2)]
    angles = [fascicle_angle(image, spec) for image in found]
    assert np.degrees(np.mean(angles)) == pytest.approx(np.degrees(angle), abs=0.6)
    top, bottom = np.mean([aponeuroses(image, spec) for image in found], axis=0)
    assert (bottom - top) / np.sin(np.mean(angles)) == pytest.approx(length, rel=0.04)


def test_both_muscles_lie_one_below_the_other():
    image = picture(UltrasoundSpec(), (1.0, 1.0))
    rows = ndimage.gaussian_filter1d(image.mean(axis=1), 1.0)
    thick = [fascicle(m, 1.0)[2] for m in ("gastroc", "soleus")]
    for depth in (0.005, 0.005 + thick[0], 0.006 + thick[0] + thick[1]):
        k = round(depth / 0.05 * PIXELS)
        assert rows[k - 5 : k + 6].max() > np.median(rows) + 30


def test_speckle_is_fully_developed():
    """A Rayleigh distribution has mean over standard deviation sqrt(pi / (4 - pi)) = 1.91 (Wagner et al. 1983)."""
    plain = UltrasoundSpec(muscles=("gastroc",), line_contrast=1.0, fat_m=0.02, dynamic_range_db=100.0, gain_db=-10.0)
    ratios = []
    for seed in range(6):
        fat = amplitude(picture(plain, seed=seed), plain)[:100]
        ratios.append(fat.mean() / fat.std())
    assert np.mean(ratios) == pytest.approx(np.sqrt(np.pi / (4.0 - np.pi)), rel=0.03)


def test_the_grain_is_the_point_spread():
    """The autocorrelation of the complex speckle's intensity falls to 1/e at twice the point spread's sd."""
    spec = UltrasoundSpec(
        muscles=("gastroc",), line_contrast=1.0, fat_m=0.02, psf_axial_m=0.0004, psf_lateral_m=0.0008, gain_db=-10.0
    )
    found = np.zeros((2, 12))
    for seed in range(6):
        power = amplitude(picture(spec, seed=seed), spec)[:100] ** 2
        power = (power - power.mean()) / power.std()
        for lag in range(12):
            found[0, lag] += np.mean(power[lag:] * power[: 100 - lag]) / 6
            found[1, lag] += np.mean(power[:, lag:] * power[:, : PIXELS - lag]) / 6
    lags = np.arange(12) * 0.05 / PIXELS
    for curve, sd in zip(found, (0.0004, 0.0008), strict=True):
        # Intensity correlates as the square of the field's exp(-d^2 / (4 sd^2)).
        np.testing.assert_allclose(curve, np.exp(-(lags**2) / (2.0 * sd**2)), atol=0.12)


def test_depth_attenuates_and_gain_brightens():
    flat = UltrasoundSpec(muscles=("gastroc",), line_contrast=1.0, fat_m=0.02, noise_db=100.0)
    lossy = flat.model_copy(update={"attenuation_db_per_cm_mhz": 0.5, "tgc_db_per_cm": 4.5, "frequency_mhz": 5.0})
    loud = flat.model_copy(update={"gain_db": 6.0})
    one, two, three = (picture(s).astype(float)[:110] for s in (flat, lossy, loud))
    level = 60.0 / 255.0  # dB
    assert (three - one).mean() * level == pytest.approx(6.0, abs=0.2)
    per_row = (two - one).mean(axis=1) * level
    slope = np.polyfit((np.arange(110) + 0.5) * 0.05 / PIXELS * 100.0, per_row, 1)[0]  # dB per cm
    assert slope == pytest.approx(-(2 * 0.5 * 5.0 - 4.5), rel=0.1)


def test_speckle_follows_the_tissue_and_decorrelates_with_its_shear():
    probe = Ultrasound(UltrasoundSpec(muscles=("gastroc",), noise_db=100.0))
    probe.reset(np.random.default_rng(0))
    images = [probe.image(0.02 * k, [x]).astype(float)[40:120] for k, x in enumerate((1.0, 1.002, 1.3))]
    alike = [np.corrcoef(images[0].ravel(), other.ravel())[0, 1] for other in images[1:]]
    assert alike[0] > 0.9
    assert alike[1] < 0.5


def test_a_probe_that_slips_moves_the_picture():
    spec = UltrasoundSpec(muscles=("gastroc",), slip_sd_m=0.003, slip_s=0.2, noise_db=100.0)
    lengths = np.ones((2400, 1))
    images = scan(lengths, 200.0, spec, np.random.default_rng(1)).image
    row = images[:, 15].astype(float)  # in the fat, which does not move by itself
    shifts = []
    for k in range(1, len(row)):
        a, b = row[0] - row[0].mean(), row[k] - row[k].mean()
        full = np.correlate(a, b, "full")
        shifts.append((np.argmax(full) - (PIXELS - 1)) * 0.05 / PIXELS)
    assert np.std(shifts) == pytest.approx(0.003, rel=0.3)


def test_a_scan_has_its_rate_its_seed_and_its_file(tmp_path):
    spec = UltrasoundSpec.model_validate(with_preset({"preset": "consumer", "ultrasound": {}})["ultrasound"])
    lengths = 1.0 + 0.2 * np.sin(np.arange(200) / 30.0)[:, None] * np.ones(2)
    one, again, other = (scan(lengths, 200.0, spec, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert (one.image.shape, one.image.dtype) == ((20, PIXELS, PIXELS), np.uint8)
    np.testing.assert_allclose(one.time, np.arange(20) / 20.0)
    np.testing.assert_array_equal(one.image, again.image)
    assert not np.array_equal(one.image, other.image)
    one.write(tmp_path / "one.npz")
    again.write(tmp_path / "again.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.npz", "one.npz"]
    with np.load(tmp_path / "one.npz") as kept:
        np.testing.assert_array_equal(kept["image"], one.image)
        np.testing.assert_array_equal(kept["time"], one.time)
        np.testing.assert_allclose(kept["pixel_m"], 0.05 / 300)


def test_a_run_of_a_device_with_a_probe_is_scanned():
    from importlib.resources import files

    from exotwin.controllers.device import load_device
    from exotwin.sim.plant import Plant
    from exotwin.sim.runlog import RunLog
    from exotwin.sim.subjects import Subject

    device = load_device(files("exotwin.assets") / "devices" / "hip_knee_ankle.yaml")
    probe = device.sensors.model_copy(update={"ultrasound": UltrasoundSpec(side="l")})
    plant = Plant(Subject(), device.model_copy(update={"sensors": probe}))
    log = RunLog(plant, 0.5)
    frame = plant.reset(1.25, np.random.default_rng(0))
    for _ in range(100):
        log.add(frame)
        frame = plant.step()
    images = log.ultrasound(0)
    assert images is not None
    assert images.image.shape == (13, PIXELS, PIXELS)
    assert len(np.unique(images.image.reshape(13, -1), axis=0)) == 13  # the muscles move
    assert RunLog(Plant(Subject(), device), 0.1).ultrasound(0) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"muscles": ("gastrocs",)}, "did you mean 'gastroc'"),
        ({"muscles": ("soleus", "gastroc")}, "from the skin inwards"),
        ({"side": "right"}, "no side 'right'; did you mean 'r'"),
    ],
)
def test_bad_probes_are_named(given, message):
    with pytest.raises(ValidationError) as error:
        UltrasoundSpec(**given)
    assert message in str(error.value) or "no side 'right'" in str(error.value)
