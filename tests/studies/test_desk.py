"""From a prompt list to an open session, without the admin."""

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from generation.models import Budget, Predictor, Priority, Prompt, Render, RenderState
from studies import tasks
from studies.desk import preparation, progress, services
from studies.desk.imports import PromptRow
from studies.models import Pair, SessionState, Stimulus, Study, StudySession, StudyState, Task
from tests import factories

pytestmark = pytest.mark.django_db

Predict = Callable[[Predictor, Sequence[Prompt]], Mapping[int, Budget]]


def rows(*texts: str) -> list[PromptRow]:
    return [PromptRow(line, text) for line, text in enumerate(texts, start=1)]


def predicting(*steps: int) -> Predict:
    """A predictor that gives these budgets in the prompts' order, and stores them."""

    def predict(predictor: Predictor, prompts: Sequence[Prompt]) -> dict[int, Budget]:
        budgets = {}
        for prompt, num_steps in zip(prompts, steps, strict=True):
            budgets[prompt.pk] = (
                Budget.objects.filter(prompt=prompt, predictor=predictor).first()
                or factories.make_budget(prompt=prompt, predictor=predictor, num_steps=num_steps))
        return budgets

    return predict


def make_preparing(*steps: int, contrasts: Sequence[tuple[str, str]] = (("budgeted", "reference"),),
                   **design: str | int) -> Study:
    study = services.create_study(
        f"study of {steps}", rows(*(f"prompt {number}" for number in range(len(steps)))),
        predictor=factories.make_predictor(), contrasts=contrasts,
        **{"catch_percent": 0} | design)
    services.prepare(study)
    return study


def prepared(*steps: int, **values: object) -> Study:
    study = make_preparing(*steps, **values)  # type: ignore[arg-type]
    preparation.prepare_study(study.pk, predict=predicting(*steps))
    study.refresh_from_db()
    return study


def steps_of(study: Study) -> set[tuple[str, str, int, int, int]]:
    return set(Pair.objects.filter(contrast__study=study).values_list(
        "contrast__candidate_arm", "prompt__text", "seed", "candidate__num_steps",
        "baseline__num_steps"))


# --- Prompts ----------------------------------------------------------------------------------


def test_prompts_are_shared_between_studies_and_keep_their_order() -> None:
    predictor = factories.make_predictor()
    services.create_study("one", rows("a", "b"), predictor=predictor)
    second = services.create_study(
        "two", [PromptRow(1, "c"), PromptRow(2, "b", "shapes")], predictor=predictor)
    assert Prompt.objects.count() == 3
    assert list(second.study_prompts.values_list("position", "prompt__text", "category")) == [
        (1, "c", ""), (2, "b", "shapes")]


def test_a_study_that_is_not_valid_leaves_nothing_behind() -> None:
    predictor = factories.make_predictor()
    with pytest.raises(ValidationError):
        services.create_study("bad", rows("a"), predictor=predictor,
                              contrasts=[("budgeted", "sideways")])
    assert not Study.objects.exists()
    assert not Prompt.objects.exists()


def test_new_prompts_replace_the_old_and_discard_what_was_prepared(
    django_capture_on_commit_callbacks: Callable,
) -> None:
    study = prepared(4, 5)
    contrast = study.contrasts.get()
    pair = factories.make_ready_pair(contrast=contrast)
    files = [Path(path) for path in (stimulus.image.path for stimulus in pair.stimuli.all())]
    with django_capture_on_commit_callbacks(execute=True):
        services.add_prompts(study, rows("another"))
    assert list(study.study_prompts.values_list("prompt__text", flat=True)) == ["another"]
    assert not Pair.objects.exists()
    assert not Stimulus.objects.exists()
    assert not any(file.exists() for file in files)
    assert Render.objects.count() == 6
    assert study.state == StudyState.DRAFT


# --- Preparation ------------------------------------------------------------------------------


def test_preparing_gives_each_prompt_a_pair_with_its_budget() -> None:
    study = prepared(4, 9)
    assert steps_of(study) == {("budgeted", "prompt 0", 1001, 4, 50),
                               ("budgeted", "prompt 1", 1002, 9, 50)}
    assert Render.objects.count() == 4


