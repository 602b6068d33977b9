"""The two-way cluster bootstrap: participants and prompts are drawn anew, independently."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from studies.analysis.clustered import (
    ClusterTerms,
    clustered_interval,
    degrees_of_freedom,
    spread_terms,
    two_way_variance,
)
from studies.analysis.crossed import Choices, CrossedTrials, Labels, cross
from studies.analysis.rates import Interval, checked_confidence

REPLICATES = 2000
# Our choice: beyond it, what cannot be estimated would cut into the ends of the interval.
MOST_UNUSABLE = 0.01
_CHUNK = 250  # Replicates at a time, to bound memory.
_DENSE_FROM = 0.05  # Above this share of filled cells a plain matrix product is faster.

Table = Any  # Participants x prompts, a plain or a sparse matrix.
Weights = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class TwoWayBootstrap:
    """A rate with its bootstrap intervals: the conservative plain one, and the corrected one."""

    rate: float
    plain: Interval
    corrected: Interval
    standard_error: float  # Corrected.
    degrees_of_freedom: int
    num_replicates: int


def two_way_bootstrap(
    chosen: Choices,
    participants: Labels,
    *,
    prompts: Labels,
    confidence: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> TwoWayBootstrap:
    """Estimate how often the candidate is chosen, resampling participants and prompts.

    Both are drawn with replacement, independently of each other; a trial counts as often as its
    participant times its prompt. That counts the cells' own variance three times (Owen 2007),
    so the plain interval is too wide, most of all where neither people nor prompts
    differ. The corrected one subtracts the cells' variance twice, and like the headline never
    goes below the larger one-way term; the floor is our choice.

    Parameters
    ----------
    chosen : sequence of bool
        Whether the candidate was chosen, one entry a trial.
    participants, prompts : sequence
        Who answered each trial, and about which prompt.
    confidence : float
        Coverage of the intervals, strictly between 0 and 1.
    replicates : int
        Resamples, at least 100.
    seed : int
        The same seed and trials give the same intervals.

    Returns
    -------
    TwoWayBootstrap
        `plain` holds the percentiles of the resampled rates; `corrected` is of t with
        min(participants, prompts) - 1 degrees of freedom on the corrected variance. Proportions.

    Raises
    ------
    ValueError
        As `clustered_rate`; also if fewer than 100 replicates are asked for, or more than 1 in
        100 hold no trial because too few participants saw the same prompts.

    References
    ----------
    Owen (2007), Ann. Appl. Stat. 1, 386-411: the pigeonhole bootstrap and its bias.
    """
    level = checked_confidence(confidence)
    trials = cross(chosen, participants, prompts=prompts)
    freedom = degrees_of_freedom(trials.num_participants, trials.num_prompts)
    rate, terms = float(trials.is_chosen.mean()), spread_terms(trials)
    rates = _resampled_rates(trials, replicates, seed=seed)
    low, high = np.quantile(rates, [(1 - level) / 2, (1 + level) / 2])
    error = float(np.sqrt(corrected_variance(float(rates.var(ddof=1)), terms, trials=trials)))
    return TwoWayBootstrap(
        rate=rate,
        plain=Interval(float(low), float(high)),
        corrected=clustered_interval(rate, error, freedom=freedom, confidence=level),
        standard_error=error,
        degrees_of_freedom=freedom,
        num_replicates=rates.size,
    )


def corrected_variance(plain: float, terms: ClusterTerms, *, trials: CrossedTrials) -> float:
    """Take the cells' variance from the pigeonhole bootstrap's twice, with the headline's floor."""
    without_cells = ClusterTerms(terms.participants, terms.prompts, cells=float("inf"))
    floor = two_way_variance(without_cells, trials.num_participants, trials.num_prompts)
    return max(plain - 2 * terms.cells, floor)


def draw_weights(trials: CrossedTrials, replicates: int, *, seed: int) -> Iterator[Weights]:
    """Yield how often each participant and each prompt is drawn, some replicates at a time.

    Yields
    ------
    tuple of ndarray, shapes (B, participants) and (B, prompts)
        Whole numbers; each row of each sums to its number of columns.
    """
    if replicates < 100:
        raise ValueError(f"a bootstrap needs at least 100 replicates, got {replicates}")
    rng = np.random.default_rng(seed)
    for start in range(0, replicates, _CHUNK):
        size = min(_CHUNK, replicates - start)
        yield (_draw(rng, trials.num_participants, size=size),
               _draw(rng, trials.num_prompts, size=size))


def crossed_table(trials: CrossedTrials, counted: NDArray) -> Table:
    """Sum a number per trial into participants x prompts."""
    shape = trials.num_participants, trials.num_prompts
    sums = coo_array((counted.astype(float), (trials.participants, trials.prompts)), shape=shape)
    is_dense = trials.is_chosen.size > _DENSE_FROM * shape[0] * shape[1]
    return sums.toarray() if is_dense else sums.tocsr()


def resampled_totals(table: Table, weights: Weights) -> NDArray[np.float64]:
    """The table's total in each replicate, shape (B,)."""
    people, prompts = weights
    return np.asarray(((people @ table) * prompts).sum(axis=1))


def checked_share(num_usable: int, replicates: int, *, reason: str) -> None:
    """Refuse an interval that too many replicates say nothing about."""
    unusable = replicates - num_usable
    if unusable > MOST_UNUSABLE * replicates:
        raise ValueError(f"{unusable} of {replicates} bootstrap replicates {reason}, "
                         "so no interval can be given")


def _draw(rng: np.random.Generator, count: int, *, size: int) -> NDArray[np.float64]:
    drawn = rng.integers(0, count, (size, count)) + count * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count).astype(float)


def _resampled_rates(trials: CrossedTrials, replicates: int, *, seed: int) -> NDArray[np.float64]:
    won = crossed_table(trials, trials.is_chosen)
    asked = crossed_table(trials, np.ones_like(trials.is_chosen))
    rates = []
    for weights in draw_weights(trials, replicates, seed=seed):
        totals = resampled_totals(asked, weights)
        has_trials = totals > 0
        rates.append(resampled_totals(won, weights)[has_trials] / totals[has_trials])
    found = np.concatenate(rates)
    checked_share(found.size, replicates, reason="hold no trial")
    return found
