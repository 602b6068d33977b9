"""Celery tasks: they take ids, hand on, and may be delivered twice."""

import logging
from collections.abc import Iterable, Iterator

from celery import shared_task
from celery.worker import state as worker_state
from django.conf import settings

from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import Sampled, SamplingError, Unwanted
from generation.models import DiffusionModel, Render
from generation.rendering import draining, latencies, leases, orphans
from generation.rendering.inspection import remember_weights
from generation.rendering.notices import notify_renders_changed
from generation.rendering.queueing import (
    drain_has_begun,
    latency_has_begun,
    queue_drain,
    queue_latency,
)

logger = logging.getLogger(__name__)


@shared_task
def drain_renders(model_id: int) -> None:
    """Render what is pending for one model, then queue the successor if there is more."""
    model = DiffusionModel.objects.filter(pk=model_id).first()
    if model is None:
        return
    drain_has_begun(model)
    if not draining.has_pending(model_id):
        return
    remember_weights(model)
    seconds = settings.RENDER_DRAIN_SECONDS
    if draining.drain_renders(model_id, sample=_sample, seconds=seconds, is_stopping=_is_stopping):
        queue_drain(model)


@shared_task
def reap_renders() -> None:
    """Take back lapsed leases, and queue again what renders or requests wait for."""
    reaped = leases.reap()
    if reaped.returned or reaped.quarantined:
        logger.warning("Lapsed leases were taken back.",
                       extra={"returned": reaped.returned, "quarantined": reaped.quarantined})
        notify_renders_changed()
    waiting = Render.objects.claimable().values("model")
    for model in DiffusionModel.objects.filter(pk__in=waiting):
        queue_drain(model)
    for model in DiffusionModel.objects.filter(latency_requested_at__isnull=False):
        queue_latency(model)


@shared_task
def remove_orphans() -> None:
    """Remove files that a crash left behind and no render names."""
    if removed := orphans.remove_orphans():
        logger.warning("Files that no render names were removed.", extra={"files": removed})


@shared_task
def measure_latency(model_id: int) -> None:
    """Measure how long one image of a model takes alone, if that is still asked for."""
    model = DiffusionModel.objects.filter(pk=model_id).first()
    if model is None:
        return
    latency_has_begun(model)
    latencies.measure_on_request(model_id)


def _sample(
    recipes: Iterable[Recipe], *, unwanted: Unwanted
) -> Iterator[tuple[int, Sampled | SamplingError]]:
    from generation.diffusion.sampling import sample_all  # Loads torch.

    return sample_all(recipes, device=settings.RENDER_DEVICE, num_slots=settings.RENDER_SLOTS,
                      unwanted=unwanted)


def _is_stopping() -> bool:
    """The worker was asked to leave; the solo pool cannot interrupt a drain by itself."""
    # A warm shutdown sets the exit code 0, which equals False and yet means that it was asked for.
    codes = worker_state.should_stop, worker_state.should_terminate
    return any(code is not None and code is not False for code in codes)
