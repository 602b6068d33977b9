"""From a study's rows to the numbers of its results page, in a fixed number of queries."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from studies.analysis.clustered import ClusteredRate, clustered_rate
from studies.analysis.participants import ParticipantMean, participant_mean
from studies.analysis.rates import PooledPreference, pooled_preference
from studies.analysis.savings import Saving, saving
from studies.analysis.sides import SideBias, side_bias
from studies.models import (
    Contrast,
    Pair,
    Participant,
    ParticipantState,
    Response,
    SessionState,
    Side,
    Study,
    TrialKind,
)

Number = TypeVar("Number")


@dataclass(frozen=True)
class Refused:
    """A number that the data cannot give, and why not."""

    reason: str


@dataclass(frozen=True)
class Answers:
    """What the answered main trials of one contrast say, those of unfinished participants too."""

    num_participants: int
    num_prompts: int
    num_trials: int
    num_unfinished_participants: int
    num_unfinished_trials: int
    num_identical_trials: int  # Both arms had the same step count, so the same image.
    participant_rates: list[float]
    pooled: PooledPreference
    participants: ParticipantMean | Refused
    clustered: ClusteredRate | Refused
    sides: SideBias
    rate_by_side: dict[str, PooledPreference]  # By the side on which the candidate was.


@dataclass(frozen=True)
class Savings:
    """Cost against the reference over a contrast's images. Seconds only where both are measured."""

    steps: Saving | None
    seconds: Saving | None
    places: list[str]  # Device and batch size.


@dataclass(frozen=True)
class ContrastSummary:
    contrast: Contrast
    answers: Answers | None
    savings: Savings


@dataclass(frozen=True)
class StudySummary:
    study: Study
    num_finished: int
    num_active: int
    num_sessions: int
    num_open_sessions: int
    contrasts: list[ContrastSummary]

    def has_answers(self) -> bool:
        return any(summary.answers for summary in self.contrasts)


class Answer(NamedTuple):
    """One answered main trial."""

    contrast_id: int
    participant_id: int
    prompt_id: int
    candidate_side: str
    chosen_side: str
    participant_state: str
    candidate_id: int
    baseline_id: int

    def is_candidate_chosen(self) -> bool:
        return self.chosen_side == self.candidate_side


class Timing(NamedTuple):
    """How long one image took, and where: only times of one place can be compared."""

    seconds: float | None
    device: str | None
    batch_size: int | None

    def place(self) -> str:
        batch = "" if self.batch_size is None else f", batch size {self.batch_size}"
        return f"{self.device or 'an unnamed device'}{batch}"


class Cost(NamedTuple):
    """One pair's costs, and the time of the reference shown above it, if any."""

    contrast_id: int
    candidate_steps: int
    baseline_steps: int
    candidate: Timing
    baseline: Timing
    reference: Timing


def summarise(study: Study) -> StudySummary:
    """Compute every number of a study's results page."""
    answers, costs = _answers_by_contrast(study), _costs_by_contrast(study)
    states = list(Participant.objects.filter(session__study=study).values_list("state", flat=True))
    sessions = list(study.sessions.values_list("state", flat=True))
    return StudySummary(
        study=study,
        num_finished=states.count(ParticipantState.FINISHED),
        num_active=states.count(ParticipantState.ACTIVE),
        num_sessions=len(sessions),
        num_open_sessions=sessions.count(SessionState.OPEN),
        contrasts=[
            ContrastSummary(
                contrast,
                _summarise_answers(answers[contrast.pk]) if answers[contrast.pk] else None,
                _summarise_costs(costs[contrast.pk], study.model.reference_steps),
            )
            for contrast in study.contrasts.order_by("pk")
        ],
    )


def _answers_by_contrast(study: Study) -> dict[int, list[Answer]]:
    rows = Response.objects.filter(
        trial__kind=TrialKind.MAIN, trial__pair__contrast__study=study
    ).values_list(
        "trial__pair__contrast_id", "trial__participant_id", "trial__pair__prompt_id",
        "trial__candidate_side", "chosen_side", "trial__participant__state",
        "trial__pair__candidate_id", "trial__pair__baseline_id",
    )
    return _grouped(map(Answer._make, rows.iterator(chunk_size=5000)))


