"""Is the candidate no worse than the baseline, or even interchangeable with it?"""

from dataclasses import dataclass

from scipy.stats import t as student

from studies.analysis.clustered import ClusteredRate, clustered_interval
from studies.analysis.rates import CHANCE_LEVEL, Interval


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests of a clustered rate against chance less and plus a margin.

    A test that fails shows nothing: neither equivalence nor a difference.
    """

    margin: float
    alpha: float
    interval: Interval  # Covers 1 - 2 alpha.
    p_not_inferior: float
    p_not_superior: float
    p_equivalent: float  # The larger of the two.
    is_not_inferior: bool  # Shown to be chosen more often than chance less the margin.
    is_equivalent: bool  # Shown to lie within the margin on both sides.
    is_inferior: bool  # Shown to be chosen less often than chance less the margin.


def equivalence(estimate: ClusteredRate, margin: float, *, alpha: float = 0.05) -> Equivalence:
    """Test non-inferiority and equivalence against chance, on the clustered standard error.

    Parameters
    ----------
    estimate : ClusteredRate
        The headline.
    margin : float
        Largest difference from `CHANCE_LEVEL` that does not matter, a proportion strictly
        between 0 and one half. To be fixed before the answers.
    alpha : float
        Level of each one-sided test, strictly between 0 and one half.

    Returns
    -------
    Equivalence
        `is_equivalent` exactly if the (1 - 2 alpha) interval lies inside chance ± margin;
        `is_not_inferior` exactly if it lies above chance - margin.

    Raises
    ------
    ValueError
        If `margin` or `alpha` lies outside (0, 1/2).

    References
    ----------
    Schuirmann (1987), J. Pharmacokinet. Biopharm. 15, 657-680: two one-sided tests.
    """
    for name, value in (("margin", margin), ("alpha", alpha)):
        if not 0 < value < 0.5:
            raise ValueError(f"the {name} must lie between 0 and one half, got {value}")
    error, freedom = estimate.standard_error, estimate.degrees_of_freedom
    above = (estimate.rate - CHANCE_LEVEL + margin) / error
    below = (CHANCE_LEVEL + margin - estimate.rate) / error
    p_low, p_high = float(student.sf(above, freedom)), float(student.sf(below, freedom))
    return Equivalence(
        margin=margin,
        alpha=alpha,
        interval=clustered_interval(estimate.rate, error, freedom=freedom,
                                    confidence=1 - 2 * alpha),
        p_not_inferior=p_low,
        p_not_superior=p_high,
        p_equivalent=max(p_low, p_high),
        is_not_inferior=p_low < alpha,
        is_equivalent=max(p_low, p_high) < alpha,
        is_inferior=float(student.cdf(above, freedom)) < alpha,
    )