def test_contrasts_share_seeds_and_renders() -> None:
    study = prepared(4, 8, contrasts=[("budgeted", "reference"), ("uniform", "reference"),
                                      ("fixed(2)", "budgeted")])
    assert {row[2:] for row in steps_of(study)} == {
        (1001, 4, 50), (1002, 8, 50), (1001, 6, 50), (1002, 6, 50), (1001, 2, 4), (1002, 2, 8)}
    assert Render.objects.count() == 8


def test_the_similarity_task_asks_for_the_reference_too() -> None:
    study = prepared(4, contrasts=[("budgeted", "fixed(2)")], task=Task.SIMILARITY)
    pair = Pair.objects.get(contrast__study=study)
    assert pair.reference is not None
    assert pair.reference.num_steps == 50
    assert pair.reference.seed == pair.candidate.seed


def test_preparing_twice_changes_nothing() -> None:
    study = prepared(4, 9)
    before = list(Pair.objects.order_by("pk").values())
    services.prepare(study)
    preparation.prepare_study(study.pk, predict=predicting(4, 9))
    assert list(Pair.objects.order_by("pk").values()) == before


def test_an_edited_model_replaces_its_pairs_when_prepared_again() -> None:
    study = prepared(4, 9)
    study.model.guidance = 1.5
    study.model.save(update_fields=["guidance"])
    services.prepare(study)
    preparation.prepare_study(study.pk, predict=predicting(4, 9))
    assert set(Pair.objects.values_list("candidate__guidance", flat=True)) == {1.5}
    assert Pair.objects.count() == 2


def test_pairs_of_two_identical_images_are_left_out_and_counted() -> None:
    study = prepared(50, 9, 50)
    assert steps_of(study) == {("budgeted", "prompt 1", 1002, 9, 50)}
    counted = progress.study_progress(study).contrasts[0]
    assert (counted.pairs, counted.left_out) == (1, 2)


@pytest.mark.parametrize(("contrasts", "message"), [
    ([("reference", "fixed(50)")], "same number of steps"),
    ([("fixed(60)", "reference")], r"fixed\(60\) asks for more steps than the reference's 50"),
])
def test_what_cannot_be_prepared_is_said_and_leaves_a_draft(
    contrasts: list[tuple[str, str]], message: str
) -> None:
    study = prepared(4, 9, contrasts=contrasts)
    assert study.state == StudyState.DRAFT
    assert re.search(message, study.preparation_error)
    assert not Pair.objects.exists()
    assert not Render.objects.exists()


def test_a_predictor_that_is_missing_is_said_with_its_place() -> None:
    study = make_preparing(4)

    def predict(predictor: Predictor, prompts: Sequence[Prompt]) -> dict[int, Budget]:
        raise FileNotFoundError(f"{predictor.folder()} holds no config.json")

    preparation.prepare_study(study.pk, predict=predict)
    study.refresh_from_db()
    assert study.preparation_error.endswith("holds no config.json")
    services.prepare(study)
    assert study.preparation_error == ""


def test_an_unexpected_failure_is_shown_and_still_raised() -> None:
    study = make_preparing(4)

    def predict(predictor: Predictor, prompts: Sequence[Prompt]) -> dict[int, Budget]:
        raise KeyError("weights")

    with pytest.raises(KeyError):
        preparation.prepare_study(study.pk, predict=predict)
    study.refresh_from_db()
    assert "KeyError" in study.preparation_error
    assert study.state == StudyState.DRAFT


def test_a_preparation_that_kills_its_worker_each_time_is_given_up_and_may_be_asked_again() -> None:
    study = make_preparing(4, 9)

    class Killed(BaseException):
        """Stands for a worker's end."""

    def die(predictor: Predictor, prompts: Sequence[Prompt]) -> dict[int, Budget]:
        assert seen.get(pk=study.pk).preparation_attempts == attempt
        raise Killed

    seen = Study.objects.all()
    for attempt in (1, 2, 3):
        with pytest.raises(Killed):
            preparation.prepare_study(study.pk, predict=die)
        # A worker killed for good would not have cleaned up.
        seen.filter(pk=study.pk).update(preparation_attempts=attempt)
    preparation.prepare_study(study.pk, predict=die)
    study.refresh_from_db()
    assert study.state == StudyState.DRAFT
    assert "the worker was lost 3 times" in study.preparation_error
    services.prepare(study)
    preparation.prepare_study(study.pk, predict=predicting(4, 9))
    assert study.contrasts.get().pairs.count() == 2


