"""Measure metric curves: render prompts at every step count of a grid, score against the full one.

Every image of every curve goes through one batched sampler, whatever its step count, and is scored
from its pixels before anything is encoded. Rows are appended to a JSON-lines file as they are
measured, so an interrupted run resumes.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from diffusers import DiffusionPipeline
from torch import Tensor

from generation.budget.encoders import ImageEncoder
from generation.budget.metrics import (
    ICLIP,
    LSNR,
    METRICS,
    PATCH_COSINE,
    image_similarity,
    laplacian_snr,
    patch_cosine_distance,
)
from generation.diffusion.pipelines import denoiser
from generation.diffusion.prompts import refuse_long_prompt
from generation.diffusion.recipes import Recipe
from generation.diffusion.sampling import draw_numbered

_REPORT_SECONDS = 10.0
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class MeasuredCurves:
    """One prompt and seed: each metric at each step count of the grid."""

    prompt: str
    seed: int
    steps: list[int]
    curves: dict[str, list[float]]


def measure_curves(
    pipeline: DiffusionPipeline, encoder: ImageEncoder, *, prompts: Sequence[str],
    seeds: Sequence[int], steps: Sequence[int], guidance: float, out: Path,
    report: Callable[[str], None], size: tuple[int, int] | None = None,
    is_busy: Callable[[], bool] = lambda: False,
) -> list[MeasuredCurves]:
    """Measure every prompt under every seed, one seed after the other.

    Parameters
    ----------
    pipeline : DiffusionPipeline
        With the scheduler to measure, on its device. What the batched sampler cannot drive goes
        through its own loop, and is scored after rounding to 8 bits.
    encoder : ImageEncoder
    prompts, seeds : sequence
        Curves of one prompt are later averaged over seeds: a budget belongs to the prompt, not to
        one noise.
    steps : sequence of int
        The step grid; the last is the reference.
    guidance : float
    out : Path
        JSON lines; what it holds already is not measured again.
    report : callable
        Receives a line of progress now and then.
    size : tuple of int, optional
        Width and height in pixels; what the model was trained for when omitted.
    is_busy : callable, optional
        Asked before the first image and after each: while it says that something more urgent needs
        the device, nothing is drawn.

    Returns
    -------
    list of MeasuredCurves
        What `out` now holds: with the curves that it held before.

    Raises
    ------
    ValueError
        If a prompt is longer than the text encoder reads, `out` holds curves of another grid, or
        the model does not say its size.
    """
    for prompt in prompts:
        refuse_long_prompt(pipeline, prompt)
    _drop_cut_line(out)
    found = read_curves(out)
    if others := [row for row in found if row.steps != list(steps)]:
        raise ValueError(f"{out} holds curves over the steps {others[0].steps}, not {list(steps)}: "
                         "name another file")
    known = {(row.prompt, row.seed) for row in found}
    wanted = [(prompt, seed) for seed in seeds for prompt in prompts
              if (prompt, seed) not in known]
    progress = _Progress(len(wanted), report, is_busy)
    for row in _measured(pipeline, encoder, wanted=wanted, steps=steps, guidance=guidance,
                         size=size or _own_size(pipeline), progress=progress):
        with out.open("a") as file:
            file.write(json.dumps(asdict(row)) + "\n")
        found.append(row)
    return found


def read_curves(path: Path) -> list[MeasuredCurves]:
    """Read a JSON-lines file of curves; a missing file holds none, a cut last line is ignored."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    return [MeasuredCurves(**json.loads(line)) for line in lines if line.endswith("\n")]


def _drop_cut_line(path: Path) -> None:
    """Cut off what a killed run left of its last line, or the next would be written behind it."""
    content = path.read_bytes() if path.exists() else b""
    if content and not content.endswith(b"\n"):
        with path.open("ab") as file:
            file.truncate(content.rfind(b"\n") + 1)


def average_over_seeds(rows: Iterable[MeasuredCurves]) -> dict[str, MeasuredCurves]:
    """Average each prompt's curves over its seeds; the averaged row has seed -1."""
    by_prompt: dict[str, list[MeasuredCurves]] = {}
    for row in rows:
        by_prompt.setdefault(row.prompt, []).append(row)
    return {prompt: _average(group) for prompt, group in by_prompt.items()}


