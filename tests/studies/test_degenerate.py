"""Degenerate data get finite numbers or a sentence that says why not, never NaN or a crash."""

import math
import traceback
import warnings
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

from studies.analysis.agreement import agreement
from studies.analysis.bootstrap import two_way_bootstrap
from studies.analysis.clustered import clustered_rate
from studies.analysis.consistency import catch_performance, repeat_consistency
from studies.analysis.equivalence import equivalence
from studies.analysis.groups import rates_by
from studies.analysis.heterogeneity import overdispersion, variance_components
from studies.analysis.learning import learning
from studies.analysis.participants import participant_mean
from studies.analysis.rates import pooled_preference
from studies.analysis.response_times import response_times
from studies.analysis.scaling import bradley_terry, thurstone
from studies.analysis.shrinkage import shrunken_rates
from studies.analysis.sides import side_bias

Rows = list[tuple[bool, int, int]]  # Chosen, participant, prompt.


def table(rows: list[list[int | None]]) -> Rows:
    """Participants in rows, prompts in columns; None was never shown."""
    return [(bool(x), i, j) for i, row in enumerate(rows) for j, x in enumerate(row)
            if x is not None]


DATA: dict[str, Rows] = {
    "no trials, as when all are excluded": [],
    "one trial": table([[1]]),
    "one participant": table([[1, 0, 1, 1]]),
    "one prompt": table([[1], [0], [1], [1]]),
    "the candidate always": table([[1, 1, 1], [1, 1, 1], [1, 1, 1]]),
    "the candidate never": table([[0, 0], [0, 0]]),
    "perfect separation of participants": table([[1, 1, 1], [1, 1, 1], [0, 0, 0], [0, 0, 0]]),
    "perfect separation of prompts": table([[1, 0, 1], [1, 0, 1], [1, 0, 1]]),
    "equal rates everywhere": table([[1, 0], [0, 1]]),
    "missing cells": table([[1, None, 0], [None, 1, 1], [0, 0, None], [1, None, None]]),
    "no two share a prompt": table([[1, None, None], [None, 0, None], [None, None, 1]]),
    "one trial each of one prompt": table([[1], [0]]),
    "one answer unlike the rest": table([[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 0]]),
    "a cell answered twice": [*table([[1, 0], [0, 1]]), (True, 0, 0)],
    "two blocks that share nothing": table([[1, 0, None, None], [1, 1, None, None],
                                            [None, None, 0, 1], [None, None, 0, 0]]),
}


def counts(rows: Rows, place: int) -> tuple[list[int], list[int]]:
    """Wins and trials by participant (place 1) or prompt (place 2)."""
    labels = sorted({row[place] for row in rows})
    return ([sum(row[0] for row in rows if row[place] == label) for label in labels],
            [sum(row[place] == label for row in rows) for label in labels])


def columns(rows: Rows) -> tuple[list[bool], list[int], list[int]]:
    return [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows]


def clustered(compute: Callable[..., Any], rows: Rows, **more: Any) -> Any:
    chosen, people, prompts = columns(rows)
    return compute(chosen, people, prompts=prompts, **more)


def scaled(place: Callable[..., Any], rows: Rows) -> Any:
    chosen, people, prompts = columns(rows)
    return place(["a" if x else "b" for x in chosen], ["b" if x else "a" for x in chosen],
                 participants=people, prompts=prompts, origin="b", replicates=200)


def trend(rows: Rows) -> Any:
    chosen, people, prompts = columns(rows)
    return learning(chosen, people, trial_indexes=prompts)


def rates_of(rows: Rows) -> list[float]:
    wins, trials = counts(rows, 1)
    return [w / n for w, n in zip(wins, trials, strict=True)]


STATISTICS: dict[str, Callable[[Rows], Any]] = {
    "pooled": lambda rows: pooled_preference(sum(r[0] for r in rows), len(rows)),
    "sides": lambda rows: side_bias(sum(r[0] for r in rows), len(rows)),
    "participants": lambda rows: participant_mean(rates_of(rows)),
    "clustered": lambda rows: clustered(clustered_rate, rows),
    "bootstrap": lambda rows: clustered(two_way_bootstrap, rows, replicates=200),
    "equivalence": lambda rows: equivalence(clustered(clustered_rate, rows), 0.1),
    "components": lambda rows: clustered(variance_components, rows),
    "people differ": lambda rows: overdispersion(*counts(rows, 1)),
    "prompts differ": lambda rows: overdispersion(*counts(rows, 2)),
    "agreement": lambda rows: agreement(columns(rows)[0], columns(rows)[2]),
    "per prompt": lambda rows: shrunken_rates(*counts(rows, 2)),
    "per group": lambda rows: clustered(rates_by, rows, groups=columns(rows)[1]),
    "Bradley-Terry": lambda rows: scaled(bradley_terry, rows),
    "Thurstone": lambda rows: scaled(thurstone, rows),
    "repeats": lambda rows: repeat_consistency(columns(rows)[0], columns(rows)[0],
                                               participants=columns(rows)[1]),
    "catch": lambda rows: catch_performance(columns(rows)[0], columns(rows)[1]),
    "times": lambda rows: response_times([500.0 + r[2] for r in rows], columns(rows)[1]),
    "learning": trend,
}


def outcome(compute: Callable[[Rows], Any], rows: Rows) -> Any:
    try:
        return compute(rows)
    except ValueError as error:
        return error


def assert_plain_and_finite(value: Any) -> None:
    """Every number is Python's own, so that it can go to JSON, and finite."""
    if is_dataclass(value):
        for field in fields(value):
            assert_plain_and_finite(getattr(value, field.name))
    elif isinstance(value, list | tuple):
        for item in value:
            assert_plain_and_finite(item)
    else:
        assert not isinstance(value, np.generic), value
        assert not isinstance(value, float) or math.isfinite(value)


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("statistic", STATISTICS)
def test_degenerate_data_give_finite_numbers_or_a_sentence(statistic: str, data: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        found = outcome(STATISTICS[statistic], DATA[data])
    if isinstance(found, ValueError):
        # A refusal of ours, not numpy's or scipy's stumbling over the data.
        place = traceback.extract_tb(found.__traceback__)[-1].filename
        assert "studies/analysis" in place, (place, found)
    else:
        assert_plain_and_finite(found)


def test_ordinary_data_are_refused_by_none() -> None:
    rng = np.random.default_rng(3)
    taste = rng.normal(0, 1, (8, 1)) + rng.normal(0, 0.7, (1, 10))
    rows = table((rng.random((8, 10)) < 1 / (1 + np.exp(-taste))).astype(int).tolist())
    for compute in STATISTICS.values():
        assert_plain_and_finite(compute(rows))
