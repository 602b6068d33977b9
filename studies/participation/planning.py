"""A participant's trials: drawn from what is ready and what others hold, and stored."""

from django.db.models import Count

from studies.method.plans import PlanPair, count_showable, draw_plan
from studies.method.weaving import PlannedTrial, SideName
from studies.models import Pair, Participant, Study, Trial, TrialKind


def has_enough_images(study: Study) -> bool:
    """Whether enough pairs are ready for a whole plan. Catch trials may share one."""
    if study.num_catch_trials() and not _ready_pairs(study, is_catch=True):
        return False
    return count_showable(_ready_pairs(study, is_catch=False)) >= study.main_trials


def plan_trials(participant: Participant, study: Study) -> None:
    """Draw a participant's whole plan from the stored seed, and store it.

    The caller holds the study's lock: the balance counts the trials of everybody else.
    """
    planned = list(enumerate(_draw(study, participant.plan_seed), start=1))
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


def _draw(study: Study, seed: int) -> list[PlannedTrial]:
    return draw_plan(
        _ready_pairs(study, is_catch=False), _held_trials(study), seed=seed,
        practice_trials=study.practice_trials, main_trials=study.main_trials,
        # A draft may have had catch pairs before its experimenter wanted none.
        catch_pairs=_ready_pairs(study, is_catch=True) if study.catch_percent else [],
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


def _ready_pairs(study: Study, *, is_catch: bool) -> list[PlanPair]:
    pairs = Pair.objects.ready().filter(contrast__study=study, contrast__is_catch=is_catch)
    return [PlanPair(*row) for row in pairs.values_list("pk", "contrast_id", "prompt_id")]
