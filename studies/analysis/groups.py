"""The headline once more for every category, contrast or session."""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from studies.analysis.clustered import ClusteredRate, clustered_rate
from studies.analysis.crossed import Choices, Labels, cross, number_clusters
from studies.analysis.rates import PooledPreference, pooled_preference


@dataclass(frozen=True)
class GroupRate:
    """One group's rate: clustered, or the reason why its data cannot give that."""

    group: Hashable
    num_participants: int
    num_prompts: int
    pooled: PooledPreference
    clustered: ClusteredRate | None
    reason: str  # Empty if there is a clustered rate.


def rates_by(
    chosen: Choices,
    participants: Labels,
    *,
    prompts: Labels,
    groups: Labels,
    confidence: float = 0.95,
) -> list[GroupRate]:
    """Estimate each group's rate from its own trials alone.

    Parameters
    ----------
    chosen, participants, prompts : sequence
        As for `clustered_rate`.
    groups : sequence
        The category, contrast or session of each trial. For single prompts use
        `shrunken_rates`.
    confidence : float
        Coverage of the intervals, strictly between 0 and 1.

    Returns
    -------
    list of GroupRate
        In order of first appearance.

    Raises
    ------
    ValueError
        If there is no trial, or the sequences differ in length.
    """
    trials = cross(chosen, participants, prompts=prompts)
    if len(groups) != trials.is_chosen.size:
        raise ValueError(f"expected as many groups as choices, got {len(groups)} and "
                         f"{trials.is_chosen.size}")
    numbers, _ = number_clusters(groups)
    labels = groups.tolist() if isinstance(groups, np.ndarray) else groups
    order = np.argsort(numbers, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(numbers))[:-1])
    return [
        _group_rate(labels[rows[0]], trials.is_chosen[rows], trials.participants[rows],
                    prompts=trials.prompts[rows], confidence=confidence)
        for rows in members
    ]


def _group_rate(group: Hashable, chosen: np.ndarray, participants: np.ndarray, *,
                prompts: np.ndarray, confidence: float) -> GroupRate:
    clustered, reason = None, ""
    try:
        clustered = clustered_rate(chosen, participants, prompts=prompts, confidence=confidence)
    except ValueError as error:
        reason = str(error)
    pooled = pooled_preference(int(chosen.sum()), chosen.size, confidence=confidence)
    return GroupRate(group, np.unique(participants).size, np.unique(prompts).size, pooled,
                     clustered, reason)
