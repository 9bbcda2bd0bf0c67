"""The shipped device descriptions: they load, compile on a person and weigh what they say."""

import re
from importlib.resources import files
from pathlib import Path

import mujoco
import numpy as np
import pytest
from exotwin.controllers.device import load_device
from exotwin.sim.exo import actuator_step_parameters, attach_device, drive, drive_state
from exotwin.sim.person import build_person
from exotwin.sim.subjects import Subject

FOLDER = Path(str(files("exotwin.assets").joinpath("devices")))
DEVICES = {path.stem: load_device(path) for path in sorted(FOLDER.glob("*.yaml"))}

pytestmark = pytest.mark.parametrize("name", DEVICES)


def worn(device):
    spec = build_person(Subject())
    attach_device(spec, device)
    return spec.compile()


def test_file_is_named_after_the_device(name):
    assert DEVICES[name].name == name
    assert len(set(DEVICES[name].layout.names)) == len(DEVICES[name].layout)


def test_mass_is_the_one_in_the_title_and_balanced(name):
    bare, model = build_person(Subject()).compile(), worn(DEVICES[name])
    added = model.body_mass.sum() - bare.body_mass.sum()
    stated = float(re.search(r"([\d.]+) kg", DEVICES[name].title)[1])
    assert added == pytest.approx(stated, abs=0.05)
    if DEVICES[name].body == "attachments":
        pieces = sum(a.mass_kg * (1 if a.segment == "pelvis" else 2) for a in DEVICES[name].attachments)
        assert added == pytest.approx(pieces, abs=1e-4)
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    own = [i for i in range(model.nbody) if model.body(i).name.startswith("exo_")]
    sideways = np.average(data.xipos[own, 1], weights=model.body_mass[own])
    assert abs(sideways) < 0.01


def test_every_cited_source_is_listed(name):
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    numbers, _, sources = text.partition("\nsources:")
    cited = set(re.findall(r"\[([a-z]\w+)\]", re.sub(r"^[^#\n]*", "", numbers, flags=re.MULTILINE)))
    listed = {match for s in DEVICES[name].sources for match in re.findall(r"^\[(\w+)\]", s)}
    assert cited
    assert cited == listed, f"cited but not listed or the reverse in {sources[:20]}"


def test_cuff_lets_device_and_limb_differ_by_a_few_degrees(name):
    for joint in DEVICES[name].joints:
        limit = max(abs(joint.actuator.torque_min_nm), joint.actuator.torque_max_nm)
        assert 2.0 < np.degrees(limit / joint.cuff.stiffness_nm_per_rad) < 8.0


def test_drives_stay_calm_at_the_slowest_physics_rate(name):
    """2 ms steps: full-torque square waves on a person in free space neither diverge nor chatter."""
    device = DEVICES[name]
    model = worn(device)
    model.opt.timestep = 0.002
    model.opt.gravity[:] = 0.0
    for joint in device.actuated:  # a limb as heavy as a leg on the ground
        model.dof_armature[model.joint(joint).dofadr] = 5.0
    data = mujoco.MjData(model)
    tables = actuator_step_parameters(device, 0.002)
    state = drive_state(tables)
    dofs = [model.joint(f"exo_{n}").dofadr[0] for n in device.actuated]
    motors = [model.actuator(f"exo_{n}").id for n in device.actuated]
    cuffs = [model.tendon(f"exo_{n}").id for n in device.actuated]
    out, lead = np.zeros(len(dofs)), []
    for step in range(500):
        command = tables.torque_min if (step // 125) % 2 == 0 else tables.torque_max
        drive(command, *state, *tables, data.qvel[dofs], out)
        data.ctrl[motors] = out
        mujoco.mj_step(model, data)
        lead.append(data.ten_length[cuffs].copy())
    lead = np.array(lead)
    stiffness = np.array([j.cuff.stiffness_nm_per_rad for j in device.joints] * 2)
    settled = lead[110:125] * stiffness
    np.testing.assert_allclose(settled, np.tile(tables.torque_min, (15, 1)), rtol=0.2)
    assert np.all(np.ptp(settled, axis=0) < 0.1 * np.abs(tables.torque_min))
