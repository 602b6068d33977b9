"""The batched sampler: keeps a `SlotBatch` full, decodes what is finished, survives what fails."""

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from torch import Tensor

from generation.diffusion.batch_sizes import free_memory, is_out_of_memory, too_large
from generation.diffusion.conditioning import encoder_of
from generation.diffusion.costs import Cost, CostMeter
from generation.diffusion.decoding import DECODE_CHUNK, decode, is_image, no_image
from generation.diffusion.noise import draw_noise
from generation.diffusion.prompts import refuse_long_prompt
from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import SamplingError, Unwanted, want_all
from generation.diffusion.slots import Sitter, SlotBatch
from generation.diffusion.timetables import Timetable, can_tabulate, tabulate

logger = logging.getLogger(__name__)

# A finished image waits at most so many UNet calls for others to be decoded with.
_LONGEST_WAIT = 8


@dataclass(frozen=True)
class Drawn:
    """One image as the model gave it.

    Attributes
    ----------
    recipe : Recipe
    pixels : Tensor, shape (3, height, width)
        RGB in [0, 1], float32, on the pipeline's device.
    unet_evaluations : int
    cost : Cost
    num_slots : int
        How many images at most shared a UNet call.
    """

    recipe: Recipe
    pixels: Tensor
    unet_evaluations: int
    cost: Cost
    num_slots: int


Outcome = tuple[int, Drawn | SamplingError]


def can_batch(pipeline: Any) -> bool:
    """Whether the batched sampler does all that this pipeline's own loop would do.

    Parameters
    ----------
    pipeline : diffusers.DiffusionPipeline

    Returns
    -------
    bool
    """
    if type(pipeline) not in (StableDiffusionPipeline, StableDiffusionXLPipeline):
        return False
    unet = pipeline.unet.config
    is_xl = isinstance(pipeline, StableDiffusionXLPipeline)
    return (
        can_tabulate(pipeline.scheduler)
        and unet.in_channels == unet.out_channels
        and unet.time_cond_proj_dim is None
        and unet.class_embed_type is None
        and unet.encoder_hid_dim_type is None
        # Such an autoencoder overflows in half precision; the pipeline itself knows what to do.
        and not (pipeline.vae.dtype == torch.float16 and pipeline.vae.config.force_upcast)
        and unet.addition_embed_type == ("text_time" if is_xl else None)
    )


def sample_batched(
    pipeline: Any, recipes: Iterable[tuple[int, Recipe]], *, num_slots: int, meter: CostMeter,
    unwanted: Unwanted = want_all, on_shrink: Callable[[int], None] = lambda num_slots: None,
) -> Iterator[Outcome]:
    """Sample recipes of one kind: one size, all guided or none.

    Parameters
    ----------
    pipeline : StableDiffusionPipeline or StableDiffusionXLPipeline
        One that `can_batch` accepts.
    recipes : iterable of (int, Recipe)
        Each with an index of its own. The next one is asked for when a slot is free, and begun in
        the order in which they come: the longest first packs best.
    num_slots : int
        How many images at most share a UNet call. Fewer recipes get a smaller batch, of a power of
        two. The number stays the same during a run, unless memory runs out.
    meter : CostMeter
    unwanted : callable
        Given the indexes in work before each UNet call; those it returns are dropped.
    on_shrink : callable
        Told the new number of slots after memory ran out.

    Yields
    ------
    tuple of int and (Drawn or SamplingError)
        In the order in which they are finished.
    """
    feed = iter(recipes)
    while first := list(islice(feed, num_slots)):
        queue = chain(first, feed)
        run = _Run(pipeline, num_slots=min(num_slots, _power_of_two(len(first))), meter=meter)
        failure = None
        try:
            yield from run.images(queue, unwanted)
        except _BatchError as error:
            failure = error.summary
        if failure is None:
            return
        # Out of the except block, no traceback keeps the batch's tensors alive.
        lost, tried_slots = run.lost(), run.num_slots
        del run
        free_memory()
        for index, _ in lost:
            meter.forget(index)  # An image costs what its own making took.
        feed = queue
        if failure.is_memory and tried_slots > 1:
            num_slots = tried_slots // 2
            on_shrink(num_slots)
            feed = chain(lost, queue)
        elif len(lost) == 1:
            yield lost[0][0], SamplingError(
                too_large(lost[0][1]) if failure.is_memory else failure.message)
        else:  # One of them may be to blame, and the others need not suffer for it.
            for one in lost:
                yield from sample_batched(pipeline, [one], num_slots=1, meter=meter,
                                          unwanted=unwanted)


@dataclass(frozen=True)
class _Failure:
    message: str
    is_memory: bool


class _BatchError(Exception):
    """A call for the whole batch failed."""

    def __init__(self, summary: _Failure) -> None:
        super().__init__(summary.message)
        self.summary = summary


