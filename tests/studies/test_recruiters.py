"""Links from a recruiter, which name the participant."""

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from studies.models import Participant, RecruiterIdentity, StudySession, withdraw
from studies.participation import recruiters
from studies.participation.services import start
from tests import factories
from tests.studies.walking import actions, address_of, enter, go_on, next_action

NAME = "PROLIFIC_PID"


@pytest.fixture
def session(db: None) -> StudySession:
    return factories.make_open_session(id_parameter=NAME)


def test_id_is_kept_apart_from_the_participant(client: Client, session: StudySession) -> None:
    page = enter(client, session, query=f"?{NAME}=5f3a&SESSION_ID=9&language=en")
    assert address_of(page).endswith("/instructions")
    identity = RecruiterIdentity.objects.get()
    assert identity.external_id == "5f3a"
    assert identity.participant == Participant.objects.get()
    assert "5f3a" not in address_of(page) + page.content.decode()


@pytest.mark.parametrize("parts", [{"has_landing": False}, {"has_consent": False},
                                   {"has_landing": False, "has_consent": False}])
def test_id_survives_whichever_pages_there_are(client: Client, db: None, parts: dict) -> None:
    session = factories.make_open_session(study=factories.make_study(**parts), id_parameter=NAME)
    enter(client, session, query=f"?{NAME}=5f3a")
    assert RecruiterIdentity.objects.get().external_id == "5f3a"


@pytest.mark.parametrize("query", [
    "", f"?{NAME}=", f"?{NAME}=%20%09", f"?{NAME}=a&{NAME}=b", f"?{NAME}=a&{NAME}=a",
    f"?{NAME}=" + "x" * 201, f"?{NAME}=a%00b", f"?{NAME}=a%0Ab", f"?{NAME}=a%1Bb",
    "?prolific_pid=a",
    f"?{NAME}=" + quote("{{%PROLIFIC_PID%}}"), f"?{NAME}=a%E2%80%AEb", f"?{NAME}=a%20b",
    f"?{NAME}=%FF%FE%ED%A0%80%0D",
])
def test_broken_link_says_what_to_do(client: Client, session: StudySession, query: str) -> None:
    for page in ("", "consent"):
        reply = client.get(f"/join/{session.public_id}/{page}{query}")
        assert reply.status_code == 400
        assert "start again from the page that sent you" in reply.content.decode()
    assert not Participant.objects.exists()


@given(st.text(min_size=1, max_size=250))
def test_any_text_is_an_id_or_a_broken_link(text: str) -> None:
    session = StudySession(id_parameter=NAME)

    class Parameters:
        def getlist(self, key: str) -> list[str]:
            return [text]

    try:
        external_id = recruiters.read_id(session, Parameters())
    except recruiters.BrokenLink:
        return
    assert 1 <= len(external_id) <= 200
    assert external_id.isprintable()
    assert recruiters.unsealed(session, recruiters.sealed(session, external_id)) == external_id


def test_hostile_id_is_shown_as_text(client: Client, session: StudySession) -> None:
    hostile = 'a"><script>alert(1)</script>&x=\'; DROP TABLE'.replace(" ", "")
    page = client.get(f"/join/{session.public_id}/?{NAME}={quote(hostile)}")
    assert "<script>alert" not in page.content.decode()
    page = enter(client, session, query=f"?{NAME}={quote(hostile)}")
    assert RecruiterIdentity.objects.get().external_id == hostile


def test_same_id_resumes_in_any_browser(session: StudySession) -> None:
    first = enter(Client(), session, query=f"?{NAME}=5f3a")
    other = Client()
    page = other.get(f"/join/{session.public_id}/?{NAME}=5f3a", follow=True)
    assert address_of(page) == address_of(first)
    assert Participant.objects.count() == 1


def test_another_id_in_the_same_browser_is_another_participant(
    client: Client, session: StudySession
) -> None:
    first = enter(client, session, query=f"?{NAME}=one")
    other = enter(client, session, query=f"?{NAME}=two")
    assert address_of(first) != address_of(other)
    assert Participant.objects.count() == 2


def test_two_tabs_with_two_ids_do_not_mix(client: Client, session: StudySession) -> None:
    pages = [client.get(f"/join/{session.public_id}/consent?{NAME}={name}")
             for name in ("one", "two")]
    for page in pages:
        go_on(client, page, agreed="on")
    assert set(RecruiterIdentity.objects.values_list("external_id", flat=True)) == {"one", "two"}


