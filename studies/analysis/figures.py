"""The figure of a study: every contrast's estimates above its participants, against chance.

Drawn with matplotlib's object-oriented interface only, so that nothing global is touched between
two web requests. The same numbers give the same bytes: no dates, no random ids.
"""

import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from studies.analysis.rates import CHANCE_LEVEL, Interval

FORMATS = {"svg": "image/svg+xml", "pdf": "application/pdf", "png": "image/png"}

# Constant ids in SVG; text stays text in PDF, and outlines in SVG, which needs no fonts then.
matplotlib.rcParams.update({"svg.hashsalt": "budgetstudy", "pdf.fonttype": 42})
# matplotlib's caches are shared by all threads and not guarded.
_drawing = threading.Lock()

# Okabe and Ito's colours, told apart with any colour vision and in greyscale.
_HEADLINE, _ESTIMATE, _PARTICIPANT = "#0072B2", "#333333", "#E69F00"
_RULE, _SOFT = "#BFC5CC", "#565E68"
_WIDTH_INCHES, _ROW_INCHES, _HEAD_INCHES, _FOOT_INCHES = 5.4, 0.25, 0.65, 0.55
_DOTS_ROWS = 2.6  # The participants' dots take as much height as so many estimates.
_LEFT, _RIGHT = 0.305, 0.745  # The axes' edges; labels to the left, numbers to the right.
_DATES = {
    "svg": {"Date": None, "Creator": "budgetstudy"},
    "pdf": {"CreationDate": None, "Creator": "budgetstudy", "Producer": None},
    "png": {"Software": "budgetstudy"},
}


@dataclass(frozen=True)
class Estimate:
    """One row of the figure: an estimate with its 95% interval."""

    label: str
    rate: float
    interval: Interval
    is_headline: bool = False


@dataclass(frozen=True)
class Panel:
    """One contrast: a title, how many answered what, the estimates, each participant's rate."""

    title: str
    counts: str
    axis_label: str
    estimates: Sequence[Estimate]
    participant_rates: Sequence[float]


def draw_figure(panels: Sequence[Panel], file_format: str) -> bytes:
    """Draw one panel per contrast, top to bottom.

    Parameters
    ----------
    panels : sequence of Panel
        At least one; rates are proportions.
    file_format : str
        `svg`, `pdf` or `png` (300 dots per inch).

    Returns
    -------
    bytes
        The file. The same panels give the same bytes on the same matplotlib.

    Raises
    ------
    ValueError
        If there is no panel, or the format is another.

    References
    ----------
    Okabe and Ito (2008), Color Universal Design: the palette.
    """
    if not panels:
        raise ValueError("a figure needs at least one contrast with answers, got none")
    if file_format not in FORMATS:
        raise ValueError(f"the format must be one of {', '.join(FORMATS)}, got {file_format!r}")
    with _drawing:
        figure = _compose(panels)
        buffer = io.BytesIO()
        figure.savefig(buffer, format=file_format, dpi=300, metadata=_DATES[file_format])
        return buffer.getvalue()


def _compose(panels: Sequence[Panel]) -> Figure:
    """Stack the panels, each as high as its rows need."""
    heights = [_ROW_INCHES * (len(panel.estimates) + _DOTS_ROWS) for panel in panels]
    total = sum(heights) + len(panels) * (_HEAD_INCHES + _FOOT_INCHES)
    figure = Figure(figsize=(_WIDTH_INCHES, total))
    FigureCanvasAgg(figure)
    top = total
    for panel, height in zip(panels, heights, strict=True):
        bottom = top - _HEAD_INCHES - height
        box = (_LEFT, bottom / total, _RIGHT - _LEFT, height / total)
        _draw_panel(figure.add_axes(box), panel)
        top = bottom - _FOOT_INCHES
    return figure