@contextmanager
def _failing_as_a_batch() -> Iterator[None]:
    """Tell failures of the device and the model from those of whoever feeds the sampler."""
    try:
        yield
    except SamplingError:
        raise
    except Exception as error:  # A model may raise anything.
        is_memory = is_out_of_memory(error)
        if not is_memory:
            logger.warning("A batch failed.", exc_info=True)
        summary = _Failure(f"{type(error).__name__}: {error}", is_memory=is_memory)
        raise _BatchError(summary) from None


class _Run:
    """One batch, from the first image that is seated to the last that is decoded."""

    def __init__(self, pipeline: Any, *, num_slots: int, meter: CostMeter) -> None:
        self.num_slots = num_slots
        self._pipeline = pipeline
        self._meter = meter
        self._encoder = encoder_of(pipeline)
        self._batch: SlotBatch | None = None
        self._chunk = DECODE_CHUNK
        self._tables: dict[int, Timetable] = {}
        self._in_work: dict[int, Recipe] = {}
        self._finished: deque[tuple[int, Tensor]] = deque()
        self._calls_waited = 0

    def lost(self) -> list[tuple[int, Recipe]]:
        """What was in work when the batch failed."""
        return list(self._in_work.items())

    def images(
        self, recipes: Iterator[tuple[int, Recipe]], unwanted: Unwanted
    ) -> Iterator[Outcome]:
        """Work until `recipes` end."""
        while True:
            yield from self._fill(recipes)
            batch = self._batch
            if batch is None or not batch.indexes():
                break
            self._drop(batch, unwanted(batch.indexes()))
            if batch.indexes():
                with _failing_as_a_batch():
                    self._advance(batch)
            if self._is_time_to_decode():
                yield from self._decode_some()
        while self._finished:
            yield from self._decode_some()

    def _fill(self, recipes: Iterator[tuple[int, Recipe]]) -> Iterator[Outcome]:
        while self._batch is None or self._batch.has_room():
            found = next(recipes, None)
            if found is None:
                return
            index, recipe = found
            self._in_work[index] = recipe
            try:
                with _failing_as_a_batch():
                    self._seat(index, recipe)
            except SamplingError as error:
                del self._in_work[index]
                self._meter.forget(index)
                yield index, error

    def _seat(self, index: int, recipe: Recipe) -> None:
        """Give a free slot to a recipe; encoding its prompt is charged to it alone."""
        self._meter.resume()
        if self._batch is None:
            self._batch = self._empty_batch(recipe)
        self._batch.seat(self._sitter(index, recipe))
        self._meter.share([index])

    def _empty_batch(self, kind: Recipe) -> SlotBatch:
        return SlotBatch(
            self._pipeline.unet, num_slots=self.num_slots,
            unconditional=self._encoder.unconditional() if kind.is_guided else None,
            size_ids=self._encoder.size_ids(width=kind.width, height=kind.height),
        )

    def _sitter(self, index: int, recipe: Recipe) -> Sitter:
        refuse_long_prompt(self._pipeline, recipe.prompt)
        if recipe.num_steps not in self._tables:
            self._tables[recipe.num_steps] = tabulate(self._pipeline.scheduler, recipe.num_steps)
        return Sitter(
            index, self._tables[recipe.num_steps], recipe.guidance,
            self._encoder.encode(recipe.prompt), draw_noise(self._pipeline, recipe),
        )

    def _drop(self, batch: SlotBatch, indexes: Collection[int]) -> None:
        batch.drop(indexes)
        for index in indexes:
            self._in_work.pop(index, None)
            self._meter.forget(index)

    def _advance(self, batch: SlotBatch) -> None:
        seated = batch.indexes()
        self._meter.resume()  # What came between is the caller's time and no image's.
        self._finished.extend(batch.advance())
        self._meter.share(seated)

    def _is_time_to_decode(self) -> bool:
        if not self._finished:
            return False
        self._calls_waited += 1
        return len(self._finished) >= self._chunk or self._calls_waited >= _LONGEST_WAIT

    def _decode_some(self) -> Iterator[Outcome]:
        self._calls_waited = 0
        part = list(islice(self._finished, self._chunk))
        self._meter.resume()
        images = self._decode([latent for _, latent in part])
        if images is None:
            return
        indexes = [index for index, _ in part]
        self._meter.share(indexes)
        for index, pixels in zip(indexes, images, strict=True):
            self._finished.popleft()
            recipe = self._in_work.pop(index)
            drawn = Drawn(recipe, pixels, recipe.num_steps * recipe.evaluations_per_step,
                          self._meter.take(index), self.num_slots)
            yield index, drawn if is_image(pixels) else no_image(self._pipeline)

    def _decode(self, latents: list[Tensor]) -> Tensor | None:
        """Decode, or return None if that takes too much memory: the next try takes fewer."""
        try:
            with _failing_as_a_batch():
                return decode(self._pipeline, latents, chunk=self._chunk)
        except _BatchError as error:
            if not error.summary.is_memory or self._chunk == 1:
                raise
        self._chunk //= 2
        free_memory()
        return None


def _power_of_two(count: int) -> int:
    """The smallest power of two that is at least `count`."""
    return 1 << (count - 1).bit_length()
