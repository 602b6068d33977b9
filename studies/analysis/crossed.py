"""Trials crossed by participant and prompt: what every clustered statistic starts from."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Choices = Sequence[int] | NDArray[Any]  # True and false, or 1 and 0.
Labels = Sequence[Hashable] | NDArray[Any]


@dataclass(frozen=True, eq=False)
class CrossedTrials:
    """One entry a trial. Participants and prompts are numbered from 0."""

    is_chosen: NDArray[np.int64]  # (trials,), 0 or 1
    participants: NDArray[np.intp]  # (trials,)
    prompts: NDArray[np.intp]  # (trials,)
    num_participants: int
    num_prompts: int

    def cells(self) -> NDArray[np.intp]:
        """Number each trial's cell: one participant's trials of one prompt."""
        pairs = self.participants * self.num_prompts + self.prompts
        return np.unique(pairs, return_inverse=True)[1]


def cross(chosen: Choices, participants: Labels, *, prompts: Labels) -> CrossedTrials:
    """Number the participants and prompts of all trials.

    Parameters
    ----------
    chosen : sequence of bool
        Whether the candidate was chosen, one entry a trial; 0 and 1 do as well.
    participants, prompts : sequence
        Who answered each trial, and about which prompt.

    Returns
    -------
    CrossedTrials
        Numbers are given in order of first appearance.

    Raises
    ------
    ValueError
        If there is no trial, the sequences differ in length, or a choice is neither 0 nor 1.
    """
    if not 0 < len(chosen) == len(participants) == len(prompts):
        raise ValueError(
            "expected as many choices, participants and prompts, and at least one of each, "
            f"got {len(chosen)}, {len(participants)} and {len(prompts)}"
        )
    people, num_people = number_clusters(participants)
    texts, num_prompts = number_clusters(prompts)
    return CrossedTrials(checked_choices(chosen), people, texts, num_people, num_prompts)


def number_clusters(labels: Labels) -> tuple[NDArray[np.intp], int]:
    """Number labels from 0 in order of first appearance; return the numbers and how many."""
    # A list hashes several times faster than an array's scalars.
    values: Sequence[Hashable] = labels.tolist() if isinstance(labels, np.ndarray) else labels
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    found = np.fromiter(map(numbers.__getitem__, values), dtype=np.intp, count=len(values))
    return found, len(numbers)


def checked_choices(chosen: Choices) -> NDArray[np.int64]:
    """Return choices as 0 and 1, or raise ValueError quoting the first that is neither."""
    values = np.asarray(chosen)
    if values.dtype != bool:
        # A missing answer read back from a table is NaN, which as a bool would be a choice.
        wrong = list(values[~np.isin(values, (0, 1))])
        if wrong:
            raise ValueError(f"a choice must be true or false, got {wrong[0]}")
    return values.astype(np.int64)
