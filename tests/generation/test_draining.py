"""Draining with a sampler given by the test; the real one is in test_rendering."""

import hashlib
import io
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models.functions import Now
from PIL import Image

from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import Sampled, SamplingError, Unwanted
from generation.models import Priority, Render, RenderState
from generation.rendering import leases
from generation.rendering.draining import ALIKE_FAILURES, drain_renders, lease_once
from generation.rendering.files import StorageError, encode, store
from generation.rendering.keeping import Keeper
from generation.rendering.outages import outlast
from generation.rendering.services import cancel_renders, pause_model
from tests import factories

Outcomes = Iterator[tuple[int, Sampled | SamplingError]]
# Images are kept in other threads; blocks of the list begin at fixed keys.
pytestmark = pytest.mark.django_db(transaction=True, reset_sequences=True)


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def paint(recipe: Recipe) -> Sampled:
    image = Image.new("RGB", (recipe.width, recipe.height), (recipe.num_steps, 20, 30))
    image.info = {"icc_profile": b"a profile", "exif": b"a camera"}
    return Sampled(image, 2 * recipe.num_steps, 0.25, provenance={"device": "easel"})


def paint_all(recipes: Iterable[Recipe], *, unwanted: Unwanted) -> Outcomes:
    for index, recipe in enumerate(recipes):
        if index not in unwanted([index]):
            yield index, paint(recipe)


def refuse_seven_steps(recipes: Iterable[Recipe], *, unwanted: Unwanted) -> Outcomes:
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
        "weights_sha256": "",
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

    def paint_slowly(recipes: Iterable[Recipe], *, unwanted: Unwanted) -> Outcomes:
        for outcome in paint_all(recipes, unwanted=unwanted):
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


def test_lease_is_renewed_during_a_long_image(settings: Any) -> None:
    settings.RENDER_LEASE_SECONDS = 1
    render = factories.make_render()
    reaped = []

    def paint_for_long(recipes: Iterable[Recipe], *, unwanted: Unwanted) -> Outcomes:
        for outcome in paint_all(recipes, unwanted=unwanted):
            for _ in range(8):
                time.sleep(0.25)
                reaped.append(leases.reap().returned)
            yield outcome

    drain_renders(render.model_id, sample=paint_for_long, seconds=1)
    render.refresh_from_db()
    assert (render.state, render.attempts, sum(reaped)) == ("ready", 1, 0)


class Easel:
    """Samples with two slots, one step at a time, and remembers what each call held together."""

    def __init__(self, *, at_step: Callable[[int], object] = lambda _step: None) -> None:
        self.calls: list[list[int]] = []
        self.dropped: list[int] = []
        self._at_step = at_step
        self._step = 0

    def __call__(self, recipes: Iterable[Recipe], *, unwanted: Unwanted) -> Outcomes:
        waiting, slots = enumerate(recipes), dict[int, tuple[Recipe, int]]()
        self.calls.append([])
        while slots.update(self._refill(waiting, 2 - len(slots))) or slots:
            self._step += 1
            self._at_step(self._step)
            for index in unwanted(list(slots)):
                self.dropped.append(slots.pop(index)[0].num_steps)
            slots = {index: (recipe, left - 1) for index, (recipe, left) in slots.items()}
            for index in [index for index, (_, left) in slots.items() if left == 0]:
                yield index, paint(slots.pop(index)[0])

    def _refill(
        self, waiting: Iterator[tuple[int, Recipe]], room: int
    ) -> dict[int, tuple[Recipe, int]]:
        taken = dict(itertools.islice(waiting, room))
        self.calls[-1] += [recipe.num_steps for recipe in taken.values()]
        return {index: (recipe, recipe.num_steps) for index, recipe in taken.items()}


def states() -> dict[int, str]:
    return dict(Render.objects.values_list("num_steps", "state"))


def test_each_batch_holds_one_kind_and_suspects_come_last_and_alone() -> None:
    model, easel = factories.make_model(), Easel()
    for num_steps in (2, 3, 4):
        factories.make_render(model=model, num_steps=num_steps)
    for num_steps in (5, 6):
        factories.make_render(model=model, num_steps=num_steps, width=64)
    for num_steps in (7, 8):
        factories.make_render(model=model, num_steps=num_steps, shared_losses=2)
    assert drain_renders(model.pk, sample=easel, seconds=60) is False
    assert [call for call in easel.calls if call] == [[6, 5], [4, 3, 2], [8], [7]]
    assert set(states().values()) == {"ready"}


