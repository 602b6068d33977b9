"""Image files: encoding, and storing them whole or not at all."""

import io
import os
import uuid
from contextlib import suppress
from pathlib import Path

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage, default_storage
from PIL import Image

FOLDER = "renders"


class StorageError(Exception):
    """The storage took no file: it is full, read-only or out of reach."""


def encode(image: Image.Image) -> bytes:
    """Encode as lossless WebP without metadata; method 0 is much faster, the pixels the same."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "WEBP", lossless=True, method=0, exif=b"", icc_profile=b"")
    return buffer.getvalue()


def store(name: str, content: bytes, *, storage: Storage = default_storage) -> str:
    """Store under exactly this name, in place of what was there; return the name."""
    try:
        if isinstance(storage, FileSystemStorage):
            _replace(Path(storage.path(name)), content)
            return name
        storage.delete(name)  # Object stores write whole objects or none.
        return storage.save(name, ContentFile(content))
    except Exception as error:  # Every storage has exceptions of its own.
        raise StorageError(f"{name} could not be stored: {error}") from error


def _replace(path: Path, content: bytes) -> None:
    """Write beside the file, then rename: a reader, a crash or a full disk sees all or nothing."""
    # A name of its own: a worker that has lost its lease may be writing the same image still.
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink()
        raise
