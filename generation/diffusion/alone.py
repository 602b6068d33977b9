"""One image by the diffusers pipeline itself: the yardstick for equality, speed and latency."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from generation.diffusion.decoding import is_image, no_image, to_image
from generation.diffusion.noise import draw_noise
from generation.diffusion.prompts import refuse_long_prompt
from generation.diffusion.provenance import describe
from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import Sampled, SamplingError, want_all
from generation.diffusion.whole import sample_whole


def sample(pipeline: Any, recipe: Recipe) -> Sampled:
    """Sample one recipe on a pipeline that `load_pipeline` made, with nothing beside it.

    Raises
    ------
    SamplingError
        If the prompt is longer than the text encoder reads, or the image is not made of numbers.
    """
    if not hasattr(pipeline, "unet"):  # Its noise has a shape of its own.
        return _sample_transformer(pipeline, recipe)
    refuse_long_prompt(pipeline, recipe.prompt)
    latents = draw_noise(pipeline, recipe)
    with _counted_evaluations(pipeline.unet) as evaluations:
        started = time.perf_counter()
        pixels = pipeline(
            prompt=recipe.prompt, num_inference_steps=recipe.num_steps,
            guidance_scale=recipe.guidance, width=recipe.width, height=recipe.height,
            latents=latents, output_type="pt",
        ).images[0]  # (3, height, width)
        if not is_image(pixels):
            raise no_image(pipeline)
        image = to_image(pixels)
        seconds = time.perf_counter() - started
    return Sampled(image, sum(evaluations), seconds,
                   provenance=describe(pipeline, batch_size=1))


def _sample_transformer(pipeline: Any, recipe: Recipe) -> Sampled:
    [(_, outcome)] = sample_whole(pipeline, [(0, recipe)], batch_size=1, unwanted=want_all)
    if isinstance(outcome, SamplingError):
        raise outcome
    return outcome


@contextmanager
def _counted_evaluations(unet: torch.nn.Module) -> Iterator[list[int]]:
    """Collect the batch size of every forward pass of the UNet."""
    counts: list[int] = []

    def count(_module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        counts.append(len(args[0] if args else kwargs["sample"]))

    hook = unet.register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield counts
    finally:
        hook.remove()
