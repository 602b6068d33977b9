"""What becomes of finished images: files whole or not at all, and rows that tell."""

import io
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage
from django.db.models.functions import Now
from PIL import Image

from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import Unwanted
from generation.models import Priority, Render, RenderState
from generation.rendering import leases
from generation.rendering.draining import drain_renders
from generation.rendering.files import StorageError, encode, store
from generation.rendering.keeping import Keeper
from tests import factories
from tests.generation.easels import Easel, Outcomes, files, paint, paint_all, states

# Images are kept in other threads.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]


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


def test_two_workers_never_write_the_same_temporary_file(tmp_path: Path) -> None:
    contents = [letter * 1_000_000 for letter in (b"a", b"b")]
    with ThreadPoolExecutor(2) as workers:
        assert len(list(workers.map(lambda content: store("renders/a.webp", content),
                                    contents * 20))) == 40
    assert (tmp_path / "renders" / "a.webp").read_bytes() in contents
    assert files(tmp_path) == ["a.webp"]


def test_object_storage_takes_the_exact_name() -> None:
    storage = InMemoryStorage()
    storage.save("renders/a.webp", ContentFile(b"old"))
    assert store("renders/a.webp", b"new", storage=storage) == "renders/a.webp"
    assert storage.open("renders/a.webp").read() == b"new"


def test_image_of_a_lost_lease_is_dropped(media: Path) -> None:
    render, reaped = factories.make_render(), list[leases.Reaped]()

    def lose_the_lease(recipes: Iterable[Recipe], *, unwanted: Unwanted) -> Outcomes:
        for outcome in paint_all(recipes, unwanted=unwanted):
            Render.objects.update(lease_expires_at=Now() - timedelta(seconds=1))
            reaped.append(leases.reap())
            yield outcome

    drain_renders(render.model_id, sample=lose_the_lease, seconds=60,
                  is_stopping=lambda: bool(reaped))
    assert reaped == [leases.Reaped(returned=1, quarantined=0)]
    render.refresh_from_db()
    assert render.state == RenderState.PENDING
    assert files(media) == []


def test_encoding_is_lossless() -> None:
    image = Image.effect_noise((64, 64), 80).convert("RGB")
    assert Image.open(io.BytesIO(encode(image))).tobytes() == image.tobytes()


def test_image_that_cannot_be_kept_fails_alone_and_says_why() -> None:
    model = factories.make_model()
    for num_steps in (3, 7, 8):
        factories.make_render(model=model, num_steps=num_steps)

    def paint_nan(recipes: Iterable[Recipe], *, unwanted: Unwanted) -> Outcomes:
        for index, recipe in enumerate(recipes):
            sampled = paint(recipe)
            broken = replace(sampled, provenance={"sigma": float("nan")})
            yield index, broken if recipe.num_steps == 7 else sampled

    while drain_renders(model.pk, sample=paint_nan, seconds=60):
        pass  # The last failure may come when the drain has ended.
    assert states() == {3: "ready", 7: "quarantined", 8: "ready"}
    failed = Render.objects.get(num_steps=7)
    assert (failed.attempts, failed.shared_losses) == (3, 0)
    assert failed.error.startswith("the image could not be kept: DataError: ")


def test_full_storage_puts_back_what_is_in_work_untried(media: Path) -> None:
    model = factories.make_model()
    for num_steps in (2, 200, 201):
        factories.make_render(model=model, num_steps=num_steps)
    Render.objects.filter(num_steps=2).update(priority=Priority.RUNNING_STUDY)
    (media / "renders").write_text("no folder can be made here")
    easel = Easel(at_step=lambda _step: time.sleep(0.02))
    assert drain_renders(model.pk, sample=easel, seconds=60) is False
    assert states() == dict.fromkeys((2, 200, 201), "pending")
    assert set(Render.objects.values_list("attempts", flat=True)) == {0}
    assert "could not be stored" in Render.objects.get(num_steps=2).error


def test_sampler_waits_for_the_keeper_when_too_many_images_wait() -> None:
    lease = leases.lease_next(factories.make_render().model_id)
    assert lease is not None
    sampled, gate = paint(lease.render.recipe()), threading.Event()
    taken: list[int] = []

    def take_many() -> None:
        with Keeper(lambda _lease, _sampled: gate.wait()) as keeper:
            for number in range(100):
                keeper.take(lease, sampled)
                taken.append(number)

    sampling = threading.Thread(target=take_many)
    sampling.start()
    time.sleep(0.5)
    assert 0 < len(taken) < 30
    gate.set()
    sampling.join(20)
    assert len(taken) == 100
