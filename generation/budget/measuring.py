"""Measure metric curves: render prompts at every step count of a grid, score against the full one.

Rows are appended to a JSON-lines file as they are measured, so an interrupted run resumes.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from generation.budget.encoders import ImageEncoder
from generation.budget.metrics import (
    ICLIP,
    LSNR,
    PATCH_COSINE,
    image_similarity,
    laplacian_snr,
    patch_cosine_distance,
)
from generation.diffusion.conditioning import refuse_long_prompt

# At least this large a batch keeps two CPU cores busy with the embedded model.
_BATCH = 32


@dataclass(frozen=True)
class MeasuredCurves:
    """One prompt and seed: each metric at each step count of the grid."""

    prompt: str
    seed: int
    steps: list[int]
    curves: dict[str, list[float]]


def measure_curves(
    pipeline: StableDiffusionPipeline, encoder: ImageEncoder, *, prompts: Sequence[str],
    seeds: Sequence[int], steps: Sequence[int], guidance: float, out: Path,
    report: Callable[[str], None],
) -> list[MeasuredCurves]:
    """Measure every prompt under every seed, one seed after the other.

    Parameters
    ----------
    pipeline : StableDiffusionPipeline
        With the scheduler to measure, on its device.
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
        Receives a line of progress for each batch.

    Raises
    ------
    ValueError
        If a prompt is longer than the text encoder reads, or `out` holds curves of another grid.
    """
    for prompt in prompts:
        refuse_long_prompt(pipeline, prompt)
    found = read_curves(out)
    if others := [row for row in found if row.steps != list(steps)]:
        raise ValueError(f"{out} holds curves over the steps {others[0].steps}, not {list(steps)}: "
                         "name another file")
    known = {(row.prompt, row.seed) for row in found}
    wanted = [(prompt, seed) for seed in seeds for prompt in prompts
              if (prompt, seed) not in known]
    started = time.monotonic()
    for start in range(0, len(wanted), _BATCH):
        batch = wanted[start:start + _BATCH]
        rows = _measure_batch(pipeline, encoder, batch=batch, steps=steps, guidance=guidance)
        with out.open("a") as file:
            file.writelines(json.dumps(asdict(row)) + "\n" for row in rows)
        found += rows
        done = start + len(batch)
        seconds_left = (time.monotonic() - started) / done * (len(wanted) - done)
        report(f"{done} of {len(wanted)} curves, {seconds_left / 60:.0f} min left")
    return found


def read_curves(path: Path) -> list[MeasuredCurves]:
    """Read a JSON-lines file of curves; a missing file holds none, a cut last line is ignored."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    return [MeasuredCurves(**json.loads(line)) for line in lines if line.endswith("\n")]


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


@torch.inference_mode()
def _measure_batch(
    pipeline: StableDiffusionPipeline, encoder: ImageEncoder, *, batch: list[tuple[str, int]],
    steps: Sequence[int], guidance: float,
) -> list[MeasuredCurves]:
    scores: dict[int, dict[str, Tensor]] = {}
    reference: tuple[Tensor, Tensor] | None = None
    for num_steps in sorted(steps, reverse=True):  # The reference first.
        images = _render(pipeline, batch, num_steps=num_steps, guidance=guidance)
        embeddings, patches = encoder.encode(images)
        reference = reference or (embeddings, patches)
        scores[num_steps] = {
            LSNR: laplacian_snr(images),
            PATCH_COSINE: patch_cosine_distance(patches, reference[1]),
            ICLIP: image_similarity(embeddings, reference[0]),
        }
    return [
        MeasuredCurves(prompt, seed, list(steps), {
            metric: [round(scores[n][metric][index].item(), 5) for n in steps]
            for metric in (LSNR, PATCH_COSINE, ICLIP)
        })
        for index, (prompt, seed) in enumerate(batch)
    ]


def _render(
    pipeline: StableDiffusionPipeline, batch: list[tuple[str, int]], *, num_steps: int,
    guidance: float,
) -> Tensor:
    """Images (N, 3, H, W) in [0, 1], each from its own seed's noise."""
    return pipeline(
        [prompt for prompt, _ in batch],
        num_inference_steps=num_steps,
        guidance_scale=guidance,
        generator=[torch.Generator().manual_seed(seed) for _, seed in batch],
        output_type="pt",
    ).images
