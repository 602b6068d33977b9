"""Do people differ from each other, and prompts?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from studies.analysis.betabinomial import BetaBinomial, checked_clusters
from studies.analysis.crossed import Choices, CrossedTrials, Labels, cross
from studies.analysis.rates import Interval, checked_confidence


@dataclass(frozen=True)
class Overdispersion:
    """How much further groups' rates spread than chance alone would have it."""

    mean: float
    correlation: float  # Of two trials of one group, 0 to 1. 0: all groups have one rate.
    interval: Interval  # Of the correlation.
    sd: float  # Of the groups' true rates.
    dispersion: float  # Pearson's chi-square over its degrees of freedom; about 1 by chance.
    p_value: float
    num_groups: int


@dataclass(frozen=True)
class VarianceComponents:
    """Where the variance of a single answer comes from. Squared proportions; none below zero."""

    participants: float
    prompts: float
    residual: float
    num_participants: int
    num_prompts: int
    num_trials: int

    def shares(self) -> tuple[float, float, float]:
        """Participants', prompts' and the residual's share of their sum."""
        total = self.participants + self.prompts + self.residual
        return self.participants / total, self.prompts / total, self.residual / total


def overdispersion(
    wins: Sequence[int], trials: Sequence[int], *, confidence: float = 0.95
) -> Overdispersion:
    """Fit a beta-binomial to groups' counts: participants', or prompts'.

    Parameters
    ----------
    wins, trials : sequence of int
        Choices of the candidate and counted trials of each group.
    confidence : float
        Coverage of the interval, strictly between 0 and 1.

    Returns
    -------
    Overdispersion
        `mean` and `correlation` are the most likely ones, `interval` is by profile likelihood.
        `sd` is sqrt(mean (1 - mean) correlation). `p_value` is of the likelihood ratio against
        equal rates, whose limit is half a point at zero and half a chi-square.

    Raises
    ------
    ValueError
        If there are fewer than two groups, none has two trials, a count is impossible, or all
        answers are the same.

    References
    ----------
    Griffiths (1973), Biometrics 29, 637-648: the likelihood.
    Self and Liang (1987), J. Amer. Stat. Assoc. 82, 605-610: the test at the boundary.
    """
    level = checked_confidence(confidence)
    model = BetaBinomial(wins, trials)
    best = model.fit()
    ratio = max(0.0, 2 * (best.log_likelihood - model.profile(0).log_likelihood))
    won, asked = checked_clusters(wins, trials)
    expected_variance = asked * model.rate * (1 - model.rate)
    pearson = float(np.sum((won - asked * model.rate) ** 2 / expected_variance))
    return Overdispersion(
        mean=best.mean,
        correlation=best.correlation,
        interval=Interval(*model.interval(best, confidence=level)),
        sd=float(np.sqrt(best.mean * (1 - best.mean) * best.correlation)),
        dispersion=pearson / (won.size - 1),
        p_value=0.5 * float(chi2.sf(ratio, 1)) if best.correlation > 0 else 1.0,
        num_groups=won.size,
    )


def variance_components(
    chosen: Choices, participants: Labels, *, prompts: Labels
) -> VarianceComponents:
    """Split the variance of an answer into participants, prompts and the rest.

    By moments, so that any pattern of missing cells will do. A component below zero, which chance
    alone gives about half the time where there is none, is set to zero.

    Parameters
    ----------
    chosen : sequence of bool
        Whether the candidate was chosen, one entry a trial, of one contrast.
    participants, prompts : sequence
        Who answered each trial, and about which prompt.

    Returns
    -------
    VarianceComponents
        The residual holds the interaction of participants and prompts as well.

    Raises
    ------
    ValueError
        If the sequences are impossible, all answers are the same, or the design cannot tell
        participants, prompts and the rest apart.

    References
    ----------
    Gao and Owen (2017), Electron. J. Stat. 11, 1235-1296: the three moments.
    """
    trials = cross(chosen, participants, prompts=prompts)
    if np.ptp(trials.is_chosen) == 0:
        raise ValueError(f"all {trials.is_chosen.size} answers are the same, so there is no "
                         "variance to split")
    matrix, moments = _moments(trials)
    if np.linalg.matrix_rank(matrix) < 3:
        raise ValueError(
            "telling people, prompts and chance apart needs several trials per participant and "
            f"per prompt, got {trials.is_chosen.size} trials of {trials.num_participants} "
            f"participants and {trials.num_prompts} prompts"
        )
    people, texts, rest = np.maximum(np.linalg.solve(matrix, moments), 0).tolist()
    if people + texts + rest == 0:
        raise ValueError("the answers of this design are too few to estimate a variance from")
    return VarianceComponents(people, texts, rest, trials.num_participants, trials.num_prompts,
                              trials.is_chosen.size)


def _moments(trials: CrossedTrials) -> tuple[np.ndarray, np.ndarray]:
    """Expected moments per unit of each component, (3, 3), and the moments themselves, (3,)."""
    answers, total = trials.is_chosen.astype(float), trials.is_chosen.size
    people, prompts = np.bincount(trials.participants), np.bincount(trials.prompts)
    matrix = np.array([
        [0, total - people.size, total - people.size],   # Within participants.
        [total - prompts.size, 0, total - prompts.size],  # Within prompts.
        [total - (people**2).sum() / total, total - (prompts**2).sum() / total, total - 1],
    ])
    moments = np.array([
        _sum_within(answers, trials.participants), _sum_within(answers, trials.prompts),
        float(np.sum((answers - answers.mean()) ** 2)),
    ])
    return matrix, moments


def _sum_within(answers: np.ndarray, clusters: np.ndarray) -> float:
    means = np.bincount(clusters, answers) / np.bincount(clusters)
    return float(np.sum((answers - means[clusters]) ** 2))
