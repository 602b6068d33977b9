"""What the candidate's images cost less than the reference's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Saving:
    """The mean saving per image against the reference; below zero where the candidate cost more."""

    num_images: int
    mean_saved: float
    sd_saved: float | None  # Of one image there is none.
    mean_candidate: float
    mean_reference: float
    share_saved: float
    # What one image timed on a busy machine moves little: medians over images, each its own.
    median_saved: float
    median_candidate: float
    median_reference: float
    median_share: float


@dataclass(frozen=True)
class SavingAlone:
    """What images save when each is rendered alone, by latencies measured at some step counts."""

    saving: Saving  # In seconds.
    num_measured: int  # Step counts.
    fewest_steps: int
    most_steps: int
    r_squared: float | None  # Of a straight line; through two points there always is one.


def saving_alone(
    candidate_steps: Sequence[int], reference_steps: int, *, latencies: Mapping[int, float]
) -> SavingAlone:
    """Compare the time that images take alone under the candidate arm and at full step count.

    A diffusion run does the same work at every step, so its latency is a constant and a multiple
    of its steps. Between measured step counts it is therefore interpolated linearly; beyond them
    nothing is known.

    Parameters
    ----------
    candidate_steps : sequence of int
        Steps of each of the candidate arm's images.
    reference_steps : int
        The full step count.
    latencies : mapping of int to float
        Measured seconds per image by step count, two or more; above zero. Lower is better.

    Returns
    -------
    SavingAlone
        `saving` is in seconds. `r_squared` is of the least-squares line through the measured
        points, at most 1; the nearer to 1, the better linear interpolation holds.

    Raises
    ------
    ValueError
        If there is no image, fewer than two step counts are measured, or one that is asked for
        lies outside the measured ones.
    """
    if len(latencies) < 2:
        raise ValueError(f"needs at least 2 measured step counts, got {len(latencies)}")
    counts = sorted(latencies)
    outside = [steps for steps in (*candidate_steps, reference_steps)
               if not counts[0] <= steps <= counts[-1]]
    if outside:
        raise ValueError(f"{min(outside)} steps lie outside the measured {counts[0]} to "
                         f"{counts[-1]} steps")
    seconds = [latencies[count] for count in counts]
    return SavingAlone(
        saving(np.interp(candidate_steps, counts, seconds).tolist(),
               np.interp([reference_steps] * len(candidate_steps), counts, seconds).tolist()),
        num_measured=len(counts), fewest_steps=counts[0], most_steps=counts[-1],
        r_squared=_r_squared(counts, seconds) if len(counts) > 2 else None,
    )


def _r_squared(counts: Sequence[int], seconds: Sequence[float]) -> float | None:
    """Square the correlation, which for a line with an intercept is the share it explains."""
    if min(seconds) == max(seconds):
        return None  # Nothing varies, so there is nothing to explain.
    return float(np.corrcoef(counts, seconds)[0, 1] ** 2)


def saving(candidate: Sequence[float], reference: Sequence[float]) -> Saving:
    """Compare the costs of the same images under the candidate arm and at full step count.

    Parameters
    ----------
    candidate, reference : sequence of float
        Cost per image, in the same order and unit (steps or measured seconds); above zero.

    Returns
    -------
    Saving
        Means and SD (with n - 1) in the unit given; `share_saved` is the total saved over the
        reference's total, at most 1. The medians are taken over images, `median_share` over each
        image's own share.

    Raises
    ------
    ValueError
        If there is no image, the lengths differ, or a cost is not above zero and finite.
    """
    ours, full = np.asarray(candidate, dtype=float), np.asarray(reference, dtype=float)
    if not 0 < ours.size == full.size:
        raise ValueError(
            f"expected as many costs of the candidate as of the reference and at least one, "
            f"got {ours.size} and {full.size}"
        )
    costs = np.concatenate([ours, full])
    wrong = costs[~(np.isfinite(costs) & (costs > 0))]
    if wrong.size:
        raise ValueError(f"a cost must be above zero and finite, got {wrong[0]}")
    saved = full - ours
    return Saving(
        num_images=ours.size,
        mean_saved=float(saved.mean()),
        sd_saved=float(saved.std(ddof=1)) if saved.size > 1 else None,
        mean_candidate=float(ours.mean()),
        mean_reference=float(full.mean()),
        share_saved=float(saved.sum() / full.sum()),
        median_saved=float(np.median(saved)),
        median_candidate=float(np.median(ours)),
        median_reference=float(np.median(full)),
        median_share=float(np.median(saved / full)),
    )
