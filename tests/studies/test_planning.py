"""Trials as they are stored: with catch trials and repeats, balanced over those who stay."""

from collections import Counter
from datetime import timedelta

import pytest
from django.utils.timezone import now

from studies.method.weaving import FEWEST_PLACES_APART
from studies.models import (
    Participant,
    ParticipantState,
    Side,
    Stimulus,
    StudySession,
    Trial,
    TrialKind,
)
from studies.participation import planning, services
from studies.participation.services import start
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def session() -> StudySession:
    study = factories.make_study(main_trials=10, practice_trials=2, catch_percent=20,
                                 repeat_percent=20)
    return factories.make_open_session(num_pairs=12, study=study)


def ordered(participant: Participant) -> list[Trial]:
    return list(participant.trials.select_related("pair__contrast", "repeat_of")
                .order_by("index"))


def leave_long_ago(participant: Participant) -> None:
    seen = now() - timedelta(minutes=participant.session.release_minutes + 1)
    Participant.objects.filter(pk=participant.pk).update(last_seen_at=seen)


def spread_of(session: StudySession) -> int:
    """The largest less the smallest number of held main trials over compared pairs and sides."""
    held = session.participants.holding_places()
    shown = Counter(Trial.objects.filter(participant__in=held, kind=TrialKind.MAIN)
                    .values_list("pair_id", "candidate_side"))
    pairs = session.study.contrasts.compared().get().pairs.all()
    counts = [shown[pair.pk, side] for pair in pairs for side in Side]
    return max(counts) - min(counts)


def test_every_kind_is_stored_with_its_pair(session: StudySession) -> None:
    trials = ordered(start(session))
    assert Counter(trial.kind for trial in trials) == {
        "practice": 2, "main": 10, "catch": 2, "repeat": 2}
    assert [trial.index for trial in trials] == list(range(1, 17))
    assert len(trials) == session.study.num_trials()
    for trial in trials:
        assert trial.pair.contrast.is_catch is (trial.kind in (TrialKind.CATCH, TrialKind.PRACTICE))


def test_repeat_names_the_trial_that_it_shows_once_more(session: StudySession) -> None:
    repeats = [trial for trial in ordered(start(session)) if trial.kind == TrialKind.REPEAT]
    for trial in repeats:
        original = trial.repeat_of
        assert original is not None
        assert (original.kind, original.pair_id) == (TrialKind.MAIN, trial.pair_id)
        assert original.candidate_side != trial.candidate_side
        assert trial.index - original.index >= FEWEST_PLACES_APART
    assert len({trial.repeat_of_id for trial in repeats}) == 2


def test_the_stored_seed_draws_the_stored_plan_again(session: StudySession) -> None:
    participant = start(session)
    before = [(trial.kind, trial.pair_id, trial.candidate_side) for trial in ordered(participant)]
    participant.trials.exclude(repeat_of=None).delete()
    participant.trials.all().delete()
    planning.plan_trials(participant, session.study, ready=planning.ready_pairs(session.study))
    assert before == [(trial.kind, trial.pair_id, trial.candidate_side)
                      for trial in ordered(participant)]


@pytest.mark.parametrize("state", [ParticipantState.ACTIVE, ParticipantState.WITHDRAWN])
def test_who_leaves_or_withdraws_gives_pairs_and_place_back(
    session: StudySession, state: ParticipantState
) -> None:
    StudySession.objects.filter(pk=session.pk).update(quota=12)
    for number in range(16):
        participant = start(session)
        if number % 4 == 0 and state == ParticipantState.ACTIVE:
            leave_long_ago(participant)
        elif number % 4 == 0:
            Participant.objects.filter(pk=participant.pk).update(state=state, withdrawn_at=now())
    assert session.participants.holding_places().count() == 12
    assert spread_of(session) <= 1
    with pytest.raises(services.SessionFull):
        start(session)


def test_nobody_starts_before_a_catch_pair_is_ready(session: StudySession) -> None:
    catch = session.study.contrasts.catch().get().pairs.all()
    Stimulus.objects.filter(pair__in=catch[1:]).delete()
    assert start(session).trials.filter(kind=TrialKind.CATCH).count() == 2
    Stimulus.objects.filter(pair__in=catch).delete()
    with pytest.raises(services.ImagesNotReady):
        start(session)


def test_catch_pairs_of_a_study_that_wants_none_are_not_shown() -> None:
    study = factories.make_study(catch_percent=0, practice_trials=2)
    session = factories.make_open_session(study=study)
    factories.make_catch_pairs(study, 2)
    assert not start(session).trials.filter(pair__contrast__is_catch=True).exists()


def test_welcome_counts_catch_trials_and_repeats() -> None:
    study = factories.make_study(main_trials=20, practice_trials=2, catch_percent=10,
                                 repeat_percent=5)
    assert (study.num_catch_trials(), study.num_repeat_trials(), study.num_trials()) == (2, 1, 25)
    assert "25 comparisons" in study.texts()["welcome"]
