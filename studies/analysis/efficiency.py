"""What a step buys under the budgeted and the uniform arm, and how well budgets are predicted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from scipy.stats import t as student

from studies.analysis.rates import Interval, checked_confidence

REPLICATES = 2000

Numbers = Sequence[float] | NDArray[Any]


@dataclass(frozen=True)
class GainPerStep:
    """Quality gained per denoising step, budgeted against uniform (our definition)."""

    budgeted: float  # In the metric's unit, per step.
    uniform: float
    ratio: float  # Budgeted over uniform; 1.06 is 6% more per step.
    interval: Interval  # Of the ratio, over prompts.
    num_prompts: int


@dataclass(frozen=True)
class BudgetError:
    """Predicted budgets less oracle budgets, in steps."""

    num_prompts: int
    mean_error: float  # Above zero: more steps than needed.
    interval: Interval | None  # Of the mean error, t over prompts; none where nothing spreads.
    mean_absolute_error: float
    median_absolute_error: float
    share_too_few: float  # Prompts whose budget is below the oracle's.
    share_close: float  # Prompts within `close` steps of it.
    rank_correlation: float | None  # Spearman's; none if either does not vary.


def gain_per_step(
    budgeted_gain: Numbers, uniform_gain: Numbers, *, budgeted_steps: Numbers,
    uniform_steps: Numbers, confidence: float = 0.95, seed: int = 0,
) -> GainPerStep:
    """Compare how much quality a step buys under both arms, over the same prompts.

    Parameters
    ----------
    budgeted_gain, uniform_gain : sequence of float
        What each prompt's image gained over that of a single step, by one metric, signed so that
        higher is better.
    budgeted_steps, uniform_steps : sequence of int
        Steps of the same images, at least 1.
    confidence : float
        Coverage of the interval, strictly between 0 and 1.
    seed : int
        Of the bootstrap.

    Returns
    -------
    GainPerStep
        Total gain over total steps. The interval holds percentiles over resampled prompts.

    Raises
    ------
    ValueError
        If the lengths differ, there are fewer than two prompts, a number is impossible, or the
        uniform arm gained nothing that the budgeted one could be compared with.

    References
    ----------
    Efron (1979), Ann. Stat. 7, 1-26: the bootstrap.
    """
    level = checked_confidence(confidence)
    table = np.stack(_checked(budgeted_gain, uniform_gain, budgeted_steps, uniform_steps))
    if (table[2:] < 1).any():
        raise ValueError(f"an image takes at least 1 step, got {table[2:].min()}")
    totals = table.sum(axis=1)                          # (4,)
    draws = np.random.default_rng(seed).integers(0, table.shape[1], (REPLICATES, table.shape[1]))
    resampled = table[:, draws].sum(axis=2)             # (4, replicates)
    if totals[1] <= 0 or (resampled[1] <= 0).mean() > 0.01:
        raise ValueError("the uniform arm gained too little to compare with: "
                         f"{totals[1]:.3g} over {table.shape[1]} prompts")
    resampled = resampled[:, resampled[1] > 0]
    ratios = (resampled[0] / resampled[2]) / (resampled[1] / resampled[3])
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    budgeted, uniform = totals[0] / totals[2], totals[1] / totals[3]
    return GainPerStep(float(budgeted), float(uniform), float(budgeted / uniform),
                       Interval(float(low), float(high)), table.shape[1])


def budget_error(
    predicted: Numbers, oracle: Numbers, *, close: int = 2, confidence: float = 0.95
) -> BudgetError:
    """Compare predicted budgets with those that the prompts' measured curves give.

    Parameters
    ----------
    predicted, oracle : sequence of int
        Steps per prompt, in the same order.
    close : int
        How many steps off still count as close.
    confidence : float
        Coverage of the interval, strictly between 0 and 1.

    Returns
    -------
    BudgetError
        In steps; lower errors are better.

    Raises
    ------
    ValueError
        If the lengths differ, there are fewer than two prompts, or a number is not finite.

    References
    ----------
    Spearman (1904), Am. J. Psychol. 15, 72-101: the rank correlation.
    """
    level = checked_confidence(confidence)
    ours, best = _checked(predicted, oracle)
    errors = ours - best
    spread = float(errors.std(ddof=1)) / errors.size**0.5
    margin = float(student.ppf((1 + level) / 2, errors.size - 1)) * spread
    mean = float(errors.mean())
    varies = np.ptp(ours) > 0 and np.ptp(best) > 0
    return BudgetError(
        num_prompts=errors.size,
        mean_error=mean,
        interval=Interval(mean - margin, mean + margin) if spread > 0 else None,
        mean_absolute_error=float(np.abs(errors).mean()),
        median_absolute_error=float(np.median(np.abs(errors))),
        share_too_few=float((errors < 0).mean()),
        share_close=float((np.abs(errors) <= close).mean()),
        rank_correlation=float(spearmanr(ours, best).statistic) if varies else None,
    )


def _checked(*columns: Numbers) -> list[NDArray[np.float64]]:
    """Return the columns as arrays of one length, at least 2, of finite numbers."""
    arrays = [np.asarray(column, dtype=float) for column in columns]
    sizes = [array.size for array in arrays]
    if len(set(sizes)) > 1 or sizes[0] < 2:
        raise ValueError("expected one number per prompt in each, and at least 2 prompts, "
                         f"got {', '.join(map(str, sizes))}")
    joined = np.concatenate(arrays)
    if not np.isfinite(joined).all():
        raise ValueError(f"expected finite numbers, got {joined[~np.isfinite(joined)][0]}")
    return arrays
