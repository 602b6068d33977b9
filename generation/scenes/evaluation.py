"""Does the embedded model draw what a caption says, and does its quality grow with the steps?"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor
from transformers import CLIPModel

from generation.budget.curves import find_budget
from generation.budget.measuring import MeasuredCurves
from generation.budget.metrics import PATCH_COSINE
from generation.scenes.captions import Scene, random_scene
from generation.scenes.corpus import corpus_captions
from generation.scenes.drawing import draw
from generation.scenes.training import TrainingPlan, to_pixels, tokenize

_HELD_OUT_SEED = 20_251
CHOICES = 16


def held_out_scenes(count: int, *, skip: int = 0) -> list[Scene]:
    """Scenes with distinct captions, none of which the default training plan has seen."""
    seen = corpus_captions(TrainingPlan.num_scenes, seed=TrainingPlan.seed)
    rng = np.random.default_rng(_HELD_OUT_SEED)
    scenes: dict[str, Scene] = {}
    while len(scenes) < skip + count:
        scene = random_scene(rng)
        if scene.caption() not in seen:
            scenes.setdefault(scene.caption(), scene)
    return list(scenes.values())[skip:]


def evaluate_scenes(
    pipeline: StableDiffusionPipeline, clip: CLIPModel, *, curves: list[MeasuredCurves],
    guidance: float, reference_steps: int, folder: Path, report: Callable[[str], None],
) -> dict[str, Any]:
    """Measure the figures of the model card.

    Parameters
    ----------
    pipeline : StableDiffusionPipeline
    clip : CLIPModel
        The model's own, which judges retrieval.
    curves : list of MeasuredCurves
        Of the held-out prompts, averaged over seeds.
    guidance : float
    reference_steps : int
    folder : Path
        The weights, for their size.
    report : callable

    Returns
    -------
    dict
        `retrieval_drawn`, `retrieval_generated`: share of images whose own caption scores highest
        among 16; `chance`: 1/16; `spearman_distance`: mean over prompts of the rank correlation
        of step count and patch-cosine distance to the reference, -1 is a steady fall;
        `oracle_p90_over_p10`: how much budgets differ by prompt; `weights_mb`; `prompts`.
    """
    scenes = held_out_scenes(len(curves))
    captions = [scene.caption() for scene in scenes]
    rng = np.random.default_rng(_HELD_OUT_SEED + 1)
    drawn = np.stack([draw(scene, rng) for scene in scenes])
    report(f"Generating {len(captions)} images at {reference_steps} steps")
    generated = _generate(pipeline, captions, steps=reference_steps, guidance=guidance)
    tokens = tokenize(pipeline.tokenizer, captions)
    budgets = [find_budget(row.steps, row.curves) for row in curves]
    low, high = np.percentile(budgets, [10, 90])
    return {
        "retrieval_drawn": _retrieval(clip, to_pixels(drawn), tokens=tokens),
        "retrieval_generated": _retrieval(clip, to_pixels(generated), tokens=tokens),
        "chance": 1 / CHOICES,
        "spearman_distance": float(np.mean([
            spearmanr(row.steps, row.curves[PATCH_COSINE]).statistic for row in curves
        ])),
        "oracle_p10": float(low),
        "oracle_p90": float(high),
        "oracle_p90_over_p10": float(high / low),
        "weights_mb": sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 1e6,
        "prompts": len(captions),
    }


def _generate(
    pipeline: StableDiffusionPipeline, captions: list[str], *, steps: int, guidance: float
) -> NDArray[np.uint8]:
    parts = []
    for start in range(0, len(captions), 32):
        part = captions[start:start + 32]
        images = pipeline(
            part, num_inference_steps=steps, guidance_scale=guidance, output_type="np",
            generator=[torch.Generator().manual_seed(start + i) for i in range(len(part))],
        ).images
        parts.append((images * 255).round().astype(np.uint8))
    return np.concatenate(parts)


@torch.inference_mode()
def _retrieval(clip: CLIPModel, pixels: Tensor, *, tokens: Tensor) -> float:
    """Share of images whose own caption beats 15 others drawn at random."""
    images = clip.get_image_features(pixel_values=pixels).pooler_output
    texts = clip.get_text_features(input_ids=tokens).pooler_output
    scores = torch.nn.functional.normalize(images) @ torch.nn.functional.normalize(texts).T
    rng = np.random.default_rng(0)
    correct = 0
    for index in range(len(pixels)):
        others = rng.choice(np.delete(np.arange(len(tokens)), index), CHOICES - 1, replace=False)
        correct += bool((scores[index, index] > scores[index, others]).all())
    return correct / len(pixels)