def _draw_panel(axes: Axes, panel: Panel) -> None:
    """Draw one contrast: estimates from the top, the participants' dots below them."""
    rows = len(panel.estimates)
    axes.set(xlim=(-2, 102), ylim=(-0.5 - _DOTS_ROWS, rows - 0.5), yticks=[])
    axes.axvline(100 * CHANCE_LEVEL, color=_SOFT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    for number, estimate in enumerate(panel.estimates):
        _draw_estimate(axes, estimate, row=rows - 1 - number)
    _draw_participants(axes, panel.participant_rates)
    _draw_head(axes, panel)
    axes.set_xlabel(panel.axis_label, fontsize=8)
    axes.set_xticks([0, 25, 50, 75, 100])
    axes.tick_params(labelsize=8, length=3, color=_RULE)
    axes.spines[["top", "left", "right"]].set_visible(False)
    axes.spines["bottom"].set_color(_RULE)


def _draw_head(axes: Axes, panel: Panel) -> None:
    """Write the title and counts above the panel, and what its line and its figures are."""
    for text, height, size, weight, colour in (
        (panel.title, 31, 9.5, "bold", "black"), (panel.counts, 19, 7.5, "normal", _SOFT),
    ):
        axes.annotate(text, (0, 1), xycoords=("figure fraction", "axes fraction"),
                      xytext=(8, height), textcoords="offset points", fontsize=size,
                      fontweight=weight, color=colour)
    axes.annotate("chance", (100 * CHANCE_LEVEL, 1), xycoords=("data", "axes fraction"),
                  xytext=(0, 3), textcoords="offset points", ha="center", fontsize=7, color=_SOFT)
    axes.annotate("%  [95% CI]", (1, 1), xycoords="axes fraction", xytext=(6, 3),
                  textcoords="offset points", fontsize=7, color=_SOFT)


def _draw_estimate(axes: Axes, estimate: Estimate, *, row: int) -> None:
    """Draw an interval and its estimate, with the name on the left and the figures on the right."""
    low, rate, high = (100 * x for x in
                       (estimate.interval.low, estimate.rate, estimate.interval.high))
    colour = _HEADLINE if estimate.is_headline else _ESTIMATE
    axes.plot([low, high], [row, row], color=colour, zorder=3, solid_capstyle="butt",
              linewidth=2.6 if estimate.is_headline else 1.3)
    axes.plot([rate], [row], color=colour, zorder=4, linestyle="none",
              marker="D" if estimate.is_headline else "o", markersize=5.5,
              markeredgecolor="white", markeredgewidth=0.7)
    weight = "bold" if estimate.is_headline else "normal"
    _name_row(axes, estimate.label, row=row, weight=weight)
    axes.annotate(f"{rate:.1f}  [{low:.1f}, {high:.1f}]", (1, row),
                  xycoords=("axes fraction", "data"), xytext=(6, 0), textcoords="offset points",
                  va="center", fontsize=7.5, fontweight=weight)


def _draw_participants(axes: Axes, rates: Sequence[float]) -> None:
    """Stack one dot a participant above the axis, so that each person can be counted."""
    values = np.round(100 * np.asarray(rates, dtype=float), 1)
    floor = -0.5 - _DOTS_ROWS + 0.6
    heights = np.full(values.size, floor)
    _, counts = np.unique(values, return_counts=True)
    step = min(0.3, (_DOTS_ROWS - 0.9) / counts.max())
    middle = floor + step * (counts.max() - 1) / 2
    for value in np.unique(values):
        (same,) = np.nonzero(values == value)
        heights[same] += step * np.arange(same.size)
    axes.scatter(values, heights, s=19, color=_PARTICIPANT, edgecolor="white", linewidth=0.5,
                 zorder=2, clip_on=False)
    _name_row(axes, "Each participant", row=middle, weight="normal")
    if values.size > 1:
        axes.annotate(f"SD {100 * np.std(rates, ddof=1):.1f}", (1, middle),
                      xycoords=("axes fraction", "data"), xytext=(6, 0),
                      textcoords="offset points", va="center", fontsize=7.5)


def _name_row(axes: Axes, label: str, *, row: float, weight: str) -> None:
    axes.annotate(label, (0, row), xycoords=("figure fraction", "data"), xytext=(8, 0),
                  textcoords="offset points", va="center", fontsize=7.5, fontweight=weight)
