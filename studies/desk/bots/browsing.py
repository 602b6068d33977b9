"""The least part of a browser: one kept connection, cookies, redirects.

A load test shares the machine with what it measures, so a request must cost next to nothing here:
about 0.03 ms of CPU, where httpx2 takes 1 ms. Requests and answers are framed by httptools, as
uvicorn's are.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Self
from urllib.parse import urljoin, urlsplit

import httptools

MOST_REDIRECTS = 10
REDIRECTS = {301, 302, 303, 307, 308}
READ_BYTES = 65536

# Called after each exchange: method, path, status, seconds.
Observe = Callable[[str, str, int, float], None]


class ConnectionBroken(Exception):
    """The server could not be reached, or went away without a whole answer."""


@dataclass
class Reply:
    """What the server said."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[str] = field(default_factory=list)
    body: bytes = b""
    path: str = ""

    def text(self) -> str:
        return self.body.decode(errors="replace")


class Browser:
    """One visitor's own browser, good for one site."""

    def __init__(self, site: str, *, observe: Observe, timeout_seconds: float = 60.0) -> None:
        parts = urlsplit(site)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"expected http://host:port, got {site!r}")
        self._origin = f"http://{parts.netloc}"
        self._host, self._port = parts.hostname, parts.port or 80
        self._observe = observe
        self._timeout = timeout_seconds
        self._cookies: dict[str, str] = {}
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._disconnect()

    async def get(self, address: str) -> Reply:
        return await self._follow("GET", address)

    async def post(self, address: str, body: bytes, **headers: str) -> Reply:
        """Send a body; underscores in the headers' names stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._follow("POST", address, body=body, headers=named)

    async def _follow(self, method: str, address: str, *, body: bytes = b"",
                      headers: dict[str, str] | None = None) -> Reply:
        for _ in range(MOST_REDIRECTS):
            reply = await self._exchange(method, self._path(address), body=body,
                                         headers=headers or {})
            if reply.status not in REDIRECTS or "location" not in reply.headers:
                return reply
            address = urljoin(f"{self._origin}{reply.path}", reply.headers["location"])
            if reply.status not in (307, 308):
                method, body, headers = "GET", b"", {}
        raise ConnectionBroken(f"{address} leads round in circles")

    def _path(self, address: str) -> str:
        """The address within the site; a bot never leaves it."""
        parts = urlsplit(urljoin(f"{self._origin}/", address))
        if f"{parts.scheme}://{parts.netloc}" != self._origin:
            raise ConnectionBroken(f"{address} is on another site")
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    async def _exchange(self, method: str, path: str, *, body: bytes,
                        headers: dict[str, str]) -> Reply:
        request = self._request(method, path, body=body, headers=headers)
        began = time.perf_counter()
        reply = await self._send(request)
        reply.path = path
        self._observe(method, path, reply.status, time.perf_counter() - began)
        for cookie in reply.cookies:
            self._keep_cookie(cookie)
        return reply

    async def _send(self, request: bytes) -> Reply:
        """Send over the kept connection, or over a new one where the server had closed it.

        A server closes an idle connection without a word, maybe while the request is under way.
        Browsers then send once more, and so must the server's way to take an answer allow it.
        """
        is_reused = self._streams is not None
        try:
            async with asyncio.timeout(self._timeout):
                try:
                    return await self._send_once(request)
                except (OSError, EOFError):
                    self._disconnect()
                    if not is_reused:
                        raise
                return await self._send_once(request)
        except (OSError, EOFError, TimeoutError, httptools.HttpParserError) as error:
            self._disconnect()
            raise ConnectionBroken(str(error) or type(error).__name__) from error

    async def _send_once(self, request: bytes) -> Reply:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(request)
        await writer.drain()
        reading = _Reading()
        parser = httptools.HttpResponseParser(reading)
        while not reading.is_complete:
            data = await reader.read(READ_BYTES)
            if not data:
                raise EOFError("the server closed the connection")
            parser.feed_data(data)
        if not parser.should_keep_alive():
            self._disconnect()
        return reading.reply(parser.get_status_code())

    def _request(self, method: str, path: str, *, body: bytes, headers: dict[str, str]) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._origin.removeprefix('http://')}",
                 "User-Agent: budgetstudy-bot", "Accept-Language: en"]
        if self._cookies:
            pairs = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
            lines.append(f"Cookie: {pairs}")
        if method != "GET":
            lines += [f"Origin: {self._origin}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def _keep_cookie(self, header: str) -> None:
        with suppress(CookieError):
            for name, morsel in SimpleCookie(header).items():
                if morsel["max-age"] == "0":
                    self._cookies.pop(name, None)
                else:
                    self._cookies[name] = morsel.value

    def _disconnect(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class _Reading:
    """Collects one response; httptools calls these methods."""

    def __init__(self) -> None:
        self._reply = Reply()
        self._pieces: list[bytes] = []
        self.is_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if key == "set-cookie":
            self._reply.cookies.append(text)
        else:
            self._reply.headers[key] = text

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        self.is_complete = True

    def reply(self, status: int) -> Reply:
        self._reply.status, self._reply.body = status, b"".join(self._pieces)
        return self._reply
