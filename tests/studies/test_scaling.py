"""Bradley-Terry and Thurstone scales against published values, closed forms and a search."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from studies.analysis.clustered import clustered_rate
from studies.analysis.paired import LOGIT, PROBIT, derivatives, fit_scales
from studies.analysis.scaling import Scale, bradley_terry, thurstone

# Stigler (1994), Statist. Sci. 9, 94-108: citations between journals of statistics, cited in rows.
# Fitted by R's BradleyTerry2 1.1 (Turner and Firth 2012, J. Stat. Softw. 48(9)), Biometrika at 0:
# -2.94907 (SE .10255), -.47957 (.06059), .26895 (.07083).
CITED = np.array([[0, 730, 498, 221], [33, 0, 68, 17], [320, 813, 0, 142], [284, 276, 325, 0]])
FITTED = [0, -2.94907, -0.47957, 0.26895]
ERRORS = [0.10255, 0.06059, 0.07083]


def study(scale: np.ndarray, *, num_people: int, num_prompts: int, seed: int,
          sd_people: float = 0.0) -> dict[str, Any]:
    """Everybody compares two random arms about every prompt; arms are named 0, 1, ..."""
    rng = np.random.default_rng(seed)
    people, prompts = (x.ravel() for x in np.indices((num_people, num_prompts)))
    first = rng.integers(0, len(scale), people.size)
    second = (first + rng.integers(1, len(scale), people.size)) % len(scale)
    taste = rng.normal(0, sd_people, (num_people, len(scale))) + scale
    logits = taste[people, first] - taste[people, second]
    is_first = rng.random(people.size) < 1 / (1 + np.exp(-logits))
    return {
        "winners": [str(x) for x in np.where(is_first, first, second)],
        "losers": [str(x) for x in np.where(is_first, second, first)],
        "participants": people.tolist(), "prompts": prompts.tolist(),
    }


def trials(wins: np.ndarray) -> dict[str, Any]:
    """The trials that a table of wins sums up, over 5 participants and 7 prompts in turn."""
    rows, columns = np.indices(wins.shape)
    counts = wins.ravel()
    number = np.arange(counts.sum())
    return {
        "winners": [str(x) for x in np.repeat(rows.ravel(), counts)],
        "losers": [str(x) for x in np.repeat(columns.ravel(), counts)],
        "participants": (number % 5).tolist(), "prompts": (number % 7).tolist(),
    }


def values(scale: Scale) -> dict[str, float]:
    return {arm.arm: arm.value for arm in scale.arms}


def test_bradley_terry_places_journals_where_r_does() -> None:
    found = values(bradley_terry(**trials(CITED), origin="0"))
    assert [found[str(arm)] for arm in range(4)] == pytest.approx(FITTED, abs=5e-6)


def test_our_fit_agrees_and_its_curvature_gives_rs_standard_errors() -> None:
    scales = fit_scales(CITED[None].astype(float), LOGIT)
    assert (scales - scales[:, [0]])[0] == pytest.approx(FITTED, abs=5e-6)
    _, curvature = derivatives(CITED[None].astype(float), scales, link=LOGIT)
    covariance = np.linalg.inv(curvature[0, 1:, 1:])  # With the first arm held at 0.
    assert np.sqrt(np.diag(covariance)) == pytest.approx(ERRORS, abs=5e-6)


def test_thurstone_is_the_most_likely_scale_of_a_search() -> None:
    def loss(x: np.ndarray) -> float:
        scale = np.array([0, *x])
        return float(-np.sum(CITED * norm.logcdf(scale[:, None] - scale)))

    expected = minimize(loss, [0, 0, 0], method="BFGS", options={"gtol": 1e-4}).x
    found = values(thurstone(**trials(CITED), origin="0"))
    assert [found[str(arm)] for arm in (1, 2, 3)] == pytest.approx(expected / 0.6744898, abs=1e-4)


def test_one_jod_is_a_rate_of_three_quarters() -> None:
    wins = np.array([[0, 75], [25, 0]])
    found = thurstone(**trials(wins), origin="1")
    assert values(found)["0"] == pytest.approx(1, abs=1e-9)
    assert found.arms[0].rate_against_origin == pytest.approx(0.75)
    # Bradley-Terry of two arms is the rate's log odds.
    assert values(bradley_terry(**trials(wins), origin="1"))["0"] == pytest.approx(np.log(3))


def test_two_arms_have_the_headlines_standard_error() -> None:
    data = study(np.array([0.4, 0]), num_people=60, num_prompts=60, seed=4, sd_people=0.4)
    chosen = [arm == "0" for arm in data["winners"]]
    rate = clustered_rate(chosen, data["participants"], prompts=data["prompts"])
    best = bradley_terry(**data, origin="1", replicates=4000).arms[0]
    # The delta method: the log odds' derivative is 1 / (p (1 - p)).
    expected = rate.standard_error / (rate.rate * (1 - rate.rate))
    assert best.standard_error == pytest.approx(expected, rel=0.06)


def test_arms_are_sorted_and_the_origin_is_at_zero() -> None:
    data = study(np.array([0.5, -1, 0]), num_people=20, num_prompts=30, seed=1)
    found = bradley_terry(**data, origin="2")
    assert [arm.arm for arm in found.arms] == ["0", "2", "1"]
    origin = found.arms[1]
    assert (origin.value, origin.standard_error, origin.rate_against_origin) == (0, 0, 0.5)
    assert (found.num_participants, found.num_prompts, found.num_trials) == (20, 30, 600)
    assert found.degrees_of_freedom == 19
    assert found == bradley_terry(**data, origin="2")


@pytest.mark.parametrize("sd_people", [0.0, 0.7])
def test_intervals_cover_the_truth(sd_people: float) -> None:
    scale, covered, runs = np.array([0.6, -0.4, 0]), 0, 120
    for seed in range(runs):
        data = study(scale, num_people=20, num_prompts=20, seed=seed, sd_people=sd_people)
        found = bradley_terry(**data, origin="2", replicates=200)
        for arm in found.arms:
            # Averaging over tastes flattens the scale a little; differences of tastes have
            # sqrt(2) times their SD (Zeger, Liang and Albert 1988: factor .346).
            truth = scale[int(arm.arm)] / (1 + 0.346 * 2 * sd_people**2) ** 0.5
            covered += arm.arm != "2" and arm.interval.low <= truth <= arm.interval.high
    share = covered / (2 * runs)
    assert 0.90 <= share <= 1


@pytest.mark.parametrize("place", [bradley_terry, thurstone])
@pytest.mark.parametrize(("wins", "said"), [
    ([[0, 9], [0, 0]], "1 was never chosen over 0"),
    ([[0, 5, 3], [4, 0, 2], [0, 0, 0]], "2 was never chosen over 0"),
    ([[0, 5, 0, 0], [5, 0, 0, 0], [0, 0, 0, 5], [0, 0, 5, 0]], "0 was never chosen over 2"),
])
def test_arms_without_a_finite_distance_are_refused(
    place: Callable[..., Scale], wins: list, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        place(**trials(np.array(wins)), origin="0")


def test_interval_that_most_resamples_cannot_give_is_refused() -> None:
    with pytest.raises(ValueError, match="replicates have an arm that is always chosen"):
        thurstone(**trials(np.array([[0, 30], [1, 0]])), origin="0")


@pytest.mark.parametrize(("winners", "losers", "people", "origin", "said"), [
    ([], [], [], "a", "got 0, 0 and 0"),
    (["a", "b"], ["b"], [1, 2], "a", "got 1 and 2"),
    (["a", "b"], ["b", "b"], [1, 2], "a", "got b"),
    (["a", "b"], ["b", "a"], [1, 1], "a", "participants: 1"),
    (["a", "b"], ["b", "a"], [1, 2], "c", "one of a, b, got c"),
])
def test_impossible_comparisons_are_quoted(
    winners: list[str], losers: list[str], people: list[int], origin: str, said: str
) -> None:
    prompts = list(range(len(winners)))
    with pytest.raises(ValueError, match=said):
        bradley_terry(winners, losers, participants=people, prompts=prompts, origin=origin)


def test_extreme_but_finite_scales_settle() -> None:
    wins = np.array([[[0.0, 1e5], [1, 0]], [[0, 1], [1, 0]]])
    # Two arms in closed form: the link's inverse of the rate.
    odds, probit = np.log(1e5), norm.ppf(1e5 / (1e5 + 1))
    assert np.ptp(fit_scales(wins, LOGIT), axis=1) == pytest.approx([odds, 0], abs=1e-8)
    assert np.ptp(fit_scales(wins, PROBIT), axis=1) == pytest.approx([probit, 0], abs=1e-8)
