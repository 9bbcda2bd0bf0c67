"""The learning environments keep the contracts of gymnasium and stable-baselines3, and give back the policy learnt."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from exotwin.scenarios.catalogue import find_device
from exotwin.sim.balance import euler_angles
from exotwin.sim.gait_env import ASTRAY, ELSEWHERE, IMPAIRED_SPEED, GaitVecEnv, HumanGaitEnv
from exotwin.sim.gait_plan import CYCLE, FIRST, LAST, STRIDE
from exotwin.sim.gait_task import GaitTask, load_gait_task
from exotwin.sim.gait_training import Decay, train_gait
from exotwin.sim.nervous import ACTION_LIMIT, N_ACTIONS, POLICY_PERIOD
from exotwin.sim.observation import N_OBSERVATIONS
from exotwin.sim.policy import GaitPolicy, Network, load_policy
from exotwin.sim.posture_plan import POSTURES
from exotwin.sim.reference import PELVIS, ROTATION
from exotwin.sim.registration import ENVIRONMENT
from exotwin.sim.state import BOUND, DELAY, GOAL, KIND, LANE, WANTED
from exotwin.sim.subjects import Subject
from exotwin.sim.terrain import Level, Stairs, Terrain
from gymnasium.utils.env_checker import check_env

DEVICES = {"hip_knee_ankle": find_device("hip_knee_ankle")}


def small_task(**changes):
    keys = {
        "name": "walk",
        "reference": "walk",
        "mode": "walk",
        "speed": (1.0, 1.4),
        "devices": {"none": 2, "hip_knee_ankle": 2},
        "steps": 256,
        "ppo": {"n_steps": 32, "batch_size": 64, "n_epochs": 1, "hidden": 16},
    }
    return GaitTask.model_validate(keys | changes)


def network(seed):
    rng = np.random.default_rng(seed)
    shapes = [(16, N_OBSERVATIONS), (16, 16), (N_ACTIONS, 16)]
    return Network([rng.normal(0, 0.1, s) for s in shapes], [rng.normal(0, 0.1, s[0]) for s in shapes])


def assert_same(one, other):
    for a, b in zip(one.weights + one.biases, other.weights + other.biases, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


def actions(rng, n):
    return rng.uniform(-0.5, 0.5, (n, N_ACTIONS)).astype(np.float32)


@pytest.fixture
def env():
    return GaitVecEnv(small_task(), DEVICES, seed=0, threads=2)


def test_registered_environment_passes_gymnasiums_checker():
    env = gymnasium.make(ENVIRONMENT, disable_env_checker=True)
    check_env(env.unwrapped, skip_render_check=True)
    assert env.observation_space.shape == (N_OBSERVATIONS,)
    assert env.action_space.shape == (N_ACTIONS,)


def test_environment_takes_any_subject_device_and_terrain():
    way = Terrain([Level(length_m=1.0), Stairs(count=3)])
    env = HumanGaitEnv(subject=Subject(mass_kg=60.0), device=DEVICES["hip_knee_ankle"], terrain=way)
    first, _ = env.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(10):
        observation, reward, *_ = env.step(actions(rng, 1)[0])
        assert np.isfinite(reward)
    assert not np.array_equal(first, observation)
    again, _ = env.reset(seed=3)
    np.testing.assert_array_equal(again, first)


def test_policy_that_does_nothing_falls_and_ends_its_episode():
    env = HumanGaitEnv()
    env.reset(seed=0)
    env.batch.people[0].data.qvel[3:6] = 6.0
    for _ in range(200):
        *_, terminated, truncated, _ = env.step(np.zeros(N_ACTIONS, np.float32))
        if terminated:
            break
    assert terminated
    assert not truncated


def test_episode_is_cut_off_at_its_time():
    env = HumanGaitEnv()
    env.task = env.batch.task = load_gait_task("walk").model_copy(update={"episode_s": 0.1})
    env.reset(seed=1)
    ended = [env.step(np.zeros(N_ACTIONS, np.float32))[3] for _ in range(5)]
    assert ended == [False] * 4 + [True]


@pytest.mark.parametrize("threads", [1, 3])
def test_vector_does_the_same_on_any_number_of_threads(env, threads):
    other = GaitVecEnv(small_task(), DEVICES, seed=0, threads=threads)
    assert env.reset().tobytes() == other.reset().tobytes()
    rng = np.random.default_rng(1)
    for _ in range(60):
        action = actions(rng, env.num_envs)
        (here, reward, done, _), (there, other_reward, other_done, _) = env.step(action), other.step(action)
        assert here.tobytes() == there.tobytes()
        np.testing.assert_array_equal(reward, other_reward)
        np.testing.assert_array_equal(done, other_done)


def test_vector_restarts_who_falls_and_tells_how_it_ended(env):
    env.reset()
    rng, ends = np.random.default_rng(0), 0
    rewards, lengths = np.zeros(env.num_envs), np.zeros(env.num_envs, int)
    for _ in range(250):
        observations, reward, done, infos = env.step(2.0 * actions(rng, env.num_envs))
        rewards += reward
        lengths += 1
        assert np.isfinite(observations).all()
        assert np.abs(observations).max() <= 5.0
        for i, info in enumerate(infos):
            assert bool(info) == bool(done[i])
            if not done[i]:
                continue
            ends += 1
            assert info["episode"] == {"r": pytest.approx(rewards[i], rel=1e-5), "l": lengths[i]}
            assert not info["TimeLimit.truncated"]
            assert reward[i] == 0.0
            assert not np.array_equal(info["terminal_observation"], observations[i])
            rewards[i], lengths[i] = 0.0, 0
    assert ends >= env.num_envs


def test_time_limit_is_told_from_a_fall():
    env = GaitVecEnv(small_task(episode_s=0.06), DEVICES, seed=0)
    env.reset()
    for _ in range(2):
        *_, done, _ = env.step(np.zeros((env.num_envs, N_ACTIONS)))
        assert not done.any()
    *_, done, infos = env.step(np.zeros((env.num_envs, N_ACTIONS)))
    assert done.all()
    assert all(info["TimeLimit.truncated"] for info in infos)


def test_who_strays_from_the_line_ends_the_episode_as_in_a_fall():
    env = GaitVecEnv(small_task(devices={"none": 3}, stray_m=0.5), DEVICES, seed=0)
    env.reset()
    for person, beside in zip(env.batches[0].people, (0.1, 0.9, -0.9), strict=True):
        person.data.qpos[1] = beside
    env.batches[0].state[:, LANE] = (0.0, 0.8, 0.0)
    env.step_async(np.zeros((3, N_ACTIONS)))
    _, _, done, infos = env.step_wait()
    assert done.tolist() == [False, False, True]
    assert not infos[2]["TimeLimit.truncated"]


def test_actions_beyond_the_limit_are_clipped():
    runs = []
    for size in (ACTION_LIMIT, 10.0):
        env = GaitVecEnv(small_task(), DEVICES, seed=0)
        env.reset()
        runs.append(env.step(np.full((env.num_envs, N_ACTIONS), size))[0])
    assert runs[0].tobytes() == runs[1].tobytes()


def test_people_differ_and_are_pushed_where_the_task_says_less_off_level_ground_and_not_on_stairs():
    pushed = GaitVecEnv(small_task(push_n=(50.0, 60.0), push_every_s=0.02, push_s=0.1), DEVICES, seed=0)
    pushed.reset()
    pushed.step(np.zeros((pushed.num_envs, N_ACTIONS)))
    for batch in pushed.batches:
        masses = {p.subject.mass_kg for p in batch.people}
        assert len(masses) == len(batch)
        for person in batch.people:
            force = person.data.xfrc_applied
            pelvis = person.model.body("pelvis").id
            assert 50.0 <= np.linalg.norm(force[pelvis]) <= 60.0
            assert not np.delete(force, pelvis, axis=0).any()
            # Near the hips: a force on the root, which has no mass of its own, would act 1 m above them.
            assert np.linalg.norm(person.data.xipos[pelvis] - person.data.xpos[pelvis]) < 0.1
    hard = {"push_n": (50.0, 60.0), "push_every_s": 0.02}
    ways = {"terrains": {"stairs": 1.0}, "start_on_way": 1.0}, {"impaired_share": 1.0}
    for batch in (b for way in ways for b in GaitVecEnv(small_task(**hard, **way), DEVICES, seed=0).batches):
        for i in range(len(batch)):
            batch.reset(i)
        on_stairs = batch.state[:, BOUND] > 0.0
        batch.step(np.zeros((len(batch), N_ACTIONS)))
        force = np.array([np.linalg.norm(p.data.xfrc_applied) for p in batch.people])
        assert np.all((force > 0.0) != on_stairs)
        assert force.max() <= ELSEWHERE * 60.0
    calm = GaitVecEnv(small_task(), DEVICES, seed=0)
    calm.reset()
    calm.step(np.zeros((calm.num_envs, N_ACTIONS)))
    assert not any(p.data.xfrc_applied.any() for b in calm.batches for p in b.people)


def test_commanded_speeds_lie_in_the_tasks_range():
    env = GaitVecEnv(small_task(speed=(0.9, 1.0), speed_change_every_s=POLICY_PERIOD), DEVICES, seed=0)
    env.reset()
    seen = set()
    for _ in range(5):
        env.step(np.zeros((env.num_envs, N_ACTIONS)))
        seen |= {float(s) for b in env.batches for s in b.state[:, WANTED]}
    assert len(seen) > env.num_envs
    assert min(seen) >= 0.9
    assert max(seen) <= 1.0


def test_impaired_people_are_not_asked_to_hurry():
    env = GaitVecEnv(small_task(speed=(1.6, 1.8), impaired_share=1.0), DEVICES, seed=0)
    env.reset()
    for batch in env.batches:
        assert all(person.impairments for person in batch.people)
        assert batch.state[:, WANTED].max() <= IMPAIRED_SPEED


def test_episodes_start_all_over_the_way_and_with_delays_of_the_task():
    task = small_task(terrains={"stairs": 1.0}, delay_s=(0.01, 0.03), devices={"none": 4})
    env = GaitVecEnv(task, DEVICES, seed=0)
    (batch,) = env.batches
    share, kinds, delays = [], set(), []
    for _ in range(30):
        env.reset()
        share += [person.data.qpos[0] / person.terrain.length_m for person in batch.people]
        kinds |= set(batch.state[:, KIND])
        delays += list(batch.state[:, DELAY])
    assert min(share) < 0.1
    assert max(share) > 0.8
    assert kinds == {STRIDE, FIRST, CYCLE, LAST}
    assert min(delays) >= 0.01
    assert max(delays) <= 0.03
    assert np.ptp(delays) > 0.01


def test_walkers_begin_headed_a_little_beside_their_way():
    """Their velocity too, as far as it exceeds its own spread; who stands faces ahead."""
    env = GaitVecEnv(small_task(devices={"none": 8}), DEVICES, seed=0)
    (batch,) = env.batches
    yaw, way = [], []
    for _ in range(30):
        env.reset()
        for person in batch.people:
            ref, v = person.work.reference, person.data.qvel
            yaw.append(euler_angles(person.data.qpos[3:7])[0] - ref[PELVIS + ROTATION])
            way.append(np.arctan2(v[1], v[0]))
    assert np.std(yaw) == pytest.approx(ASTRAY, rel=0.2)
    assert np.corrcoef(yaw, way)[0, 1] > 0.5


def test_standing_people_are_asked_for_the_tasks_postures():
    keys = {"name": "stand", "reference": "stand", "mode": "stand", "speed": (0.0, 0.0), "devices": {"none": 4}}
    task = small_task(**keys, postures=("stand", "sit"), posture_change_every_s=0.1)
    env = GaitVecEnv(task, DEVICES, seed=0)
    env.reset()
    asked = set()
    for _ in range(20):
        env.step(np.zeros((env.num_envs, N_ACTIONS)))
        asked |= {POSTURES[int(goal)] for goal in env.batches[0].state[:, GOAL]}
    assert asked == {"stand", "sit"}


def test_ppo_learns_checkpoints_and_goes_on(tmp_path):
    from stable_baselines3 import PPO

    task = small_task(curriculum=[{"steps": 128, "devices": {"none": 4}}])
    target = train_gait(task, DEVICES, tmp_path, threads=1)
    model = PPO.load(tmp_path / "checkpoint.zip", device="cpu")
    assert model.num_timesteps == 128 + 256
    # Of the steps up to the end of the stage, a third was done when it began.
    rate, ppo = model.learning_rate, task.ppo
    assert rate(1.0 - 128 / 384) == pytest.approx(ppo.learning_rate)
    assert rate(0.5 * (1.0 - 128 / 384)) == pytest.approx(0.5 * (ppo.learning_rate + ppo.final_learning_rate))
    assert rate(0.0) == pytest.approx(ppo.final_learning_rate)
    assert target.exists()
    assert (tmp_path / "log.csv").exists()
    longer = task.model_copy(update={"steps": 512})
    train_gait(longer, DEVICES, tmp_path, resume=True, threads=1)
    assert PPO.load(tmp_path / "checkpoint.zip", device="cpu").num_timesteps == 128 + 512


def test_other_people_take_their_places_while_the_rate_falls_on(tmp_path, monkeypatch):
    met, rates = [], []

    class Watched(GaitVecEnv):
        def __init__(self, *args):
            super().__init__(*args)
            met.append([p.subject for batch in self.batches for p in batch.people])

    rate = Decay.__call__

    def watched(self, remaining):
        rates.append(rate(self, remaining))
        return rates[-1]

    monkeypatch.setattr("exotwin.sim.gait_training.GaitVecEnv", Watched)
    monkeypatch.setattr(Decay, "__call__", watched)
    ppo = {"n_steps": 32, "batch_size": 64, "n_epochs": 1, "hidden": 16, "learning_rate": 1e-3}
    train_gait(small_task(people_for=128, ppo=ppo | {"final_learning_rate": 0.0}), DEVICES, tmp_path, threads=1)
    assert len(met) == 2
    assert not set(met[0]) & set(met[1])
    # One line from the first step to the last, whoever is there: 128 steps a rollout, 256 in all.
    assert {round(rate, 9) for rate in rates} <= {1e-3, 5e-4, 0.0}
    assert rates[-1] == 0.0


def test_training_goes_on_from_a_policy(tmp_path):
    first = GaitPolicy("walk", network(0))
    ppo = {"n_steps": 32, "batch_size": 64, "n_epochs": 1, "hidden": 16}
    stages = [{"steps": 10_000_000}]  # not gone through again
    task = small_task(curriculum=stages, ppo=ppo | {"critic_steps": 256})
    only_critic = load_policy(train_gait(task, DEVICES, tmp_path / "a", threads=1, begin=first))
    assert_same(only_critic.general, first.general)
    task = small_task(curriculum=stages, ppo=ppo | {"critic_steps": 128})
    more = load_policy(train_gait(task, DEVICES, tmp_path / "b", threads=1, begin=first))
    assert 1e-6 < np.abs(more.general.weights[0] - first.general.weights[0]).max() < 0.05
    with pytest.raises(ValueError, match=r"\(16, 81\), of the task's \(8, 81\)"):
        train_gait(small_task(ppo=ppo | {"hidden": 8}), DEVICES, tmp_path / "c", threads=1, begin=first)


def test_a_specialist_goes_half_the_way_from_the_general_network_to_what_it_learns(tmp_path, monkeypatch):
    ppo = {"n_steps": 32, "batch_size": 64, "n_epochs": 1, "hidden": 16, "critic_steps": 128}
    task = small_task(ppo=ppo, specialists={"uphill": {"terrains": {"ramps": 1.0}, "steps": 512}})
    first = GaitPolicy("walk", network(0), {"uphill": network(1), "upstairs": network(2)})
    taught = load_policy(train_gait(task, DEVICES, tmp_path / "a", 0, False, 1, first, "uphill"))
    assert_same(taught.general, first.general)
    assert_same(taught.of("upstairs"), first.of("upstairs"))
    monkeypatch.setattr("exotwin.sim.gait_training.WAY", 1.0)
    learnt = load_policy(train_gait(task, DEVICES, tmp_path / "b", 0, False, 1, first, "uphill")).of("uphill")
    assert 1e-6 < np.abs(learnt.weights[0] - first.general.weights[0]).max() < 0.05
    np.testing.assert_allclose(
        taught.of("uphill").weights[0], 0.5 * (first.general.weights[0] + learnt.weights[0]), atol=1e-7
    )
    with pytest.raises(ValueError, match=r"did you mean 'uphill'"):
        train_gait(task, DEVICES, tmp_path, begin=first, specialist="uphil")
    with pytest.raises(ValueError, match="--from"):
        train_gait(task, DEVICES, tmp_path, specialist="uphill")


def test_the_policy_is_the_mean_over_the_end_of_the_run(tmp_path, monkeypatch):
    from torch.optim.swa_utils import AveragedModel

    seen, update = [], AveragedModel.update_parameters

    def watched(self, actor):
        seen.append(actor[1].weight.detach().numpy().copy())
        update(self, actor)

    monkeypatch.setattr(AveragedModel, "update_parameters", watched)
    task = small_task(steps=2560)
    learnt = load_policy(train_gait(task, DEVICES, tmp_path, threads=1))
    assert len(seen) == 5  # of 20 rollouts, those that begin after 70 %
    assert np.abs(seen[0] - seen[-1]).max() > 1e-6
    np.testing.assert_allclose(learnt.general.weights[-1], np.mean(seen, axis=0), atol=1e-6)
    # Nothing is left to learn: the mean stays.
    again = load_policy(train_gait(task, DEVICES, tmp_path, resume=True, threads=1))
    np.testing.assert_array_equal(again.general.weights[-1], learnt.general.weights[-1])


def test_naming_the_environment_imports_nothing_heavy():
    code = """
import sys
import gymnasium
import exotwin.sim.registration
assert "exotwin/HumanGait-v0" in gymnasium.registry
assert not {"torch", "mujoco", "stable_baselines3"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
