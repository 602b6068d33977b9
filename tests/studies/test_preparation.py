"""From a prompt list to pairs and renders, without the admin."""

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection

from generation.models import Budget, Predictor, Prompt, Render
from studies import tasks
from studies.desk import preparation, progress, services
from studies.desk.imports import PromptRow
from studies.models import Pair, Stimulus, Study, StudyState, Task
from tests import factories
from tests.studies.preparing import (
    make_preparing,
    predicting,
    prepared,
    rows,
    steps_of,
)

pytestmark = pytest.mark.django_db


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
