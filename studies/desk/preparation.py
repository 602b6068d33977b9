"""From a prompt list to pairs and requested renders. Runs in the worker."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import F

from generation.models import Budget, DiffusionModel, Predictor, Priority, Prompt, Render
from generation.rendering.budgets import predict_budgets
from generation.rendering.notices import notify_renders_changed
from generation.rendering.services import request_renders
from studies.desk import catch_pairs
from studies.desk.discarding import discard_pairs
from studies.desk.readiness import missing_for_preparation
from studies.method.arms import steps_by_prompt
from studies.models import (
    Contrast,
    Pair,
    SessionState,
    Study,
    StudyPrompt,
    StudyState,
    Task,
)

FIRST_SEED = 1000
RESUME_SECONDS = 30
MAX_ATTEMPTS = 3
# Any number that no other advisory lock of this database has.
_LOCKS = 20261

Predict = Callable[[Predictor, Sequence[Prompt]], Mapping[int, Budget]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Wanted:
    """A pair to be made; its steps are the candidate's and the baseline's."""

    contrast: Contrast
    prompt: Prompt
    seed: int
    candidate_steps: int
    baseline_steps: int


def prepare_study(study_id: int, *, predict: Predict = predict_budgets) -> None:
    """Give the prompts budgets, make the pairs and ask for their renders. Repeating is harmless.

    What goes wrong is kept where the experimenter looks, and the study is a draft again.
    """
    with busy_with(study_id):
        _prepare(study_id, predict=predict)


def render_priority(study: Study) -> Priority:
    """How urgent the study's images are."""
    is_open = study.sessions.filter(state=SessionState.OPEN).exists()
    return Priority.RUNNING_STUDY if is_open else Priority.STUDY


def stalled() -> list[int]:
    """Studies that wait for their pairs while no worker is making them.

    So do those whose experimenter changed the catch trials since their pairs were made.
    """
    waiting = Study.objects.filter(state=StudyState.PREPARING, preparation_error="")
    return [study.pk for study in waiting.order_by("pk")
            if not _has_its_pairs(study) and not is_busy(study.pk)]


def _has_its_pairs(study: Study) -> bool:
    compared = Pair.objects.filter(contrast__study=study, contrast__is_catch=False)
    return compared.exists() and catch_pairs.are_up_to_date(study)


def _prepare(study_id: int, *, predict: Predict) -> None:
    study = Study.objects.select_related("model", "predictor").get(pk=study_id)
    if study.state != StudyState.PREPARING:
        return
    try:
        _begin_attempt(study)
        budgets = predict(study.predictor, [row.prompt for row in _prompt_rows(study)])
        _make_pairs(study, budgets)
    except (ValueError, OSError) as error:
        _record_failure(study, str(error))
    except Exception as error:
        _record_failure(study, f"an unexpected {type(error).__name__} stopped the worker: {error}")
        raise
    finally:
        Study.objects.filter(pk=study_id).update(preparation_attempts=0)
        notify_renders_changed()


def _begin_attempt(study: Study) -> None:
    """Count this attempt before the work: one that kills its worker is not tried for ever."""
    if study.preparation_attempts >= MAX_ATTEMPTS:
        raise ValueError(
            f"the worker was lost {MAX_ATTEMPTS} times while preparing this study, perhaps for "
            "want of memory. Look into the worker's log, then prepare the study again."
        )
    Study.objects.filter(pk=study.pk).update(preparation_attempts=F("preparation_attempts") + 1)


@contextmanager
def busy_with(study_id: int) -> Iterator[None]:
    """Let one worker at a time prepare a study; the database lets go for a worker that dies."""
    _ask_lock("pg_advisory_lock", study_id)
    try:
        yield
    finally:
        _ask_lock("pg_advisory_unlock", study_id)


def is_busy(study_id: int) -> bool:
    """Another worker prepares this study now."""
    if not _ask_lock("pg_try_advisory_lock", study_id):
        return True
    _ask_lock("pg_advisory_unlock", study_id)
    return False


def _ask_lock(function: str, study_id: int) -> object:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s, %s)", [_LOCKS, study_id])
        return cursor.fetchone()[0]


