"""From recipes to images."""

import logging
import platform
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import diffusers
import torch
import transformers
from PIL import Image

from generation.diffusion.folders import PipelineError
from generation.diffusion.pipelines import load_pipeline
from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import Sampled, SamplingError
from generation.diffusion.schedulers import describe_scheduler

logger = logging.getLogger(__name__)


def sample_all(
    recipes: Iterable[Recipe], *, device: str = ""
) -> Iterator[tuple[int, Sampled | SamplingError]]:
    """Sample recipes as they come, and hand out each as soon as it is finished.

    Parameters
    ----------
    recipes : iterable of Recipe
        Taken lazily: the next one is asked for only when there is room to work on it.
    device : str, optional
        A torch device; empty for a GPU where there is one.

    Yields
    ------
    tuple of int and (Sampled or SamplingError)
        A recipe's place in `recipes`, and its image or the reason why there is none. Not
        necessarily in order.
    """
    for index, recipe in enumerate(recipes):
        yield index, _sample_or_explain(recipe, device=device)


def sample(pipeline: Any, recipe: Recipe) -> Sampled:
    """Sample one recipe on a pipeline that `load_pipeline` made.

    Raises
    ------
    SamplingError
        If the prompt is longer than the text encoder reads, or the image is not made of numbers.
    """
    refuse_long_prompt(pipeline, recipe.prompt)
    latents = draw_noise(pipeline, recipe)
    with _counted_evaluations(pipeline.unet) as evaluations:
        started = time.perf_counter()
        output = pipeline(
            prompt=recipe.prompt, num_inference_steps=recipe.num_steps,
            guidance_scale=recipe.guidance, width=recipe.width, height=recipe.height,
            latents=latents, output_type="pt",
        )
        image = _to_image(pipeline, output.images)
        seconds = time.perf_counter() - started
    return Sampled(image, sum(evaluations), seconds,
                   provenance=describe(pipeline, batch_size=1))


def draw_noise(pipeline: Any, recipe: Recipe) -> torch.Tensor:
    """Draw a recipe's starting noise.

    The noise belongs to the seed: it is drawn for each image on its own, in float32 and on the
    CPU, and only then cast and moved, so that neither batch, dtype nor device changes it.

    Returns
    -------
    torch.Tensor
        Standard normal, in the pipeline's dtype and on its device.
    """
    factor = pipeline.vae_scale_factor
    shape = (1, pipeline.unet.config.in_channels, recipe.height // factor, recipe.width // factor)
    generator = torch.Generator("cpu").manual_seed(recipe.seed)
    noise = torch.randn(shape, generator=generator, dtype=torch.float32)  # (1, C, h, w)
    return noise.to(pipeline.device, pipeline.unet.dtype)  # (1, C, h, w)


def describe(pipeline: Any, *, batch_size: int) -> dict[str, Any]:
    """Return as JSON values what a reader needs, beside the recipe, to repeat an image."""
    device = pipeline.device
    return {
        "device": device.type,
        "device_name": (torch.cuda.get_device_name(device) if device.type == "cuda"
                        else platform.processor() or platform.machine()),
        "dtype": str(pipeline.unet.dtype).removeprefix("torch."),
        "batch_size": batch_size,
        "pipeline": type(pipeline).__name__,
        "scheduler_config": describe_scheduler(pipeline.scheduler),
        "versions": {"torch": torch.__version__, "diffusers": diffusers.__version__,
                     "transformers": transformers.__version__},
    }


def _sample_or_explain(recipe: Recipe, *, device: str) -> Sampled | SamplingError:
    try:
        pipeline = load_pipeline(
            recipe.source, recipe.revision, scheduler=recipe.scheduler, device=device
        )
        return sample(pipeline, recipe)
    except SamplingError as error:
        return error
    except PipelineError as error:
        return SamplingError(str(error))
    except Exception as error:  # Whatever one image raises must not stop the others.
        logger.exception("Sampling failed.", extra={"prompt": recipe.prompt})
        return SamplingError(f"{type(error).__name__}: {error}")


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


def refuse_long_prompt(pipeline: Any, prompt: str) -> None:
    """Raise `SamplingError`, a `ValueError`, for what the pipeline would cut silently."""
    for name in ("tokenizer", "tokenizer_2"):
        tokenizer = getattr(pipeline, name, None)
        if tokenizer is None:
            continue
        num_tokens = len(tokenizer(prompt).input_ids)
        if num_tokens > tokenizer.model_max_length:
            raise SamplingError(
                f"the prompt has {num_tokens} tokens, and the model reads at most "
                f"{tokenizer.model_max_length}: shorten it"
            )


def _to_image(pipeline: Any, pixels: torch.Tensor) -> Image.Image:
    """Turn one image of shape (1, 3, height, width), from 0 to 1, into 8 bits a channel."""
    if not bool(torch.isfinite(pixels).all()):
        raise SamplingError(
            f"the model gave values that are not numbers in {pipeline.unet.dtype}; such an image "
            "would be black"
        )
    array = pipeline.image_processor.pt_to_numpy(pixels)  # (1, height, width, 3)
    image: Image.Image = pipeline.image_processor.numpy_to_pil(array)[0]
    return image
