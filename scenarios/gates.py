"""Gates: limits on metrics that decide whether a scenario passes, for people and for CI."""

from __future__ import annotations

import math
import operator as op
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field, field_validator

from ..controllers.config import Config, require_known
from ..controllers.interface import closest

_HOLDS: dict[str, Callable[[float, float], bool]] = {
    "<=": op.le,
    ">=": op.ge,
    "==": op.eq,
    "<": op.lt,
    ">": op.gt,
}


class Gate(Config):
    """One limit: the metric at a dotted path of ``metrics.json`` compared with a number.

    A ``*`` in the path stands for every key at that level (``arms.*.falls``): all of them must hold,
    and the value reported is the worst.
    """

    name: str
    metric: str = Field(min_length=1)
    operator: str
    limit: float

    @field_validator("operator")
    @classmethod
    def _known(cls, value: str) -> str:
        require_known("operator", [value], _HOLDS)
        return value


def evaluate(gate: Gate, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Judge one gate: {"name", "metric", "at", "value", "operator", "limit", "passed"}.

    `at` is the path of the value reported (with the wildcard resolved). A metric that is None, NaN or
    not a number has value None and does not pass. ValueError names the nearest path when the path
    leads nowhere, matches nothing or ends at an object.
    """
    found = list(_resolve(gate.metric.split("."), metrics, ()))
    if not found:
        raise ValueError(f"gate {gate.name!r}: {gate.metric!r} matches nothing")
    where, value = max(found, key=lambda pair: _badness(pair[1], gate))
    return {
        "name": gate.name,
        "metric": gate.metric,
        "at": where,
        "value": value,
        "operator": gate.operator,
        "limit": gate.limit,
        "passed": all(v is not None and _HOLDS[gate.operator](v, gate.limit) for _, v in found),
    }


def judge(metrics: Mapping[str, Any], gates: Sequence[Gate]) -> dict[str, Any]:
    """The metrics with ``gates`` (each as `evaluate` gives it) and ``passed`` added.

    Passed means that every gate passed and no arm is partial: half a run proves nothing.
    """
    results = [evaluate(gate, metrics) for gate in gates]
    whole = not any(arm.get("partial") for arm in metrics.get("arms", {}).values())
    return {**metrics, "gates": results, "passed": whole and all(r["passed"] for r in results)}


def _resolve(keys: Sequence[str], node: Any, path: tuple[str, ...]) -> Iterator[tuple[str, float | None]]:
    """Every (path, value) that the keys lead to from `node`."""
    where = ".".join(path)
    if not keys:
        if isinstance(node, Mapping):
            raise ValueError(f"metric {where!r} is not a number{closest(where, paths(node, path))}")
        number = isinstance(node, (int, float)) and math.isfinite(node)
        yield where, (float(node) if number else None)
        return
    children: Iterable[str]
    if keys[0] == "*":
        children = node if isinstance(node, Mapping) else ()
    elif isinstance(node, Mapping) and keys[0] in node:
        children = keys[:1]
    else:
        wrong = ".".join((*path, *keys))
        raise ValueError(f"no metric {wrong!r}{closest(wrong, paths(node, path))}")
    for key in children:
        yield from _resolve(keys[1:], node[key], (*path, key))


def paths(node: Any, path: tuple[str, ...] = ()) -> list[str]:
    """Dotted paths of all values in nested objects."""
    if isinstance(node, Mapping):
        return [p for key, child in node.items() for p in paths(child, (*path, str(key)))]
    return [".".join(path)] if path else []


def _badness(value: float | None, gate: Gate) -> float:
    """How far a value lies on the failing side of the limit; missing values are the worst."""
    if value is None:
        return math.inf
    if gate.operator == "==":
        return abs(value - gate.limit)
    return value - gate.limit if gate.operator in ("<=", "<") else gate.limit - value
