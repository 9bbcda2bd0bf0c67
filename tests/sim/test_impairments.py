"""What impairments do to a person's muscles, on bodies that stand still, and the speed that effort chooses."""

import functools

import mujoco
import numpy as np
import pytest
from exotwin.controllers.device import JOINTS, MUSCLES
from exotwin.sim.anatomy import Leg
from exotwin.sim.comfortable_speed import comfortable_speed, effort_per_metre, saturation
from exotwin.sim.impairments import KINDS, N_MUSCLES, Impairment, effects, impair_model
from exotwin.sim.person import build_person
from exotwin.sim.subjects import Subject
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

SUBJECT = Subject()
SIDED = [f"{m}_{s}" for s in ("r", "l") for m in MUSCLES]
PF, DF, KNEE = ("gastroc", "soleus"), ("tibant", "edl"), ("vasti", "rectfem")


@pytest.fixture(scope="module")
def person():
    return build_person(SUBJECT).compile()


@pytest.fixture
def impaired(person):
    """Gives a copy of the person with an impairment of all legs it can be on."""

    def make(kind, severity, side=""):
        model = mujoco.MjModel.__copy__(person)
        impair_model(model, effects([Impairment(kind=kind, severity=severity, side=side)], SUBJECT))
        return model

    return make


def isometric_torque(model, joint, muscles, side="r", activation=1.0, **angles):
    """Torque (Nm) of some muscles about a joint, by MuJoCo itself, everything at rest; angles in deg."""
    data = mujoco.MjData(model)
    for name, angle in angles.items():
        data.qpos[model.joint(f"{name}_{side}").qposadr[0]] = np.radians(angle)
    for muscle in muscles:
        data.act[model.actuator(f"{muscle}_{side}").id] = activation
    mujoco.mj_forward(model, data)
    arms = np.zeros((model.nu, model.nv))
    mujoco.mju_sparse2dense(arms, data.actuator_moment, data.moment_rownnz, data.moment_rowadr, data.moment_colind)
    rows = [model.actuator(f"{m}_{side}").id for m in muscles]
    return float(data.actuator_force[rows] @ arms[rows, model.joint(f"{joint}_{side}").dofadr[0]])


@pytest.mark.parametrize("kind", KINDS)
def test_severity_zero_is_a_healthy_person(kind, person, impaired):
    what = effects([Impairment(kind=kind, severity=0.0)], SUBJECT)
    healthy = effects([], SUBJECT)
    for name, value in vars(healthy).items():
        np.testing.assert_array_equal(getattr(what, name), value, err_msg=name)
    assert not what.spinal
    sizes = [np.zeros(mujoco.mj_sizeModel(m), dtype=np.uint8) for m in (person, impaired(kind, 0.0))]
    for buffer, model in zip(sizes, (person, impaired(kind, 0.0)), strict=True):
        mujoco.mj_saveModel(model, None, buffer)
    np.testing.assert_array_equal(*sizes)


@pytest.mark.parametrize(
    ("kind", "joint", "muscles", "share", "pose"),
    [
        ("plantarflexor_weakness", "ankle_dorsiflexion", PF, 0.2, {"knee_flexion": 40, "ankle_dorsiflexion": -20}),
        ("foot_drop", "ankle_dorsiflexion", DF, 0.05, {"ankle_dorsiflexion": 5}),
        ("knee_extensor_weakness", "knee_flexion", KNEE, 0.05, {"knee_flexion": 20}),
        ("ageing", "hip_flexion", ("glutmax",), 0.6, {}),
    ],
)
def test_isometric_torque_falls_by_the_stated_share(kind, joint, muscles, share, pose, person, impaired):
    """In poses in which the active muscles have no passive force (or it is taken off)."""

    def active(model):
        return isometric_torque(model, joint, muscles, **pose) - isometric_torque(
            model, joint, muscles, activation=0.0, **pose
        )

    for severity in (0.5, 1.0):
        assert active(impaired(kind, severity)) / active(person) == pytest.approx(share**severity, rel=1e-9)


