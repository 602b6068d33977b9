"""Draining: leasing pending renders, sampling them, and keeping what comes out."""

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict

from django.db import transaction

from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import Sampled, SamplingError
from generation.models import Render
from generation.rendering import leases
from generation.rendering.files import StorageError, encode, store
from generation.rendering.heartbeats import Heartbeat
from generation.rendering.leases import Lease
from generation.rendering.notices import notify_renders_changed

logger = logging.getLogger(__name__)

SampleAll = Callable[[Iterable[Recipe]], Iterator[tuple[int, Sampled | SamplingError]]]


def has_pending(model_id: int) -> bool:
    return Render.objects.claimable().filter(model_id=model_id).exists()


def drain_renders(
    model_id: int, *, sample: SampleAll, seconds: float,
    is_stopping: Callable[[], bool] = lambda: False,
) -> bool:
    """Render what is pending for one model until the time is up; return whether to go on.

    False means that nothing is left, or that the storage takes no files and the worker should
    wait for the reaper instead of rendering for nothing.
    """
    leased: list[Lease] = []
    heartbeat = Heartbeat()

    def recipes() -> Iterator[Recipe]:
        deadline = time.monotonic() + seconds  # From here: importing torch came before.
        while time.monotonic() < deadline and not is_stopping():
            lease = leases.lease_next(model_id)
            if lease is None:
                return
            heartbeat.hold(lease)
            leased.append(lease)
            yield lease.render.recipe()

    with heartbeat:
        try:
            for index, outcome in sample(recipes()):
                settle(leased[index], outcome)
                heartbeat.drop(leased[index])
                notify_renders_changed()
        except StorageError as error:
            logger.error("Rendering stops: an image cannot be stored.", extra={"why": str(error)})
            _release_all(leased, str(error))
            return False
    return has_pending(model_id)


def settle(lease: Lease, outcome: Sampled | SamplingError) -> bool:
    """Keep an image or note its failure; return False if another worker has the render now.

    Raises StorageError, with nothing written, if the image cannot be stored.
    """
    if isinstance(outcome, Sampled):
        settled = _keep(lease, outcome)
    else:
        settled = leases.fail(lease, str(outcome))
        logger.warning("A render failed.", extra={"render": lease.render.pk, "why": str(outcome)})
    if not settled:
        logger.warning("A lapsed lease's image was dropped.", extra={"render": lease.render.pk})
    return settled


def _keep(lease: Lease, sampled: Sampled) -> bool:
    """Store the file and mark the row ready, both under the row's lock.

    The file's name is the render's own, and only who holds the row may write it. So a worker that
    dies here leaves nothing behind that the next attempt does not replace.
    """
    content = encode(sampled.image)
    render = lease.render
    with transaction.atomic():
        if not leases.lock(lease):
            return False
        name = store(f"renders/{render.public_id}.webp", content)
        return leases.finish(
            lease, image=name, sha256=hashlib.sha256(content).hexdigest(),
            unet_evaluations=sampled.unet_evaluations, seconds=sampled.seconds,
            provenance=_provenance(render, sampled),
        )


def _provenance(render: Render, sampled: Sampled) -> dict[str, object]:
    """Everything the image depends on, the model named as its row names it."""
    recipe = asdict(render.recipe()) | {"source": render.model.source}
    return {"recipe": recipe, "worker": leases.holder_name(), **sampled.provenance}


def _release_all(leased: list[Lease], error: str) -> None:
    for lease in leased:  # Settled ones hold no lease any more and stay as they are.
        leases.release(lease, error)
