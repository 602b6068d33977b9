"""How long participants took."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.analysis.crossed import Labels, number_clusters

FAST_MS = 400
_BINS_PER_DECADE = 8


@dataclass(frozen=True)
class ResponseTimes:
    """The distribution of response times, in milliseconds. Skewed: trust medians over means."""

    num_trials: int
    mean_ms: float
    sd_ms: float | None  # With n - 1; of one trial there is none.
    geometric_mean_ms: float
    fastest_ms: float
    p5_ms: float
    p25_ms: float
    median_ms: float
    p75_ms: float
    p95_ms: float
    slowest_ms: float
    num_fast: int  # Trials faster than `fast_ms`.
    participant_medians_ms: list[float]
    histogram_edges_ms: list[float]  # One more than counts; equal widths in log time.
    histogram_counts: list[int]


def response_times(
    response_ms: Sequence[float] | NDArray[Any], participants: Labels, *, fast_ms: float = FAST_MS
) -> ResponseTimes:
    """Describe response times from the frame that showed the images.

    Parameters
    ----------
    response_ms : sequence of float
        Milliseconds, one entry a trial; above zero and finite.
    participants : sequence
        Who answered.
    fast_ms : float
        Faster answers are counted as too fast to have looked.

    Returns
    -------
    ResponseTimes
        Percentiles are linear between order statistics.

    Raises
    ------
    ValueError
        If there is no trial, the lengths differ, or a time is not above zero and finite.
    """
    if not 0 < len(response_ms) == len(participants):
        raise ValueError("expected as many times as participants and at least one of each, "
                         f"got {len(response_ms)} and {len(participants)}")
    times = np.asarray(response_ms, dtype=float)
    wrong = times[~(np.isfinite(times) & (times > 0))]
    if wrong.size:
        raise ValueError(f"a response time must be above zero and finite, got {wrong[0]}")
    p5, p25, median, p75, p95 = (float(x) for x in np.percentile(times, [5, 25, 50, 75, 95]))
    edges, counts = _histogram(times)
    return ResponseTimes(
        num_trials=times.size, mean_ms=float(times.mean()),
        sd_ms=float(times.std(ddof=1)) if times.size > 1 else None,
        geometric_mean_ms=float(np.exp(np.log(times).mean())),
        fastest_ms=float(times.min()), p5_ms=p5, p25_ms=p25, median_ms=median, p75_ms=p75,
        p95_ms=p95, slowest_ms=float(times.max()), num_fast=int((times < fast_ms).sum()),
        participant_medians_ms=_medians(times, participants),
        histogram_edges_ms=edges, histogram_counts=counts,
    )


def _medians(times: np.ndarray, participants: Labels) -> list[float]:
    """Each participant's median, in order of first appearance."""
    numbers, _ = number_clusters(participants)
    order = np.argsort(numbers, kind="stable")
    groups = np.split(times[order], np.cumsum(np.bincount(numbers))[:-1])
    return [float(np.median(group)) for group in groups]


def _histogram(times: np.ndarray) -> tuple[list[float], list[int]]:
    """Count in bins whose edges are the same for every study."""
    places = np.floor(np.log10(times) * _BINS_PER_DECADE).astype(int)
    counts = np.bincount(places - places.min())
    edges = 10 ** (np.arange(places.min(), places.max() + 2) / _BINS_PER_DECADE)
    return edges.tolist(), counts.tolist()
