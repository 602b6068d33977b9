"""Whatever a participant's script does in whatever order, the first answers count, and only they.

`pytest tests/studies/test_hostile_sequences.py --hostile-runs 2000` tries far more of them.
"""

import json
import uuid
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urljoin

import pytest
from django.test import Client
from django.urls import NoReverseMatch, reverse
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from studies.desk.bots.pages import read_page
from studies.models import Participant, ParticipantState, Response, StudySession
from tests import factories

NUM_TRIALS = 4
NUM_STEPS = 15
MOST_PAGES = 20
REFUSALS = (400, 404, 409, 413)

people = st.integers(0, 1000)
trials = st.integers(0, NUM_TRIALS - 1)
sides = st.sampled_from(["left", "right"])
names = st.sampled_from(["side", "response_ms", "input_method", "shown_at", "focus_lost",
                         "viewport_width"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5,
)


@dataclass
class Person:
    """Somebody as the model has them: what the server must have, too."""

    client: Client
    participant: Participant
    trials: list[str]
    agreement: tuple[str, dict[str, str]]  # The form that took the place, to be sent again.
    answers: list[str] = field(default_factory=list)
    is_withdrawn: bool = False

    def answer_address(self, trial_id: object) -> str:
        return reverse("answer", kwargs={"token": self.participant.token, "trial_id": trial_id})


class HostileSequences(RuleBasedStateMachine):
    """A few participants of one session, and what is sent in their names."""

    session: ClassVar[StudySession]

    def __init__(self) -> None:
        super().__init__()
        self.people: list[Person] = []
        self.num_before = self.session.participants.count()

    def someone(self, number: int) -> Person:
        return self.people[number % len(self.people)]

    @rule()
    def arrive(self) -> None:
        if len(self.people) < 2:
            self.people.append(take_part(self.session))

    @precondition(lambda self: self.people)
    @rule(number=people, is_elsewhere=st.booleans())
    def agree_again(self, number: int, is_elsewhere: bool) -> None:
        person = self.someone(number)
        client = Client() if is_elsewhere else person.client
        assert client.post(*person.agreement).status_code < 500

    @precondition(lambda self: self.people)
    @rule(number=people, side=sides)
    def answer_in_turn(self, number: int, side: str) -> None:
        person = self.someone(number)
        if len(person.answers) < NUM_TRIALS:
            self.answer(number, len(person.answers), side)

    @precondition(lambda self: self.people)
    @rule(number=people, place=trials, side=sides)
    def answer_any(self, number: int, place: int, side: str) -> None:
        self.answer(number, place, side)

    def answer(self, number: int, place: int, side: str) -> None:
        person = self.someone(number)
        reply = send(person, person.trials[place], side=side)
        if person.is_withdrawn:
            assert reply.status_code in REFUSALS
        elif place < len(person.answers):
            assert reply.status_code == (200 if side == person.answers[place] else 409)
        elif place == len(person.answers):
            assert reply.status_code == 200
            person.answers.append(side)
        else:
            assert reply.status_code == 409

    @precondition(lambda self: self.people)
    @rule(number=people, other=people, place=trials, side=sides)
    def answer_with_a_foreign_trial(self, number: int, other: int, place: int, side: str) -> None:
        person, stranger = self.someone(number), self.someone(other)
        foreign = uuid.uuid4() if person is stranger else stranger.trials[place]
        assert send(person, foreign, side=side).status_code == 404

    @precondition(lambda self: self.people)
    @rule(number=people, place=trials, body=st.binary(max_size=200) | json_values.map(
        lambda value: json.dumps(value).encode()))
    def answer_with_garbage(self, number: int, place: int, body: bytes) -> None:
        person = self.someone(number)
        reply = person.client.post(person.answer_address(person.trials[place]), body,
                                   content_type="application/json")
        assert reply.status_code in REFUSALS
        assert reply.json()["error"].strip().endswith(".")

    @precondition(lambda self: self.people)
    @rule(number=people, name=names, value=json_values)
    def answer_with_a_strange_value(self, number: int, name: str, value: object) -> None:
        person = self.someone(number)
        place = len(person.answers)
        if place == NUM_TRIALS or person.is_withdrawn:
            return
        reply = send(person, person.trials[place], **{name: value})
        assert reply.status_code in (200, 400)
        if reply.status_code == 200:
            stored = Response.objects.get(trial__public_id=person.trials[place])
            person.answers.append(stored.chosen_side)

    @precondition(lambda self: self.people)
    @rule(number=people, is_elsewhere=st.booleans(), is_by_link=st.booleans())
    def come_back(self, number: int, is_elsewhere: bool, is_by_link: bool) -> None:
        person = self.someone(number)
        client = Client() if is_elsewhere else person.client
        address = (reverse("landing", kwargs={"session_id": self.session.public_id}) if is_by_link
                   else reverse("resume", kwargs={"token": person.participant.token}))
        assert client.get(address, follow=True).status_code == 200

    @precondition(lambda self: self.people)
    @rule(number=people, place=trials)
    def look_at_a_stimulus(self, number: int, place: int) -> None:
        person = self.someone(number)
        address = reverse("stimulus", kwargs={"token": person.participant.token,
                                              "trial_id": person.trials[place]})
        is_reachable = 0 <= place - len(person.answers) <= 1 and not person.is_withdrawn
        assert person.client.get(address).status_code == (200 if is_reachable else 404)

    @precondition(lambda self: self.people)
    @rule(number=people)
    def ask_for_the_code(self, number: int) -> None:
        person = self.someone(number)
        address = reverse("done", kwargs={"token": person.participant.token})
        page = read_page(person.client.get(address, follow=True).content.decode())
        assert bool(page.code) == (len(person.answers) == NUM_TRIALS and not person.is_withdrawn)

    @precondition(lambda self: self.people and has_address("withdraw"))
    @rule(number=people)
    def withdraw(self, number: int) -> None:
        person = self.someone(number)
        address = reverse("withdraw", kwargs={"token": person.participant.token})
        assert person.client.post(address, follow=True).status_code == 200
        person.is_withdrawn = True

    @invariant()
    def server_has_the_first_answers_and_no_others(self) -> None:
        for person in self.people:
            stored = dict(Response.objects.filter(trial__participant=person.participant)
                          .values_list("trial__public_id", "chosen_side"))
            expected = {} if person.is_withdrawn else dict(zip(person.trials, person.answers,
                                                               strict=False))
            assert {str(trial): side for trial, side in stored.items()} == expected

    @invariant()
    def codes_are_for_who_has_answered_everything(self) -> None:
        for person in self.people:
            person.participant.refresh_from_db()
            has_code = bool(person.participant.completion_code)
            is_finished = person.participant.state == ParticipantState.FINISHED
            assert has_code == is_finished
            assert not has_code or len(person.answers) == NUM_TRIALS

    @invariant()
    def nobody_is_there_twice(self) -> None:
        num_new = self.session.participants.count() - self.num_before
        assert num_new == len(self.people)


def take_part(session: StudySession) -> Person:
    """Walk the way in a browser of one's own, up to the trials."""
    client = Client()
    agreement: tuple[str, dict[str, str]] = ("", {})
    reply: Any = client.get(reverse("landing", kwargs={"session_id": session.public_id}))
    for _ in range(MOST_PAGES):
        page = read_page(reply.content.decode())
        if page.trials is not None:
            break
        here = reply.request["PATH_INFO"]
        if page.form is not None:
            address, fields = urljoin(here, page.form.action), dict(page.form.filled())
            if "attempt" in fields:
                agreement = (address, fields)
            reply = client.post(address, fields, follow=True)
        else:
            reply = client.get(urljoin(here, page.link), follow=True)
    participant = session.participants.latest("pk")
    trial_ids = participant.trials.order_by("index").values_list("public_id", flat=True)
    return Person(client, participant, [str(trial) for trial in trial_ids], agreement)


def send(person: Person, trial_id: object, **values: object) -> Any:
    body = {"side": "left", "response_ms": 812, "input_method": "keyboard"} | values
    return person.client.post(person.answer_address(trial_id), json.dumps(body),
                              content_type="application/json")


def has_address(name: str) -> bool:
    try:
        reverse(name, kwargs={"token": uuid.uuid4()})
    except NoReverseMatch:
        return False
    return True


@pytest.mark.django_db
def test_no_sequence_of_requests_changes_what_counts(pytestconfig: pytest.Config) -> None:
    num_runs = pytestconfig.getoption("hostile_runs")
    session = factories.make_open_session(quota=1_000_000, study=factories.make_study(
        practice_trials=0, main_trials=NUM_TRIALS))
    sequences = type("Sequences", (HostileSequences,), {"session": session})
    run_state_machine_as_test(sequences, settings=settings(
        max_examples=num_runs, stateful_step_count=NUM_STEPS, deadline=None,
        suppress_health_check=list(HealthCheck)))
