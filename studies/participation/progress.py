"""Where a participant stands: what is shown now, what comes next."""

from dataclasses import dataclass
from enum import StrEnum

from django.db.models import Count, Q

from studies.models import (
    Participant,
    ParticipantState,
    QuestionMoment,
    Stimulus,
    Task,
    Trial,
    TrialKind,
)


class Step(StrEnum):
    """The steps of the way in their order, each by the name of its address."""

    QUESTIONS_BEFORE = "questions_before"
    SCREEN = "screen"
    INSTRUCTIONS = "instructions"
    TRIALS = "trials"
    QUESTIONS_AFTER = "questions_after"
    DONE = "done"
    WITHDRAWN = "withdrawn"


def where_now(participant: Participant) -> Step:
    """The one step at which a participant stands: the first that is not behind them."""
    if participant.state == ParticipantState.WITHDRAWN:
        return Step.WITHDRAWN
    if participant.state == ParticipantState.FINISHED:
        return Step.DONE
    return _what_is_before(participant) or what_is_left(participant) or Step.DONE


def has_begun(participant: Participant) -> bool:
    """Whether every step before the trials is behind the participant, so that trials may be had."""
    return participant.state != ParticipantState.ACTIVE or _what_is_before(participant) is None


def _what_is_before(participant: Participant) -> Step | None:
    study = participant.session.study
    if participant.questions_before_at is None and _is_asked(participant, QuestionMoment.BEFORE):
        return Step.QUESTIONS_BEFORE
    if participant.screen_checked_at is None and study.has_screen_check:
        return Step.SCREEN
    if participant.instructed_at is None and study.has_instructions:
        return Step.INSTRUCTIONS
    return None


def what_is_left(participant: Participant) -> Step | None:
    """What still stands between a participant who has begun and the completion code."""
    if participant.trials.unanswered().exists():
        return Step.TRIALS
    if participant.questions_after_at is None and _is_asked(participant, QuestionMoment.AFTER):
        return Step.QUESTIONS_AFTER
    return None


def _is_asked(participant: Participant, moment: QuestionMoment) -> bool:
    return participant.session.study.questions.filter(moment=moment).exists()


@dataclass(frozen=True)
class TrialCounts:
    """How many trials a participant has, as far as participants may know."""

    practice: int
    main: int


def count_trials(participant: Participant) -> TrialCounts:
    counts = participant.trials.aggregate(
        practice=Count("pk", filter=Q(kind=TrialKind.PRACTICE)),
        main=Count("pk", filter=~Q(kind=TrialKind.PRACTICE)),
    )
    return TrialCounts(**counts)


@dataclass(frozen=True)
class Shown:
    """A trial as the browser may know it. Catch and repeat trials look like main ones."""

    trial: Trial
    stimulus: Stimulus
    is_practice: bool
    index: int
    total: int


def current_and_next(participant: Participant) -> list[Shown]:
    """The first unanswered trial and the one after it, counted within practice or main."""
    trials = reachable_trials(participant)
    if not trials:
        return []
    counts = count_trials(participant)
    stimuli = _stimuli_of(trials)
    return [
        Shown(
            trial=trial,
            stimulus=stimuli[trial.pair_id, trial.candidate_side],
            is_practice=trial.kind == TrialKind.PRACTICE,
            index=trial.index - (0 if trial.kind == TrialKind.PRACTICE else counts.practice),
            total=counts.practice if trial.kind == TrialKind.PRACTICE else counts.main,
        )
        for trial in trials
    ]


def reachable_trials(participant: Participant) -> list[Trial]:
    """The trials whose stimulus the browser may have: the current one and the next."""
    return list(participant.trials.unanswered().order_by("index")[:2])


def stimulus_of(trial: Trial) -> Stimulus:
    return Stimulus.objects.get(pair=trial.pair_id, candidate_side=trial.candidate_side)


def feedback_on(trial: Trial, chosen_side: str, *, task: str) -> str | None:
    """What practice says to an answer: "right", "wrong", or "noted" where neither holds.

    Only the catch contrast has a right answer, its baseline, which the reference is. Outside
    practice nothing is ever said.
    """
    if trial.kind != TrialKind.PRACTICE:
        return None
    if task != Task.SIMILARITY or not trial.pair.contrast.is_catch:
        return "noted"
    return "wrong" if chosen_side == trial.candidate_side else "right"


def _stimuli_of(trials: list[Trial]) -> dict[tuple[int, str], Stimulus]:
    stimuli = Stimulus.objects.filter(pair__in=[trial.pair_id for trial in trials])
    return {(stimulus.pair_id, stimulus.candidate_side): stimulus for stimulus in stimuli}
