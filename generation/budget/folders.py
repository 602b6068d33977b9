"""Load what measuring needs from a model's folder."""

from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline

from generation.budget.encoders import ImageEncoder
from generation.diffusion.pipelines import load_pipeline


def open_model(folder: Path) -> tuple[StableDiffusionPipeline, ImageEncoder]:
    """Load a pipeline folder and the CLIP in its `clip` folder, on a GPU where there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    pipeline = load_pipeline(str(folder), "", scheduler="ddim", device=device)
    return pipeline, ImageEncoder.from_folder(folder / "clip", device=device)