@transaction.atomic
def _make_pairs(study: Study, budgets: Mapping[int, Budget]) -> None:
    """Make the pairs that are missing, all or none."""
    # Predicting took a while: lock the study, and read again what the experimenter may have
    # changed meanwhile. Every change queues a preparation of its own.
    study.refresh_from_db(from_queryset=Study.objects.select_for_update())
    rows = _prompt_rows(study)
    if study.state != StudyState.PREPARING or any(row.prompt_id not in budgets for row in rows):
        return
    if missing := missing_for_preparation(study):
        raise ValueError(" ".join(missing))
    num_steps = {row.prompt_id: budgets[row.prompt_id].num_steps for row in rows}
    wanted = [pair for contrast in study.contrasts.compared()
              for pair in _wanted_pairs(contrast, rows, model=study.model, budgets=num_steps)]
    if not wanted:
        raise ValueError(
            "both arms give every prompt the same number of steps, so there is nothing to compare. "
            "Choose other arms."
        )
    catch = catch_pairs.update_contrast(study, len(rows))
    if catch is not None:
        wanted += _wanted_pairs(catch, catch_pairs.choose_prompts(study, rows), model=study.model,
                                budgets=num_steps)
    has_reference = study.task == Task.SIMILARITY
    renders = request_renders(study.model, _recipes(wanted, study.model,
                                                    has_reference=has_reference),
                              priority=render_priority(study))
    reference_steps = study.model.reference_steps if has_reference else None
    _store(study, [_pair(pair, renders, reference_steps=reference_steps) for pair in wanted])
    if catch is None:
        study.contrasts.catch().delete()
    logger.info("study prepared", extra={"study": study.name, "pairs": len(wanted)})


def _prompt_rows(study: Study) -> list[StudyPrompt]:
    return list(study.study_prompts.select_related("prompt").order_by("position"))


def _wanted_pairs(contrast: Contrast, rows: Sequence[StudyPrompt], *, model: DiffusionModel,
                  budgets: Mapping[int, int]) -> Iterator[_Wanted]:
    """The pairs of one contrast.

    Where both arms give a prompt the same step count, the two images are one and nothing can be
    answered: there is no pair, and the desk counts the prompt as left out.
    """
    candidate = steps_by_prompt(contrast.candidate_arm, budgets,
                                reference_steps=model.reference_steps)
    baseline = steps_by_prompt(contrast.baseline_arm, budgets,
                               reference_steps=model.reference_steps)
    for row in rows:
        steps = candidate[row.prompt_id], baseline[row.prompt_id]
        if steps[0] != steps[1]:
            # The seed follows the prompt's place, so every contrast starts from the same noise.
            yield _Wanted(contrast, row.prompt, FIRST_SEED + row.position, *steps)


def _recipes(wanted: Sequence[_Wanted], model: DiffusionModel, *,
             has_reference: bool) -> Iterator[tuple[Prompt, int, int]]:
    # Seeds follow the list and images are drawn in the order of seeds, so the first pairs are
    # complete early and a session can open.
    for pair in wanted:
        yield pair.prompt, pair.seed, pair.candidate_steps
        yield pair.prompt, pair.seed, pair.baseline_steps
        if has_reference:
            yield pair.prompt, pair.seed, model.reference_steps


def _pair(wanted: _Wanted, renders: Mapping[tuple[int, int, int], Render], *,
          reference_steps: int | None) -> Pair:
    place = (wanted.prompt.pk, wanted.seed)
    return Pair(
        contrast=wanted.contrast, prompt=wanted.prompt, seed=wanted.seed,
        candidate=renders[(*place, wanted.candidate_steps)],
        baseline=renders[(*place, wanted.baseline_steps)],
        reference=None if reference_steps is None else renders[(*place, reference_steps)],
    )


def _store(study: Study, pairs: Sequence[Pair]) -> None:
    """Add the pairs that are missing, and replace those whose design was edited since."""
    existing = Pair.objects.filter(contrast__study=study)
    stored = {_identity(pair): pair.pk for pair in existing}
    current = {_identity(pair) for pair in pairs}
    discard_pairs(existing.filter(
        pk__in=[key for identity, key in stored.items() if identity not in current]))
    Pair.objects.bulk_create([pair for pair in pairs if _identity(pair) not in stored],
                             batch_size=1000)


def _identity(pair: Pair) -> tuple[int | None, ...]:
    return (pair.contrast_id, pair.prompt_id, pair.seed, pair.candidate_id, pair.baseline_id,
            pair.reference_id)


def _record_failure(study: Study, reason: str) -> None:
    logger.warning("study not prepared", extra={"study": study.name, "reason": reason})
    Study.objects.filter(pk=study.pk, state=StudyState.PREPARING).update(
        state=StudyState.DRAFT, preparation_error=reason
    )