def test_a_list_replaced_while_budgets_are_predicted_is_left_alone() -> None:
    study = make_preparing(4, 9)
    predict = predicting(4, 9)

    def predict_slowly(predictor: Predictor, prompts: Sequence[Prompt]) -> Mapping[int, Budget]:
        budgets = predict(predictor, prompts)
        services.add_prompts(study, rows("something else"))
        services.prepare(study)
        return budgets

    preparation.prepare_study(study.pk, predict=predict_slowly)
    assert not Pair.objects.exists()
    study.refresh_from_db()
    assert study.state == StudyState.PREPARING
    assert study.preparation_error == ""


def test_a_preparation_that_nobody_works_on_is_found_until_its_pairs_are_made() -> None:
    study = make_preparing(4, 9)
    factories.make_study(num_prompts=1)
    assert preparation.stalled() == [study.pk]
    preparation.prepare_study(study.pk, predict=predicting(4, 9))
    assert preparation.stalled() == []


def test_a_preparation_that_failed_or_is_under_way_is_not_queued_again() -> None:
    failed, study = make_preparing(4), make_preparing(4, 9)
    preparation.prepare_study(failed.pk, predict=predicting(99))
    predict = predicting(4, 9)

    def predict_while_another_looks(predictor: Predictor,
                                    prompts: Sequence[Prompt]) -> Mapping[int, Budget]:
        assert seen_by_another_worker(study) == "busy"
        return predict(predictor, prompts)

    assert preparation.stalled() == [study.pk]
    preparation.prepare_study(study.pk, predict=predict_while_another_looks)
    assert study.contrasts.get().pairs.count() == 2
    assert seen_by_another_worker(study) == "idle"


def test_a_preparation_that_another_worker_holds_is_not_queued_again() -> None:
    study = make_preparing(4, 9)
    lock = preparation.busy_with(study.pk)
    with ThreadPoolExecutor(1) as elsewhere:  # A thread has a connection of its own.
        elsewhere.submit(lock.__enter__).result()
        assert preparation.stalled() == []
        elsewhere.submit(lock.__exit__, None, None, None).result()
        assert preparation.stalled() == [study.pk]
        elsewhere.submit(lambda: connection.close()).result()


def seen_by_another_worker(study: Study) -> str:
    """Ask on a connection of its own, as another process would."""
    with ThreadPoolExecutor(1) as elsewhere:
        return "busy" if elsewhere.submit(_asked_apart, study.pk).result() else "idle"


def _asked_apart(study_id: int) -> bool:
    try:
        return preparation.is_busy(study_id)
    finally:
        connection.close()


def test_a_lost_preparation_is_queued_again() -> None:
    study = make_preparing(4, 9)
    with current_app.connection_for_read() as broker, broker.channel() as channel:
        channel.queue_declare("default")
        channel.queue_purge("default")
        tasks.resume_preparations()
        message = channel.basic_get("default", no_ack=True)
    assert message.headers["task"] == "studies.tasks.prepare_study"
    assert message.headers["argsrepr"] == f"({study.pk},)"
    assert message.headers["expires"] is not None


def test_what_beat_sends_outlives_a_drain_and_expires() -> None:
    """A lone worker drains for a while before it takes the next message from the other queue."""
    current_app.loader.import_default_modules()
    schedule: dict[str, dict[str, Any]] = settings.CELERY_BEAT_SCHEDULE
    for entry in schedule.values():
        assert entry["task"] in current_app.tasks
        expires = entry["options"]["expires"]
        assert 2 * settings.RENDER_DRAIN_SECONDS < expires < 10 * settings.RENDER_DRAIN_SECONDS


