"""Three ways through one workload: image by image, in buckets of equal length, in slots.

Sampling only: a worker also asks its database before each step, and stores images beside it.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from generation.diffusion.alone import sample
from generation.diffusion.batching import sample_batched
from generation.diffusion.decoding import to_image
from generation.diffusion.metering import make_meter
from generation.diffusion.noise import draw_noise
from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import SamplingError

Images = dict[int, NDArray[np.uint8]]


@dataclass
class Timing:
    """What one way took.

    Attributes
    ----------
    images : dict of int to ndarray of uint8, shape (height, width, 3)
        By the recipe's place.
    seconds : float
        Wall time, loading excluded.
    unet_seconds : float
        Of it, in UNet calls.
    unet_evaluations : int
        Latents of images that passed through the UNet; idle slots do not count.
    peak_mb : float
        Most memory in use: of the GPU, or resident in this process.
    """

    images: Images = field(default_factory=dict)
    seconds: float = 0.0
    unet_seconds: float = 0.0
    unet_evaluations: int = 0
    peak_mb: float = 0.0

    def figures(self) -> dict[str, float]:
        return {
            "images_per_s": len(self.images) / self.seconds,
            "unet_evaluations_per_s": self.unet_evaluations / self.seconds,
            "peak_mb": self.peak_mb,
            "utilisation": self.unet_seconds / self.seconds,
            "seconds": self.seconds,
        }


def time_naive(pipeline: Any, recipes: Sequence[Recipe]) -> Timing:
    """The loop that everyone writes first: one pipeline call for each image.

    Parameters
    ----------
    pipeline : StableDiffusionPipeline or StableDiffusionXLPipeline
    recipes : sequence of Recipe
        Of any step counts.

    Returns
    -------
    Timing

    Raises
    ------
    SamplingError
        If an image cannot be made.
    """
    with _timed(pipeline, recipes) as timing:
        for index, recipe in enumerate(recipes):
            timing.images[index] = np.asarray(sample(pipeline, recipe).image)
    return timing


def time_bucketed(pipeline: Any, recipes: Sequence[Recipe], *, batch_size: int) -> Timing:
    """One pipeline call for each batch of images with the same step count.

    Parameters
    ----------
    pipeline : StableDiffusionPipeline or StableDiffusionXLPipeline
    recipes : sequence of Recipe
        Of one size and guidance.
    batch_size : int
        How many images at most share a call.

    Returns
    -------
    Timing
    """
    buckets: dict[int, list[int]] = defaultdict(list)
    for index, recipe in enumerate(recipes):
        buckets[recipe.num_steps].append(index)
    with _timed(pipeline, recipes) as timing:
        for indexes in buckets.values():
            for start in range(0, len(indexes), batch_size):
                part = indexes[start:start + batch_size]
                pixels = _call(pipeline, [recipes[index] for index in part])
                timing.images |= {index: np.asarray(to_image(image))
                                  for index, image in zip(part, pixels, strict=True)}
    return timing


def time_engine(pipeline: Any, recipes: Sequence[Recipe], *, num_slots: int) -> Timing:
    """The batched sampler, the longest first.

    Parameters
    ----------
    pipeline : StableDiffusionPipeline or StableDiffusionXLPipeline
        One that `can_batch` accepts.
    recipes : sequence of Recipe
        Of one size, all guided or none.
    num_slots : int
        How many images at most share a UNet call.

    Returns
    -------
    Timing

    Raises
    ------
    SamplingError
        If an image cannot be made.
    """
    order = sorted(range(len(recipes)), key=lambda index: -recipes[index].num_steps)
    with _timed(pipeline, recipes) as timing:
        outcomes = sample_batched(pipeline, ((index, recipes[index]) for index in order),
                                  num_slots=num_slots, meter=make_meter(pipeline.device))
        for index, outcome in outcomes:
            if isinstance(outcome, SamplingError):
                raise outcome
            timing.images[index] = np.asarray(to_image(outcome.pixels))
    return timing


def largest_difference(first: Timing, second: Timing) -> int:
    """Find the largest difference of any pixel between images of the same recipes.

    Parameters
    ----------
    first, second : Timing

    Returns
    -------
    int
        Grey levels, from 0 to 255; lower is better.

    Raises
    ------
    ValueError
        If they hold images of different recipes.
    """
    if first.images.keys() != second.images.keys():
        raise ValueError(f"{len(first.images)} images against {len(second.images)}")
    return max(int(np.abs(image.astype(int) - second.images[index]).max())
               for index, image in first.images.items())


def linearity(evaluations: Sequence[float], seconds: Sequence[float]) -> float:
    """Say how well a straight line through cost against UNet evaluations fits.

    Parameters
    ----------
    evaluations, seconds : sequence of float
        Of at least 3 workloads.

    Returns
    -------
    float
        R², from 0 to 1; 1 is perfectly linear.

    Raises
    ------
    ValueError
        If there are fewer points, or not as many of one as of the other.
    """
    if len(evaluations) != len(seconds) or len(evaluations) < 3:
        raise ValueError(f"expected at least 3 points, got {len(evaluations)}, {len(seconds)}")
    return float(np.corrcoef(evaluations, seconds)[0, 1] ** 2)


def _call(pipeline: Any, recipes: Sequence[Recipe]) -> Any:
    """One call of the pipeline for recipes of one length: pixels (N, 3, height, width)."""
    first = recipes[0]
    return pipeline(
        prompt=[recipe.prompt for recipe in recipes], num_inference_steps=first.num_steps,
        guidance_scale=first.guidance, width=first.width, height=first.height,
        latents=torch.cat([draw_noise(pipeline, recipe) for recipe in recipes]),
        output_type="pt",
    ).images


@contextmanager
def _timed(pipeline: Any, recipes: Sequence[Recipe]) -> Iterator[Timing]:
    """Measure what happens in the block."""
    timing = Timing(unet_evaluations=sum(recipe.num_steps * recipe.evaluations_per_step
                                         for recipe in recipes))
    wait = torch.cuda.synchronize if pipeline.device.type == "cuda" else lambda: None
    calls = _BusyTime(pipeline.device)
    hooks = [pipeline.unet.register_forward_pre_hook(calls.begin),
             pipeline.unet.register_forward_hook(calls.end)]
    peak_mb = _watch_memory(pipeline.device)
    started = time.perf_counter()
    try:
        yield timing
        wait()
        timing.seconds = time.perf_counter() - started
        timing.unet_seconds = calls.seconds()
        timing.peak_mb = peak_mb()
    finally:
        for hook in hooks:
            hook.remove()


class _BusyTime:
    """How long at least one call was under way: on a CPU the parts of a batch run side by side.

    On a GPU the calls are only marked, and read at the end: waiting for each would slow the loops
    that otherwise prepare one call during another.
    """

    def __init__(self, device: torch.device) -> None:
        self._is_gpu = device.type == "cuda"
        self._lock = Lock()
        self._under_way = 0
        self._since = 0.0
        self._seconds = 0.0
        self._marks: list[Any] = []

    def begin(self, *_: Any) -> None:
        with self._lock:
            if self._is_gpu:
                self._mark()
            elif not self._under_way:
                self._since = time.perf_counter()
            self._under_way += 1

    def end(self, *_: Any) -> None:
        with self._lock:
            self._under_way -= 1
            if self._is_gpu:
                self._mark()
            elif not self._under_way:
                self._seconds += time.perf_counter() - self._since

    def seconds(self) -> float:
        """All of it; on a GPU once the device is done."""
        pairs = zip(self._marks[::2], self._marks[1::2], strict=True)
        return self._seconds + sum(begun.elapsed_time(ended) for begun, ended in pairs) / 1000

    def _mark(self) -> None:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self._marks.append(event)


def _watch_memory(device: torch.device) -> Callable[[], float]:
    """Forget the peak so far; the function that comes back reads the new one in megabytes."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return lambda: torch.cuda.max_memory_allocated(device) / 1e6
    Path("/proc/self/clear_refs").write_text("5")  # Linux: resets the high-water mark.
    return lambda: int(Path("/proc/self/status").read_text()
                       .split("VmHWM:")[1].split()[0]) * 1024 / 1e6
