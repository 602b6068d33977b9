"""The noise that an image starts from."""

from typing import Any

import torch

from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import SamplingError


def draw_noise(pipeline: Any, recipe: Recipe) -> torch.Tensor:
    """Draw a recipe's starting noise.

    The noise belongs to the seed: it is drawn for each image on its own, in float32 and on the
    CPU, and only then cast and moved, so that neither batch, dtype nor device changes it.

    Returns
    -------
    torch.Tensor
        Standard normal, in the pipeline's dtype and on its device.

    Raises
    ------
    SamplingError
        If the model makes no images of the recipe's size.
    """
    factor = pipeline.vae_scale_factor
    if recipe.width % factor or recipe.height % factor:
        raise SamplingError(
            f"an image of {recipe.width} x {recipe.height} pixels was asked for: this model's "
            f"sizes are multiples of {factor}"
        )
    shape = (1, pipeline.unet.config.in_channels, recipe.height // factor, recipe.width // factor)
    generator = torch.Generator("cpu").manual_seed(recipe.seed)
    noise = torch.randn(shape, generator=generator, dtype=torch.float32)  # (1, C, h, w)
    return noise.to(pipeline.device, pipeline.unet.dtype)  # (1, C, h, w)
