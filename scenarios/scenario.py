"""The scenario file: who walks how, in which exo, under which controllers, and what must hold."""

from __future__ import annotations

from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from ..controllers.assistance import AssistanceConfig
from ..controllers.config import Config, parse_yaml, require_known
from ..controllers.protocols import MODES
from ..sim.impairments import Impairment
from ..sim.posture_plan import POSTURES
from ..sim.sensors import SensorFault
from ..sim.subjects import Sex
from ..sim.subjects import Subject as Body
from ..sim.terrain import LEVEL, Terrain, load_terrain
from .gates import Gate

CONTROLLERS = ("none", "unpowered", "profile", "estimator", "oracle")
ADAPTATIONS = {"naive": 0.0, "adapted": 1.0}
ENDS = ("duration", "end_of_terrain")
RUN_OUT_M = 2.0  # so far the person walks on after the terrain: three steps, so that the last mode ends


class Subject(Config):
    """The simulated person; the keys are those of `Subject` in sim/subjects.py, which holds their limits."""

    mass_kg: float = 75.0
    height_m: float = 1.75
    strength: float = 1.0
    sex: Sex = "male"
    age_years: float = 30.0
    leg_ratio: float = 1.0
    thigh_ratio: float = 1.0
    foot_ratio: float = 1.0
    pelvis_ratio: float = 1.0

    @model_validator(mode="after")
    def _possible(self) -> Subject:
        Body("scenario", **self.model_dump())
        return self


