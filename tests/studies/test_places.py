"""Places: who holds one, who gives it back by silence, and who gets it again."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils.timezone import now
from pytest_django import DjangoAssertNumQueries

from studies.models import Participant, QuestionAnswer, SessionState, StudySession
from studies.participation import services
from studies.participation.places import PlaceLapsed, PlaceLost, keep_place
from studies.participation.services import Answer, finish, record_response, start
from tests import factories
from tests.studies.walking import address_of, begin, go_on

LEFT = Answer(chosen_side="left", response_ms=812, input_method="keyboard")


@pytest.fixture
def session(db: None) -> StudySession:
    return factories.make_open_session(quota=1, release_minutes=30)


def silent_for(participant: Participant, **time: float) -> Participant:
    """The participant as read later, after so long without a word."""
    Participant.objects.filter(pk=participant.pk).update(last_seen_at=now() - timedelta(**time))
    return Participant.objects.select_related("session__study").get(pk=participant.pk)


def test_silence_gives_the_place_back(session: StudySession) -> None:
    first = start(session)
    silent_for(first, minutes=29)
    with pytest.raises(services.SessionFull):
        start(session)
    silent_for(first, minutes=31)
    assert start(session) != first


def test_who_finished_holds_the_place_for_ever(session: StudySession) -> None:
    participant = begin(session)
    for trial in participant.trials.order_by("index"):
        record_response(participant, trial, LEFT)
    silent_for(finish(participant), days=300)
    with pytest.raises(services.SessionFull):
        start(session)


def test_who_comes_back_gets_a_free_place_again(client: Client, session: StudySession) -> None:
    participant = silent_for(start(session), days=3)
    page = go_on(client, client.get(f"/take/{participant.token}/"))
    assert address_of(page) == f"/take/{participant.token}/instructions"
    with pytest.raises(services.SessionFull):
        start(session)


def test_who_comes_back_too_late_is_told_kindly(client: Client, session: StudySession) -> None:
    late = silent_for(start(session), minutes=31)
    newcomer = start(session)
    trial = late.trials.order_by("index")[0]
    for page in ("", "instructions", "trials", "done"):
        reply = client.get(f"/take/{late.token}/{page}")
        assert reply.status_code == 403
        assert "Your place was given away" in reply.content.decode()
        assert f"/take/{late.token}/withdraw" in reply.content.decode()
    for reply in (client.get(f"/take/{late.token}/next"),
                  client.post(f"/take/{late.token}/trials/{trial.public_id}/answer", "{}",
                              content_type="application/json")):
        assert reply.status_code == 403
        assert "given to somebody else" in reply.json()["error"]
    silent_for(newcomer, minutes=31)
    assert "Go on" in client.get(f"/take/{late.token}/instructions").content.decode()


def test_link_preview_takes_no_place(client: Client, session: StudySession) -> None:
    participant = silent_for(start(session), days=3)
    for page in ("", "instructions", "trials", "done"):
        reply = client.get(f"/take/{participant.token}/{page}")
        assert "You were away" in reply.content.decode()
    assert not session.participants.holding_places().exists()


def test_who_answered_everything_gets_the_code_even_late(
    client: Client, session: StudySession
) -> None:
    late = begin(session)
    for trial in late.trials.order_by("index"):
        record_response(late, trial, LEFT)
    silent_for(late, minutes=31)
    start(session)
    page = client.get(f"/take/{late.token}/", follow=True)
    assert address_of(page) == f"/take/{late.token}/done"
    code = Participant.objects.get(pk=late.pk).completion_code
    assert code
    assert code in page.content.decode()


def test_answers_to_questions_are_kept_even_where_the_place_is_gone(
    client: Client, session: StudySession
) -> None:
    question = factories.make_question(study=session.study, moment="before", is_required=True)
    late = silent_for(start(session), minutes=31)
    start(session)
    reply = client.post(f"/take/{late.token}/questions/before", {f"question-{question.pk}": "1"})
    assert reply.status_code == 403
    assert QuestionAnswer.objects.get(participant=late).value == "right"


def test_place_lapses_by_the_databases_clock_alone(session: StudySession) -> None:
    participant = silent_for(start(session), minutes=29)
    keep_place(participant, may_take=False)  # It has not lapsed yet.
    participant = silent_for(participant, minutes=30, seconds=1)
    with pytest.raises(PlaceLapsed):
        keep_place(participant, may_take=False)


def test_who_lost_the_place_may_still_withdraw(client: Client, session: StudySession) -> None:
    late = silent_for(start(session), minutes=31)
    start(session)
    assert client.get(f"/take/{late.token}/withdraw").status_code == 200
    client.post(f"/take/{late.token}/withdraw")
    assert Participant.objects.get(pk=late.pk).state == "withdrawn"


def test_presence_is_noted_at_most_once_a_minute(
    session: StudySession, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    participant = silent_for(start(session), seconds=50)
    with django_assert_num_queries(0):
        keep_place(participant)
    participant = silent_for(participant, seconds=70)
    with django_assert_num_queries(1):
        keep_place(participant)
        keep_place(participant)
    participant.refresh_from_db()
    assert now() - participant.last_seen_at < timedelta(seconds=50)


def test_shortest_keeping_lets_nobody_lapse_who_is_at_work(session: StudySession) -> None:
    """Noted before a minute is over, where a place is kept for no longer."""
    StudySession.objects.update(release_minutes=1)
    participant = silent_for(start(session), seconds=40)
    keep_place(participant)
    participant.refresh_from_db()
    assert now() - participant.last_seen_at < timedelta(seconds=30)


def test_closing_lets_who_is_under_way_go_on(client: Client, session: StudySession) -> None:
    participant = start(session)
    StudySession.objects.update(state=SessionState.CLOSED, closed_at=now())
    silent_for(participant, days=3)
    assert client.get(f"/take/{participant.token}/instructions").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_crowd_of_newcomers_and_returners_never_exceeds_the_quota() -> None:
    session = factories.make_open_session(quota=5)
    returners = [start(session) for _ in range(5)]
    for each in returners:
        silent_for(each, days=1)

    def arrive(number: int) -> bool:
        try:
            if number % 2:
                start(StudySession.objects.get(pk=session.pk))
            else:
                keep_place(Participant.objects.get(pk=returners[number // 2].pk))
            return True
        except (services.SessionFull, PlaceLost):
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as crowd:
        outcomes = list(crowd.map(arrive, range(10)))
    assert sum(outcomes) == session.participants.holding_places().count() == 5
