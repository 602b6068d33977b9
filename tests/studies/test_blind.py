"""What participants receive gives nothing away. `python -m tests.bench.blind` fetches 2,000."""

import random
from typing import Any

import pytest
from django.test import Client

from studies.models import Participant, StudySession, Trial, TrialKind
from studies.participation.services import Answer, record_response
from tests import factories
from tests.bench.guessing import band, guess
from tests.bench.observing import (
    Sightings,
    chunks_of,
    leaks_in,
    make_secretive_session,
    secrets_of,
    watch,
)
from tests.bench.visitor import Exchange
from tests.studies.walking import begin

LEFT = Answer(chosen_side="left", response_ms=812, input_method="keyboard")


@pytest.fixture
def session(transactional_db: None) -> StudySession:
    return make_secretive_session(participants=10, num_pairs=12, main_trials=12)


@pytest.fixture
def sightings(site: str, session: StudySession) -> Sightings:
    return watch(site, session, participants=10)


def test_participants_see_no_secret_and_nothing_tells_the_candidates_side(
    sightings: Sightings, session: StudySession
) -> None:
    assert leaks_in(sightings.exchanges, secrets_of(session)) == []
    observations = sightings.observations
    assert len(observations) == 10 * session.study.num_trials()
    auc = guess([each.seen for each in observations],
                [each.side == "left" for each in observations],
                groups=[each.participant for each in observations])
    assert abs(auc - 0.5) < band(len(observations))
    check_kinds_look_alike(sightings)


def check_kinds_look_alike(sightings: Sightings) -> None:
    """But for what differs from trial to trial, a catch trial or repeat is told like a main one."""
    def told(kind: str) -> set[tuple[tuple[str, Any], ...]]:
        return {tuple((name, value) for name, value in each.seen.items()
                      if isinstance(value, str) or name in ("said total", "said side_width"))
                for each in sightings.observations if each.kind == kind}

    assert told(TrialKind.CATCH) == told(TrialKind.REPEAT) == told(TrialKind.MAIN)
    assert len(told(TrialKind.MAIN)) == 1


class TestTheTrial:
    """Whether it would find a leak at all."""

    @pytest.fixture
    def seen(self) -> list[dict[str, float | str]]:
        dice = random.Random(3)
        return [{"size": dice.randrange(9000), "place": place % 25} for place in range(250)]

    def test_guessing_finds_a_side_that_something_tells(
        self, seen: list[dict[str, float | str]]
    ) -> None:
        dice, groups = random.Random(4), [place // 25 for place in range(250)]
        sides = [dice.random() < 0.5 for _ in seen]
        assert abs(guess(seen, sides, groups=groups) - 0.5) < band(250)
        for told in (lambda side: {"header etag": "a" if side else "b"},
                     lambda side: {"size": 100.0 + dice.random() + 0.5 * side}):
            leaking = [each | told(side) for each, side in zip(seen, sides, strict=True)]
            assert guess(leaking, sides, groups=groups) > 0.5 + band(250)

    def test_searching_finds_a_secret_and_no_number_by_chance(self, db: None) -> None:
        secrets = secrets_of(make_secretive_session(participants=1, num_pairs=7, main_trials=5))
        cases: list[tuple[list[tuple[str, str]], bytes, bool]] = [
            ([], b'{"trial": {"num_steps": 12}}', True),
            ([], b'{"trial": {"quality": 509}}', True),
            ([], b'<p data-x="509">', True),
            ([("X-Image", "509")], b"", True),
            ([], b"<p>vermilion zeppelin above harbour 7001</p>", True),
            ([], b"RIFF0000WEBPEXIFquokka-lantern-7", True),
            ([("Content-Length", "509")], b"", False),
            ([], b'{"id": "a1509e00-509a-4509-8509-509509509509", "size": 1509}', False),
        ]
        for headers, body, is_found in cases:
            exchange = Exchange("/take/x", 200, headers, body, 1.0)
            assert bool(leaks_in([exchange], secrets)) is is_found, (headers, body)

    def test_the_parts_of_a_file_are_listed(self) -> None:
        content = b"RIFF\0\0\0\0WEBPVP8L\3\0\0\0abc\0EXIF\2\0\0\0xy"
        assert list(chunks_of(content)) == [("VP8L", 3), ("EXIF", 2), ("end", 0)]


@pytest.mark.django_db
class TestOthers:
    """A participant's own addresses reach nothing of anybody else."""

    @pytest.fixture
    def people(self) -> list[Participant]:
        study = factories.make_study(main_trials=5, catch_percent=20, repeat_percent=20)
        session = factories.make_open_session(study=study)
        return [begin(session), begin(session)]

    def addresses(self, person: Participant, trial: Trial) -> list[str]:
        return [f"/take/{person.token}/trials/{trial.public_id}/{what}"
                for what in ("stimulus", "answer")]

    def test_trials_of_another_are_not_found_answered_or_not(
        self, client: Client, people: list[Participant]
    ) -> None:
        me, other = people
        trials = list(other.trials.order_by("index"))
        for trial in trials[:3]:
            record_response(other, trial, LEFT)
        for trial in trials:
            stimulus, answer = self.addresses(me, trial)
            assert client.get(stimulus).status_code == 404
            assert client.post(answer, b'{"side": "left"}',
                               content_type="application/json").status_code == 404
        assert me.trials.unanswered().count() == me.trials.count()

    def test_trials_that_are_answered_or_far_ahead_are_not_found(
        self, client: Client, people: list[Participant]
    ) -> None:
        me, trials = people[0], list(people[0].trials.order_by("index"))
        record_response(me, trials[0], LEFT)
        found = [client.get(self.addresses(me, trial)[0]).status_code for trial in trials]
        assert found == [404, 200, 200, *[404] * (len(trials) - 3)]

    def test_nothing_is_known_by_the_id_of_exports_or_by_a_files_name(
        self, client: Client, people: list[Participant]
    ) -> None:
        me = people[0]
        trial = me.trials.order_by("index")[0]
        stored = trial.pair.stimuli.get(candidate_side=trial.candidate_side).image.name
        for address in (f"/take/{me.public_id}/", f"/take/{me.public_id}/next",
                        f"/take/{me.token}/trials/{trial.pair.public_id}/stimulus",
                        f"/{stored}", f"/media/{stored}", f"/static/{stored}"):
            assert client.get(address).status_code == 404, address

    def test_results_and_the_admin_ask_who_one_is(
        self, client: Client, people: list[Participant]
    ) -> None:
        study = people[0].session.study
        for address in (f"/results/{study.public_id}/", "/admin/studies/trial/"):
            reply = client.get(address)
            assert reply.status_code in (302, 404)
            assert study.name not in reply.content.decode()