def test_batch_ends_when_another_kind_becomes_more_urgent() -> None:
    model = factories.make_model()
    for num_steps in (2, 3, 4, 5):
        factories.make_render(model=model, num_steps=num_steps)

    def ask_for_another_kind(step: int) -> None:
        if step == 2:
            factories.make_render(model=model, num_steps=9, width=64,
                                  priority=Priority.RUNNING_STUDY)

    easel = Easel(at_step=ask_for_another_kind)
    assert drain_renders(model.pk, sample=easel, seconds=60) is False
    assert [call for call in easel.calls if call] == [[5, 4], [9], [3, 2]]
    assert set(states().values()) == {"ready"}


def test_drain_gives_way_to_a_model_with_something_more_urgent() -> None:
    model, other = factories.make_model(), factories.make_model()
    for num_steps in (2, 3, 4, 5):
        factories.make_render(model=model, num_steps=num_steps)

    def ask_for_another_model(step: int) -> None:
        if step == 2:
            factories.make_render(model=other, num_steps=9, priority=Priority.RUNNING_STUDY)

    easel = Easel(at_step=ask_for_another_model)
    assert drain_renders(model.pk, sample=easel, seconds=60) is True
    assert states() == {5: "ready", 4: "ready", 3: "pending", 2: "pending", 9: "pending"}
    assert drain_renders(other.pk, sample=paint_all, seconds=60) is False
    assert drain_renders(model.pk, sample=paint_all, seconds=60) is False
    assert set(states().values()) == {"ready"}


def test_drain_gives_way_neither_to_a_paused_model_nor_before_its_first_image() -> None:
    model, other = factories.make_model(), factories.make_model()
    for num_steps in (2, 3):
        factories.make_render(model=model, num_steps=num_steps)
    factories.make_render(model=other, num_steps=9, priority=Priority.RUNNING_STUDY)
    assert drain_renders(model.pk, sample=paint_all, seconds=60) is True
    assert states() == {3: "ready", 2: "pending", 9: "pending"}
    pause_model(other)
    assert drain_renders(model.pk, sample=paint_all, seconds=60) is False


def test_cancelled_render_is_dropped_within_a_step_and_the_others_go_on() -> None:
    model = factories.make_model()
    for num_steps in (4, 8, 9):
        factories.make_render(model=model, num_steps=num_steps)

    def cancel(step: int) -> None:
        if step == 2:
            cancel_renders(Render.objects.filter(num_steps=9))

    easel = Easel(at_step=cancel)
    assert drain_renders(model.pk, sample=easel, seconds=60) is False
    assert easel.dropped == [9]
    assert states() == {4: "ready", 8: "ready", 9: "cancelled"}


def test_paused_model_stops_within_a_step_and_its_renders_are_untried() -> None:
    model = factories.make_model()
    for num_steps in (7, 8, 9):
        factories.make_render(model=model, num_steps=num_steps)

    def pause(step: int) -> None:
        if step == 3:
            pause_model(model)

    easel = Easel(at_step=pause)
    assert drain_renders(model.pk, sample=easel, seconds=60) is False
    assert easel.dropped == [9, 8]
    assert states() == dict.fromkeys((7, 8, 9), "pending")
    assert set(Render.objects.values_list("attempts", "shared_losses")) == {(0, 0)}


def test_leaving_worker_puts_back_what_it_has_in_work() -> None:
    model, steps = factories.make_model(), list[int]()
    for num_steps in (7, 8):
        factories.make_render(model=model, num_steps=num_steps)
    easel = Easel(at_step=steps.append)
    is_left_over = drain_renders(model.pk, sample=easel, seconds=60,
                                 is_stopping=lambda: len(steps) >= 2)
    assert (is_left_over, len(steps)) == (True, 2)
    assert states() == {7: "pending", 8: "pending"}
    assert set(Render.objects.values_list("attempts", flat=True)) == {0}


def test_after_the_time_is_up_what_is_in_work_is_finished() -> None:
    model = factories.make_model()
    for num_steps in (2, 3, 4):
        factories.make_render(model=model, num_steps=num_steps)
    easel = Easel(at_step=lambda _step: time.sleep(0.2))
    assert drain_renders(model.pk, sample=easel, seconds=0.1) is True
    assert states() == {4: "ready", 3: "ready", 2: "pending"}


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


