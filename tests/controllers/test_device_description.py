"""Device descriptions: errors that name the bad thing, and the order of joints and channels."""

import pytest
import yaml
from exotwin.controllers import ChannelLayout, DeviceDescription, load_device


def write(tmp_path, raw):
    path = tmp_path / "device.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def test_reads_back_and_orders_joints_right_leg_first(tmp_path, raw_device):
    device = load_device(write(tmp_path, raw_device))
    assert device == DeviceDescription.model_validate(raw_device)
    assert device.actuated == ("hip_flexion_r", "knee_flexion_r", "hip_flexion_l", "knee_flexion_l")
    assert len(device.actuators) == 4
    assert device.layout.names[0] == "imu/thigh_r/ax"
    assert device.layout.names[6:8] == ("encoder/hip_flexion_r/angle", "encoder/hip_flexion_r/velocity")
    assert device.layout.names[-1] == "insole/l/cop_y"


def change(raw, path, value):
    at = raw
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return raw


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("joints", 0, "name"), "hip_flex", "joints.0.name: no joint 'hip_flex'; did you mean 'hip_flexion'"),
        (("joints", 0, "actuator", "torque_max"), 3.0, "joints.0.actuator: .*did you mean 'torque_max_nm'"),
        (("joints", 1, "actuator", "torque_min_nm"), 3.0, "joints.1.actuator: torque_min_nm must be <= 0"),
        (("joints", 1, "actuator", "rate_limit_nm_per_s"), float("nan"), "rate_limit_nm_per_s"),
        (("sensors", "encoder", "joints"), ["ankle"], "no joint 'ankle'"),
        (("sensors", "emg"), {"muscles": ["soleuss"]}, "did you mean 'soleus'"),
        (("sensors", "imus"), {}, "sensors: no key 'imus'; did you mean 'imu'"),
        (("sources",), [], "sources"),
    ],
)
def test_errors_name_file_place_and_nearest(tmp_path, raw_device, path, value, said):
    with pytest.raises(ValueError, match=said) as caught:
        load_device(write(tmp_path, change(raw_device, path, value)))
    assert "device.yaml" in str(caught.value)


def test_not_yaml_and_not_there(tmp_path):
    path = tmp_path / "device.yaml"
    path.write_text("a: [")
    with pytest.raises(ValueError, match=r"device.yaml: not valid YAML"):
        load_device(path)
    path.write_text("just text")
    with pytest.raises(ValueError, match=r"device.yaml"):
        load_device(path)
    with pytest.raises(FileNotFoundError):
        load_device(tmp_path / "none.yaml")


def test_layout_finds_channels_or_names_the_closest():
    layout = ChannelLayout(["a/x", "b/y", "c/z"])
    for _ in range(2):  # asked twice: the second answer is remembered
        assert layout.indices(("c/z", "a/x")).tolist() == [2, 0]
    with pytest.raises(KeyError, match="did you mean 'b/y'"):
        layout.indices(["a/x", "b/yy"])
    with pytest.raises(ValueError, match="repeat"):
        ChannelLayout(["a", "a"])
