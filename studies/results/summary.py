"""From a study's rows to the numbers of its results page, in a fixed number of queries."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import JSONObject

from generation.models import DiffusionModel, Latency, Render
from studies.analysis.clustered import ClusteredRate, clustered_rate
from studies.analysis.participants import ParticipantMean, participant_mean
from studies.analysis.rates import PooledPreference, pooled_preference
from studies.analysis.savings import Saving, SavingAlone, saving, saving_alone
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
    participant_rates: list[float]
    pooled: PooledPreference
    participants: ParticipantMean | Refused
    clustered: ClusteredRate | Refused
    sides: SideBias
    rate_by_side: dict[str, PooledPreference]  # By the side on which the candidate was.


@dataclass(frozen=True)
class Savings:
    """Cost against the reference over a contrast's images.

    `seconds` are each image's share of its batch, where both were timed in one place; `alone` is
    by the model's latencies, of images rendered one at a time.
    """

    steps: Saving | None
    steps_of_all: Saving | None  # With the prompts left out, where their saving is known: none.
    seconds: Saving | None
    places: list[str]  # Device and batch size.
    num_timed: int  # Images timed like their full-step images, be it in another place.
    alone: SavingAlone | Refused
    latencies: list[Latency]  # Of one run.


@dataclass(frozen=True)
class ContrastSummary:
    contrast: Contrast
    num_prompts: int  # Of the study.
    num_left_out: int  # Prompts without a pair: both arms gave them the same step count.
    num_paired_prompts: int
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

    def is_candidate_chosen(self) -> bool:
        return self.chosen_side == self.candidate_side


class Timing(NamedTuple):
    """How long one image took, and where: only times of one place can be compared."""

    seconds: float | None = None
    device: str | None = None
    batch_size: int | None = None

    def place(self) -> str:
        batch = "" if self.batch_size is None else f", batch size {self.batch_size}"
        return f"{self.device or 'an unnamed device'}{batch}"


class Cost(NamedTuple):
    """What one pair's candidate took, and its full-step image, whichever contrast that is of."""

    contrast_id: int
    prompt_id: int
    candidate_steps: int
    candidate: Timing
    full: Timing


def summarise(study: Study) -> StudySummary:
    """Compute every number of a study's results page."""
    answers, costs = _answers_by_contrast(study), _costs_by_contrast(study)
    latencies = _latencies(study.model)
    states = list(Participant.objects.filter(session__study=study).values_list("state", flat=True))
    sessions = list(study.sessions.values_list("state", flat=True))
    # Before preparation no prompt has a pair, and none is left out.
    prompts = set(study.study_prompts.values_list("prompt_id", flat=True)) if costs else set()
    return StudySummary(
        study=study,
        num_finished=states.count(ParticipantState.FINISHED),
        num_active=states.count(ParticipantState.ACTIVE),
        num_sessions=len(sessions),
        num_open_sessions=sessions.count(SessionState.OPEN),
        contrasts=[
            _summarise_contrast(contrast, answers[contrast.pk], costs=costs[contrast.pk],
                                prompts=prompts, model=study.model, latencies=latencies)
            for contrast in study.contrasts.compared().order_by("pk")
        ],
    )


def _summarise_contrast(contrast: Contrast, answers: list[Answer], *, costs: list[Cost],
                        prompts: set[int], model: DiffusionModel, latencies: list[Latency]
                        ) -> ContrastSummary:
    paired = {cost.prompt_id for cost in costs}
    num_left_out = len(prompts - paired)
    takes_every_step = "reference" in (contrast.candidate_arm, contrast.baseline_arm)
    return ContrastSummary(
        contrast,
        num_prompts=len(prompts),
        num_left_out=num_left_out,
        num_paired_prompts=len(paired),
        answers=_summarise_answers(answers) if answers else None,
        # Equal to the reference, both arms took every step. Of other arms only that they agree is
        # known here, not how many steps they took.
        savings=_summarise_costs(costs, model.reference_steps, latencies=latencies,
                                 num_full=num_left_out if takes_every_step else 0),
    )


def _answers_by_contrast(study: Study) -> dict[int, list[Answer]]:
    rows = Response.objects.filter(
        trial__kind=TrialKind.MAIN, trial__pair__contrast__study=study
    ).values_list(
        "trial__pair__contrast_id", "trial__participant_id", "trial__pair__prompt_id",
        "trial__candidate_side", "chosen_side", "trial__participant__state",
    )
    return _grouped(map(Answer._make, rows.iterator(chunk_size=5000)))


def _costs_by_contrast(study: Study) -> dict[int, list[Cost]]:
    compared = Pair.objects.filter(contrast__study=study, contrast__is_catch=False)
    rows = compared.order_by("pk").values_list(
        "contrast_id", "prompt_id", "candidate__num_steps", "candidate__seconds",
        "candidate__provenance__device_name", "candidate__provenance__batch_size",
        Subquery(_full_timing(study.model.reference_steps)),
    )
    return _grouped(
        Cost(row[0], row[1], row[2], Timing(*row[3:6]),
             Timing(**row[6]) if row[6] else Timing())
        for row in rows.iterator(chunk_size=5000)
    )


def _latencies(model: DiffusionModel) -> list[Latency]:
    """The newest measurement, unless the model was sampled in another way by then."""
    settings = model.sampling_settings()
    newest = model.latencies.newest_run().order_by("num_steps")
    return [latency for latency in newest if latency.provenance.get("settings") == settings]


def _full_timing(reference_steps: int) -> QuerySet:
    """The time of the image that is a pair's candidate in everything but its step count."""
    recipe = ("model", "prompt", "seed", "scheduler", "guidance", "width", "height")
    return Render.objects.ready().filter(
        num_steps=reference_steps, **{name: OuterRef(f"candidate__{name}") for name in recipe}
    ).values(timing=JSONObject(seconds="seconds", device="provenance__device_name",
                               batch_size="provenance__batch_size"))


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


def _summarise_costs(costs: list[Cost], reference_steps: int, *, latencies: list[Latency],
                     num_full: int) -> Savings:
    steps = [cost.candidate_steps for cost in costs]
    timed = [cost for cost in costs if cost.candidate.seconds and cost.full.seconds]
    alike = [cost for cost in timed if cost.candidate.place() == cost.full.place()]
    return Savings(
        steps=saving(steps, [reference_steps] * len(steps)) if steps else None,
        steps_of_all=saving(steps + [reference_steps] * num_full,
                            [reference_steps] * (len(steps) + num_full)) if num_full else None,
        seconds=saving([cost.candidate.seconds or 0 for cost in alike],
                       [cost.full.seconds or 0 for cost in alike]) if alike else None,
        places=sorted({cost.candidate.place() for cost in alike}),
        num_timed=len(timed),
        alone=_alone(steps, reference_steps, latencies=latencies),
        latencies=latencies,
    )


def _alone(steps: list[int], reference_steps: int, *, latencies: list[Latency]
           ) -> SavingAlone | Refused:
    if not latencies:
        return Refused("how long one image of this model takes alone was not measured yet")
    seconds = {latency.num_steps: latency.seconds for latency in latencies}
    return _or_refused(lambda: saving_alone(steps, reference_steps, latencies=seconds))
