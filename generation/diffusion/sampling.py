"""From recipes to images, by whatever samples their model fastest."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from generation.diffusion.batch_sizes import remember_slots, slots_for
from generation.diffusion.batching import Drawn, can_batch, sample_batched
from generation.diffusion.costs import CostMeter
from generation.diffusion.decoding import to_image
from generation.diffusion.folders import PipelineError
from generation.diffusion.metering import make_meter
from generation.diffusion.pipelines import denoiser, load_pipeline, refuse_other_weights
from generation.diffusion.provenance import describe
from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import Sampled, SamplingError, Unwanted, want_all
from generation.diffusion.whole import sample_whole

Numbered = Iterator[tuple[int, Recipe]]
Outcome = tuple[int, Sampled | SamplingError]


def sample_all(
    recipes: Iterable[Recipe], *, device: str = "", num_slots: int | None = None,
    unwanted: Unwanted = want_all,
) -> Iterator[Outcome]:
    """Sample recipes as they come, and hand out each as soon as it is finished.

    Recipes that follow each other and can share a batch do: same model, scheduler and size, all
    guided or none, and, where the batched sampler drives the pipeline, whatever their step counts.

    Parameters
    ----------
    recipes : iterable of Recipe
        Taken lazily: the next one is asked for only when there is room to work on it.
    device : str, optional
        A torch device; empty for a GPU where there is one.
    num_slots : int, optional
        How many images share a UNet call; chosen by device and size when omitted.
    unwanted : callable, optional
        Given the places of the recipes in work before each call of the UNet or transformer; those
        it returns are dropped.

    Yields
    ------
    tuple of int and (Sampled or SamplingError)
        A recipe's place in `recipes`, and its image or the reason why there is none. Not
        necessarily in order.
    """
    for _, group in groupby(enumerate(recipes), key=lambda numbered: _kind(numbered[1])):
        first = next(group)
        try:
            pipeline = load_pipeline(first[1].source, first[1].revision,
                                     scheduler=first[1].scheduler, device=device)
            refuse_other_weights(pipeline, first[1])
        except PipelineError as error:
            yield from ((index, SamplingError(str(error))) for index, _ in _joined(first, group))
            continue
        if can_batch(pipeline):
            yield from _sample_batched(pipeline, _joined(first, group), kind=first[1],
                                       num_slots=num_slots, unwanted=unwanted)
        else:
            yield from _sample_whole(pipeline, _joined(first, group), kind=first[1],
                                     batch_size=num_slots, unwanted=unwanted)


def draw_numbered(
    pipeline: Any, recipes: Iterable[tuple[int, Recipe]], *, num_slots: int | None = None
) -> Iterator[tuple[int, Tensor]]:
    """Draw recipes of one kind on a loaded pipeline, as pixels for whoever measures them.

    Parameters
    ----------
    pipeline : diffusers.DiffusionPipeline
        One that `load_pipeline` made.
    recipes : iterable of (int, Recipe)
        Each with an index of its own, taken lazily.
    num_slots : int, optional
        How many images share a call; chosen by device and size when omitted.

    Yields
    ------
    tuple of int and Tensor, shape (3, height, width)
        A recipe's index and its RGB values in [0, 1], float32, on the pipeline's device.

    Raises
    ------
    SamplingError
        If an image cannot be made: what is measured needs all of them.
    """
    numbered = iter(recipes)
    first = next(numbered, None)
    if first is None:
        return
    chosen = choose_slots(pipeline, first[1], most=num_slots)
    wanted = _joined(first, numbered)
    outcomes: Iterator[tuple[int, Drawn | Sampled | SamplingError]]
    if can_batch(pipeline):
        outcomes = sample_batched(pipeline, wanted, num_slots=chosen, meter=CostMeter(),
                                  on_shrink=_remembering(pipeline, first[1]))
    else:
        outcomes = sample_whole(pipeline, wanted, batch_size=chosen, unwanted=want_all)
    for index, outcome in outcomes:
        if isinstance(outcome, SamplingError):
            raise outcome
        yield index, _pixels(outcome, pipeline.device)


def _pixels(outcome: Drawn | Sampled, device: torch.device) -> Tensor:
    if isinstance(outcome, Drawn):
        return outcome.pixels
    return torch.from_numpy(np.array(outcome.image)).to(device).permute(2, 0, 1) / 255


def choose_slots(pipeline: Any, kind: Recipe, *, most: int | None = None) -> int:
    """Choose how many images share a call.

    Parameters
    ----------
    pipeline : diffusers.DiffusionPipeline
    kind : Recipe
        Any of those that are to share.
    most : int, optional
        Replaces the guess, not what running out of memory has taught.

    Returns
    -------
    int
        At least 1.
    """
    return slots_for(pipeline.device, _memory_key(pipeline, kind),
                     pixels=kind.width * kind.height, wanted=most)


def _remembering(pipeline: Any, kind: Recipe) -> Callable[[int], None]:
    return partial(remember_slots, _memory_key(pipeline, kind))


def _memory_key(pipeline: Any, kind: Recipe) -> tuple[object, ...]:
    """Model, resolution, guidance and dtype: what the memory of a slot depends on."""
    return *_kind(kind), denoiser(pipeline).dtype


def _kind(recipe: Recipe) -> tuple[object, ...]:
    """What images of one batch have in common."""
    return (recipe.source, recipe.revision, recipe.weights_sha256, recipe.scheduler, recipe.width,
            recipe.height, recipe.is_guided)


def _joined(first: tuple[int, Recipe], rest: Numbered) -> Numbered:
    yield first
    yield from rest


def _sample_batched(
    pipeline: Any, recipes: Numbered, *, kind: Recipe, num_slots: int | None, unwanted: Unwanted
) -> Iterator[Outcome]:
    chosen = choose_slots(pipeline, kind, most=num_slots)
    meter = make_meter(pipeline.device)
    outcomes = sample_batched(
        pipeline, recipes, num_slots=chosen, meter=meter, unwanted=unwanted,
        on_shrink=_remembering(pipeline, kind),
    )
    for index, outcome in outcomes:
        yield index, _sampled(pipeline, outcome) if isinstance(outcome, Drawn) else outcome


def _sampled(pipeline: Any, drawn: Drawn) -> Sampled:
    return Sampled(
        to_image(drawn.pixels), drawn.unet_evaluations, drawn.cost.seconds, drawn.cost.joules,
        provenance={"sampler": "slots", "cost": drawn.cost.method(),
                    **describe(pipeline, batch_size=drawn.num_slots)},
    )


def _sample_whole(
    pipeline: Any, recipes: Numbered, *, kind: Recipe, batch_size: int | None, unwanted: Unwanted
) -> Iterator[Outcome]:
    meter = make_meter(pipeline.device)
    chosen = choose_slots(pipeline, kind, most=batch_size)
    yield from sample_whole(pipeline, recipes, batch_size=chosen, unwanted=unwanted, meter=meter,
                            on_shrink=_remembering(pipeline, kind))