class Arm(Config):
    """One way of walking the scenario.

    controller: ``none`` (exo not worn), ``unpowered`` (worn, no torque), ``profile`` (mean torque over
    gait phase of the classified mode), ``estimator``, ``oracle`` (true biological torque), or
    ``package.module:callable``, which returns the user's own controller.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    controller: str

    @field_validator("controller")
    @classmethod
    def _known(cls, value: str) -> str:
        module, colon, attribute = value.partition(":")
        if colon:
            if not (attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))):
                raise ValueError(f"{value!r} is not of the form 'package.module:callable'")
        else:
            require_known("controller", [value], CONTROLLERS)
        return value


class SpeedCommand(Config):
    """The walking speed asked for from `at_s` of the run on."""

    at_s: float = Field(ge=0)
    speed_mps: float = Field(ge=0)


class PostureCommand(Config):
    """The posture asked for from `at_s` of the run on: ``stand``, ``sit`` or ``squat``."""

    at_s: float = Field(ge=0)
    posture: str

    @field_validator("posture")
    @classmethod
    def _known(cls, value: str) -> str:
        require_known("posture", [value], POSTURES)
        return value


class Scenario(Config):
    """One scenario file. Units are in the field names.

    speed_mps: one number, or a list of `SpeedCommand` whose first is at 0 s. postures: likewise
    for the tasks that do not walk (default: standing). terrain: a shipped terrain's name, a YAML
    file, or its sections; the person starts at x = 0. until: ``end_of_terrain`` ends the run when the person is
    `RUN_OUT_M` beyond the last section, or after duration_s if that comes first. adaptation: how much of the exo's
    torque the person's nervous system knows of, 0 to 1, or the words ``naive`` (0) and ``adapted`` (1). skip_s:
    transient left out of the metrics. classifier and estimator: names of bundles. faults: what goes wrong with the
    sensors (sim/sensors/faults.py). impairments: what ails the person (docs/impairments.md).
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    duration_s: float = Field(gt=0)
    skip_s: float = Field(3.0, ge=0)
    task: str
    speed_mps: tuple[SpeedCommand, ...] = Field(min_length=1)
    postures: tuple[PostureCommand, ...] = ()
    terrain: Terrain = LEVEL
    until: str = "duration"
    device: str
    subject: Subject = Field(default_factory=lambda: Subject.model_validate({}))
    arms: tuple[Arm, ...] = Field(min_length=1)
    assistance: AssistanceConfig = AssistanceConfig()
    classifier: str
    estimator: str
    adaptation: float = Field(1.0, ge=0, le=1)
    faults: tuple[SensorFault, ...] = ()
    impairments: tuple[Impairment, ...] = ()
    gates: tuple[Gate, ...] = ()

    @field_validator("task")
    @classmethod
    def _known_task(cls, value: str) -> str:
        require_known("task", [value], MODES)
        return value

    @field_validator("until")
    @classmethod
    def _known_end(cls, value: str) -> str:
        require_known("end", [value], ENDS)
        return value

    @field_validator("speed_mps", mode="before")
    @classmethod
    def _as_commands(cls, value: Any) -> Any:
        return value if isinstance(value, (list, tuple)) else ({"at_s": 0.0, "speed_mps": value},)

    @field_validator("terrain", mode="before")
    @classmethod
    def _as_terrain(cls, value: Any) -> Any:
        if isinstance(value, str):
            return load_terrain(value)
        return {"sections": value} if isinstance(value, (list, tuple)) else value

    @field_validator("adaptation", mode="before")
    @classmethod
    def _as_fraction(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        require_known("adaptation", [value], ADAPTATIONS)
        return ADAPTATIONS[value]

    @model_validator(mode="after")
    def _consistent(self) -> Scenario:
        names = [arm.name for arm in self.arms]
        if len(set(names)) != len(names):
            raise ValueError("two arms have the same name")
        if self.skip_s >= self.duration_s:
            raise ValueError("skip_s must be shorter than duration_s")
        for key, commands in (("speed_mps", self.speed_mps), ("postures", self.postures)):
            times = [command.at_s for command in commands]
            if times and (times[0] != 0 or times != sorted(set(times))):
                raise ValueError(f"{key}: at_s must begin at 0 and rise, not {', '.join(f'{t:g}' for t in times)}")
        if self.until == "end_of_terrain" and self.is_level:
            raise ValueError("until end_of_terrain needs a terrain with sections")
        # A misspelt arm in a gate must not cost a whole run before it is found.
        for gate in self.gates:
            top, _, rest = gate.metric.partition(".")
            arm = rest.split(".")[0]
            if top == "arms" and arm != "*":
                require_known("arm", [arm], names)
        return self

    @property
    def is_level(self) -> bool:
        """Whether the floor is level without end."""
        return not self.terrain.sections

    def speed_at(self, time_s: float) -> float:
        """Commanded speed at a time of the run, m/s."""
        return next(c.speed_mps for c in reversed(self.speed_mps) if c.at_s <= time_s)

    def posture_at(self, time_s: float) -> str:
        """Commanded posture at a time of the run."""
        return next((c.posture for c in reversed(self.postures) if c.at_s <= time_s), "stand")

    @property
    def mean_speed_mps(self) -> float:
        """Time mean of the commanded speed after skip_s, m/s."""
        starts = [min(max(c.at_s, self.skip_s), self.duration_s) for c in self.speed_mps]
        spans = [b - a for a, b in pairwise([*starts, self.duration_s])]
        return sum(c.speed_mps * t for c, t in zip(self.speed_mps, spans, strict=True)) / sum(spans)


def list_scenarios() -> list[str]:
    """Names of the scenarios that come with exotwin, sorted."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _suite().iterdir() if entry.name.endswith(".yaml"))


def load_scenario(name_or_path: str | Path) -> Scenario:
    """A scenario by its name in the suite, or from a YAML file (anything with a suffix or a slash).

    FileNotFoundError for a missing file; ValueError that names the nearest scenario, key or value.
    """
    text = str(name_or_path)
    if Path(text).suffix or "/" in text or isinstance(name_or_path, Path):
        source = Path(text)
        content = source.read_text(encoding="utf-8")
    else:
        require_known("scenario", [text], list_scenarios())
        content = (_suite() / f"{text}.yaml").read_text(encoding="utf-8")
    return parse_yaml(Scenario, content, text)


def _suite() -> Any:
    return files("exotwin.scenarios") / "suite"
