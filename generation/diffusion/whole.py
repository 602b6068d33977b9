"""Pipelines that run through their own `__call__`, several images of equal length at a time."""

import inspect
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from generation.diffusion.batch_sizes import free_memory, is_out_of_memory, too_large
from generation.diffusion.costs import Cost, CostMeter
from generation.diffusion.decoding import is_image, no_image, to_image
from generation.diffusion.pipelines import denoiser
from generation.diffusion.prompts import refuse_long_prompt
from generation.diffusion.provenance import describe
from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import Sampled, SamplingError, Unwanted
from generation.diffusion.sizes import refuse_size

logger = logging.getLogger(__name__)

Group = list[tuple[int, Recipe]]
# They would change an image behind the recipe's back: make another size and scale it, and reword
# the prompt where two optional packages happen to be installed.
_OFF = ("use_resolution_binning", "clean_caption")


def sample_whole(
    pipeline: Any, recipes: Iterable[tuple[int, Recipe]], *, batch_size: int, unwanted: Unwanted,
    meter: CostMeter | None = None, on_shrink: Callable[[int], None] = lambda batch_size: None,
) -> Iterator[tuple[int, Sampled | SamplingError]]:
    """Sample recipes through the pipeline's own loop, those of equal length in one call.

    Parameters
    ----------
    pipeline : diffusers.DiffusionPipeline
        One that `load_pipeline` made.
    recipes : iterable of (int, Recipe)
        Each with an index of its own, all for this pipeline. At most `batch_size` are taken ahead
        of their images; of these the oldest and those that share its step count, guidance and
        size are called next.
    batch_size : int
        How many images at most share a call.
    unwanted : callable
        Given the indexes in work, before each call and before each evaluation of the denoiser in
        it; those it returns are not handed out. A call of which nothing is wanted any more ends
        there. What it raises ends the sampling.
    meter : CostMeter, optional
        Without it only seconds are measured.
    on_shrink : callable
        Told the new batch size after memory ran out.

    Yields
    ------
    tuple of int and (Sampled or SamplingError)
        A call's images in the order of their recipes. A failed call is repeated image by image,
        one that ran out of memory in halves.
    """
    feed = iter(recipes)
    held: Group = []

    def shrink(smaller: int) -> None:
        nonlocal batch_size
        batch_size = min(batch_size, smaller)
        on_shrink(batch_size)

    caller = _Caller(pipeline, unwanted, meter or CostMeter(), shrink)
    while True:
        held += islice(feed, max(0, batch_size - len(held)))
        if not held:
            return
        shape = _shape(held[0][1])
        group = [(index, recipe) for index, recipe in held if _shape(recipe) == shape][:batch_size]
        chosen = {index for index, _ in group}
        held = [(index, recipe) for index, recipe in held if index not in chosen]
        yield from _sample_possible(caller, group)


def _shape(recipe: Recipe) -> tuple[float, ...]:
    """All that recipes of one call must have in common."""
    return recipe.num_steps, recipe.guidance, recipe.width, recipe.height


@dataclass(frozen=True)
class _Caller:
    """What every call has in common."""

    pipeline: Any
    unwanted: Unwanted
    meter: CostMeter
    on_shrink: Callable[[int], None]


def _sample_possible(
    caller: _Caller, group: Group
) -> Iterator[tuple[int, Sampled | SamplingError]]:
    """Sample a group but for the recipes that the pipeline would not follow to the letter."""
    possible = []
    for index, recipe in group:
        try:
            refuse_long_prompt(caller.pipeline, recipe.prompt)
            refuse_size(caller.pipeline, recipe)
        except SamplingError as error:
            yield index, error
        else:
            possible.append((index, recipe))
    if possible:
        yield from _sample_group(caller, possible)


def _sample_group(
    caller: _Caller, group: Group
) -> Iterator[tuple[int, Sampled | SamplingError]]:
    call = _Call(caller, group)
    outcomes, failure, is_memory = [], "", False
    try:
        outcomes = call.run()
    except _NothingWantedError:
        return
    except _AskingError as error:
        raise error.reason from None
    except Exception as error:  # Whatever one image raises must not stop the others.
        is_memory = is_out_of_memory(error)
        failure = (too_large(group[0][1]) if is_memory
                   else f"the pipeline failed with {type(error).__name__}: {error}")
        logger.exception("Sampling failed.", extra={"prompts": [r.prompt for _, r in group]})
    if not failure:
        yield from outcomes
    elif len(group) == 1:
        yield group[0][0], SamplingError(failure)
    else:
        free_memory()  # Out here no exception keeps the call's tensors alive.
        smaller = len(group) // 2 if is_memory else 1
        if is_memory:
            caller.on_shrink(smaller)
        for part in _divided(call.wanted(), smaller):
            yield from _sample_group(caller, part)


