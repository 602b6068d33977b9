"""The beta-binomial model of clusters whose rates differ."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import chi2

# Our cut: beyond it every cluster answers in one way only, and the likelihood is flat.
MOST_CORRELATION = 0.999


@dataclass(frozen=True)
class Fit:
    """The most likely mean rate and correlation of two trials of one cluster."""

    mean: float
    correlation: float
    log_likelihood: float


class BetaBinomial:
    """The likelihood of clusters' counts as a function of mean rate and correlation.

    The correlation rho of two trials of one cluster lies from 0 (binomial) to 1; the beta
    distribution's parameters are a = mean / gamma and b = (1 - mean) / gamma with
    gamma = rho / (1 - rho). Written as products over single trials, which unlike gamma functions
    stay exact down to rho = 0.

    Parameters
    ----------
    wins, trials : sequence of int
        Per cluster. At least two clusters, at least one of them with two trials, and both answers
        given at least once.

    References
    ----------
    Griffiths (1973), Biometrics 29, 637-648: the beta-binomial likelihood as products.
    """

    def __init__(self, wins: Sequence[int], trials: Sequence[int]) -> None:
        won, asked = checked_clusters(wins, trials)
        if won.size < 2 or asked.max() < 2:
            raise ValueError("a spread of rates needs at least 2 groups, one of them with 2 "
                             f"trials, got {won.size} groups of at most {asked.max()}")
        if won.sum() in (0, asked.sum()):
            raise ValueError(f"all {asked.sum()} answers are the same, so nothing is known of "
                             "how rates differ")
        self.rate = float(won.sum() / asked.sum())
        self._place = np.arange(asked.max())
        # How many clusters have more than k trials won, lost, and in all.
        self._won, self._lost, self._asked = (
            np.bincount(counts, minlength=asked.max() + 1)[::-1].cumsum()[::-1][1:]
            for counts in (won, asked - won, asked)
        )

    def log_likelihood(self, mean: float, correlation: float) -> float:
        """Without the binomial coefficients, which depend on neither."""
        steps = correlation / (1 - correlation) * self._place
        return float(self._won @ np.log(mean + steps) + self._lost @ np.log(1 - mean + steps)
                     - self._asked @ np.log1p(steps))

    def profile(self, correlation: float) -> Fit:
        """Fit the mean at a given correlation."""
        if correlation == 0:
            return Fit(self.rate, 0.0, self.log_likelihood(self.rate, 0.0))
        found = minimize_scalar(lambda mean: -self.log_likelihood(mean, correlation),
                                bounds=(1e-9, 1 - 1e-9), method="bounded",
                                options={"xatol": 1e-9})
        return Fit(float(found.x), correlation, -float(found.fun))

    def fit(self) -> Fit:
        """Fit both."""
        found = minimize_scalar(lambda rho: -self.profile(rho).log_likelihood,
                                bounds=(0, MOST_CORRELATION), method="bounded",
                                options={"xatol": 1e-7})
        none, best = self.profile(0), self.profile(float(found.x))
        return best if best.log_likelihood > none.log_likelihood + 1e-9 else none

    def interval(self, best: Fit, *, confidence: float) -> tuple[float, float]:
        """The correlations whose profile likelihood is not too far below the best one's."""
        lowest = best.log_likelihood - float(chi2.ppf(confidence, 1)) / 2

        def excess(correlation: float) -> float:
            return self.profile(correlation).log_likelihood - lowest

        low, high = 0.0, 1.0
        if excess(0) < 0:
            low = float(brentq(excess, 0, best.correlation))
        if excess(MOST_CORRELATION) < 0:
            high = float(brentq(excess, best.correlation, MOST_CORRELATION))
        return low, high


def checked_clusters(
    wins: Sequence[int], trials: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return wins and trials per cluster, or raise ValueError quoting what is impossible."""
    if not 0 < len(wins) == len(trials):
        raise ValueError("expected as many wins as trials and at least one of each, "
                         f"got {len(wins)} and {len(trials)}")
    won, asked = np.asarray(wins, dtype=float), np.asarray(trials, dtype=float)
    is_whole = (won == np.floor(won)) & (asked == np.floor(asked))
    wrong = np.flatnonzero(~(is_whole & (asked >= 1) & (won >= 0) & (won <= asked)))
    if wrong.size:
        raise ValueError("expected whole numbers with 0 <= wins <= trials and trials >= 1, "
                         f"got {wins[wrong[0]]} of {trials[wrong[0]]}")
    return won.astype(np.int64), asked.astype(np.int64)
