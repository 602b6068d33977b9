"""Loading diffusers pipelines: safetensors only, no code from the model's author."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import DiffusionPipeline

from generation.diffusion.folders import (
    PipelineError,
    inspect_pipeline_folder,
    left_out_parts,
    pipeline_class_name,
)
from generation.diffusion.recipes import Recipe
from generation.diffusion.schedulers import build_scheduler
from generation.diffusion.weights import weights_sha256

# A safety checker would blacken some images; a watermark is a change that only one side may show.
_UNTOUCHED_IMAGES: dict[str, dict[str, Any]] = {
    "StableDiffusionPipeline": {"safety_checker": None, "requires_safety_checker": False},
    "StableDiffusionXLPipeline": {"add_watermarker": False},
}


def choose_device(device: str) -> torch.device:
    """Return the named device, or, for an empty name, a GPU where there is one.

    Parameters
    ----------
    device : str
        As torch names it.

    Returns
    -------
    torch.device

    Raises
    ------
    PipelineError
        If the device is unknown or not there.
    """
    if not device:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise PipelineError(f"the device {device!r} cannot be used here: {error}") from error
    return torch.device(device)


# Two: a worker that alternates between two models does not load them over and over.
@lru_cache(maxsize=2)
def load_pipeline(source: str, revision: str, *, scheduler: str, device: str = "") -> Any:
    """Load a text-to-image pipeline ready for sampling; kept for the life of the process.

    Parameters
    ----------
    source : str
        A pipeline folder, or a hub id.
    revision : str
        The hub id's 40-hex commit; empty for a folder.
    scheduler : str
        `ddim` (eta 0) or `dpmsolver++` (2M), with trailing timestep spacing; `own` leaves the
        pipeline's scheduler as it was saved.
    device : str, optional
        A torch device; empty for a GPU where there is one.

    Returns
    -------
    diffusers.DiffusionPipeline
        Of a class that `folders.WEIGHTS_BY_CLASS` names. float32 on a CPU; on a GPU bfloat16, or
        float16 where that is all it has. Its `weights_sha256` says which weights it has; empty
        for a hub id, whose commit does.

    Raises
    ------
    PipelineError
        If the pipeline is missing, of another class, without safetensors, does not load, or
        cannot be driven by the scheduler.
    """
    folder = _folder(source, revision)
    inspect_pipeline_folder(folder)
    target = choose_device(device)
    # Before they are read: of a folder that changes meanwhile, the images must not be kept.
    digest = "" if revision else weights_sha256(folder)
    pipeline = _load(folder, dtype=_dtype(target))
    pipeline.weights_sha256 = digest
    if scheduler != "own":
        pipeline.scheduler = build_scheduler(scheduler, pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.to(target)
    if hasattr(pipeline, "unet"):  # Transformers have no images inside to lay out.
        pipeline.unet.to(memory_format=torch.channels_last)
    return pipeline


def refuse_other_weights(pipeline: Any, recipe: Recipe) -> None:
    """Refuse to sample a recipe with other weights than it names.

    Parameters
    ----------
    pipeline : diffusers.DiffusionPipeline
        One that `load_pipeline` made.
    recipe : Recipe
        Without weights of its own it takes any.

    Raises
    ------
    PipelineError
        It names the folder and both digests, and says what to do.
    """
    found, expected = pipeline.weights_sha256, recipe.weights_sha256
    if expected and found != expected:
        raise PipelineError(
            f"the weights in {recipe.source} have changed since this model was first used: their "
            f"sha256 was {expected[:12]}… and is {found[:12]}…. Register the folder as a new model "
            "and use that in a new study, or put the old weights back: images of both in one study "
            "could not be compared"
        )


def denoiser(pipeline: Any) -> Any:
    """The network that is called at every step.

    Parameters
    ----------
    pipeline : diffusers.DiffusionPipeline

    Returns
    -------
    torch.nn.Module
        A UNet or a transformer.
    """
    return pipeline.unet if hasattr(pipeline, "unet") else pipeline.transformer


def _folder(source: str, revision: str) -> Path:
    """Return the pipeline's folder, fetched from the hub if it is an id with a commit."""
    if not revision:
        return Path(source)
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise PipelineError(
            f"the revision of {source} is {revision!r}: expected a commit of 40 hexadecimal digits"
        )
    try:
        return Path(DiffusionPipeline.download(
            source, revision=revision, use_safetensors=True, trust_remote_code=False,
            safety_checker=None,
        ))
    except (OSError, ValueError) as error:
        raise PipelineError(
            f"{source} at {revision} could not be fetched from the hub: {error}"
        ) from error


def _load(folder: Path, *, dtype: torch.dtype) -> Any:
    class_name = pipeline_class_name(folder)
    # Parts that a class does not call optional must be named to be left out, as SD3's T5.
    parts: dict[str, Any] = dict.fromkeys(left_out_parts(folder))
    parts |= _UNTOUCHED_IMAGES.get(class_name, {})
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()  # A worker's log is no terminal.
    try:
        return getattr(diffusers, class_name).from_pretrained(
            folder, use_safetensors=True, local_files_only=True, dtype=dtype,
            low_cpu_mem_usage=False, **parts,
        )
    except Exception as error:  # Half-copied weights and odd configurations raise anything.
        raise PipelineError(f"{folder} did not load as a {class_name}: {error}") from error


def _dtype(device: torch.device) -> torch.dtype:
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
