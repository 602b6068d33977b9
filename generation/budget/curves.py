"""Metric curves over the number of denoising steps, and the plateau that is a prompt's budget."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

GRID_SIZE = 12
# Our choice, relative to each curve's own range: the paper's plateau rule was not at hand.
TOLERANCE = 0.05


def step_grid(reference_steps: int, *, size: int = GRID_SIZE) -> list[int]:
    """Step counts to measure at: 1 to `reference_steps`, denser where curves bend.

    Parameters
    ----------
    reference_steps : int
        The model's full step count, at least 2.
    size : int
        How many counts; fewer come back if there are not that many.

    Returns
    -------
    list of int
        Increasing, geometrically spaced where that leaves distinct whole numbers.
    """
    if reference_steps < 2 or size < 2:
        raise ValueError(f"expected at least 2 steps and points, got {reference_steps} and {size}")
    size = min(size, reference_steps)
    grid = [1]
    for remaining in range(size - 1, 0, -1):
        ratio = (reference_steps / grid[-1]) ** (1 / remaining)
        grid.append(max(grid[-1] + 1, round(grid[-1] * ratio)))
    return [*grid[:-1], reference_steps]


def interpolate_curve(steps: Sequence[int], values: Sequence[float]) -> NDArray[np.float64]:
    """Fill in a curve at every whole step count, without overshoot between the measured ones.

    Parameters
    ----------
    steps : sequence of int, length K >= 2
        Increasing, starting at 1.
    values : sequence of float, length K

    Returns
    -------
    ndarray, shape (steps[-1],)
        The value at 1, 2, …, steps[-1] steps.

    References
    ----------
    Fritsch and Butland (1984), SIAM J. Sci. Stat. Comput. 5, 300-304: monotone cubics.
    """
    if len(steps) != len(values) or len(steps) < 2 or steps[0] != 1:
        raise ValueError(f"expected values at steps 1, …, got {len(values)} at {list(steps)}")
    if not np.isfinite(values).all():
        raise ValueError(f"expected finite values, got {list(values)}")
    dense = PchipInterpolator(steps, values)(np.arange(1, steps[-1] + 1))
    return np.asarray(dense, dtype=np.float64)


def find_plateau(curve: NDArray[np.float64], *, tolerance: float = TOLERANCE) -> int:
    """The smallest step count from which a curve stays close to its own final value.

    Parameters
    ----------
    curve : ndarray, shape (T,)
        The value at 1, 2, …, T steps.
    tolerance : float
        Largest distance from the final value, as a share of the curve's range; 0 to 1.

    Returns
    -------
    int
        1 to T. A flat curve's plateau begins at 1.
    """
    if curve.ndim != 1 or len(curve) == 0:
        raise ValueError(f"expected a curve of shape (T,), got {curve.shape}")
    if not 0 <= tolerance <= 1:
        raise ValueError(f"tolerance must lie in [0, 1], got {tolerance}")
    is_far = np.abs(curve - curve[-1]) > tolerance * np.ptp(curve)
    far = np.flatnonzero(is_far)
    return int(far[-1]) + 2 if len(far) else 1


def find_budget(
    steps: Sequence[int], curves: Mapping[str, Sequence[float]], *, tolerance: float = TOLERANCE
) -> int:
    """The smallest step count from which *every* metric stays on its plateau (our definition).

    On measured curves this is the oracle budget, on predicted curves the budget.

    Parameters
    ----------
    steps : sequence of int, length K
        The step grid.
    curves : mapping of str to sequence of float, length K each
        At least one metric.
    tolerance : float
        See `find_plateau`.
    """
    if not curves:
        raise ValueError("expected at least one metric's curve, got none")
    return max(
        find_plateau(interpolate_curve(steps, values), tolerance=tolerance)
        for values in curves.values()
    )
