"""Leases on renders: who works on which image, and who may no longer finish it.

The lease's id is a fence. A worker that was slow, frozen or cut off finds its id gone from the row
and can write nothing, however late it comes. All times are the database's, so that the clocks of
several machines need not agree.
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
from django.db.models import Case, CharField, F, TextField, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Concat, Now

from generation.models import Render, RenderState
from generation.models.renders import RenderQuerySet


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


def lease_next(model_id: int) -> Lease | None:
    """Lease the next pending render of a model, or return None if there is none.

    The attempt is counted and committed before the work: a render that kills its worker is
    given up in the end instead of killing one worker after the other.
    """
    lease_id = uuid.uuid4()
    pending = Render.objects.claimable().filter(model_id=model_id).select_related("model", "prompt")
    with transaction.atomic(durable=True):
        render = (pending.order_by("attempts", "pk")  # What failed before waits behind the rest.
                  .select_for_update(skip_locked=True, of=("self",)).first())
        if render is None:
            return None
        Render.objects.filter(pk=render.pk).update(
            state=RenderState.RUNNING, attempts=F("attempts") + 1, lease_id=lease_id,
            lease_holder=holder_name(), lease_expires_at=_expiry(), started_at=Now(),
        )
    return Lease(lease_id, render)


def renew(lease_ids: Collection[uuid.UUID]) -> int:
    """Give held leases their full time again; lost ones stay lost."""
    return Render.objects.filter(lease_id__in=lease_ids).update(lease_expires_at=_expiry())


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


def release(lease: Lease, error: str) -> bool:
    """Put the render back as if it had not been tried: what went wrong is no fault of its own."""
    return bool(_held(lease).update(
        state=RenderState.PENDING, attempts=F("attempts") - 1, error=error, **_NO_LEASE
    ))


def reap() -> Reaped:
    """Take back lapsed leases; give up the renders that have had all their attempts."""
    error = Concat(
        Value("attempt "), Cast("attempts", CharField()), Value(": the worker "),
        F("lease_holder"), Value(" stopped before the image was finished"),
        output_field=TextField(),
    )
    spent = Render.objects.lapsed().filter(attempts__gte=settings.RENDER_MAX_ATTEMPTS)
    quarantined = spent.update(state=RenderState.QUARANTINED, error=error, **_NO_LEASE)
    returned = Render.objects.lapsed().update(state=RenderState.PENDING, error=error, **_NO_LEASE)
    return Reaped(returned, quarantined)


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