@pytest.mark.parametrize("kind", ["plantarflexor_weakness", "hemiparesis"])
def test_weakness_leaves_passive_force(kind, person, impaired):
    pose = {"ankle_dorsiflexion": 15, "side": "l"}
    before = isometric_torque(person, "ankle_dorsiflexion", PF, activation=0.0, **pose)
    after = isometric_torque(impaired(kind, 1.0), "ankle_dorsiflexion", PF, activation=0.0, **pose)
    assert before < -5.0
    assert after == pytest.approx(before, rel=1e-9)


def test_hemiparesis_spares_the_other_leg(person, impaired):
    model = impaired("hemiparesis", 1.0, "r")
    for m, name in enumerate([*SIDED, "rotators_r", "rotators_l"]):
        changed = not np.array_equal(model.actuator_gainprm[m], person.actuator_gainprm[m])
        assert changed == name.endswith("_r"), name


@pytest.mark.parametrize(
    ("kind", "muscle", "joint", "pose"),
    [
        ("equinus", "soleus", "ankle_dorsiflexion", {"ankle_dorsiflexion": 10}),
        ("crouch_gait", "hamstrings", "knee_flexion", {"hip_flexion": 40, "knee_flexion": 5}),
        ("crouch_gait", "iliopsoas", "hip_flexion", {"hip_flexion": -15}),
    ],
)
def test_contracture_resists_stretch_more_with_severity(kind, muscle, joint, pose, person, impaired):
    torques = [
        abs(isometric_torque(model, joint, (muscle,), activation=0.0, **pose))
        for model in (person, impaired(kind, 0.5), impaired(kind, 1.0))
    ]
    assert torques[0] < torques[1] - 1.0
    assert torques[1] < torques[2] - 1.0


def test_equinus_takes_dorsiflexion_under_a_clinicians_push(impaired):
    """The ankle angle at which the relaxed calf resists 15 Nm, knee straight: lower with severity, as stated."""
    angles = np.arange(-30.0, 30.0, 0.5)
    limits = []
    for severity in (0.0, 0.5, 1.0):
        model = impaired("equinus", severity)
        torque = [
            isometric_torque(model, "ankle_dorsiflexion", PF, activation=0.0, ankle_dorsiflexion=a) for a in angles
        ]
        limits.append(angles[np.argmax(np.array(torque) < -15.0)])
    assert limits[0] > 12.0
    assert limits[1] == pytest.approx(2.0, abs=4.0)
    assert limits[2] == pytest.approx(-9.0, abs=4.0)


def test_crouch_gait_has_short_knee_flexors_by_the_clinics_measure(impaired):
    """Popliteal angle: hip at 90 deg, how far from straight a push of 15 Nm leaves the relaxed knee. Healthy children
    have 26 deg, more than 50 is tight (Katz 1992)."""
    angles = np.arange(0.0, 120.0, 0.5)
    popliteal, straight = [], []
    for severity in (0.0, 0.25, 0.5, 1.0):
        model = impaired("crouch_gait", severity)
        resists = functools.partial(isometric_torque, model, "knee_flexion", MUSCLES, activation=0.0)
        torque = np.array([resists(knee_flexion=a, hip_flexion=90.0) for a in angles])
        popliteal.append(angles[np.argmax(torque < 15.0)])
        straight.append(resists(knee_flexion=0.0))
    assert popliteal[0] == pytest.approx(26.0, abs=6.0)
    assert popliteal == pytest.approx([31.0, 48.0, 63.0, 89.0], abs=2.0)
    assert straight == pytest.approx([3.0, 4.1, 5.6, 9.5], abs=0.5)


