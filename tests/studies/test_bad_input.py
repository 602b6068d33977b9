"""Garbage, replayed, reordered and forged requests: a kind refusal, never a failure.

Two thousand runs: pytest tests/studies/test_bad_input.py --hypothesis-profile thorough
"""

import json
import uuid
from typing import Any
from urllib.parse import quote

from django.test import Client
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from studies.models import Participant, Response, SessionState, Study, StudySession
from tests import factories
from tests.studies.walking import DESKTOP, next_action

ALLOWED = {200, 302, 400, 403, 404, 405, 409, 413}
ANSWER = {"side": "left", "response_ms": 812, "input_method": "keyboard"}
PLACES = ["", "questions/before", "questions/after", "screen", "instructions", "trials", "next",
          "done", "withdrawn"]
texts = st.text(max_size=30)
garbage = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), texts,
    st.lists(st.integers(), max_size=3), st.dictionaries(texts, texts, max_size=3),
)
forms = st.dictionaries(
    st.sampled_from(["attempt", "agreed", "version", "identity", "language", "window_width",
                     "is_touch", "device_pixel_ratio", "zoom_percent", "x" * 50]), texts)


class Visitors(RuleBasedStateMachine):
    """Somebody who sends anything to any address, with or without having a place."""

    study: Study

    def __init__(self) -> None:
        super().__init__()
        self.client = Client(raise_request_exception=False)
        self.session = StudySession.objects.create(
            study=self.study, name=str(uuid.uuid4()), quota=2, id_parameter="PID",
            state=SessionState.OPEN, opened_at=self.study.created_at)
        self.participants: list[Participant] = []
        self.sent: dict[str, str] = {}
        self.forms: list[tuple[str, dict[str, str]]] = []

    def ask(self, method: str, address: str, *values: Any, **more: Any) -> Any:
        reply = getattr(self.client, method)(address, *values, **more)
        assert reply.status_code in ALLOWED, (reply.status_code, address)
        return reply

    def participant(self, number: int) -> Participant:
        return self.participants[number % len(self.participants)]

    @rule(name=st.sampled_from(["one", "two", "three"]))
    def arrive(self, name: str) -> None:
        page = self.ask("get", f"/join/{self.session.public_id}/consent?PID={name}")
        if page.status_code == 200:
            form = next_action(page)
            self.forms.append((form.address, {**form.fields, "agreed": "on"}))
            self.ask("post", *self.forms[-1])
        self.participants = list(self.session.participants.order_by("pk"))

    @rule(query=texts, page=st.sampled_from(["", "consent", "decline", "declined"]))
    def knock(self, query: str, page: str) -> None:
        address = f"/join/{self.session.public_id}/{page}"
        for asked in (f"{address}?PID={quote(query)}&language={quote(query)}",
                      f"{address}?{quote(query)}"):
            self.ask("get", asked)
            self.ask("post", asked, {"identity": query, "attempt": query, "agreed": query})

    @rule(number=st.integers(0, 99), form=forms)
    def send_an_old_form_changed(self, number: int, form: dict[str, str]) -> None:
        if self.forms:
            address, fields = self.forms[number % len(self.forms)]
            self.ask("post", address, {**fields, **form})
            self.ask("post", address, fields)
            self.ask("post", address.replace("consent", "decline"), fields)

    @precondition(lambda self: self.participants)
    @rule(number=st.integers(0, 1), place=st.sampled_from(PLACES), form=forms)
    def go_anywhere(self, number: int, place: str, form: dict[str, str]) -> None:
        address = f"/take/{self.participant(number).token}/{place}"
        self.ask("get", address)
        self.ask("post", address, form)
        self.ask("post", address, json.dumps(form), content_type="application/json")
        self.ask("post", address, b"--x\r\n", content_type="multipart/form-data; boundary=x")

    @precondition(lambda self: self.participants)
    @rule(number=st.integers(0, 1))
    def go_on(self, number: int) -> None:
        participant = self.participant(number)
        questions = participant.session.study.questions.all()
        said = {**DESKTOP, **{f"question-{question.pk}": "0" for question in questions}}
        for place in ("questions/before", "screen", "instructions", "questions/after"):
            self.ask("post", f"/take/{participant.token}/{place}", said)

    @precondition(lambda self: self.participants)
    @rule(number=st.integers(0, 1), index=st.integers(0, 5),
          side=st.sampled_from(["left", "right"]),
          junk=st.dictionaries(st.sampled_from([*ANSWER, "shown_at", "focus_lost"]), garbage))
    def answer(self, number: int, index: int, side: str, junk: dict[str, object]) -> None:
        participant = self.participant(number)
        state = self.ask("get", f"/take/{participant.token}/next").json().get("trial")
        trials = list(participant.trials.order_by("index"))
        trial = trials[index % len(trials)].public_id if trials and index else (
            state["id"] if state else uuid.uuid4())
        address = f"/take/{participant.token}/trials/{trial}/"
        for body in ({**ANSWER, **junk}, {**ANSWER, "side": side}, {**ANSWER, "side": "left"}):
            reply = self.ask("post", address + "answer", json.dumps(body),
                             content_type="application/json")
            if reply.status_code == 200:
                assert self.sent.setdefault(str(trial), str(body["side"])) == body["side"]
        self.ask("get", address + "stimulus")

    @precondition(lambda self: self.participants)
    @rule(number=st.integers(0, 1), is_sure=st.booleans())
    def withdraw(self, number: int, is_sure: bool) -> None:
        participant = self.participant(number)
        self.ask("post" if is_sure else "get", f"/take/{participant.token}/withdraw")
        if is_sure:
            assert not participant.trials.exists()
            known = {str(trial) for trial in Response.objects.values_list(
                "trial__public_id", flat=True)}
            self.sent = {trial: side for trial, side in self.sent.items() if trial in known}

    @invariant()
    def what_was_acknowledged_is_stored(self) -> None:
        stored = Response.objects.filter(trial__participant__session=self.session)
        assert {str(trial): side for trial, side in stored.values_list(
            "trial__public_id", "chosen_side")} == self.sent

    @invariant()
    def places_and_codes_are_kept(self) -> None:
        assert self.session.participants.holding_places().count() <= self.session.quota
        for participant in self.session.participants.exclude(completion_code=""):
            assert not participant.trials.unanswered().exists()
            assert participant.question_answers.filter(question__moment="after").exists()


def test_nothing_that_is_sent_breaks_anything(db: None) -> None:
    study = factories.make_study(main_trials=2, has_screen_check=True)
    factories.make_question(study=study, moment="before")
    factories.make_question(study=study, moment="after")
    factories.make_open_session(study=study, num_pairs=4)
    Visitors.study = study
    is_thorough = settings.get_current_profile_name() == "thorough"
    run_state_machine_as_test(Visitors, settings=settings(
        max_examples=2000 if is_thorough else 20, stateful_step_count=20, deadline=None,
        suppress_health_check=list(HealthCheck)))
