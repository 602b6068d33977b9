"""Exclusion rules: each at its threshold, and what the reasons say."""

from typing import Any

import pytest

from studies.method.screening import AnswerRecord, ExclusionRules, exclusion_reasons, screen

RULES = ExclusionRules()


def record(**changes: Any) -> AnswerRecord:
    settings: dict[str, Any] = {
        "num_catch_trials": 5, "num_catch_correct": 5, "num_left": 10, "num_right": 10,
        "response_ms": [900] * 20, "is_complete": True,
    }
    return AnswerRecord(**settings | changes)


def codes(rules: ExclusionRules = RULES, **changes: Any) -> list[str]:
    return [reason.code for reason in exclusion_reasons(record(**changes), rules)]


@pytest.mark.parametrize(("changes", "expected"), [
    ({}, []),
    ({"num_catch_correct": 4}, []),  # Exactly 80%.
    ({"num_catch_correct": 3}, ["catch"]),
    ({"num_catch_trials": 0, "num_catch_correct": 0}, []),
    ({"num_left": 18, "num_right": 2}, []),  # Exactly 90%.
    ({"num_left": 19, "num_right": 1}, ["side"]),
    ({"num_left": 0, "num_right": 20}, ["side"]),
    ({"response_ms": [400] * 20}, []),
    ({"response_ms": [399] * 11 + [5000] * 9}, ["speed"]),
    ({"response_ms": [399, 401]}, []),  # The median is 400.
    ({"is_complete": False}, ["incomplete"]),
    ({"num_catch_correct": 0, "num_left": 20, "num_right": 0, "response_ms": [100],
      "is_complete": False}, ["catch", "side", "speed", "incomplete"]),
])
def test_who_meets_every_threshold_stays_in(changes: dict, expected: list[str]) -> None:
    assert codes(**changes) == expected


def test_who_never_answered_is_incomplete_and_nothing_else() -> None:
    assert codes(num_catch_trials=0, num_catch_correct=0, num_left=0, num_right=0,
                 response_ms=[], is_complete=False) == ["incomplete"]


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.6, 0.7, 0.9])
def test_thresholds_are_exact_though_floats_are_not(rate: float) -> None:
    rules = ExclusionRules(least_catch_rate=rate)
    assert codes(rules, num_catch_trials=10, num_catch_correct=round(10 * rate)) == []
    assert codes(rules, num_catch_trials=10, num_catch_correct=round(10 * rate) - 1) == ["catch"]


def test_rules_can_be_turned_off() -> None:
    rules = ExclusionRules(None, None, None, is_completion_required=False)
    assert codes(rules, num_catch_correct=0, num_right=0, response_ms=[1], is_complete=False) == []


def test_reasons_are_sentences_with_the_figures() -> None:
    found = exclusion_reasons(record(num_catch_correct=3, num_left=1, num_right=19,
                                     response_ms=[250], is_complete=False), RULES)
    assert [reason.sentence for reason in found] == [
        "3 of 5 catch trials are right, fewer than 80%.",
        "19 of 20 answers are on the right, more than 90%.",
        "Half of the answers took 250 ms or less, under 400 ms.",
        "Not every trial was answered.",
    ]


def test_everyone_is_listed_with_or_without_reasons() -> None:
    found = screen({"a": record(), "b": record(is_complete=False)}, RULES)
    assert found["a"] == []
    assert [reason.code for reason in found["b"]] == ["incomplete"]


@pytest.mark.parametrize(("setting", "value"), [
    ("least_catch_rate", 80), ("least_catch_rate", -0.1), ("most_side_share", 0.4),
    ("most_side_share", float("nan")), ("least_median_ms", -1),
])
def test_impossible_thresholds_are_quoted(setting: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{setting} must lie .* got {value}"):
        ExclusionRules(**{setting: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(("changes", "said"), [
    ({"num_catch_correct": 6}, "got 6 of 5"),
    ({"num_left": -1}, "got -1 answers on the left"),
    ({"response_ms": [0]}, "got 0"),
    ({"response_ms": [float("nan")]}, "got nan"),
])
def test_impossible_records_are_quoted(changes: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        record(**changes)