def test_failure_of_all_stops_the_drain_and_spares_those_that_wait() -> None:
    model = factories.make_model()
    for num_steps in range(1, 21):
        factories.make_render(model=model, num_steps=num_steps)

    def fail_all(recipes: Iterable[Recipe], *, unwanted: Unwanted) -> Outcomes:
        numbered = enumerate(recipes)
        while batch := [index for index, _ in itertools.islice(numbered, 2)]:
            yield from ((index, SamplingError("the hub is out of reach")) for index in batch)

    assert drain_renders(model.pk, sample=fail_all, seconds=60) is False
    assert set(states().values()) == {"pending"}
    assert Render.objects.filter(attempts=1).count() == ALIKE_FAILURES
    assert Render.objects.filter(attempts=0, shared_losses=0).count() == 20 - ALIKE_FAILURES
    assert drain_renders(model.pk, sample=paint_all, seconds=60) is False
    assert set(states().values()) == {"ready"}


def test_failures_between_images_that_are_made_stop_nothing() -> None:
    model = factories.make_model()
    for num_steps in range(1, 21):
        factories.make_render(model=model, num_steps=num_steps)

    def fail_odd(recipes: Iterable[Recipe], *, unwanted: Unwanted) -> Outcomes:
        for index, recipe in enumerate(recipes):
            is_odd = recipe.num_steps % 2
            yield index, SamplingError("odd") if is_odd else paint(recipe)

    drain_renders(model.pk, sample=fail_odd, seconds=60)
    assert Render.objects.ready().count() == 10


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


def end_connections(step: int) -> None:
    """Every third step, what a restart of PostgreSQL does to those who use it."""
    if step % 3:
        return
    with suppress(OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                       "WHERE datname = current_database() AND pid <> pg_backend_pid()")
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


@pytest.fixture
def fresh_connections() -> Iterator[None]:
    """Leave no connection behind that a test has ended."""
    yield
    postgres: Any = connection  # Other databases have no pool.
    postgres.close()
    postgres.close_pool()


@pytest.mark.usefixtures("fresh_connections")
def test_lost_connections_lose_no_image() -> None:
    model = factories.make_model()
    for num_steps in (2, 3, 4, 5, 6):
        factories.make_render(model=model, num_steps=num_steps)
    easel = Easel(at_step=end_connections)
    assert drain_renders(model.pk, sample=easel, seconds=60) is False
    assert set(states().values()) == {"ready"}
    assert set(Render.objects.values_list("attempts", flat=True)) == {1}
    assert not easel.dropped


@pytest.mark.usefixtures("fresh_connections")
def test_full_storage_puts_back_what_is_held_though_connections_are_lost(media: Path) -> None:
    model = factories.make_model()
    for num_steps in (2, 200, 201):
        factories.make_render(model=model, num_steps=num_steps)
    Render.objects.filter(num_steps=2).update(priority=Priority.RUNNING_STUDY)
    (media / "renders").write_text("no folder can be made here")

    def fail_slowly(step: int) -> None:
        time.sleep(0.02)
        end_connections(3)

    assert drain_renders(model.pk, sample=Easel(at_step=fail_slowly), seconds=60) is False
    assert states() == dict.fromkeys((2, 200, 201), "pending")
    assert set(Render.objects.values_list("attempts", flat=True)) == {0}


def test_outage_is_waited_out_and_a_long_one_is_not() -> None:
    errors: Iterator[Exception]

    def ask() -> str:
        for error in errors:
            raise error
        return "here"

    errors = iter([OperationalError("restarting"), InterfaceError("closed")])
    assert outlast(ask) == "here"
    errors = iter([OperationalError("restarting"), OperationalError("gone")])
    with pytest.raises(OperationalError, match="gone"):
        outlast(ask, seconds=0.1)


def test_lease_whose_answer_is_lost_after_the_commit_is_held() -> None:
    first = factories.make_render(num_steps=9)
    factories.make_render(model=first.model)
    asked = []

    def lease_and_lose_the_answer(**how: Any) -> leases.Lease | None:
        lease = leases.lease_next(first.model_id, **how)
        asked.append(lease)
        if len(asked) == 1:
            raise OperationalError("restarting")
        return lease

    lease = lease_once(lease_and_lose_the_answer)
    assert lease is not None
    assert (lease.render, len(asked)) == (first, 1)
    assert Render.objects.filter(state=RenderState.RUNNING).count() == 1
    with transaction.atomic():
        assert leases.lock(lease)


def test_other_errors_are_not_taken_for_an_outage() -> None:
    asked = []

    def ask() -> None:
        asked.append(1)
        raise IntegrityError

    with pytest.raises(IntegrityError):
        outlast(ask)
    assert len(asked) == 1


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
