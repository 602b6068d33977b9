"""From latents to pixels."""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import StableDiffusionXLPipeline
from PIL import Image
from torch import Tensor

from generation.diffusion.pipelines import denoiser
from generation.diffusion.samples import SamplingError

# Larger chunks gain nothing, and need memory when the UNet has taken most of it.
DECODE_CHUNK = 4


@torch.inference_mode()
def decode(pipeline: Any, latents: Sequence[Tensor], *, chunk: int = DECODE_CHUNK) -> Tensor:
    """Decode 1 to `chunk` latents as the pipeline itself would.

    The chunk is filled up to its full size, so that an image's last bits do not depend on how many
    others were finished beside it.

    Parameters
    ----------
    pipeline : StableDiffusionPipeline or StableDiffusionXLPipeline
    latents : sequence of Tensor, shape (1, C, h, w) each
    chunk : int
        How many the autoencoder is given at once.

    Returns
    -------
    Tensor, shape (N, 3, height, width)
        RGB in [0, 1], float32.

    Raises
    ------
    ValueError
        If there are no latents or more than `chunk`.
    """
    if not 1 <= len(latents) <= chunk:
        raise ValueError(f"expected 1 to {chunk} latents, got {len(latents)}")
    filler = [torch.zeros_like(latents[0])] * (chunk - len(latents))
    filled = torch.cat([*latents, *filler])  # (chunk, C, h, w)
    vae = pipeline.vae
    if isinstance(pipeline, StableDiffusionXLPipeline):
        filled = _unscaled_xl(vae, filled)
    else:
        filled = filled / vae.config.scaling_factor
    pixels = vae.decode(filled.to(vae.dtype), return_dict=False)[0]  # (chunk, 3, H, W)
    return (pixels[:len(latents)].float() / 2 + 0.5).clamp(0, 1)


def _unscaled_xl(vae: Any, latents: Tensor) -> Tensor:
    mean, deviation = (vae.config.get(name) for name in ("latents_mean", "latents_std"))
    if mean is None or deviation is None:
        return latents / vae.config.scaling_factor
    mean, deviation = (latents.new_tensor(values)[:, None, None] for values in (mean, deviation))
    return latents * deviation / vae.config.scaling_factor + mean


def is_image(pixels: Tensor) -> bool:
    """Whether every value is a number; one that is not would be shown as black.

    Parameters
    ----------
    pixels : Tensor
        Of any shape.

    Returns
    -------
    bool
    """
    return bool(torch.isfinite(pixels).all())


def no_image(pipeline: Any) -> SamplingError:
    """What to say of pixels that are no image.

    Parameters
    ----------
    pipeline : diffusers.DiffusionPipeline
        The one that made them.

    Returns
    -------
    SamplingError
        It names the dtype, which is what overflows.
    """
    return SamplingError(
        f"the model gave values that are not numbers in {denoiser(pipeline).dtype}; such an "
        "image would be black"
    )


def to_image(pixels: Tensor) -> Image.Image:
    """Turn pixels into an image of 8 bits a channel.

    Parameters
    ----------
    pixels : Tensor, shape (3, height, width)
        RGB in [0, 1].

    Returns
    -------
    PIL.Image.Image
        Rounded to the nearest of 256 levels.
    """
    array = (pixels.permute(1, 2, 0) * 255).round().to(torch.uint8).cpu().numpy()
    return Image.fromarray(array)
