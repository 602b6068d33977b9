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

    A lease held longer than `RENDER_LONGEST_SECONDS` is not renewed: the image hangs, and this
    thread being alive is no sign of the one that samples.
    """

    def __init__(self) -> None:
        self._held: dict[uuid.UUID, float] = {}
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
            self._held[lease.id] = time.monotonic()

    def drop(self, lease: leases.Lease) -> None:
        with self._lock:
            self._held.pop(lease.id, None)

    def _beat(self) -> None:
        try:
            while not self._stopped.wait(_beat_seconds()):
                self._renew()
        finally:
            connection.close()  # Connections belong to threads, and this one ends here.

    def _renew(self) -> None:
        with self._lock:
            oldest = time.monotonic() - settings.RENDER_LONGEST_SECONDS
            held = {lease_id for lease_id, since in self._held.items() if since > oldest}
        try:
            outlast(partial(leases.renew, held), seconds=_beat_seconds())
        except Error:  # The database may be back before the leases lapse.
            logger.warning("Leases could not be renewed.", exc_info=True)
            connection.close()


def _beat_seconds() -> float:
    return settings.RENDER_LEASE_SECONDS / 3
