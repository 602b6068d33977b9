"""How far a study's images are, and which go first."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from generation.models import Priority, Render, RenderState
from studies.desk import preparation, progress, services
from studies.models import Pair, SessionState, StudySession
from tests import factories
from tests.studies.preparing import (
    make_session,
    predicting,
    prepared,
)

pytestmark = pytest.mark.django_db


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
