"""The three ways of `benchmark` side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from generation.diffusion.benchmark import (
    Timing,
    largest_difference,
    linearity,
    time_bucketed,
    time_engine,
    time_naive,
)
from generation.diffusion.recipes import Recipe


@dataclass(frozen=True)
class Comparison:
    """What three ways through one workload took.

    Attributes
    ----------
    naive, bucketed, engine : Timing
    parts : sequence of Timing
        Of the engine, on the whole workload and on shares of it.
    is_compiled : bool
        Whether the engine's UNet was compiled.
    """

    naive: Timing
    bucketed: Timing
    engine: Timing
    parts: Sequence[Timing]
    is_compiled: bool

    @property
    def max_difference(self) -> int:
        """Of the engine's images from the pipeline's, in grey levels of 255."""
        return largest_difference(self.naive, self.engine)

    def figures(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {
            "naive": self.naive.figures(), "bucketed": self.bucketed.figures(),
            "engine": self.engine.figures(),
            "ratio_engine_naive": self.naive.seconds / self.engine.seconds,
            "ratio_engine_bucketed": self.bucketed.seconds / self.engine.seconds,
            # A compiled UNet runs no hooks, so the time in it is not known.
            "utilisation": (None if self.is_compiled
                            else self.engine.unet_seconds / self.engine.seconds),
            "max_difference": self.max_difference,
            "cost_r_squared": linearity([part.unet_evaluations for part in self.parts],
                                        [part.seconds for part in self.parts]),
        }


def compare(
    pipeline: Any, recipes: Sequence[Recipe], *, num_slots: int, is_compiled: bool,
    report: Callable[[str], None],
) -> Comparison:
    """Take a workload through all three ways.

    Parameters
    ----------
    pipeline : StableDiffusionPipeline or StableDiffusionXLPipeline
        One that `can_batch` accepts.
    recipes : sequence of Recipe
        Of one size, all guided or none; two for each prompt, one after the other.
    num_slots : int
        How many images at most share a call.
    is_compiled : bool
        Compile the UNet for the engine; the other ways stay eager.
    report : callable
        Receives a line of progress before each way.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If the engine's images are not those of the pipeline, where float32 lets one tell.
    """
    time_naive(pipeline, recipes[:2])  # Warm up.
    report("Image by image")
    naive = time_naive(pipeline, recipes)
    report("In buckets")
    bucketed = time_bucketed(pipeline, recipes, batch_size=num_slots)
    if is_compiled:
        pipeline.unet.compile()
        time_engine(pipeline, recipes[:2 * num_slots], num_slots=num_slots)
    report("In slots")
    parts = _time_parts(pipeline, recipes, num_slots=num_slots)
    found = Comparison(naive, bucketed, parts[0], parts, is_compiled)
    if found.max_difference > 1 and pipeline.unet.dtype == torch.float32:
        raise ValueError(f"the images differ by up to {found.max_difference} grey levels of 255: "
                         "the engine does not draw what the pipeline does")
    return found


def _time_parts(pipeline: Any, recipes: Sequence[Recipe], *, num_slots: int) -> list[Timing]:
    """Time the engine on all of a workload, on half and on a quarter of it."""
    # Whole prompts, so that each part has as many long images as short ones.
    sizes = [len(recipes), *(len(recipes) // share // 2 * 2 for share in (2, 4))]
    return [time_engine(pipeline, recipes[:size], num_slots=num_slots) for size in sizes]
