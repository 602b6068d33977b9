"""Draining: leasing pending renders, sampling them, and having kept what comes out."""

import itertools
import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from typing import Protocol

from django.db import connection

from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import Sampled, SamplingError, Unwanted
from generation.models import Render
from generation.rendering import leases
from generation.rendering.files import StorageError
from generation.rendering.heartbeats import Heartbeat
from generation.rendering.keeping import Keeper, keep
from generation.rendering.leases import Lease
from generation.rendering.notices import notify_renders_changed
from generation.rendering.outages import OUTAGES, outlast

logger = logging.getLogger(__name__)

# So many renders that fail in a row for one reason are not to blame: the hub is out of reach, say,
# or the device is dead. Going on would use up the attempts of every render that waits.
ALIKE_FAILURES = 5


class SampleAll(Protocol):
    """`generation.diffusion.sampling.sample_all`, which loads torch."""

    def __call__(
        self, recipes: Iterable[Recipe], *, unwanted: Unwanted
    ) -> Iterator[tuple[int, Sampled | SamplingError]]: ...


def has_pending(model_id: int) -> bool:
    return Render.objects.claimable().filter(model_id=model_id).exists()


def drain_renders(
    model_id: int, *, sample: SampleAll, seconds: float,
    is_stopping: Callable[[], bool] = lambda: False,
) -> bool:
    """Render what is pending for one model until the time is up; return whether to go on.

    It ends early when something more urgent waits for another model, whose turn comes then.

    False means that nothing is left, or that the storage takes no files, the database is gone or
    every image fails, and the worker should wait for the reaper instead of rendering for nothing.
    """
    with Heartbeat() as heartbeat:
        drain = _Drain(model_id, heartbeat, seconds=seconds, is_stopping=is_stopping)
        try:
            return drain.run(sample) and outlast(partial(has_pending, model_id))
        except OUTAGES as error:  # The leases lapse, and the reaper brings their renders back.
            logger.error("Rendering stops: the database is gone.", extra={"why": str(error)})
    return False


class _AllFailError(Exception):
    """Image after image fails for one reason: it lies in the model or the device, not in them."""


class _Drain:
    """One worker's turn at one model."""

    def __init__(
        self, model_id: int, heartbeat: Heartbeat, *, seconds: float,
        is_stopping: Callable[[], bool],
    ) -> None:
        self._model_id = model_id
        self._heartbeat = heartbeat
        self._seconds = seconds
        self._is_stopping = is_stopping
        self._keeper = Keeper(self._keep)
        self._deadline: float | None = None
        self._leased: list[Lease] = []
        self._failed_in_a_row: set[int] = set()
        self._failing_for = ""

    def run(self, sample: SampleAll) -> bool:
        """Return whether this went well; else nothing is held any more."""
        try:
            self._sample_all(sample)
        except (StorageError, _AllFailError) as error:
            logger.error("Rendering stops: no image can be made or stored.",
                         extra={"why": str(error)})
            # Settled ones hold no lease any more and stay as they are.
            outlast(partial(leases.release_all, self._leased, str(error)))
            return False
        return True

    def _sample_all(self, sample: SampleAll) -> None:
        with self._keeper:
            # A batch holds one kind, and ends when another kind is more urgent; what has lost
            # workers goes last, each on its own.
            while self._sample(sample, self._alike()):
                pass
            while self._sample(sample, self._alone()):
                pass

    def _sample(self, sample: SampleAll, batch: Iterator[Lease]) -> bool:
        """Sample one batch; return whether there was anything to sample."""
        taken: list[Lease] = []

        def recipes() -> Iterator[Recipe]:
            for lease in batch:
                taken.append(lease)
                yield lease.render.recipe()

        def unwanted(indexes: Collection[int]) -> Collection[int]:
            self._heartbeat.progressed()
            dropped = self._drop_unwanted([taken[index] for index in indexes])
            return {index for index in indexes if taken[index] in dropped}

        for index, outcome in sample(recipes(), unwanted=unwanted):
            self._settle(taken[index], outcome)
        return bool(taken)

    def _alike(self) -> Iterator[Lease]:
        """Lease what can share a batch, whenever the sampler has room for another."""
        first = lease = self._lease()
        while first is not None and lease is not None:
            yield lease
            lease = self._lease(like=first.render)

    def _alone(self) -> Iterator[Lease]:
        if lease := self._lease(is_alone=True):
            yield lease

    def _lease(self, *, like: Render | None = None, is_alone: bool = False) -> Lease | None:
        if self._deadline is None:  # From here: importing torch came before.
            self._deadline = time.monotonic() + self._seconds
        if time.monotonic() > self._deadline or self._is_over():
            return None
        # The first gives way to nothing, or the drains of two models could hand over to each other
        # for ever.
        lease = lease_once(partial(leases.lease_next, self._model_id, like=like,
                                    is_alone=is_alone, gives_way=bool(self._leased)))
        if lease is not None:
            self._heartbeat.hold(lease)
            self._leased.append(lease)
        return lease

    def _is_over(self) -> bool:
        return self._keeper.has_failed or self._is_stopping()

    def _drop_unwanted(self, held: list[Lease]) -> list[Lease]:
        """Return what need not be finished; put back what was not cancelled or taken away."""
        try:
            wanted = set() if self._is_over() else leases.still_wanted(held)
            dropped = [lease for lease in held if lease.id not in wanted]
            for lease in dropped:
                leases.release(lease)  # Without effect on a lease that is gone.
                self._heartbeat.drop(lease)
        except OUTAGES:  # The database may be back before the images are finished.
            connection.close()
            return []
        return dropped

    def _settle(self, lease: Lease, outcome: Sampled | SamplingError) -> None:
        self._heartbeat.progressed()
        if isinstance(outcome, Sampled):
            self._failed_in_a_row.clear()
            self._keeper.take(lease, outcome)
            return
        logger.warning("A render failed.", extra={"render": lease.render.pk, "why": str(outcome)})
        outlast(partial(leases.fail, lease, str(outcome)))
        self._heartbeat.drop(lease)
        notify_renders_changed()
        self._count_failure(lease, str(outcome))

    def _count_failure(self, lease: Lease, why: str) -> None:
        if why != self._failing_for:
            self._failed_in_a_row.clear()
        self._failing_for = why
        self._failed_in_a_row.add(lease.render.pk)
        if len(self._failed_in_a_row) >= ALIKE_FAILURES:
            raise _AllFailError(why)

    def _keep(self, lease: Lease, sampled: Sampled) -> None:
        """Keep an image, in one of the keeper's threads."""
        try:
            keep(lease, sampled)
        except (StorageError, *OUTAGES):  # Those stop the drain: no image could be kept.
            raise
        except Exception as error:  # Whatever it is, it concerns this one.
            logger.exception("An image could not be kept.", extra={"render": lease.render.pk})
            why = f"the image could not be kept: {type(error).__name__}: {error}"
            outlast(partial(leases.fail, lease, why))
        self._heartbeat.drop(lease)
        notify_renders_changed()


def lease_once(lease_next: Callable[..., Lease | None]) -> Lease | None:
    """Lease through an outage; an answer lost after the commit leaves no second lease behind."""
    lease_id, asked = uuid.uuid4(), itertools.count()

    def ask() -> Lease | None:
        if next(asked) and (lease := leases.find(lease_id)):
            return lease
        return lease_next(lease_id=lease_id)

    return outlast(ask)
