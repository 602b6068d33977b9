"""Putting drains and measurements into the queue, at most one of each waiting for a model."""

import logging
from contextlib import suppress

import redis
from celery import current_app
from django.conf import settings
from kombu.exceptions import KombuError

from generation.models import DiffusionModel

logger = logging.getLogger(__name__)
# For a message that went astray while its mark stayed. Longer than a drain, behind which it waits.
_MARK_SECONDS = 60 + settings.RENDER_DRAIN_SECONDS


def queue_drain(model: DiffusionModel) -> bool:
    """Queue a drain unless one is waiting already; return whether one was queued."""
    return _queue("drain_renders", model, mark=_drain_mark(model))


def drain_has_begun(model: DiffusionModel) -> None:
    """Let the next drain of this model be queued while this one works."""
    _forget(_drain_mark(model))


def queue_latency(model: DiffusionModel) -> bool:
    """Queue a measurement unless one is waiting already; return whether one was queued."""
    return _queue("measure_latency", model, mark=_latency_mark(model))


def latency_has_begun(model: DiffusionModel) -> None:
    """Let the next measurement of this model be queued."""
    _forget(_latency_mark(model))


def _queue(task: str, model: DiffusionModel, *, mark: str) -> bool:
    """Queue a task once while its mark stands.

    The mark lies in Redis beside the message, so a flushed Redis forgets both. It only keeps the
    queue short: a task too many finds nothing to do.
    """
    try:
        with _redis() as client:
            if not client.set(mark, 1, nx=True, ex=_MARK_SECONDS):
                return False
        current_app.send_task(f"generation.tasks.{task}", [model.pk])
    except (redis.RedisError, KombuError, OSError):
        logger.warning("No task could be queued; the reaper will.",
                       extra={"task": task, "model": model.name})
        return False
    return True


def _forget(mark: str) -> None:
    with suppress(redis.RedisError, OSError), _redis() as client:
        client.delete(mark)


def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5)


def _drain_mark(model: DiffusionModel) -> str:
    return f"generation:drain-queued:{model.public_id}"


def _latency_mark(model: DiffusionModel) -> str:
    return f"generation:latency-queued:{model.public_id}"
