"""Presets fill in what a device leaves open about its sensors."""

from typing import get_args

import pytest
import yaml
from exotwin.controllers.device import Sensors
from exotwin.controllers.sensor_specs import PRESETS
from exotwin.controllers.sensor_specs.imu import Segment

MOUNTS = [{"site": "thigh_r", "segment": "femur_r", "position_m": [0, 0, 0]}]


def sensors(**block):
    return Sensors.model_validate({"imu": {"mounts": MOUNTS}, "encoder": {"joints": ["hip_flexion"]}} | block)


def test_without_a_preset_sensors_are_perfect():
    assert sensors().imu.gyro_noise_density == 0.0
    assert sensors().imu.soft_tissue == {}


def test_a_preset_gives_the_data_sheets_figures():
    """MTi-300: 0.01 deg/s/sqrt(Hz), 60 ug/sqrt(Hz), 10 deg/h; ICM-20948: 0.015 deg/s/sqrt(Hz), 230 ug/sqrt(Hz)."""
    degree, micro_g = 3.14159265 / 180.0, 9.80665e-6
    research, consumer = (sensors(preset=name).imu for name in PRESETS)
    assert research.gyro_noise_density == pytest.approx(0.01 * degree, rel=0.01)
    assert research.accel_noise_density == pytest.approx(60 * micro_g, rel=0.01)
    assert research.gyro_bias_instability == pytest.approx(10.0 / 3600.0 * degree, rel=0.01)
    assert consumer.gyro_noise_density == pytest.approx(0.015 * degree, rel=0.01)
    assert consumer.accel_noise_density == pytest.approx(230 * micro_g, rel=0.01)


def test_what_the_device_says_itself_holds():
    made = sensors(preset="consumer", encoder={"joints": ["hip_flexion"], "resolution_rad": 0.1})
    assert made.encoder.resolution_rad == 0.1
    assert made.encoder.backlash_rad > 0.0
    assert made.encoder.joints == ("hip_flexion",)


def test_a_segment_that_the_device_describes_keeps_the_preset_s_others():
    given = {"femur": {"gain": 0.3}, "tibia": {"frequency_hz": 25.0, "damping_ratio": 0.4}}
    usual = sensors(preset="research").imu.soft_tissue
    made = sensors(preset="research", imu={"mounts": MOUNTS, "soft_tissue": given}).imu.soft_tissue
    assert made == usual | {
        "femur": usual["femur"].model_copy(update=given["femur"]),
        "tibia": usual["tibia"].model_copy(update=given["tibia"]),
    }
    assert sensors(preset="research").imu.soft_tissue == usual


@pytest.mark.parametrize("name", PRESETS)
def test_every_segment_has_soft_tissue(name):
    tissue = sensors(preset=name).imu.soft_tissue
    assert set(tissue) == set(get_args(Segment))
    assert all(segment.gain > 0.0 for segment in tissue.values())


def test_a_preset_gives_no_sensor_that_the_device_lacks():
    made = sensors(preset="research")
    assert (made.insole, made.emg, made.load_cell, made.ultrasound) == (None, None, None, None)


def test_a_completed_description_reads_back():
    made = sensors(preset="research")
    assert Sensors.model_validate(yaml.safe_load(yaml.safe_dump(made.model_dump(mode="json")))) == made


@pytest.mark.parametrize("name", PRESETS)
def test_every_class_has_figures_for_every_sensor(name):
    everything = {"imu": {"mounts": MOUNTS}, "encoder": {"joints": ["hip_flexion"]}, "emg": {"muscles": ["soleus"]}}
    bare = {"insole": {}, "load_cell": {}, "ultrasound": {}}
    with_figures, without = sensors(preset=name, **everything, **bare), sensors(**everything, **bare)
    for kind in (*everything, *bare):
        assert getattr(with_figures, kind) != getattr(without, kind), kind


def test_unknown_presets_and_segments_name_the_nearest():
    with pytest.raises(ValueError, match="no preset 'reserch'; did you mean 'research'"):
        sensors(preset="reserch")
    with pytest.raises(ValueError, match="no segment 'femurs'; did you mean 'femur'"):
        sensors(imu={"mounts": MOUNTS, "soft_tissue": {"femurs": {"frequency_hz": 9.0, "damping_ratio": 0.1}}})