def _divided(group: Group, size: int) -> Iterator[Group]:
    for start in range(0, len(group), size):
        yield group[start:start + size]


class _NothingWantedError(Exception):
    """Nobody wants any image of a call any more."""


class _AskingError(Exception):
    """Asking what is unwanted failed, which is the caller's matter and no image's."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class _Call:
    """One call of the pipeline, for recipes that differ in prompt and seed only."""

    def __init__(self, caller: _Caller, group: Group) -> None:
        self._pipeline = caller.pipeline
        self._unwanted = caller.unwanted
        self._meter = caller.meter
        self._group = group
        self._dropped: set[int] = set()
        self._num_latents = 0

    def wanted(self) -> Group:
        return [(index, recipe) for index, recipe in self._group if index not in self._dropped]

    def run(self) -> list[tuple[int, Sampled | SamplingError]]:
        self._ask()
        self._group = self.wanted()
        with self._watched_evaluations(), _noise_in_float32(self._pipeline):
            self._meter.resume()
            pixels = self._pipeline(**self._arguments()).images.float().cpu()  # (B, 3, H, W)
            self._meter.share([index for index, _ in self._group])
        costs = {index: self._meter.take(index) for index, _ in self._group}
        return [(index, self._outcome(own_pixels, costs[index]))
                for (index, _), own_pixels in zip(self._group, pixels, strict=True)
                if index not in self._dropped]

    def _arguments(self) -> dict[str, Any]:
        recipes = [recipe for _, recipe in self._group]
        accepted = inspect.signature(self._pipeline.__call__).parameters
        return {
            "prompt": [recipe.prompt for recipe in recipes],
            "generator": [torch.Generator("cpu").manual_seed(recipe.seed) for recipe in recipes],
            "num_inference_steps": recipes[0].num_steps, "guidance_scale": recipes[0].guidance,
            "width": recipes[0].width, "height": recipes[0].height, "output_type": "pt",
            **{name: False for name in _OFF if name in accepted},
        }

    @contextmanager
    def _watched_evaluations(self) -> Iterator[None]:
        """Before each forward pass of the denoiser, ask what is unwanted and count its latents."""
        network = denoiser(self._pipeline)
        first = next(iter(inspect.signature(network.forward).parameters))

        def watch(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._ask()
            self._num_latents += len(args[0] if args else kwargs[first])

        hook = network.register_forward_pre_hook(watch, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()

    def _ask(self) -> None:
        try:
            self._dropped |= set(self._unwanted([index for index, _ in self.wanted()]))
        except Exception as error:
            raise _AskingError(error) from error
        if not self.wanted():
            raise _NothingWantedError

    def _outcome(self, pixels: Tensor, cost: Cost) -> Sampled | SamplingError:
        """Judge an image (3, H, W); the images of a call cost alike."""
        if not is_image(pixels):
            return no_image(self._pipeline)
        size = len(self._group)
        method = cost.method() | {
            "seconds": "wall time of the pipeline's call shared equally by the images in it"
        }
        return Sampled(
            to_image(pixels), self._num_latents // size, cost.seconds, cost.joules,
            provenance={"sampler": "pipeline", "cost": method,
                        **describe(self._pipeline, batch_size=size)},
        )


@contextmanager
def _noise_in_float32(pipeline: Any) -> Iterator[None]:
    """Have the pipeline draw its noise in float32 and cast it, so that it is the seed's alone.

    Left alone it draws in the dtype of its text embeddings, and bfloat16 has other random numbers.
    """
    prepare = pipeline.prepare_latents
    signature = inspect.signature(prepare)

    def prepare_latents(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        dtype, given.arguments["dtype"] = given.arguments["dtype"], torch.float32
        drawn = prepare(*given.args, **given.kwargs)
        # FLUX and Chroma return their patches' positions beside the noise.
        return (tuple(part.to(dtype) for part in drawn) if isinstance(drawn, tuple)
                else drawn.to(dtype))

    pipeline.prepare_latents = prepare_latents
    try:
        yield
    finally:
        del pipeline.prepare_latents
