"""Did the side matter?"""

from dataclasses import dataclass

from scipy.stats import binomtest

from studies.analysis.rates import Interval, checked_counts


@dataclass(frozen=True)
class SideBias:
    """How often the left image was chosen, whatever it was."""

    left: int
    trials: int
    rate: float
    wilson: Interval
    p_value: float


def side_bias(left: int, trials: int) -> SideBias:
    """Test whether left and right were chosen equally often.

    Parameters
    ----------
    left, trials : int
        Choices of the left image, and all counted trials.

    Returns
    -------
    SideBias
        `rate` and its 95% Wilson interval are proportions; `p_value` is exact and two-sided
        against one half, as if trials were independent.

    Raises
    ------
    ValueError
        If `trials` is below 1 or `left` lies outside [0, trials].

    References
    ----------
    Wilson (1927), J. Amer. Stat. Assoc. 22, 209-212: the score interval.
    """
    test = binomtest(*checked_counts(left, trials), p=0.5)
    interval = test.proportion_ci(0.95, method="wilson")
    wilson = Interval(float(interval.low), float(interval.high))
    return SideBias(left, trials, left / trials, wilson, float(test.pvalue))
