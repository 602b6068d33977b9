"""The two-way clustered rate against a hand computation, its limits, and its coverage."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.analysis.clustered import cluster_terms, clustered_rate
from tests.studies.golden import golden


def flat(table: list[list[int]]) -> tuple[list[bool], list[int], list[int]]:
    """Participants in rows, prompts in columns."""
    cells = [(bool(x), i, j) for i, row in enumerate(table) for j, x in enumerate(row)]
    chosen, participants, prompts = zip(*cells, strict=True)
    return list(chosen), list(participants), list(prompts)


def test_standard_error_equals_the_golden_value() -> None:
    # By hand: 15 of 30 chosen, so every residual is 1/2 or -1/2.
    # Row sums 3 2 4 1 4 1 less 2.5:   squares .25 .25 2.25 2.25 2.25 2.25, together 9.5.
    # Column sums 3 5 1 5 1 less 3:    squares 0 4 4 4 4, together 16.
    # Cells: 30 times 1/4, together 7.5. So V = (9.5 + 16 - 7.5) / 30^2 = .02, SE = sqrt(.02).
    case = golden("G15")
    chosen, participants, prompts = flat(case["in"])
    terms = cluster_terms(chosen, participants, prompts=prompts)
    assert (terms.participants, terms.prompts, terms.cells) == pytest.approx(
        (9.5 / 900, 16 / 900, 7.5 / 900), abs=1e-15
    )
    error = math.sqrt(terms.participants + terms.prompts - terms.cells)
    assert error == pytest.approx(case["out"]["se"], abs=case["tol"])
    assert np.mean(chosen) == case["out"]["rate"]


def test_interval_has_small_sample_factors_and_t_of_the_smaller_count() -> None:
    # The same table: V = (9.5 * 6/5 + 16 * 5/4 - 7.5) / 900; t(4) at 97.5% is 2.776445 (tables).
    chosen, participants, prompts = flat(golden("G15")["in"])
    found = clustered_rate(chosen, participants, prompts=prompts)
    error = math.sqrt((9.5 * 6 / 5 + 16 * 5 / 4 - 7.5) / 900)
    assert found.standard_error == pytest.approx(error, abs=1e-12)
    assert found.degrees_of_freedom == 4
    assert found.interval.high == pytest.approx(0.5 + 2.776445 * error, abs=1e-6)
    assert found.p_value == 1
    assert (found.num_participants, found.num_prompts, found.num_trials) == (6, 5, 30)


def test_variance_is_never_below_the_larger_one_way_term() -> None:
    # Rows sum to 2 and 1, columns to 1 each, rate 1/2: rows .5^2 + .5^2, columns 0, cells 6/4.
    # The sum .5 * 2 + 0 - 1.5 is negative: the row term, 1/36, stands.
    chosen, participants, prompts = flat([[1, 1, 0], [0, 0, 1]])
    found = clustered_rate(chosen, participants, prompts=prompts)
    assert found.standard_error == pytest.approx(math.sqrt(1 / 36), abs=1e-12)


def test_order_and_names_of_trials_do_not_matter() -> None:
    chosen, participants, prompts = flat(golden("G15")["in"])
    order = np.random.default_rng(0).permutation(len(chosen))
    shuffled = clustered_rate([chosen[i] for i in order],
                              [f"p{participants[i]}" for i in order],
                              prompts=[f"q{prompts[i]}" for i in order])
    assert shuffled == clustered_rate(chosen, participants, prompts=prompts)


@pytest.mark.parametrize(("chosen", "participants", "prompts", "said"), [
    ([], [], [], "got 0, 0 and 0"),
    ([True], [1, 2], [1], "got 1, 2 and 1"),
    ([True, False], [1, 1], [1, 2], "participants: 1, prompts: 2"),
    ([True, False], [1, 2], [1, 1], "participants: 2, prompts: 1"),
    ([True] * 4, [1, 1, 2, 2], [1, 2, 1, 2], r"the same rate, 100\.0%"),
    ([True, False, False, True], [1, 1, 2, 2], [1, 2, 1, 2], r"the same rate, 50\.0%"),
])
def test_too_little_for_an_interval_is_refused_with_the_reason(
    chosen: list[bool], participants: list[int], prompts: list[int], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        clustered_rate(chosen, participants, prompts=prompts)


@given(st.lists(st.lists(st.integers(0, 1), min_size=4, max_size=4), min_size=3, max_size=7))
def test_any_table_gives_finite_numbers_or_a_reason(table: list[list[int]]) -> None:
    chosen, participants, prompts = flat(table)
    if not any(np.ptp(np.mean(table, axis=axis)) for axis in (0, 1)):
        with pytest.raises(ValueError, match="the same rate"):
            clustered_rate(chosen, participants, prompts=prompts)
        return
    found = clustered_rate(chosen, participants, prompts=prompts)
    assert 0 <= found.interval.low <= found.rate <= found.interval.high <= 1
    assert 0 <= found.p_value <= 1
    swapped = clustered_rate([not x for x in chosen], participants, prompts=prompts)
    assert swapped.interval.low == pytest.approx(1 - found.interval.high, abs=1e-12)


@pytest.mark.parametrize(("participant_sd", "prompt_sd", "expected"), [
    (0.0, 0.0, 0.97), (0.8, 0.0, 0.96), (0.8, 0.8, 0.95), (0.0, 0.8, 0.95),
])
def test_coverage_is_that_of_a_nominal_95_percent_interval(
    participant_sd: float, prompt_sd: float, expected: float
) -> None:
    """20 participants x 30 prompts, true rate one half, random intercepts in logits.

    Expected: a simulation made beforehand. Pooled Wilson intervals cover .95, .64, .59, .71 here.
    """
    random = np.random.default_rng(20260101)
    repeats, covered = 400, 0
    for _ in range(repeats):
        logits = (random.normal(0, participant_sd, (20, 1)) + random.normal(0, prompt_sd, (1, 30)))
        chosen, participants, prompts = flat(
            (random.random((20, 30)) < 1 / (1 + np.exp(-logits))).tolist()
        )
        interval = clustered_rate(chosen, participants, prompts=prompts).interval
        covered += interval.low <= 0.5 <= interval.high
    error = math.sqrt(expected * (1 - expected) / repeats)
    assert covered / repeats == pytest.approx(expected, abs=4 * error)
