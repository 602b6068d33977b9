"""Gain per step and budgets against the oracle's, by hand."""

import math

import numpy as np
import pytest

from studies.analysis.efficiency import budget_error, gain_per_step


def test_gain_per_step_equals_hand_values() -> None:
    # 12 in 20 steps against 10 in 20: .6 and .5 per step.
    found = gain_per_step([4, 8], [5, 5], budgeted_steps=[5, 15], uniform_steps=[10, 10])
    assert (found.budgeted, found.uniform, found.ratio) == pytest.approx((0.6, 0.5, 1.2))
    # Resampled prompts give (1,1): 4/5 over .5, (2,2): 8/15 over .5, or both.
    assert (found.interval.low, found.interval.high) == pytest.approx((16 / 15, 1.6))


def test_interval_covers_the_true_ratio() -> None:
    rng, covered = np.random.default_rng(0), 0
    for seed in range(200):
        steps = rng.integers(5, 30, 60)
        uniform, ours = rng.normal(2, 0.5, 60), rng.normal(2.2, 0.5, 60)
        found = gain_per_step(ours, uniform, budgeted_steps=steps, uniform_steps=steps, seed=seed)
        covered += found.interval.low <= 1.1 <= found.interval.high
    assert 0.90 <= covered / 200 <= 0.99


def test_budget_error_equals_hand_values() -> None:
    # Errors 2, -1, 5, 0: mean 1.5, SD sqrt((.25 + 6.25 + 12.25 + 2.25) / 3).
    found = budget_error([12, 9, 20, 30], [10, 10, 15, 30])
    assert (found.mean_error, found.mean_absolute_error) == (1.5, 2)
    assert found.median_absolute_error == 1.5
    assert (found.share_too_few, found.share_close) == (0.25, 0.75)
    # t(3) at 97.5% is 3.182446 (tables).
    assert found.interval is not None
    half = 3.182446 * math.sqrt(21 / 3) / 2
    assert found.interval.high == pytest.approx(1.5 + half, abs=1e-5)
    # Ranks 2 1 3 4 and 1.5 1.5 3 4: covariance 4.5 over sqrt(5 * 4.5).
    assert found.rank_correlation == pytest.approx(4.5 / math.sqrt(5 * 4.5))


def test_budgets_that_do_not_vary_have_no_correlation() -> None:
    found = budget_error([10, 10, 10], [8, 9, 10])
    assert found.rank_correlation is None
    assert budget_error([5, 6], [5, 6]).interval is None


@pytest.mark.parametrize(("columns", "said"), [
    (([], [], [], []), "got 0, 0, 0, 0"),
    (([1, 2], [1], [1, 2], [1, 2]), "got 2, 1, 2, 2"),
    (([1, math.nan], [1, 1], [1, 2], [1, 2]), "got nan"),
    (([1, 1], [1, 1], [0, 2], [1, 2]), r"at least 1 step, got 0\.0"),
    (([1, 1], [0, 0], [1, 2], [1, 2]), "gained too little to compare with: 0 over 2 prompts"),
    (([1, 1], [9, -1], [1, 2], [1, 2]), "gained too little"),
])
def test_impossible_gains_are_quoted(columns: tuple, said: str) -> None:
    ours, uniform, our_steps, uniform_steps = columns
    with pytest.raises(ValueError, match=said):
        gain_per_step(ours, uniform, budgeted_steps=our_steps, uniform_steps=uniform_steps)


def test_single_budget_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 prompts, got 1, 1"):
        budget_error([5], [5])
