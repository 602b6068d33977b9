"""The long table as a CSV stream."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from asgiref.sync import sync_to_async

_CHUNK_BYTES = 64 * 1024
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_chunks(header: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> Iterator[bytes]:
    """Write a header and rows as UTF-8 CSV, yielding whenever a chunk is full."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(header)
    for row in rows:
        writer.writerow(map(_formula_safe, row))
        if buffer.tell() >= _CHUNK_BYTES:
            yield _taken(buffer)
    yield _taken(buffer)


async def streamed(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Hand a synchronous stream to ASGI piece by piece; Django would collect all of it first."""
    try:
        while chunk := await sync_to_async(_next)(chunks):
            yield chunk
    finally:
        # A reader who left midway must not leave the database's cursor open.
        await sync_to_async(_close)(chunks)


def _formula_safe(cell: Any) -> Any:
    """Keep a spreadsheet from running a text cell. Numbers, negative ones too, stay numbers."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell


def _taken(buffer: io.StringIO) -> bytes:
    content = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return content


def _next(chunks: Iterator[bytes]) -> bytes:
    return next(chunks, b"")


def _close(chunks: Iterator[bytes]) -> None:
    close = getattr(chunks, "close", None)
    if close is not None:
        close()