def test_a_contracted_muscle_keeps_its_tendon(person, impaired):
    """Fibre length over the optimal one grows by 1 / share at every path length."""
    model = impaired("equinus", 1.0, "r")
    m = SIDED.index("gastroc_r")

    def fibre(x, path):
        gain, reach = x.actuator_gainprm[m], x.actuator_lengthrange[m]
        return gain[0] + (path - reach[0]) * (gain[1] - gain[0]) / (reach[1] - reach[0])

    for path in (0.35, 0.40, 0.45):
        assert fibre(model, path) == pytest.approx(fibre(person, path) / 0.82)


def test_ageing_slows_muscles_and_nerves(person, impaired):
    model = impaired("ageing", 1.0)
    np.testing.assert_allclose(model.actuator_gainprm[:26, 6], 0.8 * person.actuator_gainprm[:26, 6])
    np.testing.assert_allclose(model.actuator_dynprm[:26, 1], 1.2 * person.actuator_dynprm[:26, 1])
    np.testing.assert_array_equal(model.actuator_dynprm[:26, 0], person.actuator_dynprm[:26, 0])
    what = effects([Impairment(kind="ageing", severity=0.5)], SUBJECT)
    assert what.neural_delay_s == pytest.approx(0.004)
    assert np.all(what.reflex_delay == effects([], SUBJECT).reflex_delay + 0.004)


def test_nerves_of_tall_people_are_longer():
    tall, short = (effects([], Subject(height_m=h)).reflex_delay for h in (1.9, 1.52))
    np.testing.assert_allclose(tall / short, 1.9 / 1.52)


@given(st.floats(0.0, 1.0), st.sampled_from("rl"), st.lists(st.floats(0.0, 1.0), min_size=26, max_size=26))
def test_merging_keeps_the_sum_and_draws_extensors_together(severity, side, excitation):
    what = effects([Impairment(kind="hemiparesis", severity=severity, side=side)], SUBJECT)
    sent = np.array(excitation)
    reached = what.mixing @ sent
    group = [SIDED.index(f"{m}_{side}") for m in KINDS["hemiparesis"].merged]
    rest = np.setdiff1d(np.arange(N_MUSCLES), group)
    np.testing.assert_array_equal(reached[rest], sent[rest])
    assert reached[group].sum() == pytest.approx(sent[group].sum())
    assert np.ptp(reached[group]) == pytest.approx(np.ptp(sent[group]) * (1.0 - 0.4 * severity), abs=1e-12)


def test_impairments_add_up():
    both = [Impairment(kind="plantarflexor_weakness", severity=0.5), Impairment(kind="ageing", severity=1.0)]
    what = effects(both, SUBJECT)
    assert what.force[SIDED.index("soleus_l")] == pytest.approx(0.2**0.5 * 0.6)
    assert what.force[SIDED.index("vasti_l")] == pytest.approx(0.6)
    two = [Impairment(kind=k, severity=s) for k, s in (("equinus", 0.3), ("hemiparesis", 0.8))]
    what = effects(two, SUBJECT)
    alone = effects(two[1:], SUBJECT)
    calf = SIDED.index("soleus_l")
    assert what.reflex_gain[calf] == alone.reflex_gain[calf]
    assert what.reflex_threshold[calf] == alone.reflex_threshold[calf]
    assert 0.0 < what.reflex_gain[SIDED.index("soleus_r")] < alone.reflex_gain[calf]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "hemiparisis", "severity": 0.5}, "did you mean 'hemiparesis'"),
        ({"kind": "equinus", "severity": 1.2}, "less than or equal to 1"),
        ({"kind": "equinus", "severity": 0.2, "sid": "r"}, "did you mean 'side'"),
        ({"kind": "equinus", "severity": 0.2, "side": "right"}, "no side of equinus 'right'"),
        ({"kind": "hemiparesis", "severity": 0.2, "side": "both"}, "no side of hemiparesis 'both'"),
        ({"kind": "ageing", "severity": 0.2, "side": "l"}, "no side of ageing 'l'"),
    ],
)
def test_errors_name_the_bad_value_and_the_nearest(values, message):
    with pytest.raises(ValidationError, match=message):
        Impairment(**values)


