import json
import re
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from threading import Thread
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import translation
from django.utils.timezone import now
from pytest_django import DjangoAssertNumQueries

from studies.models import (
    Pair,
    Participant,
    ParticipantState,
    Response,
    SessionState,
    Side,
    Study,
    StudySession,
    Trial,
    TrialKind,
)
from studies.participation import services
from studies.participation.answers import AnswerForm, MalformedAnswer
from studies.participation.services import Answer, finish, record_response, start
from tests import factories
from tests.conftest import wait_until
from tests.studies.walking import begin, enter, go_on

LEFT = Answer(chosen_side="left", response_ms=812, input_method="keyboard")
RIGHT = Answer(chosen_side="right", response_ms=640, input_method="pointer")
BODY = {"side": "left", "response_ms": 812, "input_method": "keyboard",
        "shown_at": "2026-05-04T10:11:12.345Z", "image_load_ms": 18, "image_decode_ms": 4,
        "frame_ms": 16.67, "viewport_width": 1440, "viewport_height": 900,
        "device_pixel_ratio": 1.25, "displayed_px": 512, "focus_lost": 1}


@pytest.fixture
def session(db: None) -> StudySession:
    return factories.make_open_session()


@pytest.fixture
def participant(session: StudySession) -> Participant:
    return begin(session)


def ordered(participant: Participant) -> list[Trial]:
    return list(participant.trials.order_by("index"))


def answer_all(participant: Participant) -> None:
    for trial in ordered(participant):
        record_response(participant, trial, LEFT)


def complete(participant: Participant) -> None:
    services.note_instructed(participant)
    answer_all(participant)
    finish(participant)


def leave_long_ago(participant: Participant) -> None:
    seen = now() - timedelta(minutes=participant.session.release_minutes + 1)
    Participant.objects.filter(pk=participant.pk).update(last_seen_at=seen)


def send(client: Client, participant: Participant, trial: Trial, body: object) -> Any:
    return client.post(f"/take/{participant.token}/trials/{trial.public_id}/answer",
                       json.dumps(body), content_type="application/json")


class TestStart:
    def test_whole_plan_is_stored(self, session: StudySession) -> None:
        trials = ordered(start(session))
        assert [trial.index for trial in trials] == [1, 2, 3, 4, 5]
        assert [trial.kind for trial in trials] == ["practice"] + ["main"] * 4
        sides = Counter(trial.candidate_side for trial in trials[1:])
        assert sides == {"left": 2, "right": 2}
        assert len({trial.pair.prompt_id for trial in trials}) == 5

    def test_same_token_takes_one_place(self, session: StudySession) -> None:
        token = uuid.uuid4()
        assert start(session, token=token) == start(session, token=token)
        assert session.participants.count() == 1

    @pytest.mark.parametrize(("values", "refusal"), [
        ({"state": SessionState.DRAFT}, services.SessionNotOpen),
        ({"state": SessionState.CLOSED, "closed_at": now()}, services.SessionClosed),
        ({"quota": 1}, services.SessionFull),
    ])
    def test_entry_is_refused_with_its_reason(
        self, session: StudySession, values: dict, refusal: type[services.EntryRefused]
    ) -> None:
        start(session)
        StudySession.objects.filter(pk=session.pk).update(**values)
        with pytest.raises(refusal) as refused:
            start(session)
        assert str(refused.value.sentence).endswith(".")
        assert session.participants.count() == 1

    def test_too_few_ready_pairs_are_said(self, db: None) -> None:
        session = factories.make_open_session(num_pairs=3)
        with pytest.raises(services.ImagesNotReady):
            start(session)
        assert not Participant.objects.exists()

    def test_pairs_balance_over_the_sessions_of_a_study(self, session: StudySession) -> None:
        second = StudySession.objects.create(study=session.study, name="second", quota=50,
                                             state=SessionState.OPEN,
                                             opened_at=session.opened_at)
        for turn in range(15):
            complete(start(second if turn % 2 else session))
        assert spread_of(session) <= 1

    def test_who_leaves_gives_the_pairs_back(self, session: StudySession) -> None:
        StudySession.objects.update(quota=100)
        unlucky = session.study.contrasts.get().pairs.first()
        num_left = 0
        for _ in range(18):
            participant = start(session)
            is_main = participant.trials.filter(kind=TrialKind.MAIN, pair=unlucky).exists()
            if is_main and num_left < 6:
                leave_long_ago(participant)
                num_left += 1
            else:
                complete(participant)
        assert num_left == 6
        assert spread_of(session) <= 1

    def test_who_takes_part_or_came_back_late_keeps_the_pairs(
        self, session: StudySession
    ) -> None:
        taking_part, late = start(session), start(session)
        leave_long_ago(late)
        complete(late)
        complete(start(session))
        complete(taking_part)
        assert spread_of(session) == 0


