"""A policy's networks: who acts where, against numpy and torch, and what is kept in its file."""

import numpy as np
import pytest
import torch
from exotwin.sim.gait_env import GaitVecEnv
from exotwin.sim.gait_task import GaitTask, load_gait_task
from exotwin.sim.gait_training import actor_of, network_of
from exotwin.sim.nervous import ACTION_LIMIT, N_ACTIONS
from exotwin.sim.observation import (
    N_OBSERVATIONS,
    SEEN_BOUND,
    SEEN_RISE_BACK,
    SEEN_RISE_NEXT,
    SEEN_SLOPE,
    SEEN_WEAKNESS,
)
from exotwin.sim.policy import SLOPING, SPECIALISTS, GaitPolicy, Network, act, load_policy, mix, place_of
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3 import PPO

TASK = {"name": "walk", "reference": "walk", "mode": "walk", "speed": (1.0, 1.4), "devices": {"none": 2}}


def network(seed, hidden=16):
    rng = np.random.default_rng(seed)
    shapes = [(hidden, N_OBSERVATIONS), (hidden, hidden), (N_ACTIONS, hidden)]
    return Network([rng.normal(0, 0.3, s) for s in shapes], [rng.normal(0, 0.1, s[0]) for s in shapes])


def alone(one, observation):
    """One network's action by torch."""
    x = torch.from_numpy(observation)
    for i, (weight, bias) in enumerate(zip(one.weights, one.biases, strict=True)):
        x = torch.from_numpy(weight) @ x + torch.from_numpy(bias)
        if i < 2:
            x = torch.nn.functional.elu(x)
    return x.clip(-ACTION_LIMIT, ACTION_LIMIT).numpy()


def acts(policy, observation):
    action = np.full(N_ACTIONS, np.nan)
    act(policy.network, observation, action)
    return action


def seeing(slope, seed=0):
    observation = np.random.default_rng(seed).uniform(-1.0, 1.0, N_OBSERVATIONS)
    observation[SEEN_SLOPE] = 4.0 * slope
    return observation


@pytest.mark.parametrize("slope", [-0.18, 0.0, SLOPING[0]])
def test_on_the_level_and_downhill_the_general_network_acts_alone(slope):
    policy = GaitPolicy("walk", network(0), {"uphill": network(1)})
    seen = seeing(slope)
    np.testing.assert_allclose(acts(policy, seen), alone(policy.general, seen), atol=1e-12)
    # To the bit as if there were no other.
    np.testing.assert_array_equal(acts(policy, seen), acts(GaitPolicy("walk", network(0)), seen))


@pytest.mark.parametrize("slope", [SLOPING[1], 0.18])
def test_on_a_climb_the_specialist_acts_alone(slope):
    policy = GaitPolicy("walk", network(0), {"uphill": network(1)})
    np.testing.assert_allclose(acts(policy, seeing(slope)), alone(policy.of("uphill"), seeing(slope)), atol=1e-12)


@pytest.mark.parametrize("rise_m", [0.12, 0.18])
@pytest.mark.parametrize("seen", [SEEN_RISE_BACK, SEEN_RISE_NEXT])
def test_from_the_first_to_the_last_step_up_stairs_their_specialist_acts_alone(rise_m, seen):
    policy = GaitPolicy("walk", network(0), {"upstairs": network(2)})
    observation = seeing(0.0)
    observation[[SEEN_RISE_BACK, SEEN_RISE_NEXT]] = 0.0
    observation[seen] = 5.0 * rise_m
    np.testing.assert_allclose(acts(policy, observation), alone(policy.of("upstairs"), observation), atol=1e-12)
    observation[seen] = -5.0 * rise_m
    np.testing.assert_allclose(acts(policy, observation), alone(policy.general, observation), atol=1e-12)


@settings(deadline=None)
@given(share=st.floats(0.0, 1.0), seed=st.integers(0, 99))
def test_between_them_it_is_handed_over_in_proportion_to_the_slope(share, seed):
    policy = GaitPolicy("walk", network(0), {"uphill": network(1)})
    seen = seeing(SLOPING[0] + share * (SLOPING[1] - SLOPING[0]), seed)
    wanted = (1.0 - share) * alone(policy.general, seen) + share * alone(policy.of("uphill"), seen)
    np.testing.assert_allclose(acts(policy, seen), wanted, atol=1e-9)


@pytest.fixture
def strider():
    """A policy with a specialist for level ground, and what a healthy person sees who strides freely there."""
    seen = seeing(0.0)
    seen[SEEN_WEAKNESS], seen[SEEN_BOUND] = 0.0, 0.0
    return GaitPolicy("walk", network(0), {"level": network(3)}), seen


@pytest.mark.parametrize("slope", [-SLOPING[0], 0.0, SLOPING[0]])
def test_on_level_ground_the_healthy_have_their_specialist(strider, slope):
    policy, seen = strider
    seen[SEEN_SLOPE] = 4.0 * slope
    np.testing.assert_allclose(acts(policy, seen), alone(policy.of("level"), seen), atol=1e-12)


