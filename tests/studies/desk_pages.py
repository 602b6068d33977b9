"""The desk's forms as a browser sends them, and the addresses of its pages."""

from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from generation.models import Predictor
from studies.models import Study, StudyState
from tests import factories

ADD_STUDY = "/admin/studies/study/add/"
ADD_SESSION = "/admin/studies/studysession/add/"


def page(study: Study) -> str:
    return reverse("admin:studies_study_change", args=[study.pk])


def rows(prefix: str, *values: dict[str, Any], initial: int = 0) -> dict[str, Any]:
    """A table of the page, with its rows; the first `initial` of them are stored."""
    fields = {f"{prefix}-{number}-{name}": value
              for number, row in enumerate(values) for name, value in row.items()}
    return {f"{prefix}-TOTAL_FORMS": len(values), f"{prefix}-INITIAL_FORMS": initial,
            f"{prefix}-MIN_NUM_FORMS": 0, f"{prefix}-MAX_NUM_FORMS": 1000, **fields}


def design(predictor: Predictor, **values: Any) -> dict[str, Any]:
    """The study form as the browser sends it."""
    return {
        "name": "Colours", "task": "preference", "language": "en",
        "question": "Which image do you prefer?", "model": predictor.model_id,
        "predictor": predictor.pk, "main_trials": 2, "practice_trials": 1, "catch_percent": 0,
        "catch_steps": 1, "repeat_percent": 0, "trials_per_block": 0, "blank_ms": 500,
        "min_viewing_ms": 0, "viewing_limit_ms": "", "surround_grey": 117, "image_scale": "",
        "has_landing": "on", "has_consent": "on", "has_screen_check": "on", "min_window_px": 320,
        "are_phones_allowed": "on", "has_instructions": "on", "has_debrief": "on",
        **rows("contrasts", {
            "candidate_arm_rule": "budgeted", "candidate_arm_steps": "",
            "baseline_arm_rule": "reference", "baseline_arm_steps": "",
        }),
        **rows("questions"), **rows("translations"), **values,
    }


def question_row(**values: Any) -> dict[str, Any]:
    """A row of the questions, as the browser sends it."""
    return {"moment": "before", "kind": "choice", "text": "Which hand?", "choices": "left\nright",
            "minimum": "", "maximum": "", "name": "hand", "position": "", "is_required": "on",
            **values}


def session_form(study: Study | None = None, **values: Any) -> dict[str, Any]:
    """The session form as the browser sends it; without a study, that of one which exists."""
    return {**({"study": study.pk} if study else {}), "name": "Session 1", "quota": 5,
            "release_minutes": 120, "id_parameter": "", "return_url": "", **values}


def upload(content: str | bytes, name: str = "prompts.txt") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content if isinstance(content, bytes) else content.encode())


def make_ready_study(predictor: Predictor | None = None) -> Study:
    study = factories.make_study(name="Colours", main_trials=2, state=StudyState.PREPARING,
                                 predictor=predictor or factories.make_predictor())
    contrast = factories.make_contrast(study=study)
    for position in (1, 2):
        pair = factories.make_ready_pair(contrast=contrast)
        study.study_prompts.create(prompt=pair.prompt, position=position)
        factories.make_budget(prompt=pair.prompt, predictor=study.predictor, num_steps=8)
    return study


def saved_design(study: Study, **values: Any) -> dict[str, Any]:
    contrast = study.contrasts.get()
    return design(study.predictor, **{
        "contrasts-INITIAL_FORMS": 1, "contrasts-0-id": contrast.pk,
        "contrasts-0-study": study.pk} | values)
