"""What may be asked of the rendering side, in transactions."""

from collections.abc import Iterable
from functools import partial

from django.db import transaction
from django.db.models.functions import Now

from generation.models import DiffusionModel, Prompt, Render, RenderState
from generation.models.renders import RenderQuerySet
from generation.rendering.queueing import queue_drain, queue_latency

RenderKey = tuple[int, int, int]  # Prompt id, seed, steps.


def request_renders(
    model: DiffusionModel, wanted: Iterable[tuple[Prompt, int, int]]
) -> dict[RenderKey, Render]:
    """Get or create the render of each prompt, seed and step count, and have them drawn.

    Raises ValueError, with nothing written, for a step count outside 1 to the model's reference
    count or a negative seed.
    """
    keys = sorted({_checked_key(model, prompt, seed, num_steps)
                   for prompt, seed, num_steps in wanted}, key=lambda key: (key[1], *key))
    # Sorted, so that two requests at once lock in the same order; the loser reads the winner's.
    # By seed first: rows are drawn in the order of their making, and callers number by seed.
    Render.objects.bulk_create(
        [Render(model=model, prompt_id=prompt_id, seed=seed, num_steps=num_steps, **_how(model))
         for prompt_id, seed, num_steps in keys],
        ignore_conflicts=True, batch_size=1000,
    )
    renders = _read(model, keys)
    if any(render.state == RenderState.PENDING for render in renders.values()):
        transaction.on_commit(partial(queue_drain, model))
    return renders


def retry_quarantined(renders: RenderQuerySet) -> int:
    """Give quarantined renders new attempts; return how many there were."""
    quarantined = renders.filter(state=RenderState.QUARANTINED)
    with transaction.atomic():
        # The ids are read first: the update empties the queryset.
        model_ids = list(quarantined.order_by().values_list("model_id", flat=True).distinct())
        retried = quarantined.update(state=RenderState.PENDING, attempts=0, error="")
        for model in DiffusionModel.objects.filter(pk__in=model_ids):
            transaction.on_commit(partial(queue_drain, model))
    return retried


def request_latency(model: DiffusionModel) -> None:
    """Have a worker measure how long one image takes alone; asking twice measures once."""
    with transaction.atomic():
        DiffusionModel.objects.filter(pk=model.pk).update(
            latency_requested_at=Now(), latency_problem=""
        )
        transaction.on_commit(partial(queue_latency, model))


def _checked_key(model: DiffusionModel, prompt: Prompt, seed: int, num_steps: int) -> RenderKey:
    if type(num_steps) is not int or not 1 <= num_steps <= model.reference_steps:
        raise ValueError(
            f"{num_steps!r} steps were asked of {model}: expected a whole number from 1 to "
            f"{model.reference_steps}"
        )
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise ValueError(f"the seed must be a whole number from 0 to 2^63 - 1, got {seed!r}")
    return prompt.pk, seed, num_steps


def _how(model: DiffusionModel) -> dict[str, str | float | int]:
    return {"scheduler": model.scheduler, "guidance": model.guidance, "width": model.width,
            "height": model.height}


def _read(model: DiffusionModel, keys: list[RenderKey]) -> dict[RenderKey, Render]:
    found = model.renders.filter(
        prompt_id__in={prompt_id for prompt_id, _, _ in keys},
        seed__in={seed for _, seed, _ in keys},
        num_steps__in={num_steps for _, _, num_steps in keys},
        **_how(model),
    )
    by_key = {(render.prompt_id, render.seed, render.num_steps): render for render in found}
    return {key: by_key[key] for key in keys}
