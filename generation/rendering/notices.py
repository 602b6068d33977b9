"""Telling the pages that watch that renders have changed."""

import logging

import redis
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

logger = logging.getLogger(__name__)
GROUP = "renders"


def notify_renders_changed() -> None:
    """Send the notice, best effort: pages read the truth from the database."""
    layer = get_channel_layer()
    if layer is None:
        return
    try:
        async_to_sync(layer.group_send)(GROUP, {"type": "renders.changed"})
    except (redis.RedisError, OSError):
        logger.warning("Watching pages could not be told that renders have changed.")
