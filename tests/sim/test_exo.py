"""The exo's mechanics and drives against analytic truth."""

import math

import mujoco
import numpy as np
import pytest
from exotwin.controllers.device import DeviceDescription
from exotwin.sim.exo import actuator_step_parameters, align_device, attach_device, drive, drive_state
from exotwin.sim.person import build_person
from exotwin.sim.subjects import Subject
from exotwin.sim.terrain import LEVEL, add_terrain
from hypothesis import given, settings
from hypothesis import strategies as st

JOINTS = ("hip_flexion", "knee_flexion", "ankle_dorsiflexion")
STIFFNESS, DAMPING, INERTIA = 250.0, 1.0, 0.005


def device(**actuator):
    drive_ = {
        "torque_min_nm": -20.0,
        "torque_max_nm": 20.0,
        "rate_limit_nm_per_s": 1e9,
        "speed_limit_rad_s": 20.0,
        "bandwidth_hz": 20.0,
        "delay_s": 0.004,
        "coulomb_friction_nm": 0.0,
        "viscous_friction_nms_per_rad": 0.0,
        "reflected_inertia_kgm2": INERTIA,
    } | actuator
    cuff = {"stiffness_nm_per_rad": STIFFNESS, "damping_nms_per_rad": DAMPING}
    mounts = [("pelvis", "pelvis"), ("shank_r", "tibia_r"), ("foot_l", "calcn_l")]
    return DeviceDescription.model_validate(
        {
            "name": "test",
            "title": "test",
            "attachments": [
                {
                    "name": "box",
                    "segment": "femur",
                    "mass_kg": 1.0,
                    "com_m": [0.1, -0.2, 0.05],
                    "inertia_kgm2": [0.01, 0.01, 0.01],
                }
            ],
            "joints": [{"name": name, "actuator": drive_, "cuff": cuff} for name in JOINTS],
            "sensors": {
                "imu": {"mounts": [{"site": s, "segment": b, "position_m": [0.02, -0.1, 0.03]} for s, b in mounts]}
            },
            "sources": ["none: a device for tests"],
        }
    )


def worn(dev, subject=None, floor=False):
    spec = build_person(subject or Subject())
    attach_device(spec, dev)
    if floor:
        add_terrain(spec, LEVEL)
    return spec


def heavy_limbs(dev, timestep=1e-4):
    """A model whose limb joints are too heavy to move, in free space."""
    model = worn(dev).compile()
    for name in dev.actuated:
        model.dof_armature[model.joint(name).dofadr] = 1e7
    model.opt.timestep = timestep
    model.opt.gravity[:] = 0.0
    return model, mujoco.MjData(model)


# --- mechanics ---


def test_device_leads_a_held_limb_by_torque_over_stiffness():
    dev = device()
    model, data = heavy_limbs(dev, 1e-3)
    torque = np.array([10.0, -5.0, 15.0, 20.0, 3.0, -8.0])
    for name, value in zip(dev.actuated, torque, strict=True):
        data.actuator(f"exo_{name}").ctrl = value
    for _ in range(500):
        mujoco.mj_step(model, data)
    lead = [data.joint(f"exo_{n}").qpos[0] - data.joint(n).qpos[0] for n in dev.actuated]
    np.testing.assert_allclose(lead, torque / STIFFNESS, rtol=1e-4)
    np.testing.assert_allclose([data.ten_length[model.tendon(f"exo_{n}").id] for n in dev.actuated], lead)


def test_rotor_rings_at_the_frequency_of_cuff_and_reflected_inertia():
    dev = device()
    model, data = heavy_limbs(dev)
    data.joint("exo_knee_flexion_r").qpos[0] = 0.05
    angle = []
    for _ in range(1500):
        mujoco.mj_step(model, data)
        angle.append(data.joint("exo_knee_flexion_r").qpos[0])
    decay = DAMPING / (2 * INERTIA)
    natural = math.sqrt(STIFFNESS / INERTIA)
    damped = math.sqrt(natural**2 - decay**2)
    t = 1e-4 * np.arange(1, 1501)
    exact = 0.05 * np.exp(-decay * t) * (np.cos(damped * t) + decay / damped * np.sin(damped * t))
    np.testing.assert_allclose(angle, exact, atol=0.05 * 0.02)


def test_limb_feels_the_cuff_and_nothing_external():
    """The exo's generalised forces are equal and opposite on device and limb and vanish everywhere else."""
    dev = device()
    model = worn(dev).compile()
    data = mujoco.MjData(model)
    rng = np.random.default_rng(1)
    data.qvel[:] = rng.normal(size=model.nv)
    for name in dev.actuated:
        data.joint(f"exo_{name}").qpos[0] = rng.normal(scale=0.1)
    mujoco.mj_forward(model, data)
    with_cuff = data.qfrc_passive.copy()
    stretch = {n: data.joint(f"exo_{n}").qpos[0] - data.joint(n).qpos[0] for n in dev.actuated}
    slide = {n: data.joint(f"exo_{n}").qvel[0] - data.joint(n).qvel[0] for n in dev.actuated}
    model.tendon_stiffness[[model.tendon(f"exo_{n}").id for n in dev.actuated]] = 0.0
    model.tendon_damping[[model.tendon(f"exo_{n}").id for n in dev.actuated]] = 0.0
    mujoco.mj_forward(model, data)
    cuff = with_cuff - data.qfrc_passive
    expected = np.zeros(model.nv)
    for name in dev.actuated:
        force = STIFFNESS * stretch[name] + DAMPING * slide[name]
        expected[model.joint(name).dofadr[0]] = force
        expected[model.joint(f"exo_{name}").dofadr[0]] = -force
    np.testing.assert_allclose(cuff, expected, atol=1e-9)