def test_known_device_needs_no_id_in_the_link(client: Client, session: StudySession) -> None:
    first = enter(client, session, query=f"?{NAME}=5f3a")
    page = client.get(f"/join/{session.public_id}/", follow=True)
    assert address_of(page) == address_of(first)


def test_form_takes_no_id_that_was_not_on_a_link(client: Client, session: StudySession) -> None:
    elsewhere = factories.make_open_session(id_parameter=NAME)
    form = next_action(client.get(f"/join/{session.public_id}/consent?{NAME}=5f3a"))
    foreign = recruiters.sealed(elsewhere, "5f3a")
    for identity in ("", "5f3a", form.fields["identity"][:-1], foreign):
        body = {**form.fields, "identity": identity, "agreed": "on"}
        for address in (form.address, f"{form.address}&{NAME}=5f3a",
                        f"/join/{session.public_id}/decline"):
            assert client.post(address, body).status_code == 400
    assert not Participant.objects.exists()


def test_two_forms_with_one_id_make_one_participant(session: StudySession) -> None:
    visitors = [Client(), Client()]
    pages = [each.get(f"/join/{session.public_id}/consent?{NAME}=5f3a") for each in visitors]
    after = [go_on(each, page, agreed="on") for each, page in zip(visitors, pages, strict=True)]
    assert address_of(after[0]) == address_of(after[1])
    assert Participant.objects.count() == RecruiterIdentity.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_crowd_with_one_id_makes_one_participant() -> None:
    session = factories.make_open_session(id_parameter=NAME)

    def arrive(_: int) -> int:
        try:
            return start(StudySession.objects.get(pk=session.pk), external_id="5f3a").pk
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as crowd:
        assert len(set(crowd.map(arrive, range(16)))) == 1
    assert session.participants.count() == 1


def test_same_id_is_another_participant_in_another_session(session: StudySession) -> None:
    elsewhere = factories.make_open_session(id_parameter=NAME)
    assert start(session, external_id="5f3a").token != start(elsewhere, external_id="5f3a").token


def test_id_is_known_even_after_the_secret_key_changed(
    session: StudySession, settings: pytest.FixtureRequest
) -> None:
    before = start(session, external_id="5f3a")
    settings.SECRET_KEY = "another key, as after a leak"  # type: ignore[attr-defined]
    assert start(session, external_id="5f3a") == before


def test_who_withdrew_cannot_start_again(session: StudySession) -> None:
    withdraw(start(session, external_id="5f3a"))
    assert not RecruiterIdentity.objects.exists()
    newcomer = Client()
    page = newcomer.get(f"/join/{session.public_id}/?{NAME}=5f3a", follow=True)
    assert address_of(page).endswith("/withdrawn")
    assert "cannot take part in this study again" in page.content.decode()
    assert Participant.objects.count() == 1


def test_declining_needs_no_participant(client: Client, session: StudySession) -> None:
    page = client.get(f"/join/{session.public_id}/consent?{NAME}=5f3a")
    (form,) = [each for each in actions(page) if "/decline" in each.address]
    page = client.post(form.address, form.fields, follow=True)
    assert page.status_code == 200
    assert not re.search("5f3a", page.content.decode())
    assert session.declines.count() == 1


def test_decline_does_not_name_the_participant_who_agrees_later(
    client: Client, db: None
) -> None:
    session = factories.make_open_session()
    page = client.get(f"/join/{session.public_id}/consent")
    (form,) = [each for each in actions(page) if "/decline" in each.address]
    client.post(form.address, form.fields)
    go_on(client, page, agreed="on")
    attempt = session.declines.get().attempt
    assert Participant.objects.get().token != uuid.uuid5(session.public_id, str(attempt))


@pytest.mark.parametrize("parts", [{}, {"has_consent": False}])
def test_address_of_a_form_names_the_id_again(client: Client, db: None, parts: dict) -> None:
    """A page that a form led to can be loaded anew."""
    session = factories.make_open_session(study=factories.make_study(**parts), id_parameter=NAME)
    page = client.get(f"/join/{session.public_id}/{'' if parts else 'consent'}?{NAME}=5f3a")
    forms = [action for action in actions(page) if action.address.startswith("/join/")
             and action.is_form]
    assert forms
    assert all(f"{NAME}=5f3a" in form.address for form in forms)
    if not parts:
        address = next_action(page).address
        assert client.post(address, next_action(page).fields).status_code == 400
        assert client.get(address).status_code == 200
