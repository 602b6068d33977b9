"""What participants did, as the admin shows it."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now

from studies.models import (
    Participant,
    Question,
    QuestionAnswer,
    RecruiterIdentity,
    Response,
    StudySession,
)
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("name", ["participant", "trial", "response"])
def test_recorded_data_are_read_only(desk: Client, name: str) -> None:
    participant = factories.make_participant()
    pair = participant.session.study.contrasts.get().pairs.first()
    trial = factories.make_trial(participant=participant, pair=pair)
    rows = {"participant": participant, "trial": trial,
            "response": factories.make_response(trial=trial)}
    listing = reverse(f"admin:studies_{name}_changelist")
    row = reverse(f"admin:studies_{name}_change", args=[rows[name].pk])
    assert desk.get(listing).status_code == 200
    content = desk.get(row).content.decode()
    assert 'name="_save"' not in content
    assert str(participant.token) not in content
    assert desk.post(row, {}).status_code == 403
    assert desk.get(reverse(f"admin:studies_{name}_add")).status_code == 403
    assert desk.post(reverse(f"admin:studies_{name}_delete", args=[rows[name].pk]),
                     {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("name", ["participant", "trial", "response"])
def test_lists_of_records_take_as_many_queries_for_many_sessions(desk: Client, name: str) -> None:
    address = reverse(f"admin:studies_{name}_changelist")
    factories.make_open_session(num_pairs=1)
    factories.make_open_session(num_pairs=1)
    before = num_queries(desk, address)
    session = factories.make_open_session(num_pairs=1)
    factories.make_open_session(num_pairs=1)
    assert num_queries(desk, address) == before
    assert f"{session.study}: {session.name}" in desk.get(address).content.decode()


def change_page(row: Any) -> str:
    return reverse(f"admin:studies_{row._meta.model_name}_change", args=[row.pk])


def participate(session: StudySession, **values: Any) -> Participant:
    """Somebody who answered a question and two trials, of which one repeats the other."""
    study = session.study
    question = study.questions.first() or Question.objects.create(
        study=study, name="age", kind="number", text="How old are you?")
    participant = factories.make_participant(session=session, **values)
    pair = study.contrasts.get().pairs.first()
    first = factories.make_trial(participant=participant, pair=pair, index=1)
    again = factories.make_trial(participant=participant, pair=pair, index=2, kind="repeat",
                                 candidate_side="right", repeat_of=first)
    for trial in (first, again):
        factories.make_response(trial=trial, image_decode_ms=12, frame_ms=16.7)
    QuestionAnswer.objects.create(participant=participant, question=question, value="forty-one")
    RecruiterIdentity.objects.create(participant=participant, session=session,
                                     external_id=f"prolific-{participant.pk}")
    return participant


@pytest.fixture
def session(db: None) -> StudySession:
    return factories.make_open_session(num_pairs=1)


def test_a_participant_s_page_holds_what_is_known_of_the_way(
    desk: Client, session: StudySession
) -> None:
    participant = participate(session, language="es", screen={"window_width": 1234},
                              instructed_at=now(), consent_sha256="a" * 64)
    content = desk.get(change_page(participant)).content.decode()
    for text in ("Español", "1234", "a" * 64, "How old are you?", "forty-one", "2 of 2",
                 "all trials"):
        assert text in content
    for name in ("state", "question_answers-0-value"):
        assert f'name="{name}"' not in content


@pytest.mark.parametrize(("values", "reached"), [
    ({"consented_at": None}, "joined"), ({}, "consent"),
    ({"questions_before_at": now()}, "questions before"),
    ({"screen_checked_at": now()}, "screen check"), ({"instructed_at": now()}, "instructions"),
    ({"questions_after_at": now()}, "questions after"),
    ({"state": "finished", "finished_at": now(), "completion_code": "DONE"}, "finished"),
    ({"state": "withdrawn", "withdrawn_at": now()}, "withdrew"),
])
def test_the_list_says_how_far_each_participant_came(
    desk: Client, session: StudySession, values: dict[str, Any], reached: str
) -> None:
    factories.make_participant(session=session, **values)
    content = desk.get(reverse("admin:studies_participant_changelist")).content.decode()
    cell = content.split('data-label="last step"')[1].split("</td>")[0]
    assert cell.split(">")[-1].strip() == reached


def test_some_and_all_answered_trials_are_told_apart(desk: Client, session: StudySession) -> None:
    participant = participate(session)
    address = reverse("admin:studies_participant_changelist")
    assert "all trials" in desk.get(address).content.decode()
    factories.make_trial(participant=participant, index=3, kind="practice",
                         pair=session.study.contrasts.get().pairs.get())
    content = desk.get(address).content.decode()
    assert "some trials" in content
    assert "2 of 3" in content


def test_a_repeat_names_the_trial_that_it_repeats(desk: Client, session: StudySession) -> None:
    participant = participate(session)
    first, again = participant.trials.order_by("index")
    link = f'href="{change_page(first)}">trial 1</a>'
    assert link in desk.get(change_page(again)).content.decode()
    assert link in desk.get(reverse("admin:studies_trial_changelist")).content.decode()


def test_a_response_s_page_has_every_column(desk: Client, session: StudySession) -> None:
    response = Response.objects.get(trial=participate(session).trials.get(index=1))
    fieldsets = desk.get(change_page(response)).context["adminform"].fieldsets
    shown = {name for _, options in fieldsets for name in options["fields"]}
    assert shown == {field.name for field in Response._meta.concrete_fields} - {"id"}


def test_who_somebody_is_to_the_recruiter_is_told_only_to_who_may_know(
    client: Client, session: StudySession
) -> None:
    participant = participate(session)
    identity = participant.identity
    user = User.objects.create_user("ina", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(
        codename__in=["view_participant", "view_trial", "view_response", "view_studysession"]))
    client.force_login(user)
    records = [reverse(f"admin:studies_{name}_changelist")
               for name in ("participant", "trial", "response")]
    identities = reverse("admin:studies_recruiteridentity_changelist")
    for address in (*records, change_page(participant), "/admin/"):
        content = client.get(address).content.decode()
        assert identity.external_id not in content
        assert identities not in content
    assert client.get(identities).status_code == 403
    assert client.get(change_page(identity)).status_code == 403

    user.user_permissions.add(Permission.objects.get(codename="view_recruiteridentity"))
    assert identity.external_id in client.get(change_page(participant)).content.decode()
    found = client.get(identities, {"q": identity.external_id}).content.decode()
    assert str(participant.public_id) in found
    # Nor does a list of participants tell who may know, as it is what others look at too.
    assert identity.external_id not in client.get(records[0]).content.decode()


@pytest.mark.parametrize("name", ["participant", "trial", "response", "recruiteridentity"])
def test_lists_take_as_many_queries_for_many_rows(
    desk: Client, session: StudySession, name: str
) -> None:
    address = reverse(f"admin:studies_{name}_changelist")
    participate(session)
    desk.get(address)
    before = num_queries(desk, address)
    for _ in range(5):
        participate(session)
    assert num_queries(desk, address) == before


def test_a_participant_s_page_takes_as_many_queries_for_many_answers(
    desk: Client, session: StudySession
) -> None:
    participant = participate(session)
    before = num_queries(desk, change_page(participant))
    for number in range(5):
        question = Question.objects.create(study=session.study, name=f"q{number}", text="Which?",
                                           choices="a\nb")
        QuestionAnswer.objects.create(participant=participant, question=question, value="a")
    assert num_queries(desk, change_page(participant)) == before


def num_queries(desk: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert desk.get(address).status_code == 200
    return len(captured)


def test_answers_to_questions_are_nobody_s_to_change(
    desk: Client, session: StudySession
) -> None:
    participant = participate(session)
    answer = participant.question_answers.get()
    data = {"question_answers-TOTAL_FORMS": 1, "question_answers-INITIAL_FORMS": 1,
            "question_answers-0-id": answer.pk, "question_answers-0-participant": participant.pk,
            "question_answers-0-value": "seven"}
    assert desk.post(change_page(participant), data).status_code == 403
    answer.refresh_from_db()
    assert answer.value == "forty-one"
