"""Putting drains into the queue, at most one in waiting for a model."""

import logging
from contextlib import suppress

import redis
from celery import current_app
from django.conf import settings
from kombu.exceptions import KombuError

from generation.models import DiffusionModel

logger = logging.getLogger(__name__)
# For a message that went astray while its mark stayed.
_MARK_SECONDS = 120


def queue_drain(model: DiffusionModel) -> bool:
    """Queue a drain unless one is waiting already; return whether one was queued.

    The mark lies in Redis beside the message, so a flushed Redis forgets both. It only keeps the
    queue short: a drain too many finds nothing to do.
    """
    try:
        with _redis() as client:
            if not client.set(_mark(model), 1, nx=True, ex=_MARK_SECONDS):
                return False
        current_app.send_task("generation.tasks.drain_renders", [model.pk])
    except (redis.RedisError, KombuError, OSError):
        logger.warning("No drain could be queued; the reaper will.", extra={"model": model.name})
        return False
    return True


def drain_has_begun(model: DiffusionModel) -> None:
    """Let the next drain of this model be queued while this one works."""
    with suppress(redis.RedisError, OSError), _redis() as client:
        client.delete(_mark(model))


def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5)


def _mark(model: DiffusionModel) -> str:
    return f"generation:drain-queued:{model.public_id}"
