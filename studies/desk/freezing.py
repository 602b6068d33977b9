"""The content hash of a study: everything that could change an answer."""

import hashlib
import json
from typing import Any

from django.db.models import Model

from studies.models import Contrast, Pair, Question, QuestionTranslation, Study, StudyTranslation
from studies.models.designs import WRITTEN_TEXTS

# What a study is called, and what became of it. Every other field is of its design.
BOOKKEEPING = {"id", "public_id", "name", "version", "state", "preparation_error",
               "preparation_attempts", "content_hash", "created_at", "frozen_at"}
# Said in other words: images by what makes them, texts as they are read where they are blank.
_MODELS = {"model", "predictor"}
_TEXTS = {"question", *(f"{name}_text" for name in WRITTEN_TEXTS)}


def content_hash(study: Study) -> str:
    """The sha256 of the design's canonical JSON.

    It covers each pair's recipe (model, prompt, seed, step counts, scheduler, guidance, size), not
    the bytes of its files: a session may open while later pairs still render. A recipe is complete
    once images are prepared, and each file's own sha256 is kept with its render.
    """
    canonical = json.dumps(design_of(study), sort_keys=True, ensure_ascii=False,
                           separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def design_of(study: Study) -> dict[str, Any]:
    """All that could change an answer, as plain values."""
    return {
        # By what they are not, so that a field that is added later is covered.
        **_values(study, but=BOOKKEEPING | _MODELS | _TEXTS),
        "texts": study.texts(),
        "translations": [
            _values(row, but={"id", "study", "created_at"})
            for row in StudyTranslation.objects.filter(study=study).order_by("language")
        ],
        "questions": [_question(row) for row in Question.objects.filter(study=study)],
        "model": [study.model.source, study.model.revision, study.model.reference_steps],
        "predictor": study.predictor.source,
        "prompts": [list(row) for row in study.study_prompts.order_by("position").values_list(
            "position", "prompt__text", "category")],
        "contrasts": [_contrast(contrast) for contrast in study.contrasts.order_by(
            "is_catch", "candidate_arm", "baseline_arm")],
    }


def _values(row: Model, *, but: set[str]) -> dict[str, Any]:
    return {field.name: field.value_from_object(row)
            for field in row._meta.concrete_fields if field.name not in but}


def _question(question: Question) -> dict[str, Any]:
    translations = QuestionTranslation.objects.filter(question=question).order_by("language")
    return {
        **_values(question, but={"id", "public_id", "study", "created_at"}),
        "translations": [_values(row, but={"id", "question", "created_at"})
                         for row in translations],
    }


def _contrast(contrast: Contrast) -> dict[str, Any]:
    pairs = Pair.objects.filter(contrast=contrast).order_by("prompt__text", "seed")
    recipe = ("scheduler", "guidance", "width", "height")
    return {
        "candidate_arm": contrast.candidate_arm,
        "baseline_arm": contrast.baseline_arm,
        "is_catch": contrast.is_catch,
        "pairs": [list(row) for row in pairs.values_list(
            "prompt__text", "seed", "candidate__num_steps", "baseline__num_steps",
            "reference__num_steps", *(f"candidate__{name}" for name in recipe))],
    }
