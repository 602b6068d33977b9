"""From the landing page to the completion code, one page after the other."""

import hashlib
import json
import re
import uuid
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils.timezone import now
from pytest_django import DjangoAssertNumQueries

from studies.models import (
    Decline,
    Participant,
    QuestionMoment,
    Response,
    SessionState,
    Study,
    StudySession,
    StudyTranslation,
)
from studies.participation import services
from studies.participation.services import Answer, finish, record_response, start
from tests import factories
from tests.studies.walking import DESKTOP, actions, address_of, begin, enter, go_on, next_action

LEFT = Answer(chosen_side="left", response_ms=812, input_method="keyboard")
STEPS = ("questions/before", "screen", "instructions", "trials", "questions/after", "done")


@pytest.fixture
def session(db: None) -> StudySession:
    return factories.make_open_session()


@pytest.fixture
def full_session(db: None) -> StudySession:
    """A study with every part of the way."""
    study = factories.make_study(has_screen_check=True)
    factories.make_question(study=study, name="before", text="Do you wear glasses?",
                            choices="yes\nno")
    factories.make_question(study=study, name="after", moment="after", kind="text", choices="",
                            text="What did you look at?")
    return factories.make_open_session(study=study, return_url="https://pay.example/?c={code}")


def answer_all(participant: Participant) -> None:
    for trial in participant.trials.order_by("index"):
        record_response(participant, trial, LEFT)


def filled(page: Any) -> dict[str, object]:
    """What a willing participant writes into any page's form."""
    return {**DESKTOP, "agreed": "on",
            **dict.fromkeys(re.findall(r'name="(question-\d+)"', page.content.decode()), "0")}


def test_every_part_in_its_order(client: Client, full_session: StudySession) -> None:
    page = client.get(f"/join/{full_session.public_id}/")
    seen = []
    for _ in range(5):
        seen.append(address_of(page).split("/", 3)[-1])
        page = go_on(client, page, **filled(page))
    seen.append(address_of(page).split("/", 3)[-1])
    assert seen == ["", "consent", *STEPS[:4]]
    participant = Participant.objects.get()
    answer_all(participant)
    page = client.get(f"/take/{participant.token}/", follow=True)
    assert address_of(page) == f"/take/{participant.token}/questions/after"
    page = go_on(client, page, **filled(page))
    assert address_of(page) == f"/take/{participant.token}/done"
    participant.refresh_from_db()
    assert participant.completion_code in page.content.decode()
    assert next_action(page).address == f"https://pay.example/?c={participant.completion_code}"


def test_study_without_any_part_begins_by_one_button(client: Client, db: None) -> None:
    study = factories.make_study(has_landing=False, has_consent=False, has_instructions=False,
                                 has_debrief=False, practice_trials=0,
                                 debrief_text="Secret **aim**")
    session = factories.make_open_session(study=study)
    page = client.get(f"/join/{session.public_id}/")
    assert not Participant.objects.exists()
    assert "voluntary" not in page.content.decode()
    page = go_on(client, page)
    participant = Participant.objects.get()
    assert address_of(page) == f"/take/{participant.token}/trials"
    assert (participant.consented_at, participant.consent_sha256) == (None, "")
    answer_all(participant)
    page = client.get(f"/take/{participant.token}/done")
    participant.refresh_from_db()
    assert participant.completion_code in page.content.decode()
    assert "Secret" not in page.content.decode()


@pytest.mark.parametrize(("parts", "first", "texts"), [
    ({"has_landing": False}, "/consent", ["I agree to take part"]),
    ({"has_consent": False}, "/", ["about 2 minutes", "Start"]),
    ({}, "/", ["about 2 minutes", "Continue"]),
])
def test_landing_and_consent_stand_alone(
    client: Client, db: None, parts: dict, first: str, texts: list[str]
) -> None:
    session = factories.make_open_session(study=factories.make_study(**parts))
    page = client.get(f"/join/{session.public_id}/", follow=True)
    assert address_of(page).endswith(first)
    assert all(text in page.content.decode() for text in texts)
    assert not Participant.objects.exists()
    assert "/instructions" in address_of(enter(client, session))
    assert Participant.objects.count() == 1