def test_images_are_drawn_in_the_order_of_the_list() -> None:
    predictor = factories.make_predictor()
    services.create_study("first", rows("second", "first"), predictor=predictor)
    study = services.create_study("other", rows("first", "second"), predictor=predictor,
                                  contrasts=[("budgeted", "reference"), ("uniform", "reference")],
                                  catch_percent=0)
    services.prepare(study)
    preparation.prepare_study(study.pk, predict=predicting(4, 10))
    drawn = Render.objects.order_by("pk").values_list("prompt__text", "num_steps")
    assert list(drawn) == [("first", 4), ("first", 7), ("first", 50),
                           ("second", 7), ("second", 10), ("second", 50)]


@pytest.mark.parametrize(("num_prompts", "has_contrast", "message"), [
    (0, True, "no prompts. Upload a prompt file"),
    (2, False, "compares nothing yet. Add a contrast"),
])
def test_an_incomplete_study_is_not_prepared(
    num_prompts: int, has_contrast: bool, message: str
) -> None:
    study = factories.make_study(num_prompts=num_prompts)
    if has_contrast:
        factories.make_contrast(study=study)
    with pytest.raises(services.StudyNotReady, match=message):
        services.prepare(study)
    assert study.state == StudyState.DRAFT


# --- Catch pairs ------------------------------------------------------------------------------


def catch_steps_of(study: Study) -> dict[int, tuple[int, int]]:
    """Steps of both images of each catch pair, by the prompt's place."""
    pairs = Pair.objects.filter(contrast__study=study, contrast__is_catch=True)
    return {seed - 1000: (candidate, baseline) for seed, candidate, baseline in pairs.values_list(
        "seed", "candidate__num_steps", "baseline__num_steps")}


def with_catch(*steps: int, **design: Any) -> Study:
    return prepared(*steps, **{"catch_percent": 10, "main_trials": 10, "practice_trials": 0}
                    | design)


def test_catch_pairs_spread_over_the_list_and_share_its_references() -> None:
    study = with_catch(*[8] * 12)
    assert study.num_catch_trials() == 1
    assert catch_steps_of(study) == {1: (1, 50), 5: (1, 50), 9: (1, 50)}
    contrast = study.contrasts.catch().get()
    assert str(contrast) == "fixed(1) against reference"
    references = {pair.baseline_id for pair in contrast.pairs.all()}
    main = study.contrasts.compared().get()
    assert references < {pair.baseline_id for pair in main.pairs.all()}
    assert Render.objects.count() == 12 + 12 + 3


def test_a_short_list_gives_every_prompt_a_catch_pair() -> None:
    study = with_catch(8, 9, main_trials=2, catch_percent=50)
    assert catch_steps_of(study) == {1: (1, 50), 2: (1, 50)}


def test_practice_has_catch_pairs_where_there_are_too_few_trials_for_a_catch_trial() -> None:
    study = with_catch(*[8] * 6, main_trials=4, practice_trials=2)
    assert study.num_catch_trials() == 0
    assert len(catch_steps_of(study)) == 2


def test_a_contrast_like_the_catch_pairs_stays_apart_from_them() -> None:
    study = with_catch(*[8] * 4, contrasts=[("fixed(1)", "reference")])
    assert study.contrasts.compared().get().pairs.count() == 4
    assert len(catch_steps_of(study)) == 3
    assert Render.objects.count() == 8


def test_the_similarity_task_shows_a_reference_in_catch_pairs_too() -> None:
    study = with_catch(*[8] * 3, task=Task.SIMILARITY)
    for pair in study.contrasts.catch().get().pairs.all():
        assert pair.reference == pair.baseline


def prepare_again(study: Study, *steps: int, **design: int) -> None:
    Study.objects.filter(pk=study.pk).update(**design)
    for pk in preparation.stalled():
        preparation.prepare_study(pk, predict=predicting(*steps))
    study.refresh_from_db()


