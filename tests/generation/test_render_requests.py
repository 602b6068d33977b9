from pathlib import Path
from typing import Any

import pytest
import redis
from celery import current_app
from django.conf import settings
from pytest_django import DjangoCaptureOnCommitCallbacks

from generation.budget.prediction import Prediction
from generation.models import Budget, Priority, Render, RenderState
from generation.rendering import leases
from generation.rendering.budgets import predict_budgets
from generation.rendering.queueing import drain_has_begun, queue_drain
from generation.rendering.services import (
    cancel_renders,
    pause_model,
    prioritise,
    request_renders,
    restore_missing,
    resume_model,
    retry_cancelled,
    retry_quarantined,
)
from generation.tasks import drain_renders, reap_renders
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def empty_queue() -> None:
    queued_drains()


def queued_drains() -> int:
    """Take all messages off the render queue and count them."""
    with current_app.connection_for_read() as connection, connection.channel() as channel:
        channel.queue_declare("render")
        return int(channel.queue_purge("render") or 0)


def test_repeated_request_makes_no_second_render() -> None:
    model, prompt = factories.make_model(), factories.make_prompt()
    first = request_renders(model, [(prompt, 1, 8), (prompt, 1, 50), (prompt, 1, 8)])
    again = request_renders(model, [(prompt, 1, 50), (prompt, 2, 8)])
    assert set(first) == {(prompt.pk, 1, 8), (prompt.pk, 1, 50)}
    assert again[prompt.pk, 1, 50] == first[prompt.pk, 1, 50]
    assert Render.objects.count() == 3


def test_render_copies_how_the_model_is_sampled() -> None:
    model = factories.make_model(scheduler="dpmsolver++", guidance=5.5, width=64)
    prompt = factories.make_prompt()
    [render] = request_renders(model, [(prompt, 1, 8)]).values()
    assert (render.scheduler, render.guidance, render.width) == ("dpmsolver++", 5.5, 64)
    assert render.state == RenderState.PENDING


@pytest.mark.parametrize("num_steps", [0, -1, 51, 8.0, True, "8"])
def test_impossible_step_count_is_refused_and_nothing_written(num_steps: Any) -> None:
    model, prompt = factories.make_model(reference_steps=50), factories.make_prompt()
    with pytest.raises(ValueError, match="from 1 to 50"):
        request_renders(model, [(prompt, 1, 8), (prompt, 1, num_steps)])
    assert not Render.objects.exists()


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5])
def test_impossible_seed_is_refused(seed: Any) -> None:
    with pytest.raises(ValueError, match="seed"):
        request_renders(factories.make_model(), [(factories.make_prompt(), seed, 8)])


def test_request_of_many_takes_few_queries(django_assert_max_num_queries: Any) -> None:
    model = factories.make_model()
    wanted = [(factories.make_prompt(), 1, steps) for steps in (4, 8, 50) for _ in range(40)]
    with django_assert_max_num_queries(5):
        assert len(request_renders(model, wanted)) == 120


