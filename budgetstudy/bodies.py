"""How much a request may bring."""

from collections.abc import Mapping
from typing import Any

from django.core.handlers.asgi import ASGIHandler

from budgetstudy.handlers import Receive, Scope, Send

SENTENCE = b"This request is larger than anything that this site takes.\n"


class _TooLarge(Exception):
    """More arrived than is taken."""


class BodyLimit:
    """Refuse a larger body with 413 before it is read, or, where it names no length, in between.

    Django would first write all of it to a temporary file. The admin takes uploads, which may be
    larger, but who sends them may not have logged in.
    """

    def __init__(self, application: ASGIHandler, *, most_bytes: int, most_upload_bytes: int,
                 upload_prefix: str = "/admin/") -> None:
        self._application = application
        self._most_bytes = most_bytes
        self._most_upload_bytes = most_upload_bytes
        self._upload_prefix = upload_prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        is_upload = path.startswith(self._upload_prefix)
        most_bytes = self._most_upload_bytes if is_upload else self._most_bytes
        if _declared_bytes(scope) > most_bytes:
            await _refuse(send)
        else:
            try:
                await self._application(scope, _counted(receive, most_bytes), send)
            except _TooLarge:  # Nothing has been sent yet: the body is read before all else.
                await _refuse(send)


def _counted(receive: Receive, most_bytes: int) -> Receive:
    num_bytes = 0

    async def receive_counted() -> Mapping[str, Any]:
        nonlocal num_bytes
        message = await receive()
        num_bytes += len(message.get("body", b""))
        if num_bytes > most_bytes:
            raise _TooLarge
        return message

    return receive_counted


def _declared_bytes(scope: Scope) -> int:
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return max((int(value) for value in lengths if value.isdigit()), default=0)


async def _refuse(send: Send) -> None:
    await send({"type": "http.response.start", "status": 413, "headers": [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(SENTENCE)),
    ]})
    await send({"type": "http.response.body", "body": SENTENCE})