@pytest.mark.parametrize(("design", "expected"), [
    ({"catch_steps": 3}, {1: (3, 50), 5: (3, 50), 9: (3, 50)}),
    ({"main_trials": 20}, dict.fromkeys((1, 3, 5, 7, 9, 11), (1, 50))),
    ({"catch_percent": 0}, {}),
])
def test_changed_catch_trials_are_made_anew_and_other_pairs_stay(
    design: dict[str, int], expected: dict[int, tuple[int, int]]
) -> None:
    study = with_catch(*[8] * 12)
    main = set(Pair.objects.filter(contrast__is_catch=False).values_list("pk", flat=True))
    assert preparation.stalled() == []
    prepare_again(study, *[8] * 12, **design)
    assert catch_steps_of(study) == expected
    assert set(Pair.objects.filter(contrast__is_catch=False).values_list("pk", flat=True)) == main
    assert study.contrasts.catch().exists() is bool(expected)
    assert preparation.stalled() == []


def test_a_bad_image_as_good_as_the_reference_is_refused() -> None:
    with pytest.raises(services.StudyNotReady, match="Lower “Steps of the bad image” below 50"):
        make_preparing(8, catch_percent=10, catch_steps=50)
    study = with_catch(*[8] * 12)
    prepare_again(study, *[8] * 12, catch_steps=60)
    assert study.state == StudyState.DRAFT
    assert "would have 60 steps and the good one 50" in study.preparation_error


def test_progress_counts_catch_pairs_apart_and_renders_all() -> None:
    study = with_catch(*[8] * 12)
    shown = progress.study_progress(study)
    assert (shown.pairs_total, shown.catch_total, shown.catch_ready) == (12, 3, 0)
    assert shown.renders.waiting == 27
    assert [row.pairs for row in shown.contrasts] == [12]
    assert {pair.contrast.is_catch for pair in shown.gallery} <= {False}


# --- Launch -----------------------------------------------------------------------------------


def make_session(*, num_ready: int, num_waiting: int = 0, main_trials: int = 4) -> StudySession:
    study = factories.make_study(main_trials=main_trials, num_prompts=1)
    contrast = factories.make_contrast(study=study)
    for _ in range(num_ready):
        factories.make_ready_pair(contrast=contrast)
    for _ in range(num_waiting):
        prompt = factories.make_prompt()
        Pair.objects.create(
            contrast=contrast, prompt=prompt, seed=1,
            candidate=factories.make_render(model=study.model, prompt=prompt),
            baseline=factories.make_render(model=study.model, prompt=prompt, num_steps=50))
    return StudySession.objects.create(study=study, name="Session 1")


@pytest.mark.parametrize(("num_ready", "num_waiting", "message"), [
    (0, 0, "The images are not prepared"),
    (0, 6, "asks for 4 trials per participant, but only 0 pairs of 6 are ready. Wait"),
    (1, 5, "asks for 4 trials per participant, but only 1 pair of 6 is ready. Wait"),
    (2, 1, "2 pairs of 3 are ready. Add prompts, or lower “main trials” to 3"),
])
def test_a_launch_with_too_few_pairs_is_refused_in_numbers(
    num_ready: int, num_waiting: int, message: str
) -> None:
    session = make_session(num_ready=num_ready, num_waiting=num_waiting)
    with pytest.raises(services.StudyNotReady, match=message):
        services.open_session(session)
    session.refresh_from_db()
    assert session.state == SessionState.DRAFT
    assert not session.study.is_frozen()


def make_catch_session(*, num_ready: int, num_waiting: int = 0, **values: Any) -> StudySession:
    """A session whose main pairs are all ready, and some of its six catch pairs."""
    study = factories.make_study(num_prompts=20, main_trials=20, practice_trials=0,
                                 catch_percent=10, **values)
    main = factories.make_contrast(study=study)
    for _ in range(20):
        factories.make_ready_pair(contrast=main)
    catch = factories.make_contrast(study=study, is_catch=True, candidate_arm="fixed(1)")
    for number in range(num_ready + num_waiting):
        pair = factories.make_ready_pair(contrast=catch, num_steps=1)
        if number >= num_ready:
            pair.stimuli.all().delete()
    return StudySession.objects.create(study=study, name="Session 1")


