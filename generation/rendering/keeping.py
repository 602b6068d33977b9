"""Keeping finished images: encoding, the file and the row, beside the thread that samples."""

import hashlib
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from types import TracebackType
from typing import Self

from django.db import connection, transaction

from generation.diffusion.samples import Sampled
from generation.models import Render
from generation.rendering import leases
from generation.rendering.files import FOLDER, encode, store
from generation.rendering.leases import Lease
from generation.rendering.outages import outlast

logger = logging.getLogger(__name__)

_THREADS = 2
# Images that wait for a thread or are in one. More would only fill the memory.
_BACKLOG = 16


def keep(lease: Lease, sampled: Sampled) -> bool:
    """Store the image and mark its row ready; return False if another worker has it now.

    Raises StorageError, with nothing written, if the image cannot be stored.
    """
    content = encode(sampled.image)
    is_kept = outlast(partial(_store_and_finish, lease, sampled, content=content))
    if not is_kept:
        logger.warning("A lapsed lease's image was dropped.", extra={"render": lease.render.pk})
    return is_kept


class Keeper:
    """Keeps images in threads of its own, for as long as the `with` block runs, and a bit longer.

    `keep` is called for one lease and image after the other. The first exception in a thread ends
    it all: it is raised by the next `take`, or at the end of the block.
    """

    def __init__(self, keep: Callable[[Lease, Sampled], object]) -> None:
        self._keep = keep
        self._room = threading.BoundedSemaphore(_BACKLOG)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="keeper")
        self._failure: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True)  # What is finished is kept, whatever ended the block.
        if error is None and self._failure is not None:
            raise self._failure

    @property
    def has_failed(self) -> bool:
        return self._failure is not None

    def take(self, lease: Lease, sampled: Sampled) -> None:
        """Take an image over; wait if too many others do."""
        self._room.acquire()
        if self._failure is not None:
            raise self._failure
        self._pool.submit(self._work, lease, sampled)

    def _work(self, lease: Lease, sampled: Sampled) -> None:
        try:
            if self._failure is None:
                self._keep(lease, sampled)
        except Exception as error:  # Raised again where somebody can act on it.
            self._failure = self._failure or error
        finally:
            connection.close()  # Connections belong to threads, and this one may end here.
            self._room.release()


def _store_and_finish(lease: Lease, sampled: Sampled, *, content: bytes) -> bool:
    """Store the file and mark the row ready, both under the row's lock.

    The file's name is the render's own, and only who holds the row may write it. So a worker that
    dies here leaves an image that the next attempt replaces, or that `remove_orphans` finds.
    """
    render = lease.render
    with transaction.atomic():
        if not leases.lock(lease):
            return False
        name = store(f"{FOLDER}/{render.public_id}.webp", content)
        return leases.finish(
            lease, image=name, sha256=hashlib.sha256(content).hexdigest(),
            unet_evaluations=sampled.unet_evaluations, seconds=sampled.seconds,
            joules=sampled.joules, provenance=_provenance(render, sampled),
        )


def _provenance(render: Render, sampled: Sampled) -> dict[str, object]:
    """Everything the image depends on, the model named as its row names it."""
    recipe = asdict(render.recipe()) | {"source": render.model.source}
    return {"recipe": recipe, "worker": leases.holder_name(), **sampled.provenance}