@pytest.mark.parametrize(
    ("slots", "value"),
    [
        (SEEN_SLOPE, 4.0 * SLOPING[1]),
        (SEEN_SLOPE, -4.0 * SLOPING[1]),
        (SEEN_WEAKNESS.start, 1.0),
        (SEEN_WEAKNESS.stop - 1, 1.0),
        (SEEN_BOUND, 1.0),
    ],
    ids=["up a ramp", "down a ramp", "weak hip", "weak ankle", "measuring out steps to stairs"],
)
def test_elsewhere_it_has_no_say(strider, slots, value):
    policy, seen = strider
    seen[slots] = value
    np.testing.assert_allclose(acts(policy, seen), alone(policy.general, seen), atol=1e-12)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_the_weaker_a_leg_the_less_it_says(strider, share):
    policy, seen = strider
    seen[SEEN_WEAKNESS.start + 1], seen[SEEN_WEAKNESS.stop - 2] = 0.1, 1.0 - share
    wanted = share * alone(policy.of("level"), seen) + (1.0 - share) * alone(policy.general, seen)
    np.testing.assert_allclose(acts(policy, seen), wanted, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["general", *SPECIALISTS]),
    st.floats(-0.2, 0.2),
    st.sampled_from([0.0, 0.18, -0.18]),
    st.booleans(),
    st.integers(0, 99),
)
def test_a_network_that_is_taught_acts_as_much_as_it_would_in_the_policy(taught, slope, rise, bound, seed):
    policy = GaitPolicy("walk", network(0), {name: network(1 + i) for i, name in enumerate(SPECIALISTS)})
    seen = seeing(slope, seed)
    seen[SEEN_WEAKNESS] = 0.0
    seen[[SEEN_RISE_BACK, SEEN_RISE_NEXT]], seen[SEEN_BOUND] = 5.0 * rise, float(bound)
    action = np.empty(N_ACTIONS)
    own = alone(policy.of(taught), seen)
    mix(policy.network, place_of(taught), own, seen, action)
    np.testing.assert_allclose(action, acts(policy, seen), atol=1e-12)
    # And what it does in training instead comes through by its share, the same for every joint.
    other = np.empty(N_ACTIONS)
    mix(policy.network, place_of(taught), own + 0.1, seen, other)
    share = (other - action) / 0.1
    np.testing.assert_allclose(share, share[0], atol=1e-9)
    assert -1e-9 <= share[0] <= 1.0 + 1e-9


def test_in_training_the_policys_other_networks_act_on_their_ground():
    policy = GaitPolicy("walk", network(0), {"uphill": network(1)})
    task = GaitTask(**TASK, terrains={"level": 0.5, "ramps": 0.5}, endless_share=1.0, upward_share=1.0)
    env = GaitVecEnv(task, {}, seed=0, policy=policy, taught="uphill")
    seen = env.reset().astype(float)
    wanted = np.full((2, N_ACTIONS), 0.05)
    env.step(wanted.astype(np.float32))
    level, ramp = env.batches[0].actions
    assert seen[0, SEEN_SLOPE] == 0.0
    np.testing.assert_allclose(level, alone(policy.general, seen[0]), atol=1e-5)
    assert seen[1, SEEN_SLOPE] > 4.0 * SLOPING[1]
    np.testing.assert_allclose(ramp, wanted[1], atol=1e-6)


def test_what_stable_baselines_learnt_acts_the_same(tmp_path):
    env = GaitVecEnv(GaitTask(**TASK), {}, seed=0)
    kwargs = {"net_arch": [16, 16], "activation_fn": torch.nn.ELU}
    model = PPO("MlpPolicy", env, policy_kwargs=kwargs, device="cpu", seed=1)
    GaitPolicy("walk", network_of(actor_of(model))).save(tmp_path / "p.npz")
    policy = load_policy(tmp_path / "p.npz")
    for observation in np.random.default_rng(0).uniform(-5.0, 5.0, (20, N_OBSERVATIONS)):
        wanted, _ = model.predict(observation.astype(np.float32), deterministic=True)
        np.testing.assert_allclose(acts(policy, observation), wanted, atol=1e-5)


def test_a_policy_comes_back_from_its_file(tmp_path):
    policy = GaitPolicy("walk", network(0), {"uphill": network(1)})
    policy.save(tmp_path / "p.npz")
    back = load_policy(tmp_path / "p.npz")
    assert (back.gait, list(back.specialists)) == ("walk", ["uphill"])
    for name in ("general", "uphill"):
        for given_, found in zip(policy.of(name).weights, back.of(name).weights, strict=True):
            np.testing.assert_allclose(found, given_, rtol=1e-6)


def test_another_network_takes_the_place_of_one_alone():
    policy = GaitPolicy("walk", network(0), {"uphill": network(1)})
    assert policy.having("uphill", network(2)).general is policy.general
    assert policy.having("general", network(2)).of("uphill") is policy.of("uphill")


def test_a_specialist_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"no specialist 'sideways'; there are .*uphill"):
        GaitPolicy("walk", network(0), {"sideways": network(1)})
    with pytest.raises(ValueError, match=r"layers of 'uphill' are \[\(8, 81\).*general network \[\(16, 81\)"):
        GaitPolicy("walk", network(0), {"uphill": network(1, hidden=8)})


def test_shipped_walker_has_a_specialist_for_each_that_its_task_trains():
    assert set(load_policy("walk").specialists) == set(load_gait_task("walk").specialists)
    assert not load_policy("stand").specialists
