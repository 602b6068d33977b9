"""Celery tasks of studies. Thin: they hand on to the rooms."""

from celery import shared_task

from generation.rendering.notices import notify_renders_changed
from studies.desk import preparation
from studies.participation import stimuli


@shared_task
def prepare_study(study_id: int) -> None:
    preparation.prepare_study(study_id)


@shared_task
def resume_preparations() -> None:
    """Queue again what a lost message or a killed worker has left waiting."""
    for study_id in preparation.stalled():
        # Without a worker, messages must not pile up: the next call queues another.
        prepare_study.apply_async((study_id,), expires=preparation.RESUME_SECONDS)


@shared_task
def compose_stimuli() -> None:
    """Compose what can be composed, and tell who watches."""
    if stimuli.compose_pending():
        notify_renders_changed()
