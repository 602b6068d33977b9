"""What a study needs to be opened, and what it can no longer do then."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from studies.desk import services
from studies.models import Pair, SessionState, Stimulus, Study, StudySession
from tests import factories
from tests.studies.preparing import (
    make_session,
    rows,
)

pytestmark = pytest.mark.django_db


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