def test_each_page_has_one_primary_action(client: Client, full_session: StudySession) -> None:
    page = client.get(f"/join/{full_session.public_id}/")
    for _ in range(5):
        assert [action.is_next for action in actions(page)].count(True) == 1
        page = go_on(client, page, **filled(page))
    participant = Participant.objects.get()
    assert next_action(client.get(f"/take/{participant.token}/withdraw"))


def test_wherever_one_goes_one_is_led_to_where_one_stands(
    client: Client, full_session: StudySession
) -> None:
    page = enter(client, full_session)
    participant = Participant.objects.get()
    way = f"/take/{participant.token}/"
    for step in STEPS:
        if step == "questions/after":
            answer_all(participant)
        for other in {*STEPS, "", "withdrawn"} - {step}:
            assert client.get(way + other)["Location"] == way + step
        for other in {"questions/before", "screen", "instructions", "questions/after"} - {step}:
            assert client.post(way + other, DESKTOP)["Location"] == way + step
        page = client.get(way + step)
        assert page.status_code == 200
        assert client.get(f"/join/{full_session.public_id}/", follow=True).request[
            "PATH_INFO"] == way + step
        if step not in ("trials", "done"):
            go_on(client, page, **filled(page))


def test_form_sent_twice_is_harmless(client: Client, full_session: StudySession) -> None:
    page = enter(client, full_session)
    participant = Participant.objects.get()
    for step in STEPS[:3]:
        body = {**next_action(page).fields, **filled(page)}
        replies = [client.post(f"/take/{participant.token}/{step}", body) for _ in range(2)]
        assert replies[0]["Location"] == replies[1]["Location"]
        page = client.get(replies[0]["Location"])
    participant.refresh_from_db()
    first = participant.questions_before_at, participant.screen_checked_at
    client.post(f"/take/{participant.token}/screen", {**DESKTOP, "window_width": 500})
    participant.refresh_from_db()
    assert (participant.questions_before_at, participant.screen_checked_at) == first
    assert participant.screen["window_width"] == 1280


