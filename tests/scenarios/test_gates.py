from __future__ import annotations

import operator

import pytest
from exotwin.scenarios.gates import Gate, evaluate, judge
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

METRICS = {
    "arms": {
        "no_exo": {"falls": 0, "effort": {"vs_unpowered": None}},
        "estimator": {"falls": 2, "effort": {"vs_unpowered": -0.1}},
        "oracle": {"falls": 1, "effort": {"vs_unpowered": float("nan")}},
    },
    "scenario": "level_walk",
}


def gate(metric: str, sign: str = "<=", limit: float = 0.0) -> Gate:
    return Gate(name="g", metric=metric, operator=sign, limit=limit)


@given(st.floats(-10, 10), st.floats(-10, 10), st.sampled_from(["<=", ">=", "==", "<", ">"]))
def test_a_gate_agrees_with_the_operator_it_names(value, limit, sign):
    holds = {"<=": operator.le, ">=": operator.ge, "==": operator.eq, "<": operator.lt, ">": operator.gt}[sign]
    assert evaluate(gate("x", sign, limit), {"x": value})["passed"] == holds(value, limit)


@pytest.mark.parametrize(("sign", "at", "value"), [("<=", "estimator", 2.0), (">=", "no_exo", 0.0)])
def test_a_wildcard_reports_the_worst_arm(sign, at, value):
    result = evaluate(gate("arms.*.falls", sign, 1.0), METRICS)
    assert (result["at"], result["value"], result["passed"]) == (f"arms.{at}.falls", value, False)


def test_result_has_the_published_keys():
    assert set(evaluate(gate("arms.no_exo.falls"), METRICS)) >= {"name", "value", "limit", "passed"}


@pytest.mark.parametrize("arm", ["no_exo", "oracle", "*"])
def test_missing_values_never_pass(arm):
    for sign in ("<=", ">=", "==", "<", ">"):
        result = evaluate(gate(f"arms.{arm}.effort.vs_unpowered", sign), METRICS)
        assert result["passed"] is False
        assert result["value"] is None


def test_text_is_not_a_number_and_does_not_pass():
    assert not evaluate(gate("scenario"), METRICS)["passed"]


@pytest.mark.parametrize(
    ("metric", "nearest"),
    [
        ("arms.estimator.fals", "arms.estimator.falls"),
        ("arms.estimtor.falls", "arms.estimator.falls"),
        ("arms.*.fals", "arms.no_exo.falls"),
        ("arms.estimator.effort", "arms.estimator.effort.vs_unpowered"),
        ("arms.estimator.falls.total", "arms.estimator.falls"),
    ],
)
def test_a_wrong_path_names_the_nearest(metric, nearest):
    with pytest.raises(ValueError, match=f"did you mean '{nearest}'"):
        evaluate(gate(metric), METRICS)


def test_a_wildcard_over_nothing_is_an_error():
    with pytest.raises(ValueError, match="matches nothing"):
        evaluate(gate("arms.*.falls"), {"arms": {}})


def test_a_wrong_operator_is_refused():
    with pytest.raises(ValidationError, match="no operator '=<'"):
        gate("arms.*.falls", "=<")


def test_judge_adds_the_verdict_and_keeps_the_metrics():
    judged = judge(METRICS, [gate("arms.no_exo.falls"), gate("arms.estimator.falls")])
    assert [g["passed"] for g in judged["gates"]] == [True, False]
    assert judged["passed"] is False
    assert judged["arms"] is METRICS["arms"]
    assert judge(METRICS, [gate("arms.no_exo.falls")])["passed"] is True
