"""The headline: a rate whose interval allows for repeated participants and repeated prompts."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

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
    chosen: Sequence[bool],
    participants: Sequence[Hashable],
    *,
    prompts: Sequence[Hashable],
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
    terms = cluster_terms(chosen, participants, prompts=prompts)
    num_participants, num_prompts = len(set(participants)), len(set(prompts))
    if min(num_participants, num_prompts) < 2:
        raise ValueError(
            "an interval over participants and prompts needs at least 2 of each, "
            f"got participants: {num_participants}, prompts: {num_prompts}"
        )
    error = float(np.sqrt(_floored(terms, num_participants, num_prompts)))
    if error == 0:
        raise ValueError(
            f"all {num_participants} participants and all {num_prompts} prompts have the same "
            f"rate, {np.mean(chosen):.1%}, so there is no spread to make an interval of"
        )
    rate, freedom = float(np.mean(chosen)), min(num_participants, num_prompts) - 1
    margin = float(student.ppf((1 + level) / 2, freedom)) * error
    return ClusteredRate(
        rate=rate,
        standard_error=error,
        interval=Interval(max(0.0, rate - margin), min(1.0, rate + margin)),
        degrees_of_freedom=freedom,
        p_value=float(2 * student.sf(abs(rate - CHANCE_LEVEL) / error, freedom)),
        num_participants=num_participants,
        num_prompts=num_prompts,
        num_trials=len(chosen),
    )


def cluster_terms(
    chosen: Sequence[bool], participants: Sequence[Hashable], *, prompts: Sequence[Hashable]
) -> ClusterTerms:
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
    if not 0 < len(chosen) == len(participants) == len(prompts):
        raise ValueError(
            "expected as many choices, participants and prompts, and at least one of each, "
            f"got {len(chosen)}, {len(participants)} and {len(prompts)}"
        )
    wins = np.asarray(chosen, dtype=bool).astype(np.int64)
    cells = list(zip(participants, prompts, strict=True))
    return ClusterTerms(
        participants=_one_way(wins, participants),
        prompts=_one_way(wins, prompts),
        cells=_one_way(wins, cells),
    )


def _one_way(wins: np.ndarray, clusters: Sequence[Hashable]) -> float:
    numbers: dict[Hashable, int] = {}
    labels = np.array([numbers.setdefault(cluster, len(numbers)) for cluster in clusters])
    sizes = np.bincount(labels)                         # (clusters,)
    won = np.bincount(labels[wins == 1], minlength=len(numbers))
    # A cluster's residuals times all trials, in whole numbers: equal rates give exactly zero.
    residuals = won * wins.size - sizes * int(wins.sum())
    return float(np.sum((residuals / wins.size) ** 2) / wins.size**2)


def _floored(terms: ClusterTerms, num_participants: int, num_prompts: int) -> float:
    """The two-way variance, each one-way term with its n/(n - 1), never below the larger one."""
    people = terms.participants * num_participants / (num_participants - 1)
    prompts = terms.prompts * num_prompts / (num_prompts - 1)
    return max(people + prompts - terms.cells, people, prompts)
