"""Bytes to a real server and back, malformed ones included, which no HTTP client would send."""

import socket
from urllib.parse import urlsplit

SECONDS = 20.0


def exchange(site: str, *pieces: bytes) -> tuple[int, bytes]:
    """Send the pieces over one connection; return the first response's status, and its text.

    A server that closes without a word has status 0.
    """
    parts = urlsplit(site)
    with socket.create_connection((parts.hostname, parts.port), timeout=SECONDS) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # It has said enough.
        return _read(connection)


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    """One request that closes its connection, with the body's length unless the headers say."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers]
    says_length = any(line.lower().startswith(("content-length", "transfer")) for line in headers)
    if body and not says_length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _read(connection: socket.socket) -> tuple[int, bytes]:
    received = b""
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            piece = b""
        received = (received + piece).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        head, _, rest = received.partition(b"\r\n\r\n")
        if not piece or (rest and len(rest) >= _length(head)):
            break
    if not received.startswith(b"HTTP/1.1 "):
        return 0, received
    return int(received[9:12]), rest


def _length(head: bytes) -> float:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return float("inf")