def spread_of(session: StudySession) -> int:
    """The largest less the smallest number of completed main trials over pairs and sides."""
    completed = Trial.objects.filter(
        kind=TrialKind.MAIN, participant__state=ParticipantState.FINISHED
    )
    shown = Counter(completed.values_list("pair_id", "candidate_side"))
    pairs = session.study.contrasts.get().pairs.all()
    counts = [shown[pair.pk, side] for pair in pairs for side in Side]
    return max(counts) - min(counts)


@pytest.mark.django_db(transaction=True)
def test_crowd_never_exceeds_the_quota_and_stays_balanced() -> None:
    session = factories.make_open_session(num_pairs=7, quota=23)

    def arrive(_: int) -> bool:
        try:
            start(StudySession.objects.get(pk=session.pk))
            return True
        except services.SessionFull:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as crowd:
        outcomes = list(crowd.map(arrive, range(40)))
    assert sum(outcomes) == session.participants.count() == 23
    assert Trial.objects.count() == 23 * 5
    for participant in session.participants.all():
        complete(participant)
    assert spread_of(session) <= 1


@pytest.mark.django_db(transaction=True)
def test_who_starts_waits_for_the_study_without_holding_the_session() -> None:
    """Opening a session locks the study and then the session: holding one would deadlock."""
    session = factories.make_open_session()

    def arrive() -> None:
        start(session)
        connection.close()

    visitor = Thread(target=arrive)
    with transaction.atomic():
        Study.objects.select_for_update().get(pk=session.study_id)
        visitor.start()
        wait_until(is_somebody_waiting_for_us, seconds=20)
        StudySession.objects.select_for_update(nowait=True).get(pk=session.pk)
    visitor.join()
    assert session.participants.count() == 1


def is_somebody_waiting_for_us() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted"
                       " AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))")
        return bool(cursor.fetchone()[0])


class TestRecordResponse:
    def test_same_answer_again_returns_the_first(self, participant: Participant) -> None:
        trial = ordered(participant)[0]
        first = record_response(participant, trial, LEFT)
        later = Answer(chosen_side="left", response_ms=999, input_method="touch")
        assert record_response(participant, trial, later) == first
        assert Response.objects.get().response_ms == 812

    def test_other_answer_is_refused_and_logged(
        self, participant: Participant, caplog: pytest.LogCaptureFixture
    ) -> None:
        trial = ordered(participant)[0]
        record_response(participant, trial, LEFT)
        with pytest.raises(services.ConflictingAnswer):
            record_response(participant, trial, RIGHT)
        assert Response.objects.get().chosen_side == "left"
        assert "conflicting answer refused" in caplog.text

    def test_only_the_first_unanswered_trial_may_be_answered(
        self, participant: Participant
    ) -> None:
        first, second, third, *_ = ordered(participant)
        for trial in (second, third):
            with pytest.raises(services.TrialOutOfTurn):
                record_response(participant, trial, LEFT)
        record_response(participant, first, LEFT)
        record_response(participant, second, RIGHT)
        record_response(participant, first, LEFT)  # A replay of an earlier one.
        assert Response.objects.count() == 2

    def test_trial_of_another_participant_is_refused(self, participant: Participant) -> None:
        other = start(participant.session)
        trial = ordered(other)[0]
        record_response(other, trial, LEFT)
        answer_all(participant)
        for foreign in ordered(other):
            with pytest.raises(services.TrialOutOfTurn):
                record_response(participant, foreign, LEFT)
        assert other.trials.unanswered().count() == 4


