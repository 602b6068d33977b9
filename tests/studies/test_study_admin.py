"""The study's page: its form, and what it refuses."""

from typing import Any

import pytest
from django.contrib.admin.utils import flatten_fieldsets
from django.db.models import CheckConstraint
from django.test import Client

from generation.models import Predictor
from generation.scenes.captions import Scene, Thing
from studies.desk import services
from studies.desk.forms import EXAMPLE, StudyForm
from studies.desk.freezing import BOOKKEEPING
from studies.models import (
    Contrast,
    Pair,
    Question,
    QuestionTranslation,
    Study,
    StudySession,
    StudyState,
    StudyTranslation,
)
from tests import factories
from tests.studies.desk_pages import (
    ADD_SESSION,
    ADD_STUDY,
    design,
    make_ready_study,
    page,
    saved_design,
    session_form,
    upload,
)

pytestmark = pytest.mark.django_db


def test_the_new_study_form_comes_filled_in(desk: Client, predictor: Predictor) -> None:
    content = desk.get(ADD_STUDY).content.decode()
    assert f'<option value="{predictor.pk}" selected>' in content
    assert content.count("Leave it blank for the standard text.") == 4
    assert '<option value="budgeted" selected>' in content


def test_a_study_is_made_from_a_prompt_file(desk: Client, predictor: Predictor) -> None:
    data = design(predictor, prompt_file=upload("a red circle\na blue square\n\na red circle\n"))
    response = desk.post(ADD_STUDY, data, follow=True)
    study = Study.objects.get()
    assert response.redirect_chain[-1][0] == page(study)
    assert [str(row) for row in study.study_prompts.all()] == ["a red circle", "a blue square"]
    assert str(study.contrasts.get()) == "budgeted against reference"
    content = response.content.decode()
    assert "2 prompts were read from prompts.txt." in content
    assert "1 line repeats an earlier prompt, which is kept once: 4 (as 1)." in content
    assert "Still missing before a session can open" in content
    assert "Press “Prepare images”" in content


@pytest.mark.parametrize(("content", "name", "expected"), [
    (b"", "prompts.txt", ["The submitted file is empty."]),
    (b"\n \n", "prompts.txt", ["prompts.txt is empty"]),
    ("café".encode("latin-1"), "prompts.txt", ["not UTF-8: byte 4, on line 1"]),
    (b"a red circle\nbad\0\n" + b"red " * 20 + b"\n", "prompts.txt",
     ["prompts.txt, line 2: contains a NUL", "prompts.txt, line 3: 22 tokens long, the model reads "
      "at most 12"]),
    (b"text\na red circle\n", "prompts.csv", ["no column “prompt”"]),
    (b"bad\0\n" * 250, "prompts.txt", ["prompts.txt, line 200:", "… and 50 more rows."]),
])
def test_a_bad_prompt_file_is_refused_beside_its_field(
    desk: Client, predictor: Predictor, content: bytes, name: str, expected: list[str]
) -> None:
    response = desk.post(ADD_STUDY, design(predictor, prompt_file=upload(content, name)))
    errors = " ".join(response.context["adminform"].form.errors["prompt_file"])
    for sentence in expected:
        assert sentence in errors
    assert not Study.objects.exists()


def test_a_predictor_without_its_files_is_said_in_the_form(desk: Client) -> None:
    predictor = factories.make_predictor(source="/nowhere/at/all")
    response = desk.post(ADD_STUDY, design(predictor, prompt_file=upload("a red circle")))
    assert "/nowhere/at/all holds no tokenizer.json" in response.content.decode()
    assert not Study.objects.exists()


def test_a_predictor_for_another_model_is_refused(desk: Client, predictor: Predictor) -> None:
    other = factories.make_model(name="Another")
    response = desk.post(ADD_STUDY, design(predictor, model=other.pk))
    assert "Choose one made for “Another”" in response.content.decode()


@pytest.mark.parametrize(("values", "expected"), [
    ({"contrasts-0-baseline_arm_rule": "budgeted"}, "Both arms are the same"),
    ({"contrasts-0-candidate_arm_rule": "fixed"}, "A fixed arm needs its number of steps"),
    ({"contrasts-0-candidate_arm_rule": "fixed", "contrasts-0-candidate_arm_steps": "51"},
     "has 50 steps at most, not 51"),
    ({"contrasts-0-candidate_arm_rule": "fixed", "contrasts-0-candidate_arm_steps": "0"},
     "greater than or equal to 1"),
    ({"contrasts-0-candidate_arm_rule": "sideways"}, "is not one of the available choices"),
    ({"contrasts-TOTAL_FORMS": 2, "contrasts-1-candidate_arm_rule": "budgeted",
      "contrasts-1-baseline_arm_rule": "reference"}, "This comparison is there twice"),
])
def test_a_comparison_that_cannot_be_made_is_refused(
    desk: Client, predictor: Predictor, values: dict[str, Any], expected: str
) -> None:
    response = desk.post(ADD_STUDY, design(predictor, **values))
    assert response.status_code == 200
    assert expected in response.content.decode()
    assert not Study.objects.exists()


