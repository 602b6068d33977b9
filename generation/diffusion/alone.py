"""One image by the diffusers pipeline itself: the yardstick for equality, speed and latency."""

from typing import Any

from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import Sampled, SamplingError, want_all
from generation.diffusion.whole import sample_whole


def sample(pipeline: Any, recipe: Recipe) -> Sampled:
    """Sample one recipe through the pipeline's own loop, with nothing beside it.

    Parameters
    ----------
    pipeline : diffusers.DiffusionPipeline
        One that `load_pipeline` made, with the scheduler that the recipe names.
    recipe : Recipe

    Returns
    -------
    Sampled
        Its seconds are the wall time from the prompt to the pixels.

    Raises
    ------
    SamplingError
        If the prompt is longer than the text encoder reads, the model makes no images of this
        size, the pipeline fails, or the image is not made of numbers.
    """
    [(_, outcome)] = sample_whole(pipeline, [(0, recipe)], batch_size=1, unwanted=want_all)
    if isinstance(outcome, SamplingError):
        raise outcome
    return outcome
