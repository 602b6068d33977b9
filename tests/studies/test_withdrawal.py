"""Withdrawing: everything that was said is erased, and that somebody withdrew is counted."""

import json
import threading
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils.timezone import now

from studies.models import (
    Participant,
    QuestionAnswer,
    QuestionMoment,
    RecruiterIdentity,
    Response,
    Trial,
    TrialKind,
    withdraw,
)
from studies.participation import services
from studies.participation.services import Answer, finish, record_response, start
from tests import factories
from tests.conftest import wait_until
from tests.studies.test_participation import is_somebody_waiting_for_us
from tests.studies.walking import actions, address_of, enter, next_action

LEFT = Answer(chosen_side="left", response_ms=812, input_method="keyboard")


def finished_participant(**values: Any) -> Participant:
    """Somebody with an answer to everything that a study can ask."""
    study = factories.make_study()
    question = factories.make_question(study=study)
    session = factories.make_open_session(study=study, id_parameter="PID", **values)
    participant = start(session, external_id="5f3a")
    services.record_answers(participant, QuestionMoment.BEFORE, {question.pk: "left"})
    services.pass_screen_check(participant, {"window_width": 1280})
    services.note_instructed(participant)
    main = participant.trials.filter(kind=TrialKind.MAIN)[0]
    factories.make_trial(participant=participant, kind=TrialKind.REPEAT, pair=main.pair,
                         repeat_of=main)
    for trial in participant.trials.order_by("index"):
        record_response(participant, trial, LEFT)
    return finish(participant)


def test_everything_said_is_erased_and_the_withdrawal_is_counted(
    client: Client, db: None
) -> None:
    participant, other = finished_participant(), finished_participant()
    page = client.get(f"/take/{participant.token}/withdraw")
    assert Participant.objects.get(pk=participant.pk).state == "finished"
    (form,) = [action for action in actions(page) if action.is_form]
    for _ in range(2):
        reply = client.post(f"/take/{participant.token}/withdraw", form.fields, follow=True)
        assert address_of(reply) == f"/take/{participant.token}/withdrawn"
    left = Participant.objects.get(pk=participant.pk)
    assert (left.state, left.completion_code, left.screen) == ("withdrawn", "", {})
    assert left.withdrawn_at is not None
    assert (left.questions_before_at, left.instructed_at) == (None, None)
    assert not left.trials.exists()
    assert not left.question_answers.exists()
    assert list(RecruiterIdentity.objects.values_list("participant", flat=True)) == [other.pk]
    assert Response.objects.count() == Trial.objects.filter(participant=other).count() == 6
    assert QuestionAnswer.objects.get().participant == other


def test_erasing_ends_with_the_withdrawal(db: None) -> None:
    """In one transaction with it, nobody else's answer can be deleted."""
    other = finished_participant()
    withdraw(finished_participant())
    with pytest.raises(Exception, match="append-only"), transaction.atomic():
        Response.objects.filter(trial__participant=other).delete()


def test_every_page_after_the_consent_has_the_way_out(client: Client, db: None) -> None:
    study = factories.make_study(has_screen_check=True)
    question = factories.make_question(study=study)
    page = enter(client, factories.make_open_session(study=study))
    participant = Participant.objects.get()
    way_out = f"/take/{participant.token}/withdraw"
    has_way_out = [way_out in page.content.decode()]
    services.record_answers(participant, QuestionMoment.BEFORE, {question.pk: "left"})
    for step, passed in (("screen", "screen_checked_at"), ("instructions", "instructed_at")):
        has_way_out.append(way_out in client.get(f"/take/{participant.token}/{step}")
                           .content.decode())
        Participant.objects.update(**{passed: now()})
    for trial in participant.trials.order_by("index"):
        record_response(participant, trial, LEFT)
    has_way_out.append(way_out in client.get(f"/take/{participant.token}/done").content.decode())
    assert has_way_out == [True] * 4


def test_thinking_better_of_it_leads_back(client: Client, db: None) -> None:
    participant = start(factories.make_open_session())
    page = client.get(f"/take/{participant.token}/withdraw")
    assert next_action(page).address == f"/take/{participant.token}/instructions"
    assert Participant.objects.get().state == "active"


def test_every_address_leads_to_the_last_page(client: Client, db: None) -> None:
    session = factories.make_open_session()
    enter(client, session)
    participant = Participant.objects.get()
    trial = participant.trials.order_by("index")[0]
    way = f"/take/{participant.token}/"
    withdraw(participant)
    for step in ("", "questions/before", "screen", "instructions", "trials", "done", "withdraw"):
        assert address_of(client.get(way + step, follow=True)) == f"{way}withdrawn"
    assert address_of(client.get(f"/join/{session.public_id}/", follow=True)) == f"{way}withdrawn"
    body = json.dumps({"side": "left", "response_ms": 1, "input_method": "keyboard"})
    answer = client.post(f"{way}trials/{trial.public_id}/answer", body,
                         content_type="application/json")
    assert answer.status_code == 404
    assert client.get(f"{way}trials/{trial.public_id}/stimulus").status_code == 404
    assert client.get(f"{way}next").status_code == 404
    assert Participant.objects.get().completion_code == ""


def test_place_is_given_back(db: None) -> None:
    session = factories.make_open_session(quota=1)
    withdraw(start(session))
    assert start(session).state == "active"


@pytest.mark.django_db(transaction=True)
def test_answer_that_arrives_during_a_withdrawal_is_refused() -> None:
    participant = start(factories.make_open_session())
    trial = participant.trials.order_by("index")[0]
    refused = []

    def answer() -> None:
        try:
            record_response(participant, trial, LEFT)
        except services.TrialOutOfTurn as refusal:
            refused.append(refusal)
        finally:
            connection.close()

    late = threading.Thread(target=answer)
    with transaction.atomic():
        withdraw(Participant.objects.get(pk=participant.pk))
        late.start()
        wait_until(is_somebody_waiting_for_us, seconds=20)
    late.join()
    assert len(refused) == 1
    assert not Response.objects.exists()
