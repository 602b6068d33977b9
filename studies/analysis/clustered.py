"""The headline: a rate whose interval allows for repeated participants and repeated prompts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from studies.analysis.crossed import Choices, CrossedTrials, Labels, cross
from studies.analysis.rates import CHANCE_LEVEL, Interval, checked_confidence


@dataclass(frozen=True)
class ClusterTerms:
    """The rate's one-way cluster variances, without a small-sample factor."""

    participants: float
    prompts: float
    cells: float  # A cell is one participant's trials of one prompt.


@dataclass(frozen=True)
class ClusteredRate:
    """A rate, its standard error clustered by participant and prompt, and its t interval."""

    rate: float
    standard_error: float
    interval: Interval
    degrees_of_freedom: int
    p_value: float
    num_participants: int
    num_prompts: int
    num_trials: int


def clustered_rate(
    chosen: Choices,
    participants: Labels,
    *,
    prompts: Labels,
    confidence: float = 0.95,
) -> ClusteredRate:
    """Estimate how often the candidate is chosen, generalising to other people and prompts.

    The variance is participants + prompts - cells, the two one-way terms with their n/(n - 1)
    factor, and never below the larger of these two: the difference may otherwise come out too
    small, even negative. The floor is our choice.

    Parameters
    ----------
    chosen : sequence of bool
        Whether the candidate was chosen, one entry a trial.
    participants, prompts : sequence
        Who answered each trial, and about which prompt.
    confidence : float
        Coverage of the interval, strictly between 0 and 1.

    Returns
    -------
    ClusteredRate
        `rate` and `interval` are proportions; the interval, of t with
        min(participants, prompts) - 1 degrees of freedom, is cut at 0 and 1, which costs no
        coverage. `p_value` is two-sided against `CHANCE_LEVEL`.

    Raises
    ------
    ValueError
        If the sequences differ in length, there are fewer than two participants or prompts, or
        every participant and every prompt has the same rate.

    References
    ----------
    Cameron, Gelbach and Miller (2011), J. Bus. Econ. Stat. 29, 238-249: two-way clustering.
    """
    level = checked_confidence(confidence)
    trials = cross(chosen, participants, prompts=prompts)
    num_participants, num_prompts = trials.num_participants, trials.num_prompts
    freedom = degrees_of_freedom(num_participants, num_prompts)
    rate = float(trials.is_chosen.mean())
    terms = spread_terms(trials)
    error = float(np.sqrt(two_way_variance(terms, num_participants, num_prompts)))
    return ClusteredRate(
        rate=rate,
        standard_error=error,
        interval=clustered_interval(rate, error, freedom=freedom, confidence=level),
        degrees_of_freedom=freedom,
        p_value=float(2 * student.sf(abs(rate - CHANCE_LEVEL) / error, freedom)),
        num_participants=num_participants,
        num_prompts=num_prompts,
        num_trials=trials.is_chosen.size,
    )


def cluster_terms(chosen: Choices, participants: Labels, *, prompts: Labels) -> ClusterTerms:
    """Return the three one-way variances that two-way clustering is made of.

    Parameters
    ----------
    chosen, participants, prompts : sequence
        As for `clustered_rate`.

    Returns
    -------
    ClusterTerms
        Each is the sum over clusters of the squared sum of residuals, over the squared number of
        trials: squared proportions, without a small-sample factor.

    Raises
    ------
    ValueError
        If there is no trial, or the sequences differ in length.

    References
    ----------
    Liang and Zeger (1986), Biometrika 73, 13-22: the one-way term.
    """
    return trial_terms(cross(chosen, participants, prompts=prompts))


def trial_terms(trials: CrossedTrials) -> ClusterTerms:
    """Return what `cluster_terms` does, of trials that are numbered already."""
    wins = trials.is_chosen
    return ClusterTerms(
        participants=_one_way(wins, trials.participants),
        prompts=_one_way(wins, trials.prompts),
        cells=_one_way(wins, trials.cells()),
    )


def spread_terms(trials: CrossedTrials) -> ClusterTerms:
    """Return `trial_terms`, or raise ValueError if neither participants nor prompts differ."""
    terms = trial_terms(trials)
    if terms.participants == terms.prompts == 0:
        raise ValueError(
            f"all {trials.num_participants} participants and all {trials.num_prompts} prompts "
            f"have the same rate, {trials.is_chosen.mean():.1%}, so there is no spread to make "
            "an interval of"
        )
    return terms


def two_way_variance(terms: ClusterTerms, num_participants: int, num_prompts: int) -> float:
    """The two-way variance, each one-way term with its n/(n - 1), never below the larger one."""
    people = terms.participants * num_participants / (num_participants - 1)
    prompts = terms.prompts * num_prompts / (num_prompts - 1)
    return max(people + prompts - terms.cells, people, prompts)


def degrees_of_freedom(num_participants: int, num_prompts: int) -> int:
    """The smaller count less one; raise ValueError if there are fewer than two of either."""
    if min(num_participants, num_prompts) < 2:
        raise ValueError(
            "an interval over participants and prompts needs at least 2 of each, "
            f"got participants: {num_participants}, prompts: {num_prompts}"
        )
    return min(num_participants, num_prompts) - 1


def clustered_interval(
    rate: float, error: float, *, freedom: int, confidence: float
) -> Interval:
    """The t interval of a proportion, cut at 0 and 1."""
    margin = float(student.ppf((1 + confidence) / 2, freedom)) * error
    return Interval(max(0.0, rate - margin), min(1.0, rate + margin))


def _one_way(wins: NDArray[np.int64], clusters: NDArray[np.intp]) -> float:
    sizes = np.bincount(clusters)                       # (clusters,)
    won = np.bincount(clusters[wins == 1], minlength=sizes.size)
    # A cluster's residuals times all trials, in whole numbers: equal rates give exactly zero.
    residuals = won * wins.size - sizes * int(wins.sum())
    return float(np.sum((residuals / wins.size) ** 2) / wins.size**2)