@pytest.mark.django_db(transaction=True)
def test_answers_at_once_store_one_and_acknowledge_what_agrees() -> None:
    participant = start(factories.make_open_session())

    def send_one(answer: Answer) -> str:
        try:
            stored = record_response(participant, trial, answer)
            return stored.chosen_side
        except services.ConflictingAnswer:
            return "refused"
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as crowd:
        for trial in ordered(participant):
            outcomes = Counter(crowd.map(send_one, [LEFT, RIGHT] * 4))
            stored = Response.objects.get(trial=trial).chosen_side
            assert outcomes == {stored: 4, "refused": 4}


class TestFinish:
    def test_code_exists_only_when_everything_is_answered(self, participant: Participant) -> None:
        for trial in ordered(participant):
            with pytest.raises(services.NotFinished):
                finish(participant)
            record_response(participant, trial, LEFT)
        code = finish(participant).completion_code
        assert re.fullmatch(r"[A-Z2-9]{12}", code)
        assert finish(Participant.objects.get(pk=participant.pk)).completion_code == code

    def test_closing_lets_those_taking_part_finish(self, participant: Participant) -> None:
        StudySession.objects.update(state=SessionState.CLOSED, closed_at=now())
        answer_all(participant)
        assert finish(participant).state == ParticipantState.FINISHED

    def test_no_code_for_who_skipped_the_way_to_the_trials(self, session: StudySession) -> None:
        participant = start(session)
        answer_all(participant)
        with pytest.raises(services.NotFinished):
            finish(participant)

    def test_codes_differ(self, session: StudySession) -> None:
        people = [begin(session), begin(session)]
        for person in people:
            answer_all(person)
        assert len({finish(person).completion_code for person in people}) == 2


