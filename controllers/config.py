"""The base of everything a user writes as YAML: frozen, strict, and errors that name the nearest key."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from .interface import closest


class Config(BaseModel):
    """A pydantic model that refuses unknown keys by naming the nearest known one."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: object) -> object:
        if isinstance(data, dict):
            require_known("key", data, cls.model_fields)
        return data


def require_known(kind: str, names: Iterable[object], known: Iterable[str]) -> None:
    """ValueError ``no <kind> '<name>'; did you mean ...`` for the first of `names` that is not `known`."""
    options = tuple(known)
    for name in names:
        if name not in options:
            raise ValueError(f"no {kind} {name!r}{closest(str(name), options)}")


def explain(error: ValidationError) -> str:
    """One line for a person, e.g. ``joints.0.cuff: no key 'stiffness'; did you mean ...``."""
    lines = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"])
        why = str(item.get("ctx", {}).get("error", item["msg"]))
        lines.append(f"{where}: {why}" if where else why)
    return "; ".join(lines)
