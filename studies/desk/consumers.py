"""Tell an open study page that images have changed. What changed, it reads over HTTP."""

import asyncio
import time
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from generation.rendering.notices import GROUP

NOT_ALLOWED = 4403


class RenderConsumer(AsyncJsonWebsocketConsumer):
    """Relays “renders.changed”, at most once in `interval` seconds and never losing the last."""

    interval = 1.0

    async def connect(self) -> None:
        self._relay: asyncio.Task[None] | None = None
        self._relayed_at = float("-inf")
        if not await _may_watch(self.scope["user"]):
            await self.close(code=NOT_ALLOWED)
            return
        await self.channel_layer.group_add(GROUP, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(GROUP, self.channel_name)
        if self._relay is not None:
            self._relay.cancel()

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        """Ignore what the page says: it has nothing to say."""

    async def renders_changed(self, event: dict[str, Any]) -> None:
        # A relay that still waits will be read after this change too, so it speaks for both.
        if self._relay is None or self._relay.done():
            self._relay = asyncio.create_task(self._relay_soon())

    async def _relay_soon(self) -> None:
        await asyncio.sleep(self._relayed_at + self.interval - time.monotonic())
        self._relayed_at = time.monotonic()
        await self.send_json({"type": "renders.changed"})


@database_sync_to_async
def _may_watch(user: Any) -> bool:
    return bool(user.is_active and user.is_staff and user.has_perm("studies.view_study"))
