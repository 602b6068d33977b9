"""Rates of single prompts or categories, drawn towards all others' mean where trials are few."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc
from statsmodels.stats.proportion import proportion_confint

from studies.analysis.betabinomial import MOST_CORRELATION, BetaBinomial, checked_clusters
from studies.analysis.rates import Interval, checked_confidence

_GRID = 40  # Correlations to average over.
_GRID_CONFIDENCE = 0.9999  # What lies beyond weighs nothing.
_BISECTIONS = 40  # Down to 1e-12.


@dataclass(frozen=True)
class ShrunkenRate:
    """One group: its own rate as if it were alone, and what all groups together make of it."""

    wins: int
    trials: int
    rate: float
    wilson: Interval
    shrunken: float
    interval: Interval  # Of the group's true rate, given all groups.


def shrunken_rates(
    wins: Sequence[int], trials: Sequence[int], *, confidence: float = 0.95
) -> list[ShrunkenRate]:
    """Estimate every group's rate, borrowing from the others as much as the groups are alike.

    Three trials of a prompt say little, and the prompts with the most extreme rates are mostly
    those with the fewest trials. The groups' true rates are taken to follow one beta
    distribution. Its spread is averaged over, under a uniform prior of the correlation of two
    trials of one group, with the most likely mean for each; this averaging is our heuristic.

    Parameters
    ----------
    wins, trials : sequence of int
        Choices of the candidate and counted trials of each group.
    confidence : float
        Coverage of the intervals, strictly between 0 and 1.

    Returns
    -------
    list of ShrunkenRate
        In the order given; proportions. `interval` is a credible interval of equal tails.

    Raises
    ------
    ValueError
        If there are fewer than two groups, none has two trials, a count is impossible, or all
        answers are the same.

    References
    ----------
    Griffiths (1973), Biometrics 29, 637-648: the beta-binomial likelihood.
    Efron and Morris (1975), J. Amer. Stat. Assoc. 70, 311-319: borrowing from the other groups.
    """
    level = checked_confidence(confidence)
    prior = _prior(BetaBinomial(wins, trials))
    won, asked = checked_clusters(wins, trials)
    # Many groups have the same counts; each kind is worked out once.
    kinds, kind_of = np.unique(np.stack([won, asked]), axis=1, return_inverse=True)
    lows, highs = proportion_confint(kinds[0], kinds[1], alpha=1 - level, method="wilson")
    means, ends = _posterior(kinds[0], kinds[1], prior=prior, confidence=level)
    found = [
        ShrunkenRate(int(w), int(n), float(w / n), Interval(float(lows[k]), float(highs[k])),
                     float(means[k]), Interval(float(ends[0][k]), float(ends[1][k])))
        for k, (w, n) in enumerate(kinds.T)
    ]
    return [found[kind] for kind in kind_of]


Prior = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _prior(model: BetaBinomial) -> Prior:
    """Parameters a and b of beta distributions, and how much each counts, shape (G,) each."""
    low, high = model.interval(model.fit(), confidence=_GRID_CONFIDENCE)
    high = min(high, MOST_CORRELATION)
    fits = [model.profile(low + (high - low) * (place + 0.5) / _GRID) for place in range(_GRID)]
    mean = np.array([fit.mean for fit in fits])
    strength = np.array([(1 - fit.correlation) / fit.correlation for fit in fits])
    likelihoods = np.array([fit.log_likelihood for fit in fits])
    weights = np.exp(likelihoods - likelihoods.max())
    return mean * strength, (1 - mean) * strength, weights / weights.sum()


def _posterior(
    won: NDArray[np.int64], asked: NDArray[np.int64], *, prior: Prior, confidence: float
) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """Mean of each kind of group, shape (K,), and the two ends of its interval."""
    a = prior[0] + won[:, None]                         # (K, G)
    b = prior[1] + (asked - won)[:, None]
    means = (a / (a + b)) @ prior[2]
    ends = []
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        low, high = np.zeros(won.size), np.ones(won.size)
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            is_below = betainc(a, b, middle[:, None]) @ prior[2] < tail
            low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
        ends.append((low + high) / 2)
    return means, ends