def test_request_queues_one_drain_and_none_when_all_is_ready(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    model, prompt = factories.make_model(), factories.make_prompt()
    for _ in range(3):
        with django_capture_on_commit_callbacks(execute=True):
            request_renders(model, [(prompt, 1, 8)])
    assert queued_drains() == 1
    ready = factories.make_ready_render(model=model)
    with django_capture_on_commit_callbacks(execute=True):
        request_renders(model, [(ready.prompt, ready.seed, ready.num_steps)])
    assert queued_drains() == 0


def test_drain_waits_once_in_the_queue_and_again_after_it_began() -> None:
    model = factories.make_model()
    assert [queue_drain(model), queue_drain(model)] == [True, False]
    drain_has_begun(model)
    assert queue_drain(model)
    assert queued_drains() == 2


def test_reaper_queues_drains_for_waiting_renders_after_a_flush() -> None:
    waiting = factories.make_render()
    factories.make_ready_render()
    queue_drain(waiting.model)
    reap_renders()
    assert queued_drains() == 1
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.delete(*client.scan_iter("generation:*"))
    reap_renders()
    reap_renders()
    assert queued_drains() == 1


def test_drain_of_an_unknown_model_does_nothing() -> None:
    drain_renders(2**40)


def test_retry_gives_quarantined_renders_new_attempts(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    quarantined = factories.make_render(state=RenderState.QUARANTINED, error="why", attempts=3)
    ready = factories.make_ready_render()
    with django_capture_on_commit_callbacks(execute=True):
        assert retry_quarantined(Render.objects.all()) == 1
    quarantined.refresh_from_db()
    ready.refresh_from_db()
    assert (quarantined.state, quarantined.attempts, quarantined.error) == ("pending", 0, "")
    assert ready.state == RenderState.READY
    assert queued_drains() == 1


def test_urgent_request_makes_waiting_renders_urgent_and_never_less() -> None:
    model, prompt = factories.make_model(), factories.make_prompt()
    key = (prompt.pk, 1, 8)
    for asked, expected in ((Priority.STUDY, 10), (Priority.RUNNING_STUDY, 0),
                            (Priority.STUDY, 0)):
        renders = request_renders(model, [(prompt, 1, 8)], priority=asked)
        assert (renders[key].priority, Render.objects.get().priority) == (expected, expected)


def test_cancelled_render_asked_for_again_waits_untried() -> None:
    model, prompt = factories.make_model(), factories.make_prompt()
    [render] = request_renders(model, [(prompt, 1, 8)]).values()
    unasked = factories.make_render(model=model, state=RenderState.CANCELLED)
    Render.objects.filter(pk=render.pk).update(attempts=2, state=RenderState.CANCELLED)
    [again] = request_renders(model, [(prompt, 1, 8)]).values()
    assert (again.pk, again.state, again.attempts) == (render.pk, "pending", 0)
    unasked.refresh_from_db()
    assert unasked.state == RenderState.CANCELLED


def test_cancelling_takes_what_is_unfinished_and_its_leases() -> None:
    leased = factories.make_render()
    lease = leases.lease_next(leased.model_id)
    assert lease is not None
    factories.make_render(model=leased.model)
    ready = factories.make_ready_render(model=leased.model)
    assert cancel_renders(Render.objects.all()) == 2
    assert Render.objects.filter(state=RenderState.CANCELLED, lease_id=None).count() == 2
    ready.refresh_from_db()
    assert ready.state == RenderState.READY
    assert not leases.lock(lease)
    assert retry_cancelled(Render.objects.all()) == 2
    assert Render.objects.claimable().count() == 2


def test_paused_model_is_left_alone_until_it_is_resumed(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    model = factories.make_render().model
    pause_model(model)
    reap_renders()
    drain_renders(model.pk)
    assert queued_drains() == 0
    with django_capture_on_commit_callbacks(execute=True):
        resume_model(model)
    assert queued_drains() == 1
    assert Render.objects.claimable().count() == 1


def test_ready_render_without_its_file_is_rendered_again(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    lost, whole = factories.make_ready_render(), factories.make_ready_render()
    waiting = factories.make_render()
    Path(lost.image.path).unlink()
    with django_capture_on_commit_callbacks(execute=True):
        assert restore_missing(Render.objects.all()) == 1
    for render in (lost, whole, waiting):
        render.refresh_from_db()
    assert (lost.state, lost.sha256, lost.attempts) == ("pending", "", 0)
    assert "file was gone from the storage" in lost.error
    assert (whole.state, waiting.state, waiting.error) == ("ready", "pending", "")
    assert queued_drains() == 1


@pytest.mark.parametrize("priority", Priority)
def test_lost_render_is_as_urgent_as_it_was_for_its_study(priority: Priority) -> None:
    lost = factories.make_ready_render()
    prioritise(Render.objects.all(), priority)
    Path(lost.image.path).unlink()
    assert restore_missing(Render.objects.all()) == 1
    assert Render.objects.claimable().get().priority == priority


class Oracle:
    """Predicts as many steps as a prompt has letters."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def load(self, _folder: Path) -> "Oracle":
        return self

    def predict(self, prompts: list[str]) -> list[Prediction]:
        self.asked += prompts
        return [Prediction(len(text), [1, 50], {"i-clip": [0.5, 1.0]}) for text in prompts]


def test_only_missing_budgets_are_predicted() -> None:
    predictor, oracle = factories.make_predictor(source="/nowhere"), Oracle()
    known, new = factories.make_prompt(text="known"), factories.make_prompt(text="newcomer")
    factories.make_budget(prompt=known, predictor=predictor, num_steps=11)
    budgets = predict_budgets(predictor, [known, new, new], load=oracle.load)
    assert oracle.asked == ["newcomer"]
    assert {pk: budget.num_steps for pk, budget in budgets.items()} == {known.pk: 11, new.pk: 8}
    assert budgets[new.pk].curves == {"steps": [1, 50], "i-clip": [0.5, 1.0]}
    predict_budgets(predictor, [known, new], load=oracle.load)
    assert oracle.asked == ["newcomer"]


def test_budget_of_a_predictor_for_another_full_step_count_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"steps": [1, 2, 40]}')
    model = factories.make_model(reference_steps=50)
    predictor, prompt = (factories.make_predictor(model=model, source=str(tmp_path)),
                         factories.make_prompt())
    with pytest.raises(ValueError, match="of 40 steps in full, and this model has 50"):
        predict_budgets(predictor, [prompt], load=Oracle().load)
    assert not Budget.objects.exists()
