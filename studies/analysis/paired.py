"""The likelihood of paired comparisons under a linear scale, for many tables at a time."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_ndtr

Array = NDArray[np.float64]

_TOLERANCE = 1e-10
_MOST_STEPS = 200
_LONGEST_STEP = 2.0  # Far from the solution the probit's curvature misleads.


@dataclass(frozen=True)
class Link:
    """How the chance to be chosen grows with a difference d in scale values.

    `gradient` is the derivative of log P(d), above zero; `curvature` is minus its second
    derivative, above zero.
    """

    probability: Callable[[Array], Array]
    gradient: Callable[[Array], Array]
    curvature: Callable[[Array], Array]


def _mills(d: Array) -> Array:
    """Normal density over distribution, stable in both tails."""
    return np.asarray(np.exp(-(d**2) / 2 - log_ndtr(d)) / np.sqrt(2 * np.pi))


LOGIT = Link(
    probability=expit,
    gradient=lambda d: np.asarray(expit(-d)),
    curvature=lambda d: np.asarray(expit(d) * expit(-d)),
)
PROBIT = Link(
    probability=lambda d: np.asarray(np.exp(log_ndtr(d))),
    gradient=_mills,
    curvature=lambda d: _mills(d) * (d + _mills(d)),
)


def fit_scales(wins: Array, link: Link) -> Array:
    """Maximise the likelihood by Newton's method; it has one maximum.

    Parameters
    ----------
    wins : ndarray, shape (B, K, K)
        How often each row was chosen over each column, in B tables that `is_connected`.
    link : Link

    Returns
    -------
    ndarray, shape (B, K)
        Scale values with mean zero; higher is chosen more often.
    """
    scales = np.zeros(wins.shape[:2])
    for _ in range(_MOST_STEPS):
        gradient, curvature = derivatives(wins, scales, link=link)
        # The curvature says nothing about a common shift; any constant there leaves it at zero.
        step = np.linalg.solve(curvature + 1 / wins.shape[1], gradient[..., None])[..., 0]
        longest = np.abs(step).max(axis=1, keepdims=True)
        scales += step * np.minimum(1, _LONGEST_STEP / np.maximum(longest, _TOLERANCE))
        if np.all(longest < _TOLERANCE):
            return scales - scales.mean(axis=1, keepdims=True)
    raise ValueError(f"the scale did not settle in {_MOST_STEPS} steps; the largest table holds "
                     f"{wins.sum(axis=(1, 2)).max():.0f} comparisons")


def derivatives(wins: Array, scales: Array, *, link: Link) -> tuple[Array, Array]:
    """Gradient (B, K) of the log-likelihood, and minus its second derivative (B, K, K)."""
    differences = scales[:, :, None] - scales[:, None, :]
    pulls = wins * link.gradient(differences)           # (B, K, K)
    bends = wins * link.curvature(differences)
    bends = bends + bends.transpose(0, 2, 1)
    curvature = np.eye(wins.shape[1]) * bends.sum(axis=2)[:, :, None] - bends
    return pulls.sum(axis=2) - pulls.sum(axis=1), curvature


def reaches(wins: Array) -> NDArray[np.bool_]:
    """Whether each row was chosen over each column, directly or through others, (B, K, K)."""
    count = wins.shape[1]
    found = (wins > 0) | np.eye(count, dtype=bool)
    for _ in range(count.bit_length()):
        found = (found.astype(int) @ found.astype(int)) > 0
    return found


def is_connected(wins: Array) -> NDArray[np.bool_]:
    """Whether each table has a finite scale (B,): everyone reaches everyone (Ford 1957)."""
    return np.asarray(reaches(wins).all(axis=(1, 2)))
