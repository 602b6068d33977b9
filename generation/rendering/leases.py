"""Leases on renders: who works on which image, and who may no longer finish it.

The lease's id is a fence. A worker that was slow, frozen or cut off finds its id gone from the row
and can write nothing, however late it comes. All times are the database's, so that the clocks of
several machines need not agree.

A worker that dies takes the whole batch along, and at most one image in it is to blame. So:

- The attempt is counted, and committed, before the work.
- The first two times that a render's lease lapses, the loss is shared: the attempt is given back
  and `shared_losses` counts it.
- A render with two shared losses is leased alone: it is sampled after the others, in a batch of
  its own. If that lease lapses, nothing else can be to blame, and the attempt stays counted.
- An image that the sampler refuses has used an attempt, in company or alone.
- After `RENDER_MAX_ATTEMPTS` attempts the render is quarantined, and its last error kept.

Whatever happens to a render later, its shared losses stay counted.
"""

import os
import socket
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Case, CharField, Exists, F, OuterRef, Q, TextField, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Concat, Now

from generation.models import DiffusionModel, Priority, Render, RenderState
from generation.models.renders import RenderQuerySet

# Renders are taken in blocks of this many, and in a block those with the most steps first: the
# short ones then fill up the batch while the long ones end.
WINDOW = 64
# So many lapsed leases may have been another render's fault.
MAX_SHARED_LOSSES = 2


@dataclass(frozen=True)
class Lease:
    """The right to render one image, until it lapses."""

    id: uuid.UUID
    render: Render


@dataclass(frozen=True)
class Reaped:
    """How many lapsed leases were taken back, and how many of their renders were given up."""

    returned: int
    quarantined: int


def lease_next(
    model_id: int, *, like: Render | None = None, is_alone: bool = False,
    gives_way: bool = False, lease_id: uuid.UUID | None = None,
) -> Lease | None:
    """Lease the next pending render of a model, or return None if there is none.

    With `like`, only one that can share a batch with that render. With `is_alone`, only one that
    must not share its batch; without, only one that may. With `gives_way`, none while something
    more urgent waits that cannot be leased in its place. Whoever asks again after an answer that
    got lost gives the `lease_id` and looks for it with `find` first.
    """
    lease_id = lease_id or uuid.uuid4()
    claimable = Render.objects.claimable().filter(
        model_id=model_id, **{f"shared_losses__{'gte' if is_alone else 'lt'}": MAX_SHARED_LOSSES}
    )
    with transaction.atomic(durable=True):
        render = _lock_first(claimable if like is None else claimable.like(like))
        if render is None or (gives_way and _is_overtaken(render, like=like)):
            return None
        Render.objects.filter(pk=render.pk).update(
            state=RenderState.RUNNING, attempts=F("attempts") + 1, lease_id=lease_id,
            lease_holder=holder_name(), lease_expires_at=_expiry(), started_at=Now(),
        )
    return Lease(lease_id, render)


def find(lease_id: uuid.UUID) -> Lease | None:
    """Return the lease of this id if there is one."""
    leased = Render.objects.filter(state=RenderState.RUNNING, lease_id=lease_id)
    render = leased.select_related("model", "prompt").first()
    return Lease(lease_id, render) if render else None


def _lock_first(claimable: RenderQuerySet) -> Render | None:
    """Lock the render that comes first, passing over those that another worker is leasing.

    What failed before waits behind the rest. The blocks are those of the primary key and not the
    first so many rows that wait: of those, the shortest would wait until the very end.
    """
    window = claimable.order_by("priority", "attempts", "pk").values("pk")[:WINDOW]
    in_blocks = claimable.filter(pk__in=window).order_by(
        "priority", "attempts", F("pk") / WINDOW, "-num_steps", "pk"
    )
    return (in_blocks.select_related("model", "prompt")
            .select_for_update(skip_locked=True, of=("self",)).first())


def _is_overtaken(render: Render, *, like: Render | None) -> bool:
    """Something more urgent waits: for another model or, in a batch, of another kind."""
    if render.priority == min(Priority):
        return False
    # One look into the index a model: what waits for all of them may be a long list.
    of_model = Render.objects.filter(model=OuterRef("pk"), state=RenderState.PENDING,
                                     priority__lt=render.priority)
    overtaking = ~Q(pk=render.model_id) & Q(Exists(of_model))
    if like is not None:  # A suspect waits for its turn at the end however urgent it is.
        unlike = of_model.filter(shared_losses__lt=MAX_SHARED_LOSSES).unlike(like)
        overtaking |= Q(pk=render.model_id) & Q(Exists(unlike))
    return DiffusionModel.objects.filter(overtaking, is_paused=False).exists()


