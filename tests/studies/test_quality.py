"""Repeats, catch trials, response times and trends, against hand values."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from studies.analysis.consistency import catch_performance, repeat_consistency
from studies.analysis.learning import learning
from studies.analysis.rates import pooled_preference
from studies.analysis.response_times import response_times


def test_repeats_are_counted_against_chance() -> None:
    # Same in 4 of 5. First .6, again .8: .6 * .8 + .4 * .2 = .56.
    found = repeat_consistency([1, 1, 0, 0, 1], [1, 1, 0, 1, 1], participants="aabbb")
    assert (found.num_same, found.num_repeats, found.rate) == (4, 5, 0.8)
    assert found.by_chance == pytest.approx(0.56)
    assert found.participant_rates == pytest.approx([1, 2 / 3])
    assert found.wilson == pooled_preference(4, 5).wilson


def test_catch_trials_are_counted_per_participant() -> None:
    found = catch_performance([1, 1, 1, 1, 0, 0, 1], "aaaaabb")
    assert (found.num_correct, found.num_trials) == (5, 7)
    assert found.participant_rates == [0.8, 0.5]
    assert found.num_below == 1  # Exactly 80% is enough.


@pytest.mark.parametrize(("compute", "said"), [
    (lambda: repeat_consistency([], [], participants=[]), "got 0, 0 and 0"),
    (lambda: repeat_consistency([1], [1, 0], participants=[1]), "got 1, 2 and 1"),
    (lambda: catch_performance([], []), "got 0 and 0"),
    (lambda: catch_performance([1], [1], least=80), "got 80"),
    (lambda: response_times([], []), "got 0 and 0"),
    (lambda: response_times([0.0], [1]), r"got 0\.0"),
    (lambda: response_times([math.inf], [1]), "got inf"),
    (lambda: learning([], [], trial_indexes=[]), "got 0, 0 and 0"),
    (lambda: learning([math.nan, 1], [1, 1], trial_indexes=[1, 2]), "got nan"),
    (lambda: learning([1, 0], [1, 1], trial_indexes=[1, 2]), "got 1"),
    (lambda: learning([1, 0], [1, 2], trial_indexes=[1, 2]), "got 0"),
    (lambda: learning([1, 1, 1, 1], [1, 1, 2, 2], trial_indexes=[1, 2, 1, 2]), "same trend, 0"),
    (lambda: learning([1, 0], [1, 1], trial_indexes=[1, 2], num_blocks=0), "got 0"),
])
def test_what_cannot_be_told_is_refused(compute: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        compute()


def test_response_times_equal_hand_values() -> None:
    found = response_times([100, 200, 400, 800, 1600], [1, 1, 2, 2, 2])
    assert (found.mean_ms, found.median_ms, found.geometric_mean_ms) == pytest.approx(
        (620, 400, 400))
    assert (found.fastest_ms, found.p25_ms, found.p75_ms, found.slowest_ms) == (100, 200, 800, 1600)
    # Deviations 520, 420, 220, 180, 980: squares sum to 1,488,000.
    assert found.sd_ms == pytest.approx(math.sqrt(1_488_000 / 4))
    assert found.num_fast == 2  # 400 itself is not too fast.
    assert found.participant_medians_ms == [150, 800]
    assert response_times([700], ["a"]).sd_ms is None


def test_histogram_counts_every_time_between_common_edges() -> None:
    found = response_times([100, 101, 1000, 999.9], [1, 1, 1, 1])
    counts, edges = found.histogram_counts, found.histogram_edges_ms
    assert sum(counts) == 4
    assert len(edges) == len(counts) + 1
    assert counts[0] == 2
    assert edges[0] == pytest.approx(100)
    assert edges[8] == pytest.approx(1000)  # Eight to the decade.


def test_trend_within_participants_equals_hand_values() -> None:
    # Trials 1 to 3. a: 0 1 2 (slope 1), b: 5 5 5 (slope 0), whatever their levels.
    # Within: x = -1 0 1, sum of squares 4, sum xy 2: slope .5 per trial.
    # Scores: a 2 - .5 * 2 = 1, b -1. Variance (1 + 1) * 2 / 1 / 16 = .25, error .5 per trial.
    found = learning([0, 1, 2, 5, 5, 5], "aaabbb", trial_indexes=[1, 2, 3, 1, 2, 3], num_blocks=3)
    assert (found.slope, found.standard_error) == pytest.approx((5, 5))  # Per ten trials.
    assert found.degrees_of_freedom == 1
    assert found.p_value == pytest.approx(0.5)  # Cauchy: t = 1 is its upper quartile.
    # t(1) at 97.5% is 12.7062 (tables).
    assert found.interval.high == pytest.approx(5 + 5 * 12.7062, abs=1e-3)
    assert [block.mean for block in found.blocks] == [2.5, 3, 3.5]
    assert [block.num_trials for block in found.blocks] == [2, 2, 2]


def test_error_of_a_trend_is_that_of_statsmodels() -> None:
    statsmodels = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(4)
    people, index = (x.ravel() for x in np.indices((6, 15)))
    y = rng.normal(0, 1, 90) + people + 0.02 * index * rng.normal(1, 1, 6)[people]
    design = np.column_stack([index / 10, people[:, None] == np.arange(6)]).astype(float)
    fit = statsmodels.OLS(y, design).fit(cov_type="cluster", cov_kwds={
        "groups": people, "use_correction": False})
    found = learning(y, people, trial_indexes=index)
    assert found.slope == pytest.approx(fit.params[0], abs=1e-10)
    assert found.standard_error == pytest.approx(fit.bse[0] * math.sqrt(6 / 5), rel=1e-9)


def test_who_stops_early_makes_no_trend() -> None:
    # Those who like the candidate leave after 5 trials; nobody changes.
    rng = np.random.default_rng(0)
    people = np.concatenate([np.repeat(np.arange(50), 5), np.repeat(np.arange(50, 100), 40)])
    index = np.concatenate([np.tile(np.arange(5), 50), np.tile(np.arange(40), 50)])
    found = learning(rng.random(people.size) < np.where(people < 50, 0.8, 0.3), people,
                     trial_indexes=index)
    assert found.interval.low < 0 < found.interval.high
    assert [block.num_participants for block in found.blocks] == [100] * 4


def test_order_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    people, index = (x.ravel() for x in np.indices((5, 9)))
    y, order = rng.random(45), rng.permutation(45)
    found = learning(y, people, trial_indexes=index)
    shuffled = learning(y[order], people[order], trial_indexes=index[order])
    assert shuffled.slope == pytest.approx(found.slope)
    assert shuffled.standard_error == pytest.approx(found.standard_error)
    assert [b.mean for b in shuffled.blocks] == pytest.approx([b.mean for b in found.blocks])
