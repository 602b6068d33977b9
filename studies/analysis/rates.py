"""How often the candidate was chosen, as if every trial were independent of the others."""

from dataclasses import dataclass

from scipy.stats import binomtest

# Two answers a trial, sides balanced: what guessing gives, whichever of the two tasks is asked.
CHANCE_LEVEL = 0.5


@dataclass(frozen=True)
class Interval:
    """A confidence interval, in the unit of its estimate; of a proportion, within 0 and 1."""

    low: float
    high: float


@dataclass(frozen=True)
class PooledPreference:
    """Choices of the candidate over all trials, and what they say if trials are independent."""

    wins: int
    trials: int
    rate: float
    wilson: Interval
    clopper_pearson: Interval
    p_value: float


def pooled_preference(wins: int, trials: int, *, confidence: float = 0.95) -> PooledPreference:
    """Estimate how often observers chose the candidate image, as if trials were independent.

    Trials that share a participant or a prompt are not, so these intervals are too narrow as soon
    as participants or prompts differ; `clustered_rate` allows for both.

    Parameters
    ----------
    wins, trials : int
        Choices of the candidate, and all counted trials. 2AFC admits no ties.
    confidence : float
        Coverage of the intervals, strictly between 0 and 1.

    Returns
    -------
    PooledPreference
        `rate` and both intervals are proportions; `p_value` is two-sided and exact, against
        `CHANCE_LEVEL`.

    Raises
    ------
    ValueError
        If `trials` is below 1, `wins` lies outside [0, trials], or `confidence` outside (0, 1).

    References
    ----------
    Wilson (1927), J. Amer. Stat. Assoc. 22, 209-212: the score interval.
    Clopper and Pearson (1934), Biometrika 26, 404-413: the exact interval.
    """
    test = binomtest(*checked_counts(wins, trials), p=CHANCE_LEVEL)
    level = checked_confidence(confidence)
    wilson = test.proportion_ci(level, method="wilson")
    exact = test.proportion_ci(level, method="exact")
    return PooledPreference(
        wins=wins,
        trials=trials,
        rate=wins / trials,
        wilson=Interval(float(wilson.low), float(wilson.high)),
        clopper_pearson=Interval(float(exact.low), float(exact.high)),
        p_value=float(test.pvalue),
    )


def checked_counts(wins: int, trials: int) -> tuple[int, int]:
    """Return both counts, or raise ValueError quoting them."""
    if int(wins) != wins or int(trials) != trials or trials < 1 or not 0 <= wins <= trials:
        raise ValueError(
            f"expected whole numbers with 0 <= wins <= trials and trials >= 1, "
            f"got {wins} of {trials}"
        )
    return int(wins), int(trials)


def checked_confidence(confidence: float) -> float:
    """Return the confidence level, or raise ValueError quoting it."""
    if not 0 < confidence < 1:
        raise ValueError(f"the confidence level must lie between 0 and 1, got {confidence}")
    return confidence
