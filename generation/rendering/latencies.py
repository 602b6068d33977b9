"""How long one image takes when it is rendered alone. Loads torch: for workers and commands."""

import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
from django.conf import settings
from django.db.models import Min
from django.utils.timezone import now

from generation.diffusion.costs import Cost, CostMeter, ReadJoules
from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import Sampled
from generation.models import Budget, DiffusionModel, Latency
from generation.rendering import leases

logger = logging.getLogger(__name__)

MOST_STEP_COUNTS = 8
# Text encoders read prompts at one length, so which prompt it is does not matter.
_PROMPT = "a red circle"
_SECONDS_METHOD = (
    "wall time from the prompt to the image, one image at a time through the diffusers pipeline, "
    "model loading excluded; median over the repeats, which take the step counts in turn, forwards "
    "and backwards, after one image that is not counted"
)


@dataclass(frozen=True)
class LoneSampler:
    """Renders one image at a time, and may tell what energy its device has used."""

    sample: Callable[[Recipe], Sampled]
    joules: ReadJoules | None = None
    device: str = "cpu"
    clock: Callable[[], float] = time.perf_counter


LoadSampler = Callable[[DiffusionModel], LoneSampler]


@dataclass
class _Timing:
    """What the repeats at one step count took."""

    seconds: list[float] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)


def load_lone_sampler(model: DiffusionModel) -> LoneSampler:
    """Load the model's pipeline on the device that renders."""
    from generation.diffusion.alone import sample  # Loads torch, as do these.
    from generation.diffusion.energy import find_energy_counter
    from generation.diffusion.pipelines import load_pipeline

    pipeline = load_pipeline(model.location(), model.revision, scheduler=model.scheduler,
                             device=settings.RENDER_DEVICE)
    return LoneSampler(lambda recipe: sample(pipeline, recipe),
                       find_energy_counter(pipeline.device), device=pipeline.device.type)


def measure_on_request(model_id: int, *, load: LoadSampler = load_lone_sampler) -> bool:
    """Do what `request_latency` asked for; False if it is done, or another worker has begun.

    The request is taken off the row before the work, so that a model which kills its worker is
    not measured again and again; the row then says that the worker never finished.
    """
    rows = DiffusionModel.objects.filter(pk=model_id)
    if not rows.filter(latency_requested_at__isnull=False).update(
        latency_requested_at=None, latency_problem=_begun()
    ):
        return False
    rows.update(latency_problem=_measured_or_why_not(rows.get(), load=load))
    return True


def measure_latency(
    model: DiffusionModel, *, step_counts: Collection[int], repeats: int = 5,
    load: LoadSampler = load_lone_sampler,
) -> list[Latency]:
    """Time single images at each step count, and store what was found.

    Raises ValueError, with nothing stored, for step counts that the model does not take, fewer
    than one repeat, or a pipeline that does not load or makes no image.
    """
    counts = sorted(set(step_counts))
    _check(model, counts, repeats=repeats)
    alone = load(model)
    alone.sample(_recipe(model, counts[-1], seed=0))  # Compiles kernels and wakes the device.
    meter = CostMeter(alone.clock, alone.joules, device=alone.device)
    timings: dict[int, _Timing] = defaultdict(_Timing)
    for seed, num_steps in _turns(counts, repeats=repeats):
        meter.resume()
        sampled = alone.sample(_recipe(model, num_steps, seed=seed))
        meter.share([num_steps])
        timings[num_steps].seconds.append(sampled.seconds)
        timings[num_steps].provenance = sampled.provenance
    run = str(uuid.uuid4())
    return Latency.objects.bulk_create(
        _latency(model, num_steps, timing=timings[num_steps], cost=meter.take(num_steps), run=run)
        for num_steps in counts
    )


def step_counts_for(model: DiffusionModel) -> list[int]:
    """Return the step counts at which this model's latency is worth knowing."""
    budgets = Budget.objects.filter(predictor__model=model).values_list("num_steps", flat=True)
    fewest = model.renders.aggregate(fewest=Min("num_steps"))["fewest"]
    return choose_step_counts(model.reference_steps, list(budgets), fewest=fewest)


def choose_step_counts(
    reference_steps: int, budgets: Sequence[int], *, fewest: int | None = None
) -> list[int]:
    """Return at most `MOST_STEP_COUNTS` step counts to measure, ascending.

    The full count; the smallest budget and `fewest`, the smallest count rendered, for nothing
    below can be interpolated; the 10th, 50th and 90th percentile of the budgets; then the budgets
    that lie farthest from those. Without budgets the full count and half of it.
    """
    chosen = {reference_steps} if fewest is None else {reference_steps, fewest}
    if not budgets:
        return sorted(chosen | {max(1, reference_steps // 2)})
    percentiles = np.percentile(budgets, [10, 50, 90], method="inverted_cdf")
    chosen |= {min(budgets), *(int(count) for count in percentiles)}
    left = set(budgets) - chosen
    while left and len(chosen) < MOST_STEP_COUNTS:
        farthest = max(sorted(left), key=lambda count: min(abs(count - c) for c in chosen))
        chosen.add(farthest)
        left.remove(farthest)
    return sorted(chosen)


def _begun() -> str:
    return (f"{leases.holder_name()} began to measure at {now():%Y-%m-%d %H:%M} UTC. Should it "
            "have stopped since, ask again.")


def _measured_or_why_not(model: DiffusionModel, *, load: LoadSampler) -> str:
    """Measure, and return an empty text or what went wrong."""
    try:
        measure_latency(model, step_counts=step_counts_for(model), load=load)
    except ValueError as error:
        logger.warning("Latency was not measured.",
                       extra={"model": model.name, "why": str(error)})
        return str(error)
    except Exception as error:  # Whoever asked shall read why, whatever it was.
        logger.exception("Latency was not measured.", extra={"model": model.name})
        return f"{type(error).__name__}: {error}"
    return ""


def _check(model: DiffusionModel, counts: list[int], *, repeats: int) -> None:
    if repeats < 1:
        raise ValueError(f"expected at least 1 repeat, got {repeats}")
    if not counts:
        raise ValueError("expected at least one step count to measure, got none")
    wrong = [count for count in counts if not 1 <= count <= model.reference_steps]
    if wrong:
        raise ValueError(f"{model} takes 1 to {model.reference_steps} steps, got {wrong[0]}")


def _turns(counts: list[int], *, repeats: int) -> Iterator[tuple[int, int]]:
    """Yield seeds and step counts so that a device that slows down slows all of them alike."""
    for repeat in range(repeats):
        for num_steps in counts if repeat % 2 else reversed(counts):
            yield repeat + 1, num_steps


def _recipe(model: DiffusionModel, num_steps: int, *, seed: int) -> Recipe:
    return Recipe(
        source=model.location(), revision=model.revision, prompt=_PROMPT, seed=seed,
        num_steps=num_steps, scheduler=model.scheduler, guidance=model.guidance,
        width=model.width, height=model.height,
    )


def _latency(
    model: DiffusionModel, num_steps: int, *, timing: _Timing, cost: Cost, run: str
) -> Latency:
    repeats = len(timing.seconds)
    return Latency(
        model=model, num_steps=num_steps, seconds=median(timing.seconds),
        fastest_seconds=min(timing.seconds), slowest_seconds=max(timing.seconds),
        joules=None if cost.joules is None else cost.joules / repeats, repeats=repeats,
        provenance={
            **timing.provenance, "run": run, "settings": model.sampling_settings(),
            "prompt": _PROMPT, "worker": leases.holder_name(),
            "cost": {"seconds": _SECONDS_METHOD, "joules": cost.how_joules},
        },
    )
