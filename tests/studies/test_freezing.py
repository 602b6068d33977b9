"""What a study's content hash covers. A field that nobody thought of counts as design."""

import hashlib
from typing import Any

import pytest
from django.db import models

from generation.models import Render
from studies.desk.freezing import BOOKKEEPING, content_hash
from studies.models import (
    Contrast,
    Language,
    Pair,
    Question,
    QuestionTranslation,
    Study,
    StudyTranslation,
)
from tests import factories

pytestmark = pytest.mark.django_db


def other_value(row: models.Model, field: models.Field) -> Any:
    """A value that the field does not have yet, whatever its kind."""
    value = getattr(row, field.name)
    if field.name in ("model", "predictor"):
        make = {"model": factories.make_model, "predictor": factories.make_predictor}
        return make[field.name](source="somewhere/else")
    if field.choices:
        return next(choice for choice, _ in field.flatchoices if choice != value)
    if isinstance(field, models.BooleanField):
        return not value
    if isinstance(field, models.IntegerField | models.FloatField):
        return (value or 0) + (100 if field.name.endswith("_ms") else 1)
    if isinstance(field, models.CharField | models.TextField):
        return f"{value} and more"
    raise NotImplementedError(f"say what another value of {field.name} is")


def fields_of(model: type[models.Model], *, but: set[str]) -> list[models.Field]:
    return [field for field in model._meta.concrete_fields if field.name not in but]


@pytest.fixture
def study() -> Study:
    study = factories.make_study(num_prompts=2)
    factories.make_ready_pair(contrast=factories.make_contrast(study=study))
    return study


@pytest.fixture
def question(study: Study) -> Question:
    return Question.objects.create(study=study, name="hand", text="Which hand?",
                                   choices="left\nright", minimum=1, maximum=9)


def assert_covered(study: Study, row: models.Model, field: models.Field) -> None:
    original = content_hash(study)
    type(row)._default_manager.filter(pk=row.pk).update(**{field.name: other_value(row, field)})
    assert content_hash(Study.objects.get(pk=study.pk)) != original


@pytest.mark.parametrize("field", fields_of(Study, but=BOOKKEEPING), ids=lambda each: each.name)
def test_every_field_of_a_design_changes_its_hash(study: Study, field: models.Field) -> None:
    assert_covered(study, study, field)


def test_what_a_study_is_called_and_what_became_of_it_do_not(study: Study) -> None:
    original = content_hash(study)
    study.name, study.version, study.preparation_error = "Another", 7, "The worker was lost."
    study.save()
    assert content_hash(study) == original


@pytest.mark.parametrize(
    "field", fields_of(Question, but={"id", "public_id", "study", "created_at"}),
    ids=lambda each: each.name)
def test_every_part_of_a_question_changes_the_hash(
    study: Study, question: Question, field: models.Field
) -> None:
    assert_covered(study, question, field)


@pytest.mark.parametrize(
    "field", fields_of(QuestionTranslation, but={"id", "question", "created_at"}),
    ids=lambda each: each.name)
def test_every_part_of_a_question_s_translation_changes_the_hash(
    study: Study, question: Question, field: models.Field
) -> None:
    row = QuestionTranslation.objects.create(question=question, language=Language.GERMAN,
                                             text="Welche Hand?", choices="links\nrechts")
    assert_covered(study, row, field)


@pytest.mark.parametrize(
    "field", fields_of(StudyTranslation, but={"id", "study", "created_at"}),
    ids=lambda each: each.name)
def test_every_part_of_a_study_s_translation_changes_the_hash(
    study: Study, field: models.Field
) -> None:
    row = StudyTranslation.objects.create(study=study, language=Language.GERMAN)
    assert_covered(study, row, field)


def test_a_new_question_translation_prompt_or_pair_changes_the_hash(study: Study) -> None:
    hashes = {content_hash(study)}
    question = Question.objects.create(study=study, name="age", kind="number", text="How old?")
    hashes.add(content_hash(study))
    question.translations.create(language=Language.SPANISH, text="¿Edad?")
    hashes.add(content_hash(study))
    study.translations.create(language=Language.SPANISH)
    hashes.add(content_hash(study))
    study.study_prompts.create(prompt=factories.make_prompt(), position=9)
    hashes.add(content_hash(study))
    factories.make_ready_pair(contrast=study.contrasts.get())
    hashes.add(content_hash(study))
    assert len(hashes) == 6


def test_the_pairs_of_catch_trials_are_covered_and_told_from_those_compared(study: Study) -> None:
    catch = Contrast.objects.create(study=study, candidate_arm="fixed(1)", is_catch=True)
    factories.make_ready_pair(contrast=catch, num_steps=1)
    original = content_hash(study)
    Contrast.objects.filter(pk=catch.pk).update(is_catch=False)
    assert content_hash(study) != original


def test_rendering_does_not_change_the_hash_and_a_pair_s_recipe_does(study: Study) -> None:
    original = content_hash(study)
    pair = Pair.objects.get()
    Render.objects.filter(pk=pair.candidate_id).update(
        attempts=1, sha256=hashlib.sha256(b"").hexdigest())
    assert content_hash(study) == original
    Render.objects.filter(pk=pair.candidate_id).update(num_steps=9)
    assert content_hash(study) != original
