"""Renewing leases while the main thread is busy with an image."""

import logging
import threading
import time
import uuid
from functools import partial
from types import TracebackType
from typing import Self

from django.conf import settings
from django.db import Error, connection

from generation.rendering import leases
from generation.rendering.outages import outlast

logger = logging.getLogger(__name__)


class Heartbeat:
    """Renews the held leases from a thread of its own, for as long as the `with` block runs.

    Once the last progress is older than `RENDER_LONGEST_SECONDS`, nothing is renewed: the sampler
    hangs, and this thread being alive is no sign of the one that samples. How long a lease is held
    says nothing: an image may wait for others in its batch.
    """

    def __init__(self) -> None:
        self._held: set[uuid.UUID] = set()
        self._progressed_at = time.monotonic()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease-heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def hold(self, lease: leases.Lease) -> None:
        with self._lock:
            self._held.add(lease.id)

    def drop(self, lease: leases.Lease) -> None:
        with self._lock:
            self._held.discard(lease.id)

    def progressed(self) -> None:
        """Note that the thread that samples has got on."""
        self._progressed_at = time.monotonic()

    def _beat(self) -> None:
        try:
            while not self._stopped.wait(_beat_seconds()):
                self._renew()
        finally:
            connection.close()  # Connections belong to threads, and this one ends here.

    def _renew(self) -> None:
        if time.monotonic() - self._progressed_at > settings.RENDER_LONGEST_SECONDS:
            logger.error("The sampler hangs: its leases are left to lapse.")
            return
        with self._lock:
            held = set(self._held)
        try:
            outlast(partial(leases.renew, held), seconds=_beat_seconds())
        except Error:  # The database may be back before the leases lapse.
            logger.warning("Leases could not be renewed.", exc_info=True)
            connection.close()


def _beat_seconds() -> float:
    return settings.RENDER_LEASE_SECONDS / 3
