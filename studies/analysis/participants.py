"""The form in which the BudgetFusion paper reports its study: mean ± SD over participants."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import ttest_1samp

from studies.analysis.rates import CHANCE_LEVEL, Interval, checked_confidence


@dataclass(frozen=True)
class ParticipantMean:
    """The mean of the participants' own rates. `sd` is the spread between people, not an error."""

    num_participants: int
    mean: float
    sd: float
    interval: Interval
    degrees_of_freedom: int
    p_value: float


def participant_mean(rates: Sequence[float], *, confidence: float = 0.95) -> ParticipantMean:
    """Average the participants' rates, with a t interval over participants.

    Every participant counts the same, however many trials they answered. The interval
    generalises to other people with these prompts; it ignores that prompts differ.

    Parameters
    ----------
    rates : sequence of float
        Each participant's own rate of choosing the candidate, from 0 to 1.
    confidence : float
        Coverage of the interval, strictly between 0 and 1.

    Returns
    -------
    ParticipantMean
        `mean`, `sd` (with n - 1) and `interval` are proportions; the interval is cut at 0 and 1,
        which costs no coverage. `p_value` is two-sided, of a t test against `CHANCE_LEVEL`.

    Raises
    ------
    ValueError
        If there are fewer than two participants, a rate lies outside [0, 1], or all rates are
        equal, which leaves no spread to make an interval of.

    References
    ----------
    Student (1908), Biometrika 6, 1-25.
    """
    values = _checked_rates(rates)
    test = ttest_1samp(values, popmean=CHANCE_LEVEL)
    interval = test.confidence_interval(checked_confidence(confidence))
    return ParticipantMean(
        num_participants=len(values),
        mean=float(values.mean()),
        sd=float(values.std(ddof=1)),
        interval=Interval(max(0.0, float(interval.low)), min(1.0, float(interval.high))),
        degrees_of_freedom=len(values) - 1,
        p_value=float(test.pvalue),
    )


def _checked_rates(rates: Sequence[float]) -> np.ndarray:
    values = np.asarray(rates, dtype=float)
    outside = values[~((values >= 0) & (values <= 1))]  # Catches NaN too.
    if outside.size:
        raise ValueError(f"a participant's rate must lie between 0 and 1, got {outside[0]}")
    if values.size < 2:
        raise ValueError(
            f"a spread over participants needs at least 2 participants, got {values.size}"
        )
    if np.ptp(values) < 1e-12:
        raise ValueError(
            f"all {values.size} participants have the same rate, {values[0]:.1%}, "
            "so there is no spread between them to make an interval of"
        )
    return values