class TestAnswering:
    def test_answer_is_stored_with_its_measurements_and_brings_the_next_trial(
        self, client: Client, participant: Participant
    ) -> None:
        first, second, third, *_ = ordered(participant)
        reply = send(client, participant, first, BODY)
        assert reply.status_code == 200
        assert reply.json()["trial"]["id"] == str(second.public_id)
        assert reply.json()["upcoming"]["id"] == str(third.public_id)
        stored = Response.objects.get(trial=first)
        assert stored.shown_at is not None
        assert stored.shown_at.isoformat() == "2026-05-04T10:11:12.345000+00:00"
        assert (stored.chosen_side, stored.response_ms, stored.input_method) == (
            "left", 812, "keyboard")
        assert (stored.image_load_ms, stored.image_decode_ms, stored.frame_ms) == (18, 4, 16.67)
        assert (stored.viewport_width, stored.viewport_height, stored.device_pixel_ratio,
                stored.displayed_px, stored.focus_lost) == (1440, 900, 1.25, 512, 1)

    def test_practice_is_acknowledged_with_feedback_and_nothing_else_is(
        self, client: Client, participant: Participant
    ) -> None:
        replies = [send(client, participant, trial, BODY).json() for trial in ordered(participant)]
        assert [reply.get("feedback") for reply in replies] == ["noted", None, None, None, None]

    def test_feedback_says_what_was_right_where_there_is_a_right_answer(
        self, client: Client, session: StudySession, participant: Participant
    ) -> None:
        Study.objects.filter(pk=session.study_id).update(task="similarity")
        practice, main, *_ = ordered(participant)
        catch = factories.make_contrast(study=session.study, candidate_arm="fixed(1)",
                                        is_catch=True)
        for trial in (practice, main):
            Pair.objects.filter(pk=trial.pair_id).update(contrast=catch)
        # The catch contrast's candidate is the bad image.
        good = Side.RIGHT if practice.candidate_side == Side.LEFT else Side.LEFT
        for _ in range(2):  # A replay hears the same.
            reply = send(client, participant, practice, {**BODY, "side": good}).json()
            assert reply["feedback"] == "right"
        assert "feedback" not in send(client, participant, main, BODY).json()
        other = begin(session)
        trial = ordered(other)[0]
        Pair.objects.filter(pk=trial.pair_id).update(contrast=catch)
        body = {**BODY, "side": trial.candidate_side}
        assert send(client, other, trial, body).json()["feedback"] == "wrong"

    def test_catch_and_repeat_trials_look_like_main_ones(
        self, client: Client, participant: Participant
    ) -> None:
        first, second, third, *_ = ordered(participant)[1:]
        Trial.objects.filter(pk=second.pk).update(kind=TrialKind.CATCH)
        Trial.objects.filter(pk=third.pk).update(kind=TrialKind.REPEAT, repeat_of=first)
        replies = [send(client, participant, trial, BODY).json() for trial in ordered(participant)]
        assert {reply["trial"]["kind"] for reply in replies[:-1]} == {"main"}
        assert {tuple(reply["trial"]) for reply in replies[:-1]} == {tuple(replies[0]["trial"])}
        assert {tuple(reply) for reply in replies[1:]} == {("trial", "upcoming", "done")}

    def test_who_withdrew_is_asked_nothing_more(
        self, client: Client, participant: Participant
    ) -> None:
        trial = ordered(participant)[0]
        Participant.objects.filter(pk=participant.pk).update(
            state=ParticipantState.WITHDRAWN, withdrawn_at=now())
        assert send(client, participant, trial, BODY).status_code == 404
        for page in ("next", f"trials/{trial.public_id}/stimulus"):
            assert client.get(f"/take/{participant.token}/{page}").status_code == 404
        assert not Response.objects.exists()

    @pytest.mark.parametrize("part", ["has_screen_check", "has_instructions", "questions"])
    def test_nothing_is_to_be_had_before_the_trials_have_begun(
        self, client: Client, session: StudySession, part: str
    ) -> None:
        if part == "questions":
            factories.make_question(study=session.study, moment="before")
        Study.objects.update(**{step: step == part
                                for step in ("has_screen_check", "has_instructions")})
        participant = start(session)
        trial = ordered(participant)[0]
        replies = [send(client, participant, trial, BODY),
                   client.get(f"/take/{participant.token}/next"),
                   client.get(f"/take/{participant.token}/trials/{trial.public_id}/stimulus")]
        assert [reply.status_code for reply in replies] == [409] * 3
        assert "pages before them" in replies[0].json()["error"]
        assert replies[0].json()["settled"] is False
        assert not Response.objects.exists()

    def test_last_answer_finishes(self, client: Client, participant: Participant) -> None:
        for trial in ordered(participant):
            reply = send(client, participant, trial, BODY)
        assert reply.json() == {"trial": None, "upcoming": None,
                                "done": f"/take/{participant.token}/done"}
        participant.refresh_from_db()
        assert participant.state == ParticipantState.FINISHED

    def test_trials_are_counted_within_practice_and_main(
        self, client: Client, participant: Participant
    ) -> None:
        seen = []
        for trial in ordered(participant):
            now = client.get(f"/take/{participant.token}/next").json()["trial"]
            seen.append((now["kind"], now["index"], now["total"]))
            record_response(participant, trial, LEFT)
        assert seen == [("practice", 1, 1), *(("main", index, 4) for index in range(1, 5))]

    def test_replay_is_acknowledged_and_conflict_is_not(
        self, client: Client, participant: Participant
    ) -> None:
        first, _, third, *_ = ordered(participant)
        replies = [send(client, participant, first, BODY) for _ in range(2)]
        assert replies[0].json() == replies[1].json()
        other = send(client, participant, first, {**BODY, "side": "right"})
        assert other.status_code == 409
        assert other.json() == {"error": services.ConflictingAnswer.sentence, "settled": True}
        early = send(client, participant, third, BODY)
        assert early.status_code == 409
        assert early.json() == {"error": services.TrialOutOfTurn.sentence, "settled": False}
        assert Response.objects.count() == 1

    def test_foreign_trial_is_not_found(self, client: Client, participant: Participant) -> None:
        other = start(participant.session)
        for trial in ordered(other):
            reply = send(client, participant, trial, BODY)
            assert (reply.status_code, reply["Content-Type"]) == (404, "application/json")
        assert not Response.objects.exists()

    @pytest.mark.parametrize("body", [
        b"", b"{", b"null", b"[]", b"3", b'"left"', b"\xff\xfe", b"[" * 3000, b'{"side": "left"}',
    ])
    def test_unreadable_body_is_400(
        self, client: Client, participant: Participant, body: bytes
    ) -> None:
        trial = ordered(participant)[0]
        reply = client.post(f"/take/{participant.token}/trials/{trial.public_id}/answer",
                            body, content_type="application/json")
        assert reply.status_code == 400
        assert reply.json()["error"].endswith(".")
        assert not Response.objects.exists()

    @pytest.mark.parametrize("field", ["side", "shown_at", "focus_lost"])
    def test_value_nested_to_any_depth_is_malformed(self, field: str) -> None:
        text = json.dumps({**BODY, field: "here"})
        for depth in range(1, 1500):
            nested = text.replace('"here"', "[" * depth + "]" * depth)
            with pytest.raises(MalformedAnswer):
                AnswerForm.from_body(nested.encode()).answer()

    @pytest.mark.parametrize(("field", "value"), [
        ("side", "up"), ("side", ["left"]), ("side", None), ("side", {"left": 1}), ("side", True),
        ("response_ms", 0), ("response_ms", 3_600_001), ("response_ms", "soon"),
        ("response_ms", 812.5), ("response_ms", None), ("response_ms", True),
        ("input_method", "mind"), ("shown_at", "yesterday"), ("shown_at", 17),
        ("shown_at", ["2026"]), ("shown_at", "0001-01-01T00:00:00+14:00"),
        ("shown_at", "9999-12-31T23:59:59Z"), ("image_load_ms", -1), ("viewport_width", 2**40),
        ("device_pixel_ratio", float("nan")), ("device_pixel_ratio", float("inf")),
        ("displayed_px", "\x00"), ("focus_lost", -1), ("focus_lost", 10**30),
    ])
    def test_wrong_value_is_400_and_named(
        self, client: Client, participant: Participant, field: str, value: object
    ) -> None:
        reply = send(client, participant, ordered(participant)[0], {**BODY, field: value})
        assert reply.status_code == 400
        assert field in reply.json()["error"]
        assert not Response.objects.exists()

    def test_only_side_time_and_input_are_needed(
        self, client: Client, participant: Participant
    ) -> None:
        body = {name: BODY[name] for name in ("side", "response_ms", "input_method")}
        assert send(client, participant, ordered(participant)[0], body).status_code == 200

    def test_oversized_body_is_413(self, client: Client, participant: Participant) -> None:
        trial = ordered(participant)[0]
        for size in (5_000, 3_000_000):
            reply = send(client, participant, trial, {**BODY, "note": "x" * size})
            assert reply.status_code == 413
            assert reply.json() == {"error": "The answer is too large."}

    @pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x",
                                              "application/x-www-form-urlencoded"])
    def test_form_is_no_answer(
        self, client: Client, participant: Participant, content_type: str
    ) -> None:
        trial = ordered(participant)[0]
        reply = client.post(f"/take/{participant.token}/trials/{trial.public_id}/answer",
                            b"side=left", content_type=content_type)
        assert reply.status_code == 400

    def test_answer_and_next_trial_take_few_queries(
        self, client: Client, participant: Participant,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        for trial in ordered(participant):
            with django_assert_max_num_queries(11):
                send(client, participant, trial, BODY)


def test_trial_page_carries_the_studys_settings(client: Client, db: None) -> None:
    study = factories.make_study(blank_ms=250, min_viewing_ms=100, viewing_limit_ms=None,
                                 image_scale=1.5, trials_per_block=7, surround_grey=90)
    participant = start(factories.make_open_session(study=study), language="de")
    services.note_instructed(participant)
    with translation.override("de"):  # Where 1.5 is written 1,5.
        page = client.get(f"/take/{participant.token}/trials").content.decode()
    for setting in ('blank-ms="250"', 'min-viewing-ms="100"', 'viewing-limit-ms=""',
                    'image-scale="1.5"', 'trials-per-block="7"'):
        assert f"data-{setting}" in page
    assert "/surround/90.css" in page


def test_surround_is_a_stylesheet_of_one_level(client: Client) -> None:
    reply = client.get("/surround/90.css")
    assert reply.content == b":root { --level: 90; }\n"
    assert reply["Content-Type"] == "text/css"
    assert client.get("/surround/256.css").status_code == 404


class TestStimulus:
    def fetch(self, client: Client, participant: Participant, trial: Trial) -> Any:
        return client.get(f"/take/{participant.token}/trials/{trial.public_id}/stimulus")

    def test_file_is_the_one_of_the_trials_side(
        self, client: Client, participant: Participant
    ) -> None:
        for trial in ordered(participant):
            stored = trial.pair.stimuli.get(candidate_side=trial.candidate_side)
            assert self.fetch(client, participant, trial).content == stored.image.read()
            record_response(participant, trial, LEFT)

    def test_missing_file_is_said_and_logged_with_its_pair(
        self, client: Client, participant: Participant, caplog: pytest.LogCaptureFixture
    ) -> None:
        trial = ordered(participant)[0]
        image = trial.pair.stimuli.get(candidate_side=trial.candidate_side).image
        image.storage.delete(str(image.name))
        reply = self.fetch(client, participant, trial)
        assert (reply.status_code, reply["Content-Type"]) == (503, "application/json")
        (record,) = [each for each in caplog.records if "cannot be read" in each.message]
        assert (record.levelname, vars(record)["pair"]) == ("ERROR", str(trial.pair.public_id))

    def test_only_the_current_trial_and_the_next_can_be_seen(
        self, client: Client, participant: Participant
    ) -> None:
        trials = ordered(participant)
        record_response(participant, trials[0], LEFT)
        found = [self.fetch(client, participant, trial).status_code for trial in trials]
        assert found == [404, 200, 200, 404, 404]

    def test_nobody_sees_anothers(self, client: Client, participant: Participant) -> None:
        other = start(participant.session)
        for trial in ordered(other):
            assert self.fetch(client, participant, trial).status_code == 404

    def test_headers_say_nothing(self, client: Client, participant: Participant) -> None:
        first, second = ordered(participant)[:2]
        replies = [self.fetch(client, participant, trial) for trial in (first, second)]
        for reply in replies:
            assert reply["Cache-Control"].startswith("private")
            assert not {"ETag", "Last-Modified", "Content-Disposition"} & set(reply.headers)
        assert [{**reply.headers, "Content-Length": ""} for reply in replies[:1]] == (
            [{**reply.headers, "Content-Length": ""} for reply in replies[1:]])


def test_nothing_sent_tells_the_condition(client: Client, session: StudySession) -> None:
    """Every page and reply of one participant, searched for what only the server may know."""
    replies = [client.get(f"/join/{session.public_id}/"), enter(client, session)]
    participant = Participant.objects.get()
    replies += [go_on(client, replies[-1])]
    replies += [client.get(f"/take/{participant.token}/next")]
    replies += [send(client, participant, trial, BODY) for trial in ordered(participant)]
    replies.append(client.get(f"/take/{participant.token}/done"))
    said = "\n".join(f"{dict(reply.headers)}\n{reply.content.decode()}" for reply in replies)
    secrets = {"candidate", "budget", "baseline", "contrast", "steps", "prompt", "seed",
               str(participant.plan_seed), str(participant.public_id), session.study.name,
               session.name}
    secrets |= {trial.pair.prompt.text for trial in ordered(participant)}
    secrets |= {str(trial.pair.public_id) for trial in ordered(participant)}
    assert not {secret for secret in secrets if secret in said}
    # The two trials of one reply differ in their addresses and counts, and nothing else.
    for reply in replies:
        if reply["Content-Type"] == "application/json" and reply.json()["upcoming"]:
            both = [reply.json()[name] for name in ("trial", "upcoming")]
            for one, other in pairwise(both):
                assert {name for name in one if one[name] != other[name]} <= {
                    "id", "stimulus", "answer", "index", "kind", "total"}