@pytest.mark.parametrize(("num_ready", "num_waiting", "values", "message"), [
    (0, 0, {}, "The pairs for catch trials are not made. Press “Prepare images again”"),
    (0, 0, {"state": "preparing"}, "pairs for catch trials are being made. Wait a little"),
    (0, 0, {"preparation_error": "No disk."}, "Preparing the catch trials failed: No disk"),
    (6, 0, {"catch_steps": 2}, "The pairs for catch trials are not made"),
    (1, 5, {}, "asks for 2 catch trials per participant, but only 1 catch pair of 6 is ready. "
               "Wait for rendering, or lower “Catch trials"),
])
def test_a_launch_with_too_few_catch_pairs_is_refused_in_numbers(
    num_ready: int, num_waiting: int, values: dict[str, Any], message: str
) -> None:
    session = make_catch_session(num_ready=num_ready, num_waiting=num_waiting, **values)
    with pytest.raises(services.StudyNotReady, match=message):
        services.open_session(session)


def test_catch_pairs_never_stand_in_for_pairs_that_are_compared() -> None:
    session = make_catch_session(num_ready=6)
    Stimulus.objects.filter(pair=Pair.objects.filter(contrast__is_catch=False)[0]).delete()
    with pytest.raises(services.StudyNotReady, match="only 19 pairs of 20 are ready"):
        services.open_session(session)


def test_a_session_opens_with_enough_catch_pairs() -> None:
    session = make_catch_session(num_ready=2, num_waiting=4)
    services.open_session(session)
    assert session.state == SessionState.OPEN


def test_a_session_opens_with_enough_pairs_and_freezes_the_study() -> None:
    session = make_session(num_ready=4, num_waiting=2)
    services.open_session(session)
    session.refresh_from_db()
    assert session.state == SessionState.OPEN
    assert session.opened_at is not None
    assert re.fullmatch("[0-9a-f]{64}", session.study.content_hash)


def test_opening_twice_is_harmless_and_a_closed_session_opens_again() -> None:
    session = make_session(num_ready=4)
    services.open_session(session)
    first = session.opened_at
    services.open_session(session)
    services.close_session(session)
    services.close_session(session)
    assert session.state == SessionState.CLOSED
    assert session.closed_at is not None
    services.open_session(session)
    session.refresh_from_db()
    assert session.state == SessionState.OPEN
    assert session.closed_at is None
    assert session.opened_at == first


def test_a_session_never_opened_cannot_be_closed() -> None:
    with pytest.raises(services.StudyNotReady, match="never opened"):
        services.close_session(make_session(num_ready=0))


@pytest.mark.parametrize("change", [
    lambda study: services.prepare(study),
    lambda study: services.add_prompts(study, rows("late")),
    lambda study: services.discard_preparation(study),
    lambda study: services.delete_study(study),
])
def test_a_launched_study_refuses_every_change(change: Callable[[Study], None]) -> None:
    session = make_session(num_ready=4)
    stale = Study.objects.get(pk=session.study_id)
    services.open_session(session)
    before = (Pair.objects.count(), list(stale.study_prompts.values_list("pk")))
    with pytest.raises(services.StudyNotReady, match="can no longer change"):
        change(stale)
    assert (Pair.objects.count(), list(stale.study_prompts.values_list("pk"))) == before


# --- Progress ---------------------------------------------------------------------------------


def test_progress_is_read_in_as_many_queries_for_many_pairs() -> None:
    def num_queries(num_pairs: int) -> int:
        study = make_session(num_ready=num_pairs, num_waiting=num_pairs).study
        with CaptureQueriesContext(connection) as queries:
            shown = progress.study_progress(study)
            assert len([(pair.candidate.state, pair.prompt.text, pair.contrast.candidate_arm)
                        for pair in shown.gallery]) == num_pairs
        return len(queries)

    assert num_queries(5) == num_queries(9) <= 17  # Enough for a launch, both.


def test_a_render_that_contrasts_share_counts_once() -> None:
    study = prepared(4, 8, contrasts=[("budgeted", "reference"), ("uniform", "reference")])
    assert progress.study_progress(study).renders.waiting == 6