def renew(lease_ids: Collection[uuid.UUID]) -> int:
    """Give held leases their full time again; lost ones stay lost.

    A row that is locked is passed over, so that one slow file does not cost the others their
    leases: whoever holds the lock is finishing it, and `reap` passes it over too.
    """
    with transaction.atomic():
        keys = _lock_free(Render.objects.filter(lease_id__in=lease_ids))
        return Render.objects.filter(pk__in=keys).update(lease_expires_at=_expiry())


def lock(lease: Lease) -> bool:
    """Lock the row until the transaction ends; return False if the lease was lost."""
    return bool(_held(lease).select_for_update())


def finish(lease: Lease, **result: Any) -> bool:
    """Mark the render ready; return False if the lease was lost."""
    return bool(_held(lease).update(
        state=RenderState.READY, finished_at=Now(), error="", **_NO_LEASE, **result
    ))


def fail(lease: Lease, error: str) -> bool:
    """Put the render back with its error, or give it up; return False if the lease was lost."""
    return bool(_held(lease).update(
        state=_state_after_attempt(), error=error or "unknown error", **_NO_LEASE
    ))


def release(lease: Lease, error: str = "") -> bool:
    """Put the render back as if it had not been tried: what went wrong is no fault of its own.

    Without an error, the one that it may have from an earlier attempt stays.
    """
    return bool(_held(lease).update(
        state=RenderState.PENDING, attempts=F("attempts") - 1,
        error=Value(error) if error else F("error"), **_NO_LEASE
    ))


def release_all(held: Collection[Lease], error: str) -> int:
    """Put back all that are still held, as `release` does; return how many."""
    still_held = Render.objects.filter(
        pk__in=[lease.render.pk for lease in held], lease_id__in=[lease.id for lease in held],
        state=RenderState.RUNNING,
    )
    return still_held.update(
        state=RenderState.PENDING, attempts=F("attempts") - 1, error=error, **_NO_LEASE
    )


def still_wanted(held: Collection[Lease]) -> set[uuid.UUID]:
    """Return which leases are still the row's own, of models that are not paused."""
    # The keys are for the index; the ids say whose the rows are.
    wanted = Render.objects.filter(
        pk__in=[lease.render.pk for lease in held], lease_id__in=[lease.id for lease in held],
        state=RenderState.RUNNING, model__is_paused=False,
    )
    return {render.lease_id for render in wanted.only("lease_id") if render.lease_id}


@transaction.atomic
def reap() -> Reaped:
    """Take back lapsed leases; give up the renders that have had all their attempts.

    One whose row is locked is being finished and is left alone.
    """
    lapsed = Render.objects.lapsed().filter(pk__in=_lock_free(Render.objects.lapsed()))
    shared = lapsed.filter(shared_losses__lt=MAX_SHARED_LOSSES).update(
        state=RenderState.PENDING, attempts=F("attempts") - 1,
        shared_losses=F("shared_losses") + 1, error=_shared_loss(), **_NO_LEASE
    )
    alone = lapsed.filter(shared_losses__gte=MAX_SHARED_LOSSES)
    quarantined = alone.filter(attempts__gte=settings.RENDER_MAX_ATTEMPTS).update(
        state=RenderState.QUARANTINED, error=_lost_attempt(), **_NO_LEASE
    )
    returned = alone.update(state=RenderState.PENDING, error=_lost_attempt(), **_NO_LEASE)
    return Reaped(shared + returned, quarantined)


def _lock_free(renders: RenderQuerySet) -> list[int]:
    """Lock the rows that nobody else has locked, and return their keys."""
    return list(renders.select_for_update(skip_locked=True).values_list("pk", flat=True))


def _shared_loss() -> Combinable:
    return Concat(
        Value("the worker "), F("lease_holder"), Value(" stopped while it rendered this among "
                                                       "others; this is no attempt of its own"),
        output_field=TextField(),
    )


def _lost_attempt() -> Combinable:
    return Concat(
        Value("attempt "), Cast("attempts", CharField()), Value(": the worker "),
        F("lease_holder"), Value(" stopped before the image was finished"),
        output_field=TextField(),
    )


def holder_name() -> str:
    """Name this process for people who read the row."""
    return f"{socket.gethostname()}:{os.getpid()}"[:200]


_NO_LEASE: dict[str, None] = {"lease_id": None, "lease_expires_at": None}


def _held(lease: Lease) -> RenderQuerySet:
    return Render.objects.filter(
        pk=lease.render.pk, lease_id=lease.id, state=RenderState.RUNNING
    )


def _expiry() -> Combinable:
    return Now() + timedelta(seconds=settings.RENDER_LEASE_SECONDS)


def _state_after_attempt() -> Case:
    return Case(
        When(attempts__gte=settings.RENDER_MAX_ATTEMPTS, then=Value(RenderState.QUARANTINED)),
        default=Value(RenderState.PENDING),
    )
