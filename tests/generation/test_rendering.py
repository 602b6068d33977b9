"""Rendering through real Celery workers, on a real pipeline."""

import hashlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from generation.models import DiffusionModel, Render, RenderState
from generation.rendering.services import request_renders
from tests import factories
from tests.conftest import running_process, running_worker, wait_until

BEAT = ("celery", "-A", "budgetstudy", "beat", "-S", "celery.beat:Scheduler", "--loglevel",
        "WARNING")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def model(pipeline_folder: Path) -> DiffusionModel:
    return factories.make_model(source=str(pipeline_folder), reference_steps=1000)


def has_reached(state: str, *, count: int = 1) -> Callable[[], bool]:
    return lambda: Render.objects.filter(state=state).count() == count


def assert_whole(render: Render) -> None:
    content = render.image.read()
    assert hashlib.sha256(content).hexdigest() == render.sha256
    assert render.image.name == f"renders/{render.public_id}.webp"
    folder = Path(render.image.path).parent
    assert not list(folder.glob("*.partial"))


def test_worker_renders_what_was_requested(model: DiffusionModel, tmp_path: Path) -> None:
    wanted = [(factories.make_prompt(), seed, steps) for seed, steps in ((1, 2), (2, 3))]
    broken = factories.make_model(source=str(tmp_path / "gone"))
    with running_worker():
        request_renders(broken, [(factories.make_prompt(), 1, 2)])
        request_renders(model, wanted)
        wait_until(has_reached(RenderState.READY, count=2), seconds=90)
    for render in Render.objects.ready():
        assert_whole(render)
        assert render.unet_evaluations == 2 * render.num_steps
        assert render.attempts == 1
        assert render.provenance["versions"]["diffusers"]
        assert render.provenance["scheduler_config"]["_class_name"] == "DDIMScheduler"
    failed = Render.objects.get(model=broken)
    assert failed.state == RenderState.QUARANTINED
    assert f"there is no folder {tmp_path / 'gone'}" in failed.error


def test_worker_asked_to_leave_in_the_middle_of_images_puts_them_back(
    model: DiffusionModel,
) -> None:
    prompt = factories.make_prompt()
    request_renders(model, [(prompt, seed, 1000) for seed in range(3)])
    with running_worker() as worker:
        wait_until(has_reached(RenderState.RUNNING, count=3), seconds=90)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(6) == 0  # When the supervisor's patience ends.
    rows = Render.objects.values_list("state", "attempts", "shared_losses")
    assert set(rows) == {("pending", 0, 0)}


def test_image_of_a_killed_worker_is_rendered_again(model: DiffusionModel) -> None:
    request_renders(model, [(factories.make_prompt(), 1, 100)])
    with running_worker(BUDGETSTUDY_RENDER_LEASE_SECONDS="3") as worker:
        wait_until(has_reached(RenderState.RUNNING), seconds=90)
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
    killed = Render.objects.get()
    assert killed.state == RenderState.RUNNING
    # Nobody sends anything now: beat finds the lapsed lease and queues the drain anew.
    with running_worker(), running_process(*BEAT):
        wait_until(has_reached(RenderState.READY), seconds=120)
    render = Render.objects.get()
    assert_whole(render)
    assert (render.attempts, render.shared_losses, render.unet_evaluations) == (1, 1, 200)
    assert render.lease_holder != killed.lease_holder
