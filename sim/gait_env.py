"""Gymnasium and vectorised environments in which the policy of a gait is learned: `exotwin/HumanGait-v0`."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from ..controllers.device import DeviceDescription
from .batch import policy_step, settle, stack
from .body import NEURAL_DELAY, Embodiment, physics_steps
from .bridge import functions
from .gait_task import GaitTask, load_gait_task
from .impairments import Impairment
from .nervous import ACTION_LIMIT, N_ACTIONS, POLICY_PERIOD
from .observation import N_OBSERVATIONS, observe
from .policy import GaitPolicy, mix_all, place_of
from .posture_plan import POSTURES, STAND
from .reference import Reference, load_reference
from .state import BOUND, DELAY, GOAL, LANE, NEXT_LANE, STATE_SIZE, WANTED
from .subjects import Subject
from .terrain import LEVEL, Terrain

CONTROL_RATE_HZ = 200.0
ASTRAY = 0.1  # rad, spread of the heading that a walker begins with (chosen)
ELSEWHERE = 0.4  # of a push on level ground, for people on ramps or between stairs and for the impaired (chosen)
IMPAIRED_SPEED = 1.0  # m/s, the most that is asked of people with an impairment

OBSERVATION_SPACE = spaces.Box(-5.0, 5.0, (N_OBSERVATIONS,), np.float32)
ACTION_SPACE = spaces.Box(-ACTION_LIMIT, ACTION_LIMIT, (N_ACTIONS,), np.float32)


class GaitBatch:
    """People with the same device, stepped together in compiled code; the environments are built on it."""

    def __init__(
        self,
        task: GaitTask,
        device: DeviceDescription | None,
        people: Sequence[tuple[Subject, Terrain, tuple[Impairment, ...]]],
        rng: np.random.Generator,
        threads: int = 1,
    ) -> None:
        self.task, self.rng = task, rng
        self.threads = threads
        self.pool = ThreadPoolExecutor(threads)
        self.control_steps = physics_steps(CONTROL_RATE_HZ)
        self.control_periods = round(POLICY_PERIOD * CONTROL_RATE_HZ)
        timestep = 1.0 / CONTROL_RATE_HZ / self.control_steps
        self.reference: Reference = load_reference(task.reference)
        self.people = [Embodiment(s, device, self.reference, timestep, way, ill) for s, way, ill in people]
        if task.stray_m is not None:
            # Who may not stray has to see how far it is beside the line that it learns to keep.
            for person in self.people:
                person.body = person.body._replace(leash=np.inf)
        self.batch = stack(self.people)
        n, n_exo = len(self.people), len(device.actuated) if device else 0
        self.functions = functions()
        self.pointers = np.stack([p.pointers for p in self.people])
        self.state = np.zeros((n, STATE_SIZE))
        self.actions = np.zeros((n, N_ACTIONS))
        self.previous = np.zeros((n, N_ACTIONS))
        self.push = np.zeros((n, 3))
        self.push_left = np.zeros(n)
        self.gain = np.zeros((n, n_exo))
        self.offset = np.zeros((n, n_exo))
        self.memory = np.zeros((n, n_exo))
        self.time = np.zeros(n)
        self.postures = [POSTURES.index(name) for name in task.postures]
        self.observations = np.zeros((n, N_OBSERVATIONS))
        self.rewards = np.zeros(n)
        self.fallen = np.zeros(n, dtype=np.bool_)

    def __len__(self) -> int:
        return len(self.people)

    def reset(self, i: int) -> None:
        """Start a new episode of person i: random place, gait phase, speed, assistance and feedback delay."""
        rng, task, person = self.rng, self.task, self.people[i]
        x = rng.uniform(0.0, person.terrain.length_m) if rng.random() < task.start_on_way else 0.0
        # Most people have practised with the device; some meet it for the first time.
        adaptation = 1.0 if rng.random() < 0.7 else rng.random()
        self._draw_assistance(i)
        astray = 0.0 if self.reference.still else rng.normal(0.0, ASTRAY)
        self.start(i, self._speed(i), x, adaptation, rng.uniform(*task.delay_s) - NEURAL_DELAY, astray)
        self.state[i, NEXT_LANE] = rng.uniform(*task.lane_m)

    def start(
        self, i: int, speed: float, x: float, adaptation: float = 1.0, more_delay: float = 0.0, astray: float = 0.0
    ) -> None:
        """Put person i near world x (m) at a speed (m/s) in a random gait phase. more_delay: s, on top of the
        person's own. astray: rad that it is headed beside its way, to the left."""
        person = self.people[i]
        person.place(self.rng.random(), speed, adaptation, x, self._postures())
        person.state[DELAY] += more_delay
        person.turn(astray)
        person.data.qvel[:3] += self.rng.normal(0.0, 0.05, 3)
        self.state[i] = person.state
        for array in (self.actions, self.previous, self.push, self.memory, self.time):
            array[i] = 0.0
        one = (self.functions, self.pointers[i], person.body, person.exo, self.state[i], self.actions[i], person.work)
        settle(*one)
        observe(*one, self.observations[i])

    def _speed(self, i: int) -> float:
        """A random speed from the task; impaired people are not asked to hurry."""
        speed = float(self.rng.uniform(*self.task.speed))
        return min(speed, IMPAIRED_SPEED) if self.people[i].impairments else speed

    def _postures(self) -> tuple[int, int]:
        """Where a person who does not walk begins and what it is asked for; about half are on their way."""
        if not self.reference.still:
            return STAND, STAND
        here, asked = self.rng.choice(self.postures, 2)
        return int(here), int(here if self.rng.random() < 0.4 else asked)

    def _draw_assistance(self, i: int) -> None:
        task, person, n = self.task, self.people[i], self.gain.shape[1]
        helped = self.rng.random() < task.assist_probability
        half = n // 2
        # Both legs get the same law, as devices do.
        self.gain[i] = np.tile(self.rng.uniform(*task.assist_share, half), 2) if helped and n else 0.0
        limit = task.assist_offset * person.subject.mass_kg
        self.offset[i] = self.rng.uniform(-limit, limit, n) if helped else 0.0

    def step(self, actions: NDArray[Any]) -> None:
        """One policy period for everybody; results are in `observations`, `rewards` and `fallen`."""
        task = self.task
        self.previous[:] = self.actions
        np.clip(actions, -ACTION_LIMIT, ACTION_LIMIT, out=self.actions)
        self._disturb()
        shares = np.linspace(0, len(self), self.threads + 1).astype(int)
        jobs = [self.pool.submit(self._advance, a, b) for a, b in pairwise(shares.tolist()) if a < b]
        for job in jobs:
            job.result()
        if task.stray_m is not None:
            beside = np.array([p.data.qpos[1] for p in self.people]) - self.state[:, LANE]
            self.fallen |= np.abs(beside) > task.stray_m
        self.time += POLICY_PERIOD
        change = self.rng.random(len(self)) < POLICY_PERIOD / task.speed_change_every_s
        for i in np.flatnonzero(change):
            self.state[i, WANTED] = self._speed(int(i))
            self.state[i, NEXT_LANE] = self.rng.uniform(*task.lane_m)
        if self.reference.still:
            change = self.rng.random(len(self)) < POLICY_PERIOD / task.posture_change_every_s
            for i in np.flatnonzero(change):
                self.state[i, GOAL] = self.rng.choice(self.postures)

    def _advance(self, start: int, stop: int) -> None:
        policy_step(
            self.functions,
            self.pointers,
            self.batch,
            self.state,
            self.actions,
            self.previous,
            self.push,
            self.gain,
            self.offset,
            self.memory,
            self.control_steps,
            self.control_periods,
            self.observations,
            self.rewards,
            self.fallen,
            start,
            stop,
        )

    def _disturb(self) -> None:
        task, n = self.task, len(self)
        self.push_left -= POLICY_PERIOD
        self.push[self.push_left <= 0.0] = 0.0
        new = self.rng.random(n) < POLICY_PERIOD / task.push_every_s
        # Who is pushed on stairs falls, whatever it does.
        for i in np.flatnonzero(new & (task.push_n[1] > 0.0) & (self.state[:, BOUND] == 0.0)):
            person = self.people[i]
            share = 1.0 if person.terrain == LEVEL and not person.impairments else ELSEWHERE
            force, angle = share * self.rng.uniform(*task.push_n), self.rng.uniform(0.0, 2.0 * np.pi)
            self.push[i] = force * np.array([np.cos(angle), np.sin(angle), 0.0])
            self.push_left[i] = task.push_s
        for i in np.flatnonzero(self.rng.random(n) < POLICY_PERIOD / 0.7):
            if np.any(self.gain[i]):
                limit = task.assist_offset * self.people[i].subject.mass_kg
                self.offset[i] = self.rng.uniform(-limit, limit, self.offset.shape[1])