def test_pages_take_few_queries(
    client: Client, full_session: StudySession,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    """The count does not depend on how many trials or questions there are."""
    for position in range(5):
        factories.make_question(study=full_session.study, position=position, is_required=False)
    with django_assert_max_num_queries(7):
        page = client.get(f"/join/{full_session.public_id}/")
    with django_assert_max_num_queries(7):
        client.get(next_action(page).address)
    page = enter(client, full_session)
    participant = Participant.objects.get()
    for step in STEPS:
        if step == "questions/after":
            answer_all(participant)
            client.get(f"/take/{participant.token}/")
        with django_assert_max_num_queries(8 if step == "done" else 6):
            page = client.get(f"/take/{participant.token}/{step}")
        assert page.status_code == 200
        if step not in ("trials", "done"):
            with django_assert_max_num_queries(16):
                go_on(client, page, **filled(page))


class TestEntry:
    def test_looking_takes_no_place(self, client: Client, session: StudySession) -> None:
        for address in (f"/join/{session.public_id}/", f"/join/{session.public_id}/consent"):
            for method in (client.get, client.head):
                assert method(address).status_code == 200
        assert not Participant.objects.exists()

    def test_double_click_on_start_takes_one_place(self, session: StudySession) -> None:
        # Two browsers, as neither of two simultaneous requests has the other's cookie.
        one, other = Client(), Client()
        form = next_action(one.get(f"/join/{session.public_id}/consent"))
        body = {**form.fields, "agreed": "on"}
        replies = [each.post(form.address, body) for each in (one, other)]
        assert replies[0]["Location"] == replies[1]["Location"]
        assert Participant.objects.count() == 1

    def test_without_agreement_there_is_no_participant(
        self, client: Client, session: StudySession
    ) -> None:
        form = next_action(client.get(f"/join/{session.public_id}/consent"))
        attempt = form.fields["attempt"]
        for body in ({}, {"attempt": attempt}, {"attempt": attempt, "agreed": "on"},
                     {"attempt": attempt, "agreed": "on", "version": "0" * 64},
                     {**form.fields, "attempt": "x", "agreed": "on"}):
            reply = client.post(form.address, body)
            assert reply.status_code == 400
            kept = next_action(reply).fields["attempt"]
            assert uuid.UUID(kept)
            assert (kept == attempt) is (body.get("attempt") == attempt)
        assert not Participant.objects.exists()

    def test_consent_is_kept_with_its_text_language_and_time(
        self, client: Client, session: StudySession
    ) -> None:
        Study.objects.update(consent_text="I agree to **this**.")
        page = client.get(f"/join/{session.public_id}/consent")
        version = hashlib.sha256(b"I agree to **this**.").hexdigest()
        assert f"Version {version[:8]}" in page.content.decode()
        go_on(client, page, agreed="on")
        participant = Participant.objects.get()
        assert participant.consent_sha256 == version
        assert participant.language == "en"
        assert participant.consented_at is not None

    def test_agreement_to_an_older_text_is_asked_again(
        self, client: Client, session: StudySession
    ) -> None:
        page = client.get(f"/join/{session.public_id}/consent")
        Study.objects.update(consent_text="Something else.")
        page = go_on(client, page, agreed="on")
        assert page.status_code == 400
        assert "not the text that you agreed to" in page.content.decode()
        assert not Participant.objects.exists()
        go_on(client, page, agreed="on")
        assert Participant.objects.count() == 1

    def test_declining_is_counted_once_and_makes_no_participant(
        self, client: Client, session: StudySession
    ) -> None:
        page = client.get(f"/join/{session.public_id}/consent")
        (form,) = [each for each in actions(page) if "/decline" in each.address]
        for _ in range(2):
            reply = client.post(form.address, form.fields, follow=True)
            assert "You are not taking part" in reply.content.decode()
        assert Decline.objects.filter(session=session).count() == 1
        assert not Participant.objects.exists()
        client.post(form.address, {"attempt": "garbage"}, follow=True)
        assert client.get(form.address).status_code == 405
        assert Decline.objects.count() == 1

    def test_who_takes_part_cannot_decline_any_more(
        self, client: Client, session: StudySession
    ) -> None:
        page = client.get(f"/join/{session.public_id}/consent")
        (form,) = [each for each in actions(page) if "/decline" in each.address]
        go_on(client, page, agreed="on")
        reply = client.post(form.address, form.fields, follow=True)
        assert address_of(reply).endswith("/instructions")
        assert not Decline.objects.exists()

    @pytest.mark.parametrize(("values", "sentence"), [
        ({"state": SessionState.DRAFT}, services.SessionNotOpen.sentence),
        ({"state": SessionState.CLOSED, "closed_at": now()}, services.SessionClosed.sentence),
        ({"quota": 1}, services.SessionFull.sentence),
    ])
    def test_who_cannot_start_reads_why(
        self, client: Client, session: StudySession, values: dict, sentence: str
    ) -> None:
        start(session)
        page = client.get(f"/join/{session.public_id}/consent")
        StudySession.objects.update(**values)
        link = f"/join/{session.public_id}/"
        for reply in (client.get(link), client.get(f"{link}consent"),
                      go_on(client, page, agreed="on")):
            assert reply.status_code == 403
            assert str(sentence) in reply.content.decode()
        assert Participant.objects.count() == 1


class TestTheEnd:
    def test_code_waits_for_the_questions_after(self, full_session: StudySession) -> None:
        participant = start(full_session)
        services.record_answers(participant, QuestionMoment.BEFORE, {})
        services.pass_screen_check(participant, {})
        services.note_instructed(participant)
        answer_all(participant)
        with pytest.raises(services.NotFinished):
            finish(participant)

    def test_last_answer_leads_to_the_questions_after(
        self, client: Client, full_session: StudySession
    ) -> None:
        participant = start(full_session)
        Participant.objects.update(questions_before_at=now(), screen_checked_at=now(),
                                   instructed_at=now())
        *early, last = participant.trials.order_by("index")
        for trial in early:
            record_response(participant, trial, LEFT)
        body = {"side": "left", "response_ms": 812, "input_method": "keyboard"}
        reply = client.post(f"/take/{participant.token}/trials/{last.public_id}/answer",
                            json.dumps(body), content_type="application/json")
        page = client.get(reply.json()["done"], follow=True)
        assert address_of(page) == f"/take/{participant.token}/questions/after"
        assert Participant.objects.get().completion_code == ""

    def test_way_back_to_the_recruiter_is_quoted(self, client: Client, db: None) -> None:
        session = factories.make_open_session(
            return_url="https://pay.example/done?cc={code}&x=%7B&again={code}")
        participant = begin(session)
        answer_all(participant)
        page = client.get(f"/take/{participant.token}/done")
        code = finish(participant).completion_code
        assert next_action(page).address == (
            f"https://pay.example/done?cc={code}&x=%7B&again={code}")

    def test_without_a_way_back_the_code_stands_alone(
        self, client: Client, session: StudySession
    ) -> None:
        participant = start(session)
        Participant.objects.update(instructed_at=now())
        answer_all(participant)
        page = client.get(f"/take/{participant.token}/done")
        assert not [action for action in actions(page) if action.is_next]


class TestScreen:
    def at_the_screen(self, client: Client, **design: Any) -> Any:
        study = factories.make_study(has_screen_check=True, **design)
        return enter(client, factories.make_open_session(study=study))

    def test_what_was_measured_is_kept(self, client: Client, db: None) -> None:
        page = go_on(client, self.at_the_screen(client), **DESKTOP)
        assert address_of(page).endswith("/instructions")
        assert Participant.objects.get().screen == {
            "window_width": 1280, "window_height": 800, "screen_width": 1920,
            "screen_height": 1080, "device_pixel_ratio": 1.25, "zoom_percent": 100,
            "is_touch": False}

    @pytest.mark.parametrize(("measured", "message"), [
        ({"window_width": 899}, "at least 900 pixels wide"),
        ({"screen_width": 390, "is_touch": "true"}, "larger screen than that of a phone"),
        ({"window_width": ""}, "could not be measured"),
        ({"window_width": "1e9"}, "could not be measured"),
        ({"device_pixel_ratio": "nan"}, "could not be measured"),
        ({"zoom_percent": "\x00"}, "could not be measured"),
    ])
    def test_what_does_not_fit_is_said_and_not_passed(
        self, client: Client, db: None, measured: dict, message: str
    ) -> None:
        page = self.at_the_screen(client, min_window_px=900, are_phones_allowed=False)
        page = go_on(client, page, **{**DESKTOP, **measured})
        assert page.status_code == 400
        shown = re.sub(r"<(p|div)[^>]* hidden>.*?</\1>", "", page.content.decode(), flags=re.S)
        assert message in shown
        assert Participant.objects.get().screen_checked_at is None

    def test_phone_may_be_allowed(self, client: Client, db: None) -> None:
        phone = {**DESKTOP, "window_width": 390, "screen_width": 390, "is_touch": "true"}
        assert address_of(go_on(client, self.at_the_screen(client), **phone)).endswith(
            "/instructions")

    def test_without_scripts_the_page_says_what_is_needed(self, client: Client, db: None) -> None:
        page = self.at_the_screen(client, min_window_px=900).content.decode()
        said = re.search(r"<noscript>(.*?)</noscript>", page, flags=re.S)
        assert said
        assert "JavaScript" in said[1]
        assert "900 pixels" in said[1]


class TestInstructions:
    def test_trials_are_counted_as_planned(self, client: Client, session: StudySession) -> None:
        page = enter(client, session).content.decode()
        assert "The first comparison is for practice" in page
        assert "4 more follow" in page

    @pytest.mark.parametrize(("task", "has_reference"), [("preference", False),
                                                         ("similarity", True)])
    def test_example_has_the_layout_of_the_task(
        self, client: Client, db: None, task: str, has_reference: bool
    ) -> None:
        study = factories.make_study(task=task)
        page = enter(client, factories.make_open_session(study=study)).content.decode()
        assert ("example-reference" in page) is has_reference
        assert ("Which image is closer" in page) is has_reference


def test_unknown_links_are_kindly_not_found(client: Client, db: None) -> None:
    for address in (f"/join/{uuid.uuid4()}/", f"/take/{uuid.uuid4()}/", "/join/x/",
                    f"/take/{uuid.uuid4()}/trials", f"/take/{uuid.uuid4()}/withdraw",
                    f"/join/{uuid.uuid4()}/declined"):
        reply = client.get(address)
        assert reply.status_code == 404
        assert "There is nothing at this address" in reply.content.decode()


def test_pages_stay_out_of_caches_and_search_engines(
    client: Client, session: StudySession
) -> None:
    participant = start(session)
    for address in (f"/join/{session.public_id}/", f"/take/{participant.token}/instructions",
                    f"/take/{participant.token}/withdraw", f"/take/{participant.token}/next"):
        headers = client.get(address).headers
        assert headers["X-Robots-Tag"] == "noindex, nofollow"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "private, no-store"


def test_post_without_its_token_is_refused_in_plain_words(session: StudySession) -> None:
    client, participant = Client(enforce_csrf_checks=True), start(session)
    way = f"/take/{participant.token}"
    trial = participant.trials.order_by("index")[0]
    for address in (f"/join/{session.public_id}/consent", f"/join/{session.public_id}/decline",
                    f"{way}/withdraw", f"{way}/instructions",
                    f"{way}/trials/{trial.public_id}/answer"):
        reply = client.post(address, {"agreed": "on"})
        assert reply.status_code == 403
        assert "Please try once more" in reply.content.decode()
    assert not Response.objects.exists()
    assert Participant.objects.get().state == "active"


class TestLanguage:
    @pytest.fixture
    def german_too(self, db: None) -> StudySession:
        study = factories.make_study(welcome_text="Come in", consent_text="You agree")
        StudyTranslation.objects.create(study=study, language="de", question="Welches Bild?",
                                        welcome_text="Nur herein", consent_text="Sie sind dabei")
        return factories.make_open_session(study=study)

    @pytest.mark.parametrize(("accepted", "language"), [
        ("de-AT,de;q=0.9,en;q=0.5", "de"), ("fr,de;q=0.3,en;q=0.1", "de"), ("en-GB,de", "en"),
        ("fr", "en"), ("", "en"), ("zh-TW", "en"), ("x" * 600 + ",;;q=;", "en"),
    ])
    def test_browser_decides_at_first(
        self, client: Client, german_too: StudySession, accepted: str, language: str
    ) -> None:
        page = client.get(f"/join/{german_too.public_id}/", headers={"Accept-Language": accepted})
        assert f'<html lang="{language}" dir="ltr">' in page.content.decode()
        assert ("Nur herein" if language == "de" else "Come in") in page.content.decode()

    def test_choice_holds_to_the_end(self, client: Client, german_too: StudySession) -> None:
        page = client.get(f"/join/{german_too.public_id}/?language=de")
        page = go_on(client, page)
        assert "Sie sind dabei" in page.content.decode()
        page = go_on(client, page, agreed="on")
        participant = Participant.objects.get()
        assert participant.language == "de"
        assert participant.consent_sha256 == hashlib.sha256(b"Sie sind dabei").hexdigest()
        assert "Welches Bild?" in page.content.decode()
        assert "Zwei Bilder erscheinen nebeneinander" in page.content.decode()
        assert 'lang="de"' in page.content.decode()
        assert 'lang="en"' in client.get("/").content.decode()

    def test_only_languages_with_texts_are_offered(
        self, client: Client, german_too: StudySession
    ) -> None:
        page = client.get(f"/join/{german_too.public_id}/?language=es").content.decode()
        assert re.findall(r'hreflang="([^"]+)"', page) == ["en", "de"]
        assert "Come in" in page

    def test_standard_texts_are_offered_in_every_language(
        self, client: Client, session: StudySession
    ) -> None:
        address = f"/join/{session.public_id}/?language=zh-hans"
        page = client.get(address).content.decode()
        assert re.findall(r'hreflang="([^"]+)"', page) == ["en", "de", "es", "zh-hans"]
        assert "感谢您的关注" in page

    def test_one_language_needs_no_switch(self, client: Client, db: None) -> None:
        study = factories.make_study(language="de", welcome_text="Nur herein")
        page = client.get(f"/join/{factories.make_open_session(study=study).public_id}/")
        assert "hreflang" not in page.content.decode()
        assert 'lang="de"' in page.content.decode()


def test_who_begins_gets_another_session_key(client: Client, session: StudySession) -> None:
    """A key that somebody planted beforehand leads to nobody's secret."""
    planted = client.session
    planted.save()
    key = str(planted.session_key)
    client.cookies[settings.SESSION_COOKIE_NAME] = key
    enter(client, session)
    assert client.session.session_key != key
    assert not planted.exists(key)
