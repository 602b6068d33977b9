"""What a reader needs, beside the recipe, to repeat an image."""

import platform
from typing import Any

import diffusers
import torch
import transformers

from generation.diffusion.pipelines import denoiser
from generation.diffusion.schedulers import describe_scheduler


def describe(pipeline: Any, *, batch_size: int) -> dict[str, Any]:
    """Describe a pipeline and its machine.

    Parameters
    ----------
    pipeline : diffusers.DiffusionPipeline
    batch_size : int
        How many images at most shared a call.

    Returns
    -------
    dict
        JSON values: device, dtype, batch size, pipeline, weights, scheduler, library versions.
    """
    device = pipeline.device
    return {
        "device": device.type,
        "device_name": (torch.cuda.get_device_name(device) if device.type == "cuda"
                        else platform.processor() or platform.machine()),
        "dtype": str(denoiser(pipeline).dtype).removeprefix("torch."),
        "batch_size": batch_size,
        "pipeline": type(pipeline).__name__,
        # Of a folder that `load_pipeline` has read; others have no weights that could be named.
        "weights_sha256": getattr(pipeline, "weights_sha256", ""),
        "scheduler_config": describe_scheduler(pipeline.scheduler),
        "versions": {"torch": torch.__version__, "diffusers": diffusers.__version__,
                     "transformers": transformers.__version__},
    }
