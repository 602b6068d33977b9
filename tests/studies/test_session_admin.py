"""The session's page."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils.timezone import now

from studies.desk import services
from studies.desk.recruitment import SessionNumbers, session_numbers
from studies.models import SessionState, StudySession
from tests import factories
from tests.studies.desk_pages import ADD_SESSION, make_ready_study, session_form

pytestmark = pytest.mark.django_db


def test_dates_are_shown_in_one_way_with_their_zone(desk: Client) -> None:
    session = factories.make_open_session(num_pairs=1)
    content = desk.get(reverse("admin:studies_studysession_change",
                               args=[session.pk])).content.decode()
    said = session.opened_at.strftime("%H:%M UTC")  # type: ignore[union-attr]
    assert content.count(said) == 2  # Above, and among the fields.


def test_a_session_is_opened_shown_and_closed(desk: Client) -> None:
    study = make_ready_study()
    assert 'value="Session 1"' in desk.get(f"{ADD_SESSION}?study={study.pk}").content.decode()
    response = desk.post(ADD_SESSION, session_form(study, is_opened_now="on"), follow=True)
    opened = StudySession.objects.get()
    assert opened.state == SessionState.OPEN
    assert f'value="http://testserver/join/{opened.public_id}/"' in response.content.decode()
    assert "0 of 5" in response.content.decode()
    for name, said in (("close", "The session is closed"), ("open", "The session is open")):
        address = reverse(f"admin:studies_studysession_{name}", args=[opened.pk])
        assert said in desk.post(address, follow=True).content.decode()


def test_a_study_that_cannot_run_is_refused_in_the_session_form(desk: Client) -> None:
    study = make_ready_study()
    study.main_trials = 20
    study.save(update_fields=["main_trials"])
    response = desk.post(ADD_SESSION, session_form(study, is_opened_now="on"))
    assert ("The study asks for 20 trials per participant, but only 2 pairs of 2 are ready."
            in response.content.decode())
    assert not StudySession.objects.exists()
    desk.post(ADD_SESSION, session_form(study))
    made = StudySession.objects.get()
    response = desk.post(reverse("admin:studies_studysession_open", args=[made.pk]), follow=True)
    assert "asks for 20 trials" in response.content.decode()
    made.refresh_from_db()
    assert made.state == SessionState.DRAFT


def test_a_session_closed_while_its_form_was_saved_stays_closed(desk: Client) -> None:
    wave = factories.make_open_session(num_pairs=1)
    stale = StudySession.objects.get(pk=wave.pk)
    request = RequestFactory().post("/")
    request.user = User.objects.get()
    session_admin = admin.site.get_model_admin(StudySession)
    form = session_admin.get_form(request, stale, change=True)(
        session_form(name=wave.name, quota=7), instance=stale)
    assert form.is_valid(), form.errors
    services.close_session(wave)
    session_admin.save_model(request, form.save(commit=False), form, change=True)
    wave.refresh_from_db()
    assert (wave.state, wave.quota) == (SessionState.CLOSED, 7)
    assert wave.closed_at is not None


def change_page(wave: StudySession) -> str:
    return reverse("admin:studies_studysession_change", args=[wave.pk])


def test_what_is_harmless_can_be_changed_while_a_session_is_open(desk: Client) -> None:
    wave = factories.make_open_session(num_pairs=1)
    values = session_form(name="Wave 2", quota=9, release_minutes=30,
                     return_url="https://recruiter.example/complete?cc={code}")
    assert desk.post(change_page(wave), values).status_code == 302
    wave.refresh_from_db()
    assert {name: getattr(wave, name) for name in values} == values
    assert wave.state == SessionState.OPEN


def test_the_recruiter_s_parameter_is_fixed_once_somebody_has_come(desk: Client) -> None:
    wave = factories.make_open_session(num_pairs=1)
    desk.post(change_page(wave), session_form(id_parameter="PROLIFIC_PID"))
    wave.refresh_from_db()
    assert wave.id_parameter == "PROLIFIC_PID"
    factories.make_participant(session=wave)
    assert 'name="id_parameter"' not in desk.get(change_page(wave)).content.decode()
    desk.post(change_page(wave), session_form(id_parameter="other", quota=8))
    wave.refresh_from_db()
    assert (wave.id_parameter, wave.quota) == ("PROLIFIC_PID", 8)


@pytest.mark.parametrize(("values", "name", "sentence"), [
    ({"return_url": "ftp://recruiter.example/"}, "return_url", "must begin with https:// or http"),
    ({"return_url": "javascript:alert(1)"}, "return_url", "This is not a link."),
    ({"return_url": "https://recruiter.example/?cc={CODE}"}, "return_url",
     "“{CODE}” stands for nothing here. Only “{code}” is replaced."),
    ({"return_url": "https://recruiter.example/?cc={code"}, "return_url", "“{code” stands for"),
    ({"id_parameter": "a b"}, "id_parameter", "has only letters, digits"),
    ({"release_minutes": "0"}, "release_minutes", "at least 1 minute"),
    ({"quota": "0"}, "quota", "At least 1 participant must be able to join"),
])
def test_what_a_session_cannot_be_is_said_at_its_field(
    desk: Client, values: dict[str, str], name: str, sentence: str
) -> None:
    response = desk.post(ADD_SESSION, session_form(make_ready_study(), **values))
    assert sentence in " ".join(response.context["adminform"].form.errors[name])
    assert not StudySession.objects.exists()


def test_a_return_link_without_a_scheme_is_completed(desk: Client) -> None:
    values = session_form(make_ready_study(), return_url="recruiter.example/c?cc={code}")
    desk.post(ADD_SESSION, values)
    assert StudySession.objects.get().return_url == "https://recruiter.example/c?cc={code}"


@pytest.mark.parametrize(("parameter", "ending"), [
    ("", "/"), ("PROLIFIC_PID", "/?PROLIFIC_PID={{%PROLIFIC_PID%}}"), ("worker", "/?worker={ID}"),
])
def test_the_link_is_shown_as_the_recruiter_needs_it(
    desk: Client, parameter: str, ending: str
) -> None:
    wave = factories.make_open_session(num_pairs=1, id_parameter=parameter)
    content = desk.get(change_page(wave)).content.decode()
    assert f'value="http://testserver/join/{wave.public_id}{ending}"' in content


def test_the_page_says_what_became_of_everyone_who_came(desk: Client) -> None:
    wave = factories.make_open_session(num_pairs=1, quota=9)
    for _ in range(3):
        factories.make_participant(session=wave, state="finished", finished_at=now(),
                                   completion_code="DONE")
    factories.make_participant(session=wave)
    factories.make_participant(session=wave)
    factories.make_participant(session=wave, last_seen_at=now() - timedelta(minutes=121))
    factories.make_participant(session=wave, state="withdrawn", withdrawn_at=now())
    for _ in range(4):
        wave.declines.create(attempt=uuid4())
    factories.make_participant(session=factories.make_open_session(num_pairs=1))
    assert session_numbers(wave) == SessionNumbers(
        finished=3, under_way=2, silent=1, withdrawn=1, declined=4)
    content = desk.get(change_page(wave)).content.decode()
    shown = re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", content)
    assert shown == [("places taken", "5 of 9"), ("finished", "3"), ("under way", "2"),
                     ("gone silent, place released", "1"), ("withdrawn", "1"), ("declined", "4")]