def test_time_left_follows_the_pace_of_the_last_images() -> None:
    study = prepared(10, 10)
    assert progress.study_progress(study).time_left == ""
    begun = now() - timedelta(seconds=60)
    done = Render.objects.filter(num_steps=50).first()
    assert done is not None
    Render.objects.filter(pk=done.pk).update(
        state=RenderState.READY, sha256="0" * 64, unet_evaluations=50, seconds=60, image="x.webp",
        started_at=begun, finished_at=now())
    # 50 steps took a minute; 70 are left.
    assert progress.study_progress(study).time_left == "about 1 minute"


def test_the_histogram_counts_every_budget_in_its_bin() -> None:
    bars = progress.histogram([1, 2, 2, 50], largest=50)
    assert len(bars) == 25
    assert [(bar.low, bar.high, bar.count) for bar in bars if bar.count] == [(1, 2, 3), (49, 50, 1)]
    assert bars[0].height == 38.0
    assert bars[-1].x + bars[-1].width <= 100


@pytest.mark.parametrize(("seconds", "words"), [
    (3, "less than a minute"), (70, "about 1 minute"), (600, "about 10 minutes"),
    (4 * 3600, "about 4 hours"),
])
def test_time_left_is_said_no_more_precisely_than_it_is_known(seconds: float, words: str) -> None:
    assert progress.duration_in_words(seconds) == words


def test_images_of_an_open_study_go_first() -> None:
    session = make_session(num_ready=4, num_waiting=2)
    other = factories.make_render()
    services.open_session(session)
    waiting = progress.study_renders(session.study).claimable()
    assert waiting.exists()
    assert set(waiting.values_list("priority", flat=True)) == {Priority.RUNNING_STUDY}
    # Should a file be lost, its participants wait as well.
    assert not progress.study_renders(session.study).filter(priority=Priority.STUDY).exists()
    other.refresh_from_db()
    assert other.priority == Priority.STUDY


@pytest.mark.parametrize(("state", "expected"), [
    (SessionState.OPEN, Priority.RUNNING_STUDY), (SessionState.DRAFT, Priority.STUDY),
])
def test_images_retried_while_a_session_is_open_go_first(
    state: SessionState, expected: Priority
) -> None:
    session = factories.make_open_session(state=state, num_pairs=4)
    render = progress.study_renders(session.study)[0]
    Render.objects.filter(pk=render.pk).update(state=RenderState.CANCELLED)
    assert services.retry_failed(session.study) == 1
    render.refresh_from_db()
    assert (render.state, render.priority) == (RenderState.PENDING, expected)


def test_images_asked_for_while_a_session_is_open_go_first() -> None:
    study = prepared(4, 9)
    StudySession.objects.create(study=study, name="Session 1", state=SessionState.OPEN,
                                opened_at=now())
    preparation.prepare_study(study.pk, predict=predicting(4, 9))
    waiting = progress.study_renders(study).claimable()
    assert set(waiting.values_list("priority", flat=True)) == {Priority.RUNNING_STUDY}


def test_cancelled_images_wait_for_nobody_and_may_be_asked_for_again() -> None:
    contrast = factories.make_contrast()
    pair = factories.make_ready_pair(contrast=contrast)
    Render.objects.filter(pk=pair.baseline_id).update(state=RenderState.CANCELLED)
    counts = progress.study_progress(contrast.study).renders
    assert (counts.done, counts.cancelled, counts.waiting, counts.total) == (1, 1, 0, 2)
    assert counts.is_settled
    assert services.retry_failed(contrast.study) == 1
    counts = progress.study_progress(contrast.study).renders
    assert (counts.waiting, counts.cancelled) == (1, 0)


def test_retrying_gives_failed_images_and_broken_pairs_another_chance() -> None:
    contrast = factories.make_contrast()
    pair = factories.make_ready_pair(contrast=contrast)
    Pair.objects.filter(pk=pair.pk).update(composition_error="the file was altered")
    Render.objects.filter(pk=pair.baseline_id).update(
        state=RenderState.QUARANTINED, error="out of memory"
    )
    assert services.retry_failed(contrast.study) == 2
    pair.refresh_from_db()
    assert (pair.composition_error, pair.baseline.state) == ("", RenderState.PENDING)