def test_exo_torque_leaves_the_momentum_in_free_fall():
    """Linear momentum is m g t and angular momentum 0 up to the integrator's error, linear in dt."""
    dev = device()
    model = worn(dev).compile()
    motors = [model.actuator(f"exo_{n}").id for n in dev.actuated]
    torque, time = 20.0, 0.01

    def momentum(timestep):
        model.opt.timestep = timestep
        data = mujoco.MjData(model)
        data.ctrl[motors] = torque
        for _ in range(round(time / timestep)):
            mujoco.mj_step(model, data)
        mujoco.mj_forward(model, data)  # the velocities after the last step
        mujoco.mj_subtreeVel(model, data)
        assert abs(data.joint("knee_flexion_r").qvel[0]) > 0.5  # the limb did get the torque
        mass = model.body_subtreemass[0]
        return np.hstack([mass * (data.subtree_linvel[0] - [0, 0, -9.81 * time]), data.subtree_angmom[0]])

    coarse, fine = momentum(4e-5), momentum(2e-5)
    # Were one drive's torque external, its impulse would be torque x time = 0.2 Nms.
    np.testing.assert_allclose(2 * fine - coarse, 0.0, atol=1e-5 * torque * time)


def test_pieces_touch_nothing():
    model = worn(device(), floor=True).compile()
    data = mujoco.MjData(model)
    data.qpos[2] = 0.3  # thighs and shanks under the floor
    mujoco.mj_forward(model, data)
    bodies = {model.body(model.geom_bodyid[g]).name for g in data.contact.geom.ravel()}
    assert bodies
    assert not any(name.startswith("exo_") for name in bodies)


def test_pieces_are_mirrored_and_move_with_the_body():
    small = worn(device(), Subject(height_m=1.5)).compile()
    tall = worn(device(), Subject(height_m=1.9)).compile()
    right, left = small.body("exo_box_r"), small.body("exo_box_l")
    np.testing.assert_allclose(left.pos, right.pos * [1, 1, -1])
    np.testing.assert_allclose(tall.body("exo_box_r").pos, right.pos * 1.9 / 1.5)
    np.testing.assert_allclose(tall.site("imu_foot_l").pos, small.site("imu_foot_l").pos * 1.9 / 1.5)
    assert tall.body("exo_box_r").mass == right.mass == 1.0


def test_imus_read_gravity_upwards_in_segment_axes():
    model = worn(device()).compile()
    data = mujoco.MjData(model)
    model.dof_armature[:] = 1e9  # no joint, nor the pelvis, moves in an instant: a person held upright
    data.qvel[model.joint("knee_flexion_r").dofadr[0]] = 2.0
    mujoco.mj_forward(model, data)
    for site in ("pelvis", "foot_l"):
        np.testing.assert_allclose(data.sensor(f"imu_{site}_acc").data, [0, 9.81, 0], atol=1e-5)
        np.testing.assert_allclose(data.sensor(f"imu_{site}_gyro").data, 0, atol=1e-12)
    # Knee flexion swings the shank backwards: a negative rotation about z (right).
    np.testing.assert_allclose(data.sensor("imu_shank_r_gyro").data, [0, 0, -2.0], atol=1e-12)


def test_align_device_slackens_the_cuffs():
    dev = device()
    model = worn(dev).compile()
    data = mujoco.MjData(model)
    data.qpos[7:] = np.linspace(-0.3, 0.3, model.nq - 7)
    data.qvel[:] = np.linspace(-1, 1, model.nv)
    align_device(model, data, dev)
    mujoco.mj_forward(model, data)
    cuffs = [model.tendon(f"exo_{n}").id for n in dev.actuated]
    np.testing.assert_array_equal(data.ten_length[cuffs], 0.0)
    np.testing.assert_array_equal(data.ten_velocity[cuffs], 0.0)


def test_errors_name_the_nearest_part():
    dev = device()
    mount = dev.sensors.imu.mounts[1].model_copy(update={"segment": "tibia_right"})
    imu = dev.sensors.imu.model_copy(update={"mounts": (mount,)})
    bad = dev.model_copy(update={"sensors": dev.sensors.model_copy(update={"imu": imu})})
    with pytest.raises(ValueError, match=r"tibia_right.*tibia_r'"):
        attach_device(build_person(Subject()), bad)
    with pytest.raises(ValueError, match=r"DephyExoBoots.*DephyExoBoot'"):
        attach_device(build_person(Subject()), dev.model_copy(update={"body": "assist_sim:DephyExoBoots"}))


