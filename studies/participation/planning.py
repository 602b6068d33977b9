"""A participant's trials: drawn from what is ready and what others hold, and stored."""

from dataclasses import dataclass, field

from django.db.models import Count

from studies.method.plans import PlanPair, count_showable, draw_plan
from studies.method.weaving import PlannedTrial, SideName
from studies.models import Pair, Participant, Study, Trial, TrialKind


@dataclass(frozen=True)
class ReadyPairs:
    """The pairs of a study that can be shown. There may soon be more, never fewer."""

    compared: list[PlanPair] = field(default_factory=list)
    catch: list[PlanPair] = field(default_factory=list)


def ready_pairs(study: Study) -> ReadyPairs:
    ready = ReadyPairs()
    rows = Pair.objects.ready().filter(contrast__study=study).values_list(
        "contrast__is_catch", "pk", "contrast_id", "prompt_id")
    for is_catch, *keys in rows:
        (ready.catch if is_catch else ready.compared).append(PlanPair(*keys))
    return ready


def are_enough(ready: ReadyPairs, study: Study) -> bool:
    """Whether a whole plan can be drawn from them. Catch trials may share one."""
    if study.num_catch_trials() and not ready.catch:
        return False
    return count_showable(ready.compared) >= study.main_trials


def plan_trials(participant: Participant, study: Study, *, ready: ReadyPairs) -> None:
    """Draw a participant's whole plan from the stored seed, and store it.

    The caller holds the study's lock: the balance counts the trials of everybody else.
    """
    planned = list(enumerate(_draw(study, ready, seed=participant.plan_seed), start=1))
    trials = {index: _trial(participant, each, index=index)
              for index, each in planned if each.repeat_of is None}
    Trial.objects.bulk_create(trials.values())
    # Once those that they repeat have keys. A plan counts from 0, an index from 1.
    Trial.objects.bulk_create(
        _trial(participant, each, index=index, repeat_of=trials[each.repeat_of + 1])
        for index, each in planned if each.repeat_of is not None
    )


def _trial(participant: Participant, planned: PlannedTrial, *, index: int,
           repeat_of: Trial | None = None) -> Trial:
    return Trial(participant=participant, index=index, kind=planned.kind, repeat_of=repeat_of,
                 pair_id=planned.pair_id, candidate_side=planned.candidate_side)


def _draw(study: Study, ready: ReadyPairs, *, seed: int) -> list[PlannedTrial]:
    return draw_plan(
        ready.compared, _held_trials(study), seed=seed,
        practice_trials=study.practice_trials, main_trials=study.main_trials,
        # A draft may have had catch pairs before its experimenter wanted none.
        catch_pairs=ready.catch if study.catch_percent else [],
        catch_trials=study.num_catch_trials(), repeat_trials=study.num_repeat_trials(),
    )


def _held_trials(study: Study) -> dict[tuple[int, SideName], int]:
    """How often each pair and side is, or will likely be, answered: who left gives it back."""
    held = Participant.objects.filter(session__study=study).holding_places()
    rows = (
        Trial.objects.filter(participant__in=held, kind__in=[TrialKind.MAIN, TrialKind.CATCH])
        .order_by().values_list("pair_id", "candidate_side").annotate(num_shown=Count("pk"))
    )
    return {(pair, side): count for pair, side, count in rows}

