"""Load what measuring needs from a model's folder."""

from pathlib import Path

import torch
from diffusers import DiffusionPipeline

from generation.budget.encoders import ImageEncoder
from generation.diffusion.pipelines import load_pipeline


def open_model(
    folder: Path, *, scheduler: str = "ddim"
) -> tuple[DiffusionPipeline, ImageEncoder]:
    """Load a pipeline folder and the CLIP in its `clip` folder, on a GPU where there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    pipeline = load_pipeline(str(folder), "", scheduler=scheduler, device=device)
    return pipeline, ImageEncoder.from_folder(folder / "clip", device=device)
