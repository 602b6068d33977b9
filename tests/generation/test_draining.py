"""Draining with a sampler given by the test; the real one is in test_interrupted_drains."""

import hashlib
import io
import itertools
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import SamplingError, Unwanted
from generation.models import Priority, Render, RenderState
from generation.rendering import leases
from generation.rendering.draining import ALIKE_FAILURES, drain_renders
from generation.rendering.services import cancel_renders, pause_model
from tests import factories
from tests.generation.easels import Easel, Outcomes, files, paint, paint_all, states

# Images are kept in other threads; blocks of the list begin at fixed keys.
pytestmark = [pytest.mark.django_db(transaction=True, reset_sequences=True),
              pytest.mark.usefixtures("media")]


def refuse_seven_steps(recipes: Iterable[Recipe], *, unwanted: Unwanted) -> Outcomes:
    for index, recipe in enumerate(recipes):
        failed = SamplingError("seven is unlucky")
        yield index, failed if recipe.num_steps == 7 else paint(recipe)


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