def test_every_table_names_muscles():
    for kind in KINDS.values():
        for table in (kind.force, kind.fibre_length, kind.reflex_gain, dict.fromkeys(kind.merged)):
            assert set(table) <= set(MUSCLES)


def test_the_leg_of_the_anatomy_page_is_ours(impaired):
    """`Leg` and MuJoCo's own forces agree on an impaired model, so the strength tables can be made for patients."""
    leg = Leg(SUBJECT)
    impair_model(leg.model, effects([Impairment(kind="plantarflexor_weakness", severity=1.0)], SUBJECT))
    strength = leg.strength("ankle_dorsiflexion", {"ankle_dorsiflexion": 0.0})
    arms = leg.arms({})[:, JOINTS.index("ankle_dorsiflexion")]
    assert strength.down < 0.5 * Leg(SUBJECT).strength("ankle_dorsiflexion", {}).down
    assert (arms < 0).any()


class TestComfortableSpeed:
    """A cost per metre a/v + b v has its least at sqrt(a/b), as in Ralston 1958."""

    speeds = np.arange(0.5, 1.85, 0.1)

    @given(st.floats(0.7, 1.6))
    def test_finds_the_least_cost(self, best):
        cost = best**2 / self.speeds + self.speeds
        assert comfortable_speed(self.speeds, cost, np.zeros_like(cost)) == pytest.approx(best, abs=0.03)

    def test_is_held_back_by_saturated_muscles_and_falls(self):
        cost = 1.3**2 / self.speeds + self.speeds
        saturated = np.where(self.speeds > 0.95, 0.5, 0.0)
        assert comfortable_speed(self.speeds, cost, saturated) == pytest.approx(0.9)
        fell = np.where(self.speeds > 0.75, np.nan, cost)
        assert comfortable_speed(self.speeds, fell, np.zeros_like(cost)) == pytest.approx(0.7)

    def test_takes_the_least_saturated_where_all_are(self):
        saturated = 0.3 + (self.speeds - 0.8) ** 2
        assert comfortable_speed(self.speeds, self.speeds, saturated) == pytest.approx(0.8)

    def test_weaker_people_walk_slower(self):
        """The same forces from muscles of two thirds the strength."""
        force = 0.2 + 0.05 * self.speeds[:, None] ** 2 * np.ones(26)
        best = [
            comfortable_speed(
                self.speeds,
                [effort_per_metre(np.array([f / strength]), v) for f, v in zip(force, self.speeds, strict=True)],
                np.zeros(self.speeds.size),
            )
            for strength in (1.0, 0.66)
        ]
        assert best[1] < best[0] - 0.1

    def test_who_only_rests_hurries(self):
        """Without muscle effort what is left is rest, which is shortest at the highest speed."""
        cost = [effort_per_metre(np.zeros((1, 26)), v) for v in self.speeds]
        assert comfortable_speed(self.speeds, cost, np.zeros(self.speeds.size)) == self.speeds[-1]

    def test_measures_effort_and_saturation(self):
        activation = np.array([[0.5, 1.0], [0.5, 0.0]])
        assert effort_per_metre(activation, 2.0, 2.0, 0.3) == pytest.approx((0.3 + (0.25 + 1.0 + 0.25) / 4) / 2)
        assert saturation(activation) == 0.5

    @pytest.mark.parametrize(
        ("speeds", "cost", "message"),
        [([1, 2], [1], "do not belong together"), ([1, 1], [1, 2], "must rise"), ([1, 2], [np.nan] * 2, "fell at")],
    )
    def test_bad_curves(self, speeds, cost, message):
        with pytest.raises(ValueError, match=message):
            comfortable_speed(speeds, cost, np.zeros(len(speeds)))
        with pytest.raises(ValueError, match="forward speed"):
            effort_per_metre(np.ones((2, 2)), 0.0)