def test_no_main_trial_and_no_participant_are_refused_in_words(
    desk: Client, predictor: Predictor
) -> None:
    content = desk.post(ADD_STUDY, design(predictor, main_trials=0)).content.decode()
    assert "A participant needs at least 1 main trial. Raise “main trials”." in content
    assert not Study.objects.exists()
    content = desk.post(ADD_SESSION, session_form(make_ready_study(), quota=0)).content.decode()
    assert "At least 1 participant must be able to join. Raise “quota”." in content
    assert not StudySession.objects.exists()


def test_every_rule_that_a_form_can_break_is_worded_for_people() -> None:
    for model in (Study, StudyTranslation, Question, QuestionTranslation, StudySession, Contrast):
        # A choice is refused by its field; the state is asked for by no form.
        fields = {field.name for field in model._meta.fields
                  if field.editable and not field.choices}
        for rule in model._meta.constraints:
            condition: Any = getattr(rule, "condition", None)
            if isinstance(rule, CheckConstraint) and condition.referenced_base_fields & fields:
                assert rule.violation_error_message != rule.default_violation_error_message, rule


def test_every_part_of_a_design_is_in_a_section_of_the_form(
    desk: Client, predictor: Predictor
) -> None:
    form = desk.get(ADD_STUDY).context["adminform"]
    shown = set(flatten_fieldsets(form.fieldsets))
    assert {field.name for field in Study._meta.concrete_fields} - BOOKKEEPING <= shown - {"name"}
    assert shown - {"prompt_summary"} == set(form.form.fields)


@pytest.mark.parametrize(("values", "name", "sentence"), [
    ({"surround_grey": 256}, "surround_grey", "A level of grey lies between 0 and 255."),
    ({"image_scale": 17}, "image_scale", "A scale lies between 0.1 and 16."),
    ({"blank_ms": 10_001}, "blank_ms", "A wait is at most 10000 milliseconds."),
    ({"min_viewing_ms": 10_001}, "min_viewing_ms", "A wait is at most 10000 milliseconds."),
    ({"viewing_limit_ms": 99}, "viewing_limit_ms", "The images need at least 100 milliseconds"),
    ({"min_viewing_ms": 900, "viewing_limit_ms": 900}, "min_viewing_ms",
     "and longer than the minimum viewing time."),
    ({"catch_percent": 51}, "catch_percent", "At most 50 percent of catch trials"),
    ({"repeat_percent": 51}, "repeat_percent", "At most 50 percent of catch trials"),
    ({"catch_steps": 0}, "catch_steps", "An image needs at least 1 step."),
    ({"catch_percent": 10, "catch_steps": 50}, "catch_steps",
     "has 50 steps, so this image would not be bad. Choose fewer."),
    ({"main_trials": 5001}, "main_trials", "At most 5000 main trials are possible."),
    ({"language": "fr"}, "language", "is not one of the available choices"),
    ({"min_window_px": ""}, "min_window_px", "This field is required."),
])
def test_what_a_trial_cannot_be_is_said_at_its_field(
    desk: Client, predictor: Predictor, values: dict[str, Any], name: str, sentence: str
) -> None:
    errors = desk.post(ADD_STUDY, design(predictor, **values)).context["adminform"].form.errors
    assert errors.keys() == {name}
    assert sentence in errors[name][0]
    assert not Study.objects.exists()


def test_every_switch_and_number_of_the_form_is_kept(desk: Client, predictor: Predictor) -> None:
    numbers = {"catch_percent": 20, "catch_steps": 2, "repeat_percent": 5, "trials_per_block": 30,
               "blank_ms": 750, "min_viewing_ms": 200, "viewing_limit_ms": 4000,
               "surround_grey": 90, "image_scale": 1.5, "min_window_px": 800}
    switches = ("has_landing", "has_consent", "has_screen_check", "are_phones_allowed",
                "has_instructions", "has_debrief")
    data = design(predictor, language="de", **numbers)
    assert desk.post(ADD_STUDY, {name: value for name, value in data.items()
                                 if name not in switches}).status_code == 302
    study = Study.objects.get()
    assert {name: getattr(study, name) for name in numbers} == numbers
    assert not any(getattr(study, name) for name in switches)
    assert study.language == "de"


