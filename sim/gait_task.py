"""One gait to learn: its reference, commands, bodies, devices, disturbances and PPO settings, from one YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from ..controllers.config import Config, parse_yaml
from ..controllers.device import SIDES
from ..controllers.interface import closest
from .impairments import BOTH, KINDS, Impairment
from .policy import Specialist
from .shipped import find_shipped
from .subjects import Subject, sample_subjects
from .terrain import LEVEL, Level, Ramp, Stairs, Terrain

Range = tuple[float, float]


class PpoSettings(Config):
    """Proximal policy optimisation (Schulman 2017, arXiv:1707.06347) as stable-baselines3 names it."""

    n_steps: int = 40
    batch_size: int = 1024
    n_epochs: int = 4
    learning_rate: float = 5e-4
    final_learning_rate: float = 1e-4
    gamma: float = 0.97
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    target_kl: float = 0.03
    entropy: float = 0.0  # bonus: keeps the exploration from dying away in long runs
    hidden: int = 256
    log_std: float = -1.2
    # Of a run that begins with a policy the critic alone learns at first what that is worth, in more epochs.
    critic_steps: int = 600_000
    critic_epochs: int = 20
    critic_learning_rate: float = 1e-3
    output_scale: float = 0.1


ENDLESS_FLIGHT = 30  # steps, as in benchmarks/survival.py: 20 s up, 14 s down


class GaitTask(Config):
    """What the policy of one gait is trained on. Forces N, torques Nm/kg, speeds m/s."""

    name: str
    reference: Literal["walk", "stand"]
    mode: str
    speed: Range
    mass_kg: Range = (50.0, 110.0)
    height_m: Range = (1.50, 1.95)
    age_years: Range = (18.0, 75.0)
    strength: Range = (0.8, 1.4)
    terrains: dict[Literal["level", "ramps", "stairs", "circuit"], float] = Field(
        {"level": 1.0}, description="share of the people on each kind of way"
    )
    slope_deg: Range = (3.0, 11.0)
    rise_m: Range = (0.14, 0.19)
    tread_m: Range = (0.27, 0.33)
    endless_share: float = Field(
        0.0, ge=0, le=1, description="share of the ways with ramps or stairs that are one slope or flight to the end"
    )
    upward_share: float = Field(0.5, ge=0, le=1, description="share of these ways that go up before they go down")
    impaired_share: float = Field(0.0, ge=0, le=1, description="share of those on level ground with one impairment")
    impaired_severity: Range = (0.1, 0.8)
    delay_s: Range = (0.01, 0.04)
    devices: dict[str, int] = Field(description="number of people in each device; 'none' wears nothing")
    episode_s: float = 10.0
    start_on_way: float = Field(0.8, description="share of episodes that start beyond the first level run")
    lane_m: Range = Field((0.0, 0.0), description="lines that people are asked to walk on, beside their first")
    stray_m: float | None = Field(None, gt=0, description="beside the line, where an episode ends as in a fall")
    speed_change_every_s: float = Field(5.0, description="speed and line")
    postures: tuple[Literal["stand", "sit", "squat"], ...] = Field(
        ("stand",), description="what people who do not walk are asked for"
    )
    posture_change_every_s: float = 4.0
    push_n: Range = (0.0, 0.0)
    push_s: float = 0.2
    push_every_s: float = 3.0
    assist_share: Range = (-0.1, 0.4)
    assist_offset: float = 0.15
    assist_probability: float = 0.7
    steps: int = 6_000_000
    people_for: int = Field(1_000_000, gt=0, description="steps after which other people take their places")
    ppo: PpoSettings = PpoSettings()
    curriculum: tuple[dict[str, Any], ...] = Field(
        (), description="easier stages before the whole task, each the keys it changes (steps among them)"
    )
    specialists: dict[Specialist, dict[str, Any]] = Field(
        {}, description="what each of the policy's specialists learns, as the keys of the whole task that it changes"
    )

    @model_validator(mode="after")
    def _stages_are_tasks(self) -> GaitTask:
        self.stages()
        for name in self.specialists:
            self.of_specialist(name)
        return self

    def stages(self) -> list[GaitTask]:
        """The tasks to train on in order; the last is this one."""
        own = self.model_dump(exclude={"curriculum", "specialists"})
        return [GaitTask.model_validate(own | stage) for stage in (*self.curriculum, {})] if self.curriculum else [self]

    def of_specialist(self, name: str) -> GaitTask:
        """What a specialist of the policy learns. Raises ValueError that names the nearest one of this task."""
        changes = {str(known): keys for known, keys in self.specialists.items()}
        if name not in changes:
            raise ValueError(f"no specialist {name!r} of the gait {self.name!r}{closest(name, changes)}")
        own = self.model_dump(exclude={"curriculum", "specialists"})
        return GaitTask.model_validate(own | changes[name])

    def people(self, rng: np.random.Generator, count: int) -> list[tuple[Subject, Terrain, tuple[Impairment, ...]]]:
        """Bodies, their ways and impairments, drawn for training; ways in exact shares."""
        bodies = sample_subjects(count, rng, self.mass_kg, self.height_m, self.age_years, self.strength)
        kinds = list(self.terrains)
        edges = np.cumsum([self.terrains[k] for k in kinds]) / sum(self.terrains.values())
        drawn = []
        for i, body in enumerate(bodies):
            kind = kinds[int(np.searchsorted(edges, (i + 0.5) / count))]
            ill: tuple[Impairment, ...] = ()
            if kind == "level" and rng.random() < self.impaired_share:
                name = str(rng.choice(list(KINDS)))
                ill = (Impairment(kind=name, severity=rng.uniform(*self.impaired_severity), side=_side(rng, name)),)
            drawn.append((body, self._way(rng, kind), ill))
        return drawn

    def _way(self, rng: np.random.Generator, kind: str) -> Terrain:
        """A random way: both directions of ramps or stairs between level runs, or one long one; a circuit has both
        kinds."""
        if kind == "level":
            return LEVEL
        sections: list[Any] = [Level(length_m=rng.uniform(1.0, 3.0))]
        if kind != "circuit" and rng.random() < self.endless_share:
            length = self.speed[1] * self.episode_s
            return Terrain([*sections, self._slope(rng, kind, self._direction(rng), length, ENDLESS_FLIGHT)])
        for what in ("ramps", "stairs") if kind == "circuit" else (kind, kind):
            up = self._direction(rng)
            for direction in (up, -up):
                sections.append(self._slope(rng, what, direction, rng.uniform(3.0, 6.0), int(rng.integers(4, 9))))
                sections.append(Level(length_m=rng.uniform(1.5, 3.0)))
        return Terrain(sections)

    def _direction(self, rng: np.random.Generator) -> float:
        return 1.0 if rng.random() < self.upward_share else -1.0

    def _slope(self, rng: np.random.Generator, kind: str, direction: float, length: float, count: int) -> Ramp | Stairs:
        """A ramp of this length (m) or a flight of so many steps, up (direction 1) or down (-1)."""
        if kind == "ramps":
            return Ramp(slope_deg=direction * rng.uniform(*self.slope_deg), length_m=length)
        rise, tread = direction * rng.uniform(*self.rise_m), rng.uniform(*self.tread_m)
        return Stairs(rise_m=rise, tread_m=tread, count=count)


def _side(rng: np.random.Generator, kind: str) -> str:
    if KINDS[kind].two_sided:
        return BOTH
    return str(rng.choice(SIDES if KINDS[kind].one_sided else [*SIDES, BOTH]))


def load_gait_task(name_or_path: str | Path) -> GaitTask:
    """A gait by its shipped name or a YAML path. Raises ValueError that names the nearest shipped gait."""
    path = find_shipped("gait", "policies", ".yaml", name_or_path)
    return parse_yaml(GaitTask, path.read_text(encoding="utf-8"), path)
