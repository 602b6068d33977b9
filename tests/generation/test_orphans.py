"""What workers that died left in the image folder, and nothing else, is removed."""

import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from generation.models import Render, RenderState
from generation.rendering import keeping, leases
from generation.rendering.orphans import remove_orphans
from generation.rendering.services import cancel_renders
from generation.tasks import remove_orphans as remove_orphans_task
from tests import factories
from tests.generation.easels import paint

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path / "renders"


def lease(render: Render) -> leases.Lease:
    found = leases.lease_next(render.model_id)
    assert found is not None
    return found


def test_image_whose_row_was_never_committed_goes_once_it_is_cancelled(folder: Path) -> None:
    render = factories.make_render()
    held = lease(render)
    with transaction.atomic():
        assert keeping.keep(held, paint(render.recipe()))
        transaction.set_rollback(True)
    assert [path.name for path in folder.iterdir()] == [f"{render.public_id}.webp"]
    cancel_renders(Render.objects.all())
    assert remove_orphans() == 1
    assert not list(folder.iterdir())
    assert Render.objects.get().state == RenderState.CANCELLED


def test_half_written_files_go_and_finished_images_stay(folder: Path) -> None:
    ready = factories.make_ready_render()
    for public_id in (ready.public_id, factories.make_render().public_id):
        (folder / f"{public_id}.webp.{uuid.uuid4().hex}.partial").write_bytes(b"half")
    assert remove_orphans() == 2
    assert [path.name for path in folder.iterdir()] == [f"{ready.public_id}.webp"]


def test_files_of_which_no_row_knows_anything_are_left_alone(folder: Path) -> None:
    assert remove_orphans() == 0  # There is no folder yet.
    folder.mkdir()
    for name in (f"{uuid.uuid4()}.webp", "README.txt"):
        (folder / name).write_bytes(b"somebody else's")
    assert remove_orphans() == 0
    assert len(list(folder.iterdir())) == 2


def test_image_that_is_being_kept_now_is_waited_for(folder: Path) -> None:
    render = factories.make_render()
    held = lease(render)
    removed: list[int] = []

    def sweep() -> None:
        removed.append(remove_orphans())
        connection.close()

    with transaction.atomic():  # `keep` commits with this block.
        keeping.keep(held, paint(render.recipe()))
        sweeping = threading.Thread(target=sweep)
        sweeping.start()
        sweeping.join(0.5)
        assert sweeping.is_alive()
    sweeping.join(20)
    assert removed == [0]
    assert len(list(folder.iterdir())) == 1


def test_task_removes_them_too(folder: Path) -> None:
    folder.mkdir()
    (folder / f"{factories.make_render().public_id}.webp").write_bytes(b"left")
    remove_orphans_task()
    assert not list(folder.iterdir())
