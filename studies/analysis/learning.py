"""Do answers change in the course of a session: learning, or tiring?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from studies.analysis.crossed import Labels, number_clusters
from studies.analysis.rates import Interval, checked_confidence

BLOCKS = 4
PER_TRIALS = 10


@dataclass(frozen=True)
class Block:
    """One part of everybody's trials, the first, second, ... of equal parts."""

    mean: float  # Over the participants who answered in it.
    interval: Interval | None  # t over participants; none if fewer than two, or all alike.
    num_participants: int
    num_trials: int


@dataclass(frozen=True)
class Learning:
    """The linear trend within participants, per ten trials, in the unit of the values."""

    slope: float
    standard_error: float
    interval: Interval
    degrees_of_freedom: int
    p_value: float
    num_participants: int
    blocks: list[Block]


def learning(
    values: Sequence[float] | NDArray[Any],
    participants: Labels,
    *,
    trial_indexes: Sequence[int] | NDArray[Any],
    num_blocks: int = BLOCKS,
    confidence: float = 0.95,
) -> Learning:
    """Fit one straight line per participant, all of the same slope, over the order of trials.

    Each participant has a level of their own (fixed effects), so that who stops early does not
    make a trend. The standard error is clustered by participant with the factor n/(n - 1).
    Prompts come in random order, so they bias nothing.

    Parameters
    ----------
    values : sequence of float
        One entry a trial: 1 for the candidate and 0 for the baseline, or the logarithm of the
        response time.
    participants : sequence
        Who answered.
    trial_indexes : sequence of int
        The trial's place in its participant's order.
    num_blocks : int
        Into how many parts each participant's trials are divided, at least 1.
    confidence : float
        Coverage of the intervals, strictly between 0 and 1.

    Returns
    -------
    Learning
        `p_value` is two-sided against no trend; t with participants - 1 degrees of freedom.

    Raises
    ------
    ValueError
        If the lengths differ, a value is not finite, fewer than two participants answered two
        trials, or all their trends are equal.

    References
    ----------
    Arellano (1987), Oxford Bull. Econ. Stat. 49, 431-434: the error of a slope within clusters.
    """
    level = checked_confidence(confidence)
    y, x = np.asarray(values, dtype=float), np.asarray(trial_indexes, dtype=float)
    if not 0 < y.size == x.size == len(participants):
        raise ValueError("expected as many values, participants and trial indexes, and at least "
                         f"one of each, got {y.size}, {len(participants)} and {x.size}")
    wrong = np.concatenate([y, x])[~np.isfinite(np.concatenate([y, x]))]
    if wrong.size or num_blocks < 1:
        raise ValueError(f"expected finite values and at least 1 block, got "
                         f"{wrong[0] if wrong.size else num_blocks}")
    people, count = number_clusters(participants)
    slope, error, num_informative = _slope_within(y, x, people=people)
    margin = float(student.ppf((1 + level) / 2, num_informative - 1)) * error
    return Learning(
        slope=slope, standard_error=error, interval=Interval(slope - margin, slope + margin),
        degrees_of_freedom=num_informative - 1,
        p_value=float(2 * student.sf(abs(slope) / error, num_informative - 1)),
        num_participants=count,
        blocks=_blocks(y, x, people=people, num_blocks=num_blocks, confidence=level),
    )


def _slope_within(y: np.ndarray, x: np.ndarray, *, people: np.ndarray
                  ) -> tuple[float, float, int]:
    """The slope per `PER_TRIALS`, its standard error, and how many participants it is from."""
    x = _centred(x, people) / PER_TRIALS
    squares = np.bincount(people, x**2)
    num_informative = int((squares > 0).sum())
    if num_informative < 2:
        raise ValueError("a trend needs at least 2 participants with at least 2 trials each, "
                         f"got {num_informative}")
    slope = float(x @ y / squares.sum())
    scores = np.bincount(people, x * (_centred(y, people) - slope * x))
    variance = np.sum(scores**2) * num_informative / (num_informative - 1) / squares.sum() ** 2
    error = float(np.sqrt(variance))
    if error < 1e-12 * max(1.0, float(np.abs(y).max())):
        raise ValueError(f"all {num_informative} participants have the same trend, {slope:.3g}, "
                         "so there is no spread to make an interval of")
    return slope, error, num_informative


def _centred(values: np.ndarray, people: np.ndarray) -> np.ndarray:
    return values - (np.bincount(people, values) / np.bincount(people))[people]


def _blocks(y: np.ndarray, x: np.ndarray, *, people: np.ndarray, num_blocks: int,
            confidence: float) -> list[Block]:
    """Divide each participant's trials, in their order, into equal parts."""
    order, sizes = np.lexsort([x, people]), np.bincount(people)
    places = np.arange(y.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    block_of = np.empty(y.size, dtype=np.intp)
    block_of[order] = places * num_blocks // sizes[people[order]]
    blocks = []
    for number in range(num_blocks):
        is_in = block_of == number
        if is_in.any():
            blocks.append(_block(y[is_in], people[is_in], confidence=confidence))
    return blocks


def _block(y: np.ndarray, people: np.ndarray, *, confidence: float) -> Block:
    sizes = np.bincount(people)
    means = np.bincount(people, y)[sizes > 0] / sizes[sizes > 0]
    interval, centre = None, float(means.mean())
    if means.size > 1 and np.ptp(means) > 0:
        margin = (float(student.ppf((1 + confidence) / 2, means.size - 1))
                  * float(means.std(ddof=1)) / means.size**0.5)
        interval = Interval(centre - margin, centre + margin)
    return Block(centre, interval, means.size, y.size)