def _average(rows: list[MeasuredCurves]) -> MeasuredCurves:
    curves = {
        metric: [sum(values) / len(rows)
                 for values in zip(*(row.curves[metric] for row in rows), strict=True)]
        for metric in rows[0].curves
    }
    return MeasuredCurves(rows[0].prompt, -1, rows[0].steps, curves)


@dataclass
class _Curve:
    """What is known of a curve that is being measured, by step count."""

    lsnr: dict[int, float] = field(default_factory=dict)
    embeddings: dict[int, Tensor] = field(default_factory=dict)  # (1, D) each
    patches: dict[int, Tensor] = field(default_factory=dict)     # (1, P, C) each

    def add(self, num_steps: int, pixels: Tensor, encoder: ImageEncoder) -> None:
        """Take in one image (3, H, W) in [0, 1]; each is embedded once, the reference too."""
        image = pixels[None]
        self.lsnr[num_steps] = laplacian_snr(image).item()
        self.embeddings[num_steps], self.patches[num_steps] = encoder.encode(image)

    def scores(self, steps: Sequence[int]) -> dict[str, list[float]]:
        reference = steps[-1]
        values = {
            LSNR: [self.lsnr[n] for n in steps],
            PATCH_COSINE: [patch_cosine_distance(self.patches[n], self.patches[reference]).item()
                           for n in steps],
            ICLIP: [image_similarity(self.embeddings[n], self.embeddings[reference]).item()
                    for n in steps],
        }
        return {metric: [round(value, 5) for value in values[metric]] for metric in METRICS}


def _measured(
    pipeline: DiffusionPipeline, encoder: ImageEncoder, *, wanted: list[tuple[str, int]],
    steps: Sequence[int], guidance: float, size: tuple[int, int], progress: "_Progress",
) -> Iterator[MeasuredCurves]:
    """Yield the curves of prompts and seeds as they are finished."""
    width, height = size
    places = [(pair, num_steps) for pair in range(len(wanted))
              for num_steps in sorted(steps, reverse=True)]
    recipes = (
        (index, Recipe("", "", prompt=wanted[pair][0], seed=wanted[pair][1], num_steps=num_steps,
                       scheduler="own", guidance=guidance, width=width, height=height))
        for index, (pair, num_steps) in enumerate(places)
    )
    open_curves: dict[int, _Curve] = {}
    progress.give_way()
    for index, pixels in draw_numbered(pipeline, recipes):
        pair, num_steps = places[index]
        curve = open_curves.setdefault(pair, _Curve())
        curve.add(num_steps, pixels, encoder)
        progress.count(num_steps / sum(steps))
        if len(curve.lsnr) == len(steps):
            del open_curves[pair]
            yield MeasuredCurves(*wanted[pair], list(steps), curve.scores(steps))
        progress.give_way()  # Nothing is drawn before the next image is asked for.


def _own_size(pipeline: DiffusionPipeline) -> tuple[int, int]:
    """Width and height in pixels that the model was trained for."""
    sample_size = denoiser(pipeline).config.get("sample_size")
    if sample_size is None:
        raise ValueError(f"a {type(pipeline).__name__} does not say which size it was trained for: "
                         "give one")
    height, width = (sample_size, sample_size) if isinstance(sample_size, int) else sample_size
    return width * pipeline.vae_scale_factor, height * pipeline.vae_scale_factor


class _Progress:
    """Says now and then how many curves are measured and how long the rest will take."""

    def __init__(
        self, total: int, report: Callable[[str], None], is_busy: Callable[[], bool]
    ) -> None:
        self._total = total
        self._report = report
        self._is_busy = is_busy
        self._done = 0.0
        self._started = self._said = time.monotonic()

    def give_way(self) -> None:
        """Block while something more urgent needs the device; that is no time of measuring."""
        if not self._done < self._total - 1e-6 or not self._is_busy():
            return
        since = time.monotonic()
        self._report("Waiting: more urgent images are rendered first")
        while self._is_busy():
            time.sleep(_POLL_SECONDS)
        self._started += time.monotonic() - since
        self._report("Going on")

    def count(self, share: float) -> None:
        """Add a share of a curve: its steps among all steps of the grid."""
        self._done += share
        now = time.monotonic()
        is_last = self._done > self._total - 1e-6
        if is_last or now - self._said > _REPORT_SECONDS:
            self._said = now
            seconds_left = (now - self._started) / self._done * (self._total - self._done)
            self._report(f"{self._done:.0f} of {self._total} curves, "
                         f"{seconds_left / 60:.0f} min left")
