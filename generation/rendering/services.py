"""What may be asked of the rendering side, in transactions."""

from collections.abc import Collection, Iterable
from functools import partial

from django.core.files.storage import default_storage
from django.db import Error, connection, transaction
from django.db.models.functions import Now

from generation.models import DiffusionModel, Priority, Prompt, Render, RenderState
from generation.models.renders import RenderQuerySet
from generation.rendering.notices import notify_renders_changed
from generation.rendering.queueing import queue_drain, queue_latency

RenderKey = tuple[int, int, int]  # Prompt id, seed, steps.


def request_renders(
    model: DiffusionModel, wanted: Iterable[tuple[Prompt, int, int]], *,
    priority: Priority = Priority.STUDY,
) -> dict[RenderKey, Render]:
    """Get or create the render of each prompt, seed and step count, and have them drawn.

    One that waits already becomes as urgent as asked, and a cancelled one waits again.

    Raises ValueError, with nothing written, for a step count outside 1 to the model's reference
    count or a negative seed.
    """
    keys = sorted({_checked_key(model, prompt, seed, num_steps)
                   for prompt, seed, num_steps in wanted}, key=lambda key: (key[1], *key))
    # Sorted, so that two requests at once lock in the same order; the loser reads the winner's.
    # By seed first: rows are drawn in the order of their making, and callers number by seed.
    Render.objects.bulk_create(
        [Render(model=model, prompt_id=prompt_id, seed=seed, num_steps=num_steps,
                priority=priority, **_how(model))
         for prompt_id, seed, num_steps in keys],
        ignore_conflicts=True, batch_size=1000,
    )
    renders = _read(model, keys)
    if _ask_again(renders.values(), priority):
        renders = _read(model, keys)
    if any(render.state == RenderState.PENDING for render in renders.values()):
        transaction.on_commit(partial(queue_drain, model))
    return renders


def retry_quarantined(renders: RenderQuerySet) -> int:
    """Give quarantined renders new attempts; return how many there were."""
    return _put_back(renders.filter(state=RenderState.QUARANTINED), error="")


def retry_cancelled(renders: RenderQuerySet) -> int:
    """Have cancelled renders drawn after all; return how many there were."""
    return _put_back(renders.filter(state=RenderState.CANCELLED), error="")


def cancel_renders(renders: RenderQuerySet) -> int:
    """Take renders off the list; a worker that has one in hand drops it. Return how many."""
    unfinished = renders.filter(state__in=[RenderState.PENDING, RenderState.RUNNING])
    cancelled = unfinished.update(
        state=RenderState.CANCELLED, lease_id=None, lease_expires_at=None
    )
    transaction.on_commit(notify_renders_changed)
    return cancelled


def restore_missing(renders: RenderQuerySet) -> int:
    """Have those drawn again whose file is gone from the storage; return how many there were.

    They are as urgent as they were for the study that uses them.
    """
    missing = [pk for pk, name in renders.ready().values_list("pk", "image")
               if not default_storage.exists(name)]
    return _put_back(
        Render.objects.ready().filter(pk__in=missing), image="", sha256="", finished_at=None,
        error="the image's file was gone from the storage, so it is rendered again",
    )


def prioritise(renders: RenderQuerySet, priority: Priority) -> int:
    """Make them at least this urgent, finished ones too in case they are lost; return how many.

    Those that run are past choosing, and their rows may be locked while a file is written.
    """
    less_urgent = renders.exclude(state=RenderState.RUNNING).filter(priority__gt=priority)
    return less_urgent.update(priority=priority)


def is_rendering() -> bool:
    """Whether renders of any model wait or run. Without a database that can be asked none do."""
    unfinished = [RenderState.PENDING, RenderState.RUNNING]
    try:
        return Render.objects.filter(state__in=unfinished, model__is_paused=False).exists()
    except Error:
        connection.close()
        return False


def pause_model(model: DiffusionModel) -> None:
    """Have workers put back this model's images and leave them alone."""
    DiffusionModel.objects.filter(pk=model.pk).update(is_paused=True)


def resume_model(model: DiffusionModel) -> None:
    DiffusionModel.objects.filter(pk=model.pk).update(is_paused=False)
    transaction.on_commit(partial(queue_drain, model))


def request_latency(model: DiffusionModel) -> None:
    """Have a worker measure how long one image takes alone; asking twice measures once."""
    with transaction.atomic():
        DiffusionModel.objects.filter(pk=model.pk).update(
            latency_requested_at=Now(), latency_problem=""
        )
        transaction.on_commit(partial(queue_latency, model))


def _put_back(renders: RenderQuerySet, **values: object) -> int:
    """Let renders wait for a worker as if they had never been tried."""
    with transaction.atomic():
        # The ids are read first: the update empties the queryset.
        model_ids = list(renders.order_by().values_list("model_id", flat=True).distinct())
        num_renders = renders.update(state=RenderState.PENDING, attempts=0, **values)
        for model in DiffusionModel.objects.filter(pk__in=model_ids):
            transaction.on_commit(partial(queue_drain, model))
    return num_renders


def _ask_again(renders: Collection[Render], priority: Priority) -> int:
    """Make known renders as urgent as asked, cancelled ones wait again; return how many."""
    asked = Render.objects.filter(pk__in=[render.pk for render in renders])
    num_changed = 0
    if any(render.state == RenderState.CANCELLED for render in renders):
        num_changed += retry_cancelled(asked)
    if any(render.priority > priority for render in renders):
        num_changed += prioritise(asked, priority)
    return num_changed


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
