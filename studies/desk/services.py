"""What an experimenter may do, in transactions."""

from collections.abc import Iterable, Sequence

from django.db import transaction
from django.utils.timezone import now

from generation.models import Predictor, Priority, Prompt
from generation.rendering.services import prioritise, retry_cancelled, retry_quarantined
from studies import tasks
from studies.desk.discarding import discard_pairs
from studies.desk.freezing import content_hash
from studies.desk.imports import PromptRow
from studies.desk.preparation import render_priority
from studies.desk.progress import study_renders
from studies.desk.readiness import (
    StudyNotReady,
    missing_for_launch,
    missing_for_preparation,
)
from studies.models import (
    Contrast,
    Pair,
    SessionState,
    Study,
    StudyPrompt,
    StudySession,
    StudyState,
)

__all__ = ["StudyNotReady", "add_prompts", "close_session", "create_study", "delete_study",
           "discard_preparation", "open_session", "prepare", "retry_failed"]


@transaction.atomic
def create_study(
    name: str,
    prompts: Sequence[PromptRow],
    *,
    predictor: Predictor,
    contrasts: Iterable[tuple[str, str]] = (("budgeted", "reference"),),
    **design: str | int,
) -> Study:
    """Make a draft study with its prompts and contrasts (candidate arm, baseline arm)."""
    study = Study(name=name, model=predictor.model, predictor=predictor, **design)
    study.full_clean()
    study.save()
    for candidate_arm, baseline_arm in contrasts:
        contrast = Contrast(study=study, candidate_arm=candidate_arm, baseline_arm=baseline_arm)
        contrast.full_clean()
        contrast.save()
    add_prompts(study, prompts)
    return study


@transaction.atomic
def add_prompts(study: Study, prompts: Sequence[PromptRow]) -> None:
    """Give a draft study this list of prompts, in place of the one it had."""
    _lock_draft(study)
    discard_preparation(study)
    study.study_prompts.all().delete()
    Prompt.objects.bulk_create(
        [Prompt(text=row.text) for row in prompts], ignore_conflicts=True, batch_size=1000
    )
    # Read again: a row that another study already had came back without its key.
    known = dict(
        Prompt.objects.filter(text__in=[row.text for row in prompts]).values_list("text", "pk")
    )
    StudyPrompt.objects.bulk_create(
        [StudyPrompt(study=study, prompt_id=known[row.text], position=position,
                     category=row.category)
         for position, row in enumerate(prompts, start=1)],
        batch_size=1000,
    )


@transaction.atomic
def discard_preparation(study: Study) -> bool:
    """Take a draft's pairs away, as its prompts or arms change; return whether it had any."""
    _lock_draft(study)
    pairs = Pair.objects.filter(contrast__study=study)
    was_prepared = pairs.exists()
    discard_pairs(pairs)
    study.state, study.preparation_error = StudyState.DRAFT, ""
    study.save(update_fields=["state", "preparation_error"])
    return was_prepared


@transaction.atomic
def delete_study(study: Study) -> None:
    """Delete a draft and what was prepared for it."""
    discard_preparation(study)
    study.delete()


@transaction.atomic
def prepare(study: Study) -> None:
    """Ask a worker for budgets, pairs and renders. Asking again changes nothing that is there."""
    _lock_draft(study)
    if missing := missing_for_preparation(study):
        raise StudyNotReady(" ".join(missing))
    study.state, study.preparation_error = StudyState.PREPARING, ""
    study.save(update_fields=["state", "preparation_error"])
    tasks.prepare_study.delay_on_commit(study.pk)


@transaction.atomic
def retry_failed(study: Study) -> int:
    """Give failed and cancelled images, and failed pairs, another chance; return how many."""
    renders = study_renders(study)
    broken = Pair.objects.filter(contrast__study=study).exclude(composition_error="")
    retried = retry_quarantined(renders) + retry_cancelled(renders)
    prioritise(renders, render_priority(study))  # It may have been opened since they were given up.
    return retried + broken.update(composition_error="")


@transaction.atomic
def open_session(session: StudySession) -> None:
    """Let participants in; the first opening freezes the study. Opening an open one is harmless."""
    study = Study.objects.select_for_update().get(pk=session.study_id)
    session.refresh_from_db(from_queryset=StudySession.objects.select_for_update())
    if session.state == SessionState.OPEN:
        return
    if missing := missing_for_launch(study):
        raise StudyNotReady(" ".join(missing))
    if not study.is_frozen():
        _freeze(study)
    session.state, session.closed_at = SessionState.OPEN, None
    session.opened_at = session.opened_at or now()
    session.save(update_fields=["state", "opened_at", "closed_at"])
    prioritise(study_renders(study), Priority.RUNNING_STUDY)


@transaction.atomic
def close_session(session: StudySession) -> None:
    """Let nobody else in. Closing a closed one is harmless; one never opened is refused."""
    session.refresh_from_db(from_queryset=StudySession.objects.select_for_update())
    if session.state == SessionState.CLOSED:
        return
    if session.state == SessionState.DRAFT:
        raise StudyNotReady("This session was never opened, so there is nothing to close.")
    session.state, session.closed_at = SessionState.CLOSED, now()
    session.save(update_fields=["state", "closed_at"])


def _freeze(study: Study) -> None:
    study.state, study.frozen_at = StudyState.FROZEN, now()
    study.content_hash = content_hash(study)
    study.save(update_fields=["state", "frozen_at", "content_hash"])


def _lock_draft(study: Study) -> None:
    """Hold the study's row until the transaction ends, and refuse a launched one."""
    study.refresh_from_db(
        fields=["state", "frozen_at"], from_queryset=Study.objects.select_for_update()
    )
    if study.is_frozen():
        raise StudyNotReady(
            f"“{study.name}” was launched on {study.frozen_at:%d %B %Y}, so its design can no "
            "longer change. Create a new study instead."
        )
