"""Real parts for the tests: servers, a Celery worker, a site, a browser, a small pipeline."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from hypothesis import settings as hypothesis_settings
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]
# For a search that takes its time: pytest --hypothesis-profile thorough
hypothesis_settings.register_profile("thorough", max_examples=2000, deadline=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--hostile-runs", type=int, default=20, metavar="N",
                     help="sequences of hostile requests to try (a thorough run: 2000)")


@pytest.fixture(scope="session", autouse=True)
def collected_static() -> None:
    shutil.rmtree(settings.MEDIA_ROOT, ignore_errors=True)
    call_command("collectstatic", interactive=False, verbosity=0)


def process_environment(**extra: str) -> dict[str, str]:
    """The environment of a real process that works on the test database."""
    database = connection.settings_dict
    host = database["HOST"]
    place = f"{host}:{database['PORT']}" if database["PORT"] else host
    login = f"{database['USER']}:{database['PASSWORD']}".rstrip(":")
    url = f"postgres://{login}@{'/' if place.startswith('/') else ''}{place}/{database['NAME']}"
    return {**os.environ, "DATABASE_URL": url, "REDIS_URL": settings.REDIS_URL,
            "SECRET_KEY": settings.SECRET_KEY, **extra}


@contextmanager
def running_process(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python module in a process group of its own, and end all of it at the end."""
    process = subprocess.Popen([sys.executable, "-m", *arguments],
                               env=process_environment(**environment), start_new_session=True)
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
                process.wait(8)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


@contextmanager
def running_worker(**environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A real Celery worker on both queues."""
    with running_process("celery", "-A", "budgetstudy", "worker", "--pool", "solo", "-Q",
                         "render,default", "--loglevel", "WARNING", **environment) as process:
        yield process


@contextmanager
def serving(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A real uvicorn server on the test database, once it answers; its process."""
    with running_process("uvicorn", "budgetstudy.asgi:application", "--port", str(port),
                         "--log-level", "warning") as process:
        wait_until(lambda: _answers(f"http://127.0.0.1:{port}/healthz"), seconds=30)
        yield process


@contextmanager
def running_site() -> Iterator[str]:
    """The address of such a server."""
    port = free_port()
    with serving(port):
        yield f"http://127.0.0.1:{port}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def site(transactional_db: None) -> Iterator[str]:
    with running_site() as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        message = "Chromium is missing: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def pipeline_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real, untrained Stable Diffusion pipeline with the embedded model's architecture."""
    import torch
    from transformers import CLIPTextModel

    from generation.scenes.networks import assemble_pipeline, build_clip, build_unet, build_vae
    from generation.scenes.tokenizer import build_tokenizer

    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    clip = build_clip(tokenizer)
    folder = tmp_path_factory.mktemp("pipeline")
    pipeline = assemble_pipeline(tokenizer, CLIPTextModel(clip.config.text_config),
                                 vae=build_vae(), unet=build_unet())
    pipeline.save_pretrained(folder)
    clip.save_pretrained(folder / "clip")
    return folder


def wait_until(condition: Callable[[], object], *, seconds: float) -> None:
    """Poll until `condition` holds; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{condition} did not hold within {seconds} s"
        time.sleep(0.05)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=1) as response:
            return bool(response.status == 200)
    except OSError:
        return False
