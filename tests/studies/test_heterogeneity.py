"""Overdispersion and variance components against scipy, hand values and known truths."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import comb
from scipy.stats import betabinom

from studies.analysis.betabinomial import BetaBinomial
from studies.analysis.heterogeneity import overdispersion, variance_components
from tests.studies.test_clustered import flat

WINS, TRIALS = [3, 9, 0, 7, 5, 10, 2, 6], [10, 12, 8, 9, 10, 11, 10, 7]


def test_likelihood_is_that_of_scipy_but_for_the_binomial_coefficients() -> None:
    model = BetaBinomial(WINS, TRIALS)
    for mean, rho in ((0.5, 0.2), (0.31, 0.05), (0.8, 0.7)):
        strength = (1 - rho) / rho
        expected = betabinom.logpmf(WINS, TRIALS, mean * strength, (1 - mean) * strength).sum()
        found = model.log_likelihood(mean, rho) + np.log(comb(TRIALS, WINS)).sum()
        assert found == pytest.approx(expected, abs=1e-9)


def test_fit_is_the_most_likely_one_of_a_search_with_scipy() -> None:
    def loss(x: np.ndarray) -> float:
        return float(-betabinom.logpmf(WINS, TRIALS, np.exp(x[0]), np.exp(x[1])).sum())

    a, b = np.exp(minimize(loss, [0, 0], method="Nelder-Mead",
                           options={"xatol": 1e-8, "fatol": 1e-10}).x)
    found = overdispersion(WINS, TRIALS)
    assert found.mean == pytest.approx(a / (a + b), abs=1e-4)
    assert found.correlation == pytest.approx(1 / (a + b + 1), abs=1e-4)
    assert found.interval.low < found.correlation < found.interval.high
    assert found.p_value < 0.001


def test_profile_interval_ends_where_the_deviance_says() -> None:
    model, found = BetaBinomial(WINS, TRIALS), overdispersion(WINS, TRIALS)
    for end in (found.interval.low, found.interval.high):
        drop = model.fit().log_likelihood - model.profile(end).log_likelihood
        assert 2 * drop == pytest.approx(3.841459, abs=1e-4)  # Chi-square's 95% point (tables).


def test_equal_rates_show_no_overdispersion() -> None:
    found = overdispersion([5, 5, 5, 5], [10, 10, 10, 10])
    assert (found.correlation, found.p_value, found.interval.low) == (0, 1, 0)
    assert found.dispersion == 0
    assert found.mean == 0.5


def test_perfect_separation_is_full_correlation() -> None:
    found = overdispersion([10, 10, 0, 0], [10] * 4)
    assert found.correlation > 0.99
    assert found.interval.high == 1
    # Pearson: 4 groups of 5^2 / 2.5 = 40, over 3.
    assert found.dispersion == pytest.approx(40 / 3)


@pytest.mark.parametrize(("wins", "trials", "said"), [
    ([], [], "got 0 and 0"),
    ([1], [1, 2], "got 1 and 2"),
    ([3], [5], "got 1 groups of at most 5"),
    ([1, 0], [1, 1], "got 2 groups of at most 1"),
    ([5, 5], [5, 5], "all 10 answers are the same"),
    ([6, 1], [5, 5], "got 6 of 5"),
    ([1, 0.5], [5, 5], r"got 0\.5 of 5"),
])
def test_what_says_nothing_of_spread_is_refused(
    wins: list[int], trials: list[int], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        overdispersion(wins, trials)


def test_components_of_a_full_table_are_those_of_the_analysis_of_variance() -> None:
    # Two-way ANOVA of a 4 x 5 table: (MS_rows - MS_rest) / 5, (MS_columns - MS_rest) / 4, MS_rest.
    table = np.array([[1, 1, 1, 0, 1], [0, 0, 0, 0, 1], [1, 0, 1, 1, 1], [0, 0, 0, 0, 1]])
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    rest = table - rows[:, None] - columns + table.mean()
    ms_rest = (rest**2).sum() / 12
    ms_rows, ms_columns = 5 * rows.var(ddof=1), 4 * columns.var(ddof=1)
    chosen, participants, prompts = flat(table.tolist())
    found = variance_components(chosen, participants, prompts=prompts)
    assert found.participants == pytest.approx((ms_rows - ms_rest) / 5)
    assert found.prompts == pytest.approx((ms_columns - ms_rest) / 4)
    assert found.residual == pytest.approx(ms_rest)
    assert sum(found.shares()) == pytest.approx(1)


def test_components_are_found_again_though_cells_are_missing() -> None:
    # Uniform rates about people and prompts: SD .2 and .1, their variances .04 and .01.
    random = np.random.default_rng(11)
    people = random.uniform(-1, 1, (300, 1)) * 0.2 * 3**0.5
    prompts = random.uniform(-1, 1, (1, 200)) * 0.1 * 3**0.5
    seen = random.random((300, 200)) < 0.4
    answers = random.random((300, 200)) < 0.5 + people + prompts
    who, what = np.nonzero(seen)
    found = variance_components(answers[seen], who, prompts=what)
    assert found.participants == pytest.approx(0.04, rel=0.15)
    assert found.prompts == pytest.approx(0.01, rel=0.25)
    assert found.residual == pytest.approx(0.20, rel=0.05)


@pytest.mark.parametrize(("table", "said"), [
    ([[1, 1], [1, 1]], "all 4 answers are the same"),
    ([[1, 0, 1]], "1 participants and 3 prompts"),
    ([[1], [0]], "2 participants and 1 prompts"),
])
def test_designs_that_cannot_tell_components_apart_are_refused(
    table: list[list[int]], said: str
) -> None:
    chosen, participants, prompts = flat(table)
    with pytest.raises(ValueError, match=said):
        variance_components(chosen, participants, prompts=prompts)
