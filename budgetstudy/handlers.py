"""Django behind ASGI: a few lasting threads, and one change of thread a request."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.db import close_old_connections
from django.http import HttpResponseBase
from django.urls import set_script_prefix

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class ThreadedHandler(ASGIHandler):
    """Runs middleware and view of a request one after another in one of `num_threads` threads.

    Every view here is synchronous. Django's own handler starts a thread for each request, and goes
    there from the event loop and back for each middleware. That costs more than most views do, and
    a crowd gets as many threads as it has requests, all of them waiting for a few connections to
    the database. Here a crowd waits in line.
    """

    def __init__(self, *, num_threads: int) -> None:
        super().__init__()
        self._threads = ThreadPoolExecutor(num_threads, thread_name_prefix="request")

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        # What a request activates, a language for one, ends with its context.
        response = await asyncio.get_running_loop().run_in_executor(
            self._threads, contextvars.copy_context().run, self._respond, scope, body
        )
        if response.streaming:
            await self._stream(response, receive, send)
        else:
            await self.send_response(response, send)

    def _respond(self, scope: Scope, body: IO[bytes]) -> HttpResponseBase:
        """Do the whole work of a request, in its thread."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        request, refusal = self.create_request(scope, body)
        response: Any = refusal if request is None else self.get_response(request)
        response._handler_class = self.__class__
        if response.streaming:
            close_old_connections()  # What is yet to be read is read in another thread.
        else:
            response.close()
            body.close()
        return response

    async def _stream(self, response: HttpResponseBase, receive: Receive, send: Send) -> None:
        """Send a long response from a thread of its own, until it ends or its reader leaves."""
        async with ThreadSensitiveContext():
            sending = asyncio.create_task(self.send_response(response, send))
            leaving = asyncio.create_task(self.listen_for_disconnect(receive))
            try:
                await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (sending, leaving):
                    task.cancel()
                sent, _left = await asyncio.gather(sending, leaving, return_exceptions=True)
                await sync_to_async(response.close)()
            if isinstance(sent, Exception):
                raise sent