class GaitVecEnv(VecEnv):
    """stable-baselines3 vector of people in several devices; physics runs on `threads` cores."""

    def __init__(
        self,
        task: GaitTask,
        devices: dict[str, DeviceDescription],
        seed: int,
        threads: int = 2,
        policy: GaitPolicy | None = None,
        taught: str = "general",
    ) -> None:
        """policy: whose other networks act where the one that is taught has no say; without it that one acts alone."""
        rng = np.random.default_rng(seed)
        self.batches = [
            GaitBatch(task, None if name == "none" else devices[name], task.people(rng, count), rng, threads)
            for name, count in task.devices.items()
        ]
        self.task = task
        self.policy = policy.having(taught, policy.of(taught)).network if policy else None
        self.taught = place_of(taught)
        ends = np.cumsum([len(b) for b in self.batches])
        self.parts = [slice(int(e) - len(b), int(e)) for e, b in zip(ends, self.batches, strict=True)]
        super().__init__(int(ends[-1]), OBSERVATION_SPACE, ACTION_SPACE)
        self.returns = np.zeros(self.num_envs)
        self.lengths = np.zeros(self.num_envs, dtype=int)

    def reset(self) -> NDArray[np.float32]:
        """Start every episode anew; (num_envs, N_OBSERVATIONS)."""
        for batch in self.batches:
            for i in range(len(batch)):
                batch.reset(i)
        self.returns[:] = 0.0
        self.lengths[:] = 0
        return self._gather("observations").astype(np.float32)

    def _gather(self, name: str) -> NDArray[Any]:
        return np.concatenate([getattr(b, name) for b in self.batches])

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions of the network that is taught for `step_wait`, or what comes of them."""
        own = actions.astype(float)
        self._actions = np.empty_like(own) if self.policy else own
        if self.policy:
            mix_all(self.policy, self.taught, own, self._gather("observations"), self._actions)

    def step_wait(self) -> Any:
        """Step everybody; falls and full episodes restart at once, as stable-baselines3 expects."""
        for batch, part in zip(self.batches, self.parts, strict=True):
            batch.step(self._actions[part])
        observations = self._gather("observations").astype(np.float32)
        rewards = self._gather("rewards").astype(np.float32)
        fallen = self._gather("fallen")
        timeout = self._gather("time") >= self.task.episode_s - 1e-9
        done = fallen | timeout
        self.returns += rewards
        self.lengths += 1
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(done):
            infos[i] = {
                "terminal_observation": observations[i].copy(),
                "TimeLimit.truncated": bool(timeout[i] and not fallen[i]),
                "episode": {"r": float(self.returns[i]), "l": int(self.lengths[i])},
            }
            self.returns[i], self.lengths[i] = 0.0, 0
            for batch, part in zip(self.batches, self.parts, strict=True):
                if part.start <= i < part.stop:
                    batch.reset(int(i) - part.start)
                    observations[i] = batch.observations[i - part.start]
        return observations, rewards, done, infos

    def close(self) -> None:
        """Nothing to release."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The attribute of this vector, once for each index."""
        return [getattr(self, attr_name, None)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Not offered: people differ only by what the task draws."""
        raise NotImplementedError("people of a GaitVecEnv are set by their GaitTask")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Not offered: there are no single environments inside."""
        raise NotImplementedError("a GaitVecEnv has no single environments")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Never wrapped."""
        return [False] * len(list(self._get_indices(indices)))


class HumanGaitEnv(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """One person learning one gait; action as in sim/nervous.py, observation in sim/observation.py."""

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  (gymnasium's contract)

    def __init__(
        self,
        gait: str = "walk",
        subject: Subject | None = None,
        device: DeviceDescription | None = None,
        terrain: Terrain = LEVEL,
    ) -> None:
        self.task = load_gait_task(gait)
        self.batch = GaitBatch(self.task, device, [(subject or Subject(), terrain, ())], np.random.default_rng())
        self.observation_space, self.action_space = OBSERVATION_SPACE, ACTION_SPACE

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Start at a random gait phase and speed drawn from the task."""
        super().reset(seed=seed)
        self.batch.rng = self.np_random
        self.batch.reset(0)
        return self.batch.observations[0].astype(np.float32), {}

    def step(self, action: NDArray[np.float32]) -> Any:
        """One policy period (20 ms). Terminated: a fall, or astray. Truncated: the episode's time is up."""
        self.batch.step(np.asarray(action, dtype=float)[None])
        return (
            self.batch.observations[0].astype(np.float32),
            float(self.batch.rewards[0]),
            bool(self.batch.fallen[0]),
            bool(self.batch.time[0] >= self.task.episode_s - 1e-9),
            {},
        )
