"""A project of a bench's own: data folder, servers and tables, gone when it ends."""

import argparse
import atexit
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import django


def set_up_project() -> None:
    """Start servers on a new folder and make the tables; to be called before models are loaded."""
    folder = tempfile.mkdtemp(prefix="bench-")
    # Registered first, so that it runs last: the servers leave the folder before.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ |= {"BUDGETSTUDY_TEST_DATA_DIR": folder, "DEBUG": "0",
                   "BUDGETSTUDY_LOG_LEVEL": "ERROR"}
    for name in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    import tests.environment  # noqa: F401

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)


@contextmanager
def two_web_workers() -> Iterator[str]:
    """The address of a site as it is run for participants."""
    from tests.conftest import free_port, running_process, wait_until

    port = free_port()
    with running_process("uvicorn", "budgetstudy.asgi:application", "--port", str(port),
                         "--workers", "2", "--log-level", "warning"):
        wait_until(lambda: _listens(port), seconds=60)
        yield f"http://127.0.0.1:{port}"


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def parser_for(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def show(figures: dict[str, Any], *, is_json: bool) -> None:
    if is_json:
        print(json.dumps(figures, allow_nan=False))
        return
    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"{name:<{width}}  {value:.4g}" if isinstance(value, float)
              else f"{name:<{width}}  {value}")