def test_the_contrast_of_the_catch_trials_is_nobody_s_to_edit(
    desk: Client, predictor: Predictor
) -> None:
    study = make_ready_study(predictor)
    data = saved_design(study)
    catch = factories.make_contrast(study=study, candidate_arm="fixed(1)", is_catch=True)
    formset = next(iter(desk.get(page(study)).context["inline_admin_formsets"])).formset
    assert [form.instance for form in formset.initial_forms] == [Contrast.objects.compared().get()]
    assert desk.post(page(study), data).status_code == 302
    assert Contrast.objects.compared().count() == 1
    assert Contrast.objects.catch().get() == catch


def test_a_fixed_arm_is_stored_and_shown_again(desk: Client, predictor: Predictor) -> None:
    desk.post(ADD_STUDY, design(predictor, **{"contrasts-0-candidate_arm_rule": "fixed",
                                              "contrasts-0-candidate_arm_steps": "12"}))
    study = Study.objects.get()
    assert study.contrasts.get().candidate_arm == "fixed(12)"
    content = desk.get(page(study)).content.decode()
    assert '<option value="fixed" selected>' in content
    assert 'value="12"' in content


QUESTIONS = {"preference": "Which image do you prefer?",
             "similarity": "Which image is closer to the one above?"}


@pytest.mark.parametrize("asked", [*QUESTIONS.values(), "Which one is sharper?"])
@pytest.mark.parametrize("task", QUESTIONS)
def test_a_task_brings_its_question_in_place_of_another_task_s(
    desk: Client, predictor: Predictor, task: str, asked: str
) -> None:
    desk.post(ADD_STUDY, design(predictor, task=task, question=asked))
    assert Study.objects.get().question == (
        QUESTIONS[task] if asked in QUESTIONS.values() else asked)


@pytest.mark.parametrize(("asked", "expected"), [
    ("Which image do you prefer?", "Welches Bild gefällt Ihnen besser?"),
    ("Welches ist schärfer?", "Welches ist schärfer?"),
])
def test_a_language_brings_its_standard_question_and_leaves_another_one(
    desk: Client, predictor: Predictor, asked: str, expected: str
) -> None:
    desk.post(ADD_STUDY, design(predictor, language="de", question=asked))
    assert Study.objects.get().question == expected


def test_a_study_made_from_the_form_as_it_comes_has_no_texts_of_another_task(
    desk: Client, predictor: Predictor
) -> None:
    initial = desk.get(ADD_STUDY).context["adminform"].form.initial
    texts = {name: value for name, value in initial.items() if name.endswith("_text") and value}
    assert texts == {}


def test_a_new_text_keeps_the_pairs_and_a_new_comparison_discards_them(
    desk: Client, predictor: Predictor
) -> None:
    study = make_ready_study(predictor)
    desk.post(page(study), saved_design(study, welcome_text="Hello"))
    assert Pair.objects.count() == 2
    response = desk.post(page(study), saved_design(
        study, **{"contrasts-0-candidate_arm_rule": "uniform"}), follow=True)
    assert "images must be prepared again" in response.content.decode()
    assert not Pair.objects.exists()
    study.refresh_from_db()
    assert study.state == StudyState.DRAFT


def test_a_launched_study_can_be_read_but_not_changed(desk: Client) -> None:
    study = make_ready_study()
    desk.post(ADD_SESSION, session_form(study, is_opened_now="on"))
    study.refresh_from_db()
    content = desk.get(page(study)).content.decode()
    assert "can no longer change" in content
    assert study.content_hash in content
    for name in (*StudyForm.Meta.fields, "prompt_file"):
        assert f'name="{name}"' not in content
    assert 'name="contrasts-0-candidate_arm_rule"' not in content
    assert "budgeted" in content
    assert desk.post(page(study), saved_design(study, question="Other?")).status_code == 403
    study.refresh_from_db()
    assert study.question == "Which image do you prefer?"
    assert desk.post(f"/admin/studies/study/{study.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_launched_study_is_shown_in_the_words_of_a_draft_without_advice_to_fill_it_in(
    desk: Client,
) -> None:
    study = make_ready_study()
    draft = desk.get(page(study)).content.decode()
    services.open_session(StudySession.objects.create(study=study, name="Wave"))
    launched = desk.get(page(study)).content.decode()
    assert "Leave it blank" in draft
    assert "Leave it blank" not in launched
    for content in (draft, launched):
        assert "ompared with" in content
        assert "aseline arm" not in content


def test_the_prompt_file_field_shows_what_the_embedded_model_reads(desk: Client) -> None:
    left = Thing("left", "large", "dotted", "red", "circle")
    right = Thing("right", "small", "plain", "white", "star")
    assert Scene("blue", "striped", (left, right)).caption() == EXAMPLE
    assert EXAMPLE in desk.get(ADD_STUDY).content.decode()


def test_a_prepared_draft_can_be_deleted_whole(desk: Client) -> None:
    study = make_ready_study()
    desk.post(f"/admin/studies/study/{study.pk}/delete/", {"post": "yes"})
    assert not Study.objects.exists()
    assert not Pair.objects.exists()
