"""What is asked of a data set: one generation file, kept in the data set's folder so that it can be made again."""

from __future__ import annotations

import math
from typing import Any

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from ...controllers.config import Config, explain, require_known
from ...controllers.device import DeviceDescription
from ..sensors.faults import SensorFault
from ..subjects import Subject, sample_subjects
from .gaits import ALL, Gait, Range, choose_gaits

FILE_NAME = "generation.yaml"
HEADER = "# What this data set was made from; `exotwin generate --config` takes it.\n"


class People(Config):
    """How many people are sampled, and within which limits (those of `sample_subjects`)."""

    count: int = Field(default=20, ge=1)
    mass_kg: Range = (50.0, 110.0)
    height_m: Range = (1.50, 1.95)
    age_years: Range = (18.0, 75.0)
    strength: Range = (0.7, 1.4)

    def sample(self, seed: int) -> list[Subject]:
        """The people; each one's id holds the seed, so that sets of different seeds can be merged."""
        bodies = sample_subjects(self.count, seed, self.mass_kg, self.height_m, self.age_years, self.strength)
        return [Subject.from_dict(body.as_dict() | {"id": f"s{seed}_{i:03d}"}) for i, body in enumerate(bodies)]


class Assistance(Config):
    """Random help, so that estimators see assisted people.

    Every segment_s the speed and the help are drawn anew; `probability` of the segments are helped. Help is a `share`
    of the person's own torque (per joint, the same on both legs), late and smooth, plus slow random torque of standard
    deviation offset_nm_per_kg, so that torque and motion are not locked to each other. adapted: share of the recordings
    whose person knows the device; the others expect a random share of its torque.
    """

    probability: float = Field(default=0.6, ge=0, le=1)
    share: Range = (0.0, 0.35)
    offset_nm_per_kg: float = Field(default=0.05, ge=0)
    segment_s: float = Field(default=8.0, ge=0.5)
    adapted: float = Field(default=0.7, ge=0, le=1)


class Generation(Config):
    """A generation file.

    gaits: see `choose_gaits`. minutes_per_gait: of each gait for each person, in recordings of recording_s, rounded up
    to whole ones; of less than one recording, one that is so much shorter. device: a whole description; the command
    line puts it in place of a name. faults: as in a scenario; each strikes in fault_share of the recordings, drawn one
    by one.
    """

    gaits: tuple[Gait, ...] = Field(default_factory=lambda: tuple(choose_gaits([ALL])), min_length=1)
    subjects: People = Field(default_factory=People)
    minutes_per_gait: float = Field(default=5.0, gt=0)
    recording_s: float = Field(default=30.0, gt=0)
    seed: int = Field(default=1, ge=0)
    device: DeviceDescription
    assistance: Assistance = Field(default_factory=Assistance)
    faults: tuple[SensorFault, ...] = ()
    fault_share: float = Field(default=1.0, ge=0, le=1)
    raw_emg: bool = True

    @field_validator("gaits", mode="before")
    @classmethod
    def _chosen(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = [name.strip() for name in value.split(",")]
        return choose_gaits(value)

    @field_validator("subjects", mode="before")
    @classmethod
    def _counted(cls, value: Any) -> Any:
        return {"count": value} if isinstance(value, int) else value

    @model_validator(mode="after")
    def _faults_fit(self) -> Generation:
        for fault in self.faults:
            # A channel that the device lacks must not cost hours before it is found.
            fault.pick(self.device.layout)
            if fault.start_s >= self.recording_s:
                raise ValueError(
                    f"fault {fault.name} starts at {fault.start_s:g} s, recordings last {self.recording_s:g} s"
                )
        return self

    def plain(self) -> dict[str, Any]:
        """Plain values of everything, as in the generation file."""
        plain: dict[str, Any] = _finite(self.model_dump(mode="json"))
        return plain

    def text(self) -> str:
        """The generation file, everything spelt out; the same request gives the same text."""
        return HEADER + yaml.safe_dump(self.plain(), sort_keys=False, allow_unicode=True, width=120)


def _finite(value: Any) -> Any:
    """Without the limits that a device's defaults set at infinity: no file may give them."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items() if item not in (math.inf, -math.inf)}
    return [_finite(item) for item in value] if isinstance(value, list) else value


def differences(ours: Any, theirs: Any, where: str = "") -> list[str]:
    """Keys at which two plain values differ, with what the first has there and what the second had."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [
            line
            for key in dict.fromkeys([*ours, *theirs])
            for line in differences(ours.get(key), theirs.get(key), f"{where}.{key}" if where else key)
        ]
    return [] if ours == theirs else [f"{where} is {_short(ours)}, was {_short(theirs)}"]


def changes(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """What keeps recordings of the request `theirs` (plain) from being recordings of `ours`, as `differences` says it.

    More people, gaits or minutes leave a recording as it is.
    """
    both = {gait["name"] for gait in ours["gaits"]} & {gait["name"] for gait in theirs["gaits"]}

    def part(plain: dict[str, Any]) -> dict[str, Any]:
        gaits = {g["name"]: {k: v for k, v in g.items() if k != "minutes"} for g in plain["gaits"] if g["name"] in both}
        people = {key: value for key, value in plain["subjects"].items() if key != "count"}
        rest = {key: value for key, value in plain.items() if key != "minutes_per_gait"}
        return rest | {"gaits": gaits, "subjects": people}

    return differences(part(ours), part(theirs))


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)} entries"
    return str(value) if not isinstance(value, dict) else "a mapping"


def parse_plain(text: str, where: str) -> dict[str, Any]:
    """A generation file's plain content.

    Raises ValueError that names the file for bad YAML, no mapping or an unknown key.
    """
    try:
        plain = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(plain, dict):
        raise ValueError(f"{where}: not a generation file: no keys in it")
    try:
        require_known("key", plain, Generation.model_fields)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return plain


def parse_request(text: str, where: str) -> Generation:
    """A whole generation file, device included. Raises ValueError that names the file and the key."""
    try:
        return Generation.model_validate(parse_plain(text, where))
    except ValidationError as error:
        raise ValueError(f"{where}: {explain(error)}") from None
