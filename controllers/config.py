"""The base of everything a user writes as YAML: frozen, strict, and errors that name the nearest key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from .interface import closest

Model = TypeVar("Model", bound="Config")


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


def parse_yaml(model: type[Model], text: str, where: object) -> Model:
    """A model from YAML text. ValueError that names `where` and the bad key or value, or the bad YAML."""
    try:
        return model.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ValueError(f"{where}: not valid YAML: {error}") from None
    except ValidationError as error:
        raise ValueError(f"{where}: {explain(error)}") from None
