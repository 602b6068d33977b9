"""Draining with a sampler given by the test; the real one is in test_rendering."""

import hashlib
import io
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage
from django.db.models.functions import Now
from PIL import Image

from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import Sampled, SamplingError
from generation.models import Render, RenderState
from generation.rendering import leases
from generation.rendering.draining import drain_renders
from generation.rendering.files import StorageError, encode, store
from tests import factories

Outcomes = Iterator[tuple[int, Sampled | SamplingError]]
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def paint(recipe: Recipe) -> Sampled:
    image = Image.new("RGB", (recipe.width, recipe.height), (recipe.num_steps, 20, 30))
    image.info = {"icc_profile": b"a profile", "exif": b"a camera"}
    return Sampled(image, 2 * recipe.num_steps, 0.25, provenance={"device": "easel"})


def paint_all(recipes: Iterable[Recipe]) -> Outcomes:
    for index, recipe in enumerate(recipes):
        yield index, paint(recipe)


def refuse_seven_steps(recipes: Iterable[Recipe]) -> Outcomes:
    for index, recipe in enumerate(recipes):
        failed = SamplingError("seven is unlucky")
        yield index, failed if recipe.num_steps == 7 else paint(recipe)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_every_pending_render_becomes_ready_with_its_file(media: Path) -> None:
    model = factories.make_model()
    for num_steps in (3, 8, 50):
        factories.make_render(model=model, num_steps=num_steps)
    assert drain_renders(model.pk, sample=paint_all, seconds=60) is False
    renders = list(Render.objects.all())
    assert [render.state for render in renders] == ["ready"] * 3
    assert files(media) == sorted(f"{render.public_id}.webp" for render in renders)
    for render in renders:
        content = render.image.read()
        assert hashlib.sha256(content).hexdigest() == render.sha256
        image = Image.open(io.BytesIO(content))
        assert image.getpixel((0, 0)) == (render.num_steps, 20, 30)
        assert not {"exif", "icc_profile", "xmp"} & set(image.info)
        assert (render.unet_evaluations, render.seconds) == (2 * render.num_steps, 0.25)


def test_provenance_holds_recipe_and_machine() -> None:
    render = factories.make_render()
    drain_renders(render.model_id, sample=paint_all, seconds=60)
    render.refresh_from_db()
    assert render.provenance["device"] == "easel"
    assert render.provenance["worker"] == leases.holder_name()
    assert render.provenance["recipe"] == {
        "source": "embedded", "revision": "", "prompt": render.prompt.text, "seed": 1,
        "num_steps": 8, "scheduler": "ddim", "guidance": 3.0, "width": 128, "height": 128,
    }


def test_one_failure_does_not_stop_the_others() -> None:
    model = factories.make_model()
    for num_steps in (7, 8):
        factories.make_render(model=model, num_steps=num_steps)
    assert drain_renders(model.pk, sample=refuse_seven_steps, seconds=60) is False
    failed, made = Render.objects.order_by("num_steps")
    assert (failed.state, failed.attempts, failed.error) == ("quarantined", 3, "seven is unlucky")
    assert made.state == RenderState.READY


def test_drain_stops_at_its_time_and_says_that_more_is_left() -> None:
    model = factories.make_model()
    for _ in range(3):
        factories.make_render(model=model)

    def paint_slowly(recipes: Iterable[Recipe]) -> Outcomes:
        for outcome in paint_all(recipes):
            time.sleep(0.2)
            yield outcome

    assert drain_renders(model.pk, sample=paint_slowly, seconds=0.1) is True
    assert Render.objects.ready().count() == 1
    assert Render.objects.claimable().count() == 2


def test_drain_of_a_leaving_worker_leases_nothing() -> None:
    render = factories.make_render()
    left = drain_renders(render.model_id, sample=paint_all, seconds=60, is_stopping=lambda: True)
    render.refresh_from_db()
    assert (left, render.state, render.attempts) == (True, "pending", 0)


def test_full_storage_puts_the_render_back_untried_and_stops(media: Path) -> None:
    render = factories.make_render()
    factories.make_render(model=render.model)
    (media / "renders").write_text("no folder can be made here")
    assert drain_renders(render.model_id, sample=paint_all, seconds=60) is False
    render.refresh_from_db()
    assert (render.state, render.attempts, render.sha256) == ("pending", 0, "")
    assert "could not be stored" in render.error
    assert files(media) == ["renders"]
    assert Render.objects.claimable().count() == 2


def test_half_written_file_is_not_left_behind(tmp_path: Path) -> None:
    (tmp_path / "renders" / "a.webp").mkdir(parents=True)  # The rename to this name must fail.
    with pytest.raises(StorageError):
        store("renders/a.webp", b"content")
    assert files(tmp_path) == []


def test_object_storage_takes_the_exact_name() -> None:
    storage = InMemoryStorage()
    storage.save("renders/a.webp", ContentFile(b"old"))
    assert store("renders/a.webp", b"new", storage=storage) == "renders/a.webp"
    assert storage.open("renders/a.webp").read() == b"new"


def test_image_of_a_lost_lease_is_dropped(media: Path) -> None:
    render = factories.make_render()

    def lose_the_lease(recipes: Iterable[Recipe]) -> Outcomes:
        for outcome in paint_all(recipes):
            Render.objects.update(lease_expires_at=Now() - timedelta(seconds=1))
            leases.reap()
            Render.objects.update(attempts=3)
            yield outcome
            return

    drain_renders(render.model_id, sample=lose_the_lease, seconds=60)
    render.refresh_from_db()
    assert render.state == RenderState.PENDING
    assert files(media) == []


def test_encoding_is_lossless() -> None:
    image = Image.effect_noise((64, 64), 80).convert("RGB")
    assert Image.open(io.BytesIO(encode(image))).tobytes() == image.tobytes()


@pytest.mark.django_db(transaction=True)
def test_lease_is_renewed_during_a_long_image(settings: Any) -> None:
    settings.RENDER_LEASE_SECONDS = 1
    render = factories.make_render()
    reaped = []

    def paint_for_long(recipes: Iterable[Recipe]) -> Outcomes:
        for outcome in paint_all(recipes):
            for _ in range(8):
                time.sleep(0.25)
                reaped.append(leases.reap().returned)
            yield outcome

    drain_renders(render.model_id, sample=paint_for_long, seconds=1)
    render.refresh_from_db()
    assert (render.state, render.attempts, sum(reaped)) == ("ready", 1, 0)
