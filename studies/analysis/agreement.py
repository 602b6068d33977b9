"""Do participants agree with each other about the same pair of images?"""

from dataclasses import dataclass

import krippendorff
import numpy as np

from studies.analysis.crossed import Choices, Labels, checked_choices, number_clusters
from studies.analysis.rates import Interval, checked_confidence

REPLICATES = 1000


@dataclass(frozen=True)
class Agreement:
    """Krippendorff's alpha: 1 is full agreement, 0 what chance gives, below 0 worse than that."""

    alpha: float
    interval: Interval
    num_units: int  # Pairs of images that at least two participants judged.
    num_answers: int  # About these.


def agreement(
    chosen: Choices, units: Labels, *, confidence: float = 0.95, seed: int = 0
) -> Agreement:
    """Measure agreement about pairs of images.

    A low alpha near a rate of one half is no sign of bad data: where a pair is hard to tell
    apart, there is nothing to agree about.

    Parameters
    ----------
    chosen : sequence of bool
        Whether the candidate was chosen, one entry a trial; each participant once per unit.
    units : sequence
        Which pair of images each trial showed, whatever their sides.
    confidence : float
        Coverage of the interval, strictly between 0 and 1.
    seed : int
        Of the bootstrap; the same seed gives the same interval.

    Returns
    -------
    Agreement
        Nominal alpha, at most 1, with percentiles over resampled units. Units that one
        participant judged do not count.

    Raises
    ------
    ValueError
        If the lengths differ, fewer than two units were judged twice, or all their answers are
        the same, which leaves no disagreement to expect by chance.

    References
    ----------
    Krippendorff (2004), Content Analysis, 2nd ed., chapter 11: alpha.
    Zapf et al. (2016), BMC Med. Res. Methodol. 16, 93: resampling units.
    """
    level = checked_confidence(confidence)
    if not 0 < len(chosen) == len(units):
        raise ValueError("expected as many choices as units and at least one of each, "
                         f"got {len(chosen)} and {len(units)}")
    numbers, count = number_clusters(units)
    answers = checked_choices(chosen)
    counts = np.bincount(2 * numbers + answers, minlength=2 * count).reshape(count, 2)
    counts = counts[counts.sum(axis=1) >= 2]            # (units, 2)
    if len(counts) < 2:
        raise ValueError(f"agreement needs at least 2 pairs of images that two participants "
                         f"judged, got {len(counts)}")
    if not counts.sum(axis=0).all():
        raise ValueError(f"all {counts.sum()} answers are the same, so chance would have everyone "
                         "agree")
    low, high = np.quantile(_resampled(counts, seed=seed), [(1 - level) / 2, (1 + level) / 2])
    return Agreement(_alpha(counts), Interval(float(low), float(high)), len(counts),
                     int(counts.sum()))


def _resampled(counts: np.ndarray, *, seed: int) -> list[float]:
    """Alpha of resampled units; where all answers happen to be the same there is none."""
    rng = np.random.default_rng(seed)
    samples = (counts[rng.integers(0, len(counts), len(counts))] for _ in range(REPLICATES))
    found = [_alpha(sample) for sample in samples if sample.sum(axis=0).all()]
    if len(found) < 0.99 * REPLICATES:
        raise ValueError(f"{counts.sum(axis=0).min()} of {counts.sum()} answers differ from the "
                         "rest, too few for an interval of agreement")
    return found


def _alpha(counts: np.ndarray) -> float:
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))
