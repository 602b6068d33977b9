"""What the candidate's images cost less than the reference's."""

from collections.abc import Sequence
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
        reference's total, at most 1.

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
    )
