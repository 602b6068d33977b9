"""The noise that an image starts from."""

from typing import Any

import torch

from generation.diffusion.recipes import Recipe
from generation.diffusion.sizes import refuse_size


def draw_noise(pipeline: Any, recipe: Recipe) -> torch.Tensor:
    """Draw a recipe's starting noise.

    The noise belongs to the seed: it is drawn for each image on its own, in float32 and on the
    CPU, and only then cast and moved, so that neither batch, dtype nor device changes it.

    Parameters
    ----------
    pipeline : StableDiffusionPipeline or StableDiffusionXLPipeline
    recipe : Recipe

    Returns
    -------
    torch.Tensor, shape (1, C, h, w)
        Standard normal, in the pipeline's dtype and on its device; h and w are the recipe's size
        over the autoencoder's scale factor.

    Raises
    ------
    SamplingError
        If the model makes no images of the recipe's size.
    """
    refuse_size(pipeline, recipe)
    factor = pipeline.vae_scale_factor
    shape = (1, pipeline.unet.config.in_channels, recipe.height // factor, recipe.width // factor)
    generator = torch.Generator("cpu").manual_seed(recipe.seed)
    noise = torch.randn(shape, generator=generator, dtype=torch.float32)  # (1, C, h, w)
    return noise.to(pipeline.device, pipeline.unet.dtype)  # (1, C, h, w)