def _costs_by_contrast(study: Study) -> dict[int, list[Cost]]:
    timings = [f"{arm}__{field}" for arm in ("candidate", "baseline", "reference")
               for field in ("seconds", "provenance__device_name", "provenance__batch_size")]
    rows = Pair.objects.filter(contrast__study=study).order_by("pk").values_list(
        "contrast_id", "candidate__num_steps", "baseline__num_steps", *timings
    )
    return _grouped(
        Cost(row[0], row[1], row[2], Timing(*row[3:6]), Timing(*row[6:9]), Timing(*row[9:12]))
        for row in rows.iterator(chunk_size=5000)
    )


Row = TypeVar("Row", Answer, Cost)


def _grouped(rows: Iterable[Row]) -> dict[int, list[Row]]:
    groups: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.contrast_id].append(row)
    return groups


def _summarise_answers(answers: list[Answer]) -> Answers:
    chosen = [answer.is_candidate_chosen() for answer in answers]
    people = [answer.participant_id for answer in answers]
    prompts = [answer.prompt_id for answer in answers]
    unfinished = [answer.participant_id for answer in answers
                  if answer.participant_state != ParticipantState.FINISHED]
    rates = _rates_by_participant(answers)
    return Answers(
        num_participants=len(set(people)),
        num_prompts=len(set(prompts)),
        num_trials=len(answers),
        num_unfinished_participants=len(set(unfinished)),
        num_unfinished_trials=len(unfinished),
        num_identical_trials=sum(a.candidate_id == a.baseline_id for a in answers),
        participant_rates=rates,
        pooled=pooled_preference(sum(chosen), len(chosen)),
        participants=_or_refused(lambda: participant_mean(rates)),
        clustered=_or_refused(lambda: clustered_rate(chosen, people, prompts=prompts)),
        sides=side_bias(sum(a.chosen_side == Side.LEFT for a in answers), len(answers)),
        rate_by_side=_rate_by_side(answers),
    )


def _rates_by_participant(answers: list[Answer]) -> list[float]:
    by_participant: dict[int, list[bool]] = defaultdict(list)
    for answer in answers:
        by_participant[answer.participant_id].append(answer.is_candidate_chosen())
    return [sum(chosen) / len(chosen) for _, chosen in sorted(by_participant.items())]


def _rate_by_side(answers: list[Answer]) -> dict[str, PooledPreference]:
    rates = {}
    for side in Side.values:
        chosen = [a.is_candidate_chosen() for a in answers if a.candidate_side == side]
        if chosen:
            rates[side] = pooled_preference(sum(chosen), len(chosen))
    return rates


def _or_refused(compute: Callable[[], Number]) -> Number | Refused:
    """Keep the statistic's own sentence on why it cannot be given."""
    try:
        return compute()
    except ValueError as error:
        return Refused(str(error))


def _summarise_costs(costs: list[Cost], reference_steps: int) -> Savings:
    timed = [pair for cost in costs if (pair := _timed(cost, reference_steps))]
    return Savings(
        steps=saving([cost.candidate_steps for cost in costs], [reference_steps] * len(costs))
        if costs else None,
        seconds=saving([ours for ours, _, _ in timed], [full for _, full, _ in timed])
        if timed else None,
        places=sorted({place for _, _, place in timed}),
    )


def _timed(cost: Cost, reference_steps: int) -> tuple[float, float, str] | None:
    """Seconds of the candidate and of its full-step image, if both were measured in one place."""
    ours, full = cost.candidate, cost.reference
    if cost.baseline_steps == reference_steps:
        full = cost.baseline
    if ours.seconds is None or full.seconds is None or ours.place() != full.place():
        return None
    return ours.seconds, full.seconds, ours.place()
