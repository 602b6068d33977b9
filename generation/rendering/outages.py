"""Outlasting a database that restarts."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

logger = logging.getLogger(__name__)

OUTAGES = (OperationalError, InterfaceError)
OUTAGE_SECONDS = 30.0
_PAUSE_SECONDS = 0.5

T = TypeVar("T")


def outlast(ask: Callable[[], T], *, seconds: float = OUTAGE_SECONDS) -> T:
    """Ask the database, and while it is out of reach ask again on a fresh connection.

    What is asked must be harmless to repeat: an answer may get lost after the commit. Raises the
    last of the `OUTAGES` after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except OUTAGES as error:
            connection.close()  # A broken one stays broken.
            if time.monotonic() > deadline:
                raise
            logger.warning("The database is out of reach; asking again.",
                           extra={"why": str(error).strip()})
            time.sleep(_PAUSE_SECONDS)
