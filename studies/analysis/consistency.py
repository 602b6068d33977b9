"""Do participants answer alike when asked again, and do they look at the images at all?"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from studies.analysis.crossed import Choices, Labels, checked_choices, number_clusters
from studies.analysis.rates import Interval

CATCH_RATE = 0.8


@dataclass(frozen=True)
class RepeatConsistency:
    """How often the same image was chosen again, on the other side this time."""

    num_repeats: int
    num_same: int
    rate: float
    wilson: Interval  # As if trials were independent.
    by_chance: float  # The rate of two unrelated answers that favour the candidate as these do.
    participant_rates: list[float]


@dataclass(frozen=True)
class CatchPerformance:
    """How often the obviously better image was chosen."""

    num_trials: int
    num_correct: int
    rate: float
    wilson: Interval  # As if trials were independent.
    participant_rates: list[float]
    num_below: int  # Participants under the rate that is asked for.


def repeat_consistency(
    first: Choices, second: Choices, *, participants: Labels
) -> RepeatConsistency:
    """Compare answers to the same pair of images, shown twice with the sides swapped.

    Parameters
    ----------
    first, second : sequence of bool
        Whether the candidate was chosen at first and when repeated, one entry a repeat.
    participants : sequence
        Who answered both.

    Returns
    -------
    RepeatConsistency
        Proportions. Who keeps to a side, whatever is there, is never consistent. A rate near
        `by_chance` says that the images are hard to tell apart, or were not looked at; catch
        trials tell these two apart.

    Raises
    ------
    ValueError
        If there is no repeat, or the sequences differ in length.

    References
    ----------
    Wilson (1927), J. Amer. Stat. Assoc. 22, 209-212: the score interval.
    Cohen (1960), Educ. Psychol. Meas. 20, 37-46: the agreement expected by chance.
    """
    if not 0 < len(first) == len(second) == len(participants):
        raise ValueError("expected as many first answers, repeats and participants, and at least "
                         f"one of each, got {len(first)}, {len(second)} and {len(participants)}")
    before, after = checked_choices(first), checked_choices(second)
    is_same = before == after
    p, q = float(before.mean()), float(after.mean())
    return RepeatConsistency(
        num_repeats=is_same.size,
        num_same=int(is_same.sum()),
        rate=float(is_same.mean()),
        wilson=_wilson(is_same),
        by_chance=p * q + (1 - p) * (1 - q),
        participant_rates=_participant_rates(is_same, participants).tolist(),
    )


def catch_performance(
    correct: Choices, participants: Labels, *, least: float = CATCH_RATE
) -> CatchPerformance:
    """Count the right answers to catch trials.

    Parameters
    ----------
    correct : sequence of bool
        Whether the better image was chosen, one entry a catch trial.
    participants : sequence
        Who answered.
    least : float
        The rate that a participant should reach, from 0 to 1.

    Returns
    -------
    CatchPerformance
        Proportions; higher is better.

    Raises
    ------
    ValueError
        If there is no catch trial, the lengths differ, or `least` lies outside [0, 1].

    References
    ----------
    Wilson (1927), J. Amer. Stat. Assoc. 22, 209-212: the score interval.
    """
    if not 0 <= least <= 1:
        raise ValueError(f"the least rate must lie between 0 and 1, got {least}")
    if not 0 < len(correct) == len(participants):
        raise ValueError("expected as many answers as participants and at least one of each, "
                         f"got {len(correct)} and {len(participants)}")
    is_correct = checked_choices(correct) == 1
    rates = _participant_rates(is_correct, participants)
    return CatchPerformance(
        num_trials=is_correct.size,
        num_correct=int(is_correct.sum()),
        rate=float(is_correct.mean()),
        wilson=_wilson(is_correct),
        participant_rates=rates.tolist(),
        num_below=int((rates < least).sum()),
    )


def _wilson(answers: np.ndarray) -> Interval:
    interval = binomtest(int(answers.sum()), answers.size).proportion_ci(0.95, method="wilson")
    return Interval(float(interval.low), float(interval.high))


def _participant_rates(answers: np.ndarray, participants: Labels) -> np.ndarray:
    """In order of first appearance."""
    numbers, _ = number_clusters(participants)
    return np.bincount(numbers, answers) / np.bincount(numbers)