# --- drives ---


def respond(dev, commands, timestep, velocity=0.0):
    """Torque of the first drive over commands (n,)."""
    tables = actuator_step_parameters(dev, timestep)
    state = drive_state(tables)
    n = len(dev.actuated)
    out, speed, history = np.zeros(n), np.full(n, velocity), []
    for command in commands:
        drive(np.full(n, command), *state, *tables, speed, out)
        history.append(out[0])
    return np.array(history)


@pytest.mark.parametrize("timestep", [0.001, 0.002])
def test_step_response_is_the_delayed_first_order_lag(timestep):
    dev = device(delay_s=0.008, bandwidth_hz=20.0)
    torque = respond(dev, np.full(100, 5.0), timestep)
    # Zero-order hold: the value of a step is that of the continuous lag at the step's end.
    t = timestep * np.arange(1, 101) - 0.008
    exact = 5.0 * (1.0 - np.exp(-2 * np.pi * 20.0 * np.maximum(t, 0.0)))
    np.testing.assert_allclose(torque, exact, atol=1e-12)
    assert np.count_nonzero(torque == 0.0) == round(0.008 / timestep)
    rise = timestep * (1 + np.argmax(torque >= 5.0 * (1 - math.exp(-1)))) - 0.008
    assert rise == pytest.approx(1 / (2 * np.pi * 20.0), abs=timestep)


@pytest.mark.parametrize(("timestep", "bandwidth"), [(0.001, 50.0), (0.002, 50.0), (0.002, 20.0)])
def test_amplitude_is_down_3_db_at_the_bandwidth(timestep, bandwidth):
    dev = device(bandwidth_hz=bandwidth)
    t = timestep * np.arange(round(2.0 / timestep))
    late = t > 1.0

    def gain(frequency):
        torque = respond(dev, np.sin(2 * np.pi * frequency * t), timestep)
        phasor = np.exp(-2j * np.pi * frequency * t[late])
        return abs(np.mean(torque[late] * phasor)) * 2

    assert gain(0.95 * bandwidth) > 10 ** (-3 / 20) > gain(1.05 * bandwidth)


def test_limits_and_rate():
    dev = device(delay_s=0.0, rate_limit_nm_per_s=100.0, torque_min_nm=-3.0, torque_max_nm=7.0)
    rising = respond(dev, np.full(200, 50.0), 0.001)
    np.testing.assert_allclose(rising[:40], 0.1 * np.arange(1, 41), rtol=1e-9)
    assert rising[-1] == pytest.approx(7.0)
    assert respond(dev, np.full(200, -50.0), 0.001)[-1] == pytest.approx(-3.0)


def test_driving_torque_fades_near_the_speed_limit_and_braking_does_not():
    dev = device(speed_limit_rad_s=10.0)

    def torque(command, velocity):
        return respond(dev, np.full(300, command), 0.001, velocity)[-1]

    assert torque(20.0, 7.9) == pytest.approx(20.0)
    assert torque(20.0, 9.0) == pytest.approx(10.0)
    assert torque(20.0, 11.0) == 0.0
    assert torque(-20.0, 11.0) == pytest.approx(-20.0)
    assert torque(-20.0, -9.0) == pytest.approx(-10.0)


def test_coulomb_friction_opposes_motion():
    dev = device(coulomb_friction_nm=0.5)
    for velocity in (-3.0, 3.0):
        assert respond(dev, [0.0], 0.001, velocity)[0] == pytest.approx(-0.5 * np.sign(velocity), rel=1e-3)
    assert respond(dev, [0.0], 0.001, 0.0)[0] == 0.0


def test_friction_stops_a_spinning_rotor_without_chatter():
    """I dv/dt = -tau_c: a free rotor at 4 rad/s under 0.5 Nm with 0.005 kg m^2 stops after 40 ms."""
    dev = device(coulomb_friction_nm=0.5, bandwidth_hz=50.0)
    dt = 0.002
    tables = actuator_step_parameters(dev, dt)
    state = drive_state(tables)
    velocity, out, history = np.full(6, 4.0), np.zeros(6), []
    for _ in range(100):
        drive(np.zeros(6), *state, *tables, velocity, out)
        velocity += dt * out / INERTIA
        history.append(velocity[0])
    history = np.array(history)
    assert np.all(history >= 0.0)
    assert history[9] == pytest.approx(4.0 - 0.5 / INERTIA * 0.02, rel=1e-3)
    assert history[30] < 0.05


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=60),
    st.floats(-50, 50),
)
def test_whatever_is_commanded_the_torque_stays_within_limits(commands, velocity):
    dev = device(torque_min_nm=-4.0, torque_max_nm=6.0, coulomb_friction_nm=0.5)
    torque = respond(dev, np.array(commands), 0.002, velocity)
    assert np.all(torque >= -4.5 - 1e-12)
    assert np.all(torque <= 6.5 + 1e-12)
