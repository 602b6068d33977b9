"""Sizes that a model would round or refuse."""

from typing import Any

from generation.diffusion.folders import size_factor
from generation.diffusion.pipelines import denoiser
from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import SamplingError


def refuse_size(pipeline: Any, recipe: Recipe) -> None:
    """Refuse a recipe whose width or height is no multiple of what the pipeline can make.

    Parameters
    ----------
    pipeline : diffusers.DiffusionPipeline
    recipe : Recipe

    Raises
    ------
    SamplingError
        A `ValueError` that names the size asked for and the factor, both in pixels.
    """
    factor = size_factor(type(pipeline).__name__, autoencoder=pipeline.vae.config,
                         denoiser=denoiser(pipeline).config)
    if recipe.width % factor or recipe.height % factor:
        raise SamplingError(
            f"the model makes no images of {recipe.width} x {recipe.height} pixels: width and "
            f"height must be multiples of {factor}"
        )
