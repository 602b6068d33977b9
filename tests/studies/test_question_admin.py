"""The experimenter's own questions and all translations, as the desk makes them."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from generation.models import Predictor
from studies.desk import services
from studies.method.columns import LONG_TABLE
from studies.models import Question, QuestionTranslation, Study, StudySession, StudyTranslation
from studies.results.longtable import COLUMNS
from tests import factories
from tests.studies.desk_pages import (
    ADD_STUDY,
    design,
    make_ready_study,
    page,
    question_row,
    rows,
    saved_design,
)

pytestmark = pytest.mark.django_db


def question_page(question: Question) -> str:
    return reverse("admin:studies_question_change", args=[question.pk])


@pytest.fixture
def study(predictor: Predictor) -> Study:
    return make_ready_study(predictor)


@pytest.fixture
def question(study: Study) -> Question:
    return Question.objects.create(study=study, name="hand", text="Which hand?",
                                   choices="left\nright")


def stored(question: Question, **values: Any) -> dict[str, Any]:
    """A stored question's row on its study's page."""
    return question_row(id=question.pk, study=question.study_id, **values)


def errors_of(response: Any, prefix: str, number: int = 0) -> dict[str, list[str]]:
    formsets = response.context["inline_admin_formsets"]
    formset = next(each.formset for each in formsets if each.formset.prefix == prefix)
    return dict(formset.forms[number].errors)


def test_questions_and_translations_are_made_with_their_study(
    desk: Client, predictor: Predictor
) -> None:
    data = design(
        predictor,
        **rows("questions", question_row(),
               question_row(kind="number", name="age", text="How old?", minimum="18"),
               question_row(kind="scale", name="effort", moment="after", choices="easy\nhard",
                            minimum="1", maximum="7")),
        **rows("translations", {"language": "de", "question": "Welches?", "welcome_text": "Hallo",
                                "consent_text": "", "instructions_text": "", "debrief_text": ""}),
    )
    assert desk.post(ADD_STUDY, data).status_code == 302
    study = Study.objects.get()
    made = study.questions.order_by("pk").values_list("name", "kind", "minimum", "maximum",
                                                      "choices")
    # What a kind has no use for is not kept.
    assert [(*row[:4], row[4].split()) for row in made] == [
        ("hand", "choice", None, None, ["left", "right"]), ("age", "number", 18, None, []),
        ("effort", "scale", 1, 7, ["easy", "hard"])]
    assert study.translations.get().welcome_text == "Hallo"


@pytest.mark.parametrize(("values", "name", "sentence"), [
    ({"choices": "left"}, "choices", "Write at least 2 choices, one a line."),
    ({"choices": " \n\n"}, "choices", "Write at least 2 choices, one a line."),
    ({"choices": "left\n left \nright"}, "choices", "“left” is there twice."),
    ({"kind": "scale", "choices": "", "minimum": "1"}, "maximum", "A scale needs both its ends."),
    ({"kind": "scale", "choices": "", "minimum": "1.5", "maximum": "3"}, "minimum",
     "The ends of a scale are whole numbers."),
    ({"kind": "scale", "choices": "", "minimum": "0", "maximum": "11"}, "maximum",
     "A scale has at most 11 points. Ask for a number instead."),
    ({"kind": "scale", "choices": "", "minimum": "5", "maximum": "5"}, "minimum",
     "The minimum must be below the maximum."),
    ({"kind": "scale", "choices": "a\nb\nc", "minimum": "1", "maximum": "5"}, "choices",
     "Write two lines, the words at the lower and at the upper end, or none."),
    ({"kind": "number", "minimum": "9", "maximum": "1"}, "minimum",
     "The minimum must be below the maximum."),
    ({"name": "prompt"}, "name", "have a column “prompt” of their own"),
    ({"name": "Response-MS"}, "name", "have a column “Response-MS” of their own"),
    ({"name": "language"}, "name", "have a column “language” of their own"),
    ({"name": "how old"}, "name", "Only letters, digits, “_” and “-”"),
    ({"text": ""}, "text", "This field is required."),
])
def test_a_question_that_cannot_be_asked_is_refused_at_its_field(
    desk: Client, predictor: Predictor, values: dict[str, str], name: str, sentence: str
) -> None:
    response = desk.post(ADD_STUDY, design(predictor, **rows("questions", question_row(**values))))
    assert errors_of(response, "questions").keys() == {name}
    assert sentence in errors_of(response, "questions")[name][0]
    # The section is folded only while nothing in it needs mending.
    assert "<details open>" in response.content.decode()
    assert not Study.objects.exists()


@pytest.mark.parametrize("values", [
    {"kind": "scale", "choices": "", "minimum": "0", "maximum": "10"},
    {"kind": "number", "choices": "left over", "minimum": "", "maximum": ""},
    {"kind": "text", "choices": "", "minimum": "7", "maximum": "3"},
])
def test_a_question_needs_only_what_its_kind_asks_for(
    desk: Client, predictor: Predictor, values: dict[str, str]
) -> None:
    assert desk.post(ADD_STUDY, design(predictor, **rows("questions", question_row(**values)))
                     ).status_code == 302
    assert Question.objects.get().kind == values["kind"]


def test_two_questions_cannot_share_a_column(desk: Client, predictor: Predictor) -> None:
    data = design(predictor, **rows("questions", question_row(), question_row(text="Again?")))
    content = desk.post(ADD_STUDY, data).content.decode()
    assert "Two questions have the same column. Give one of them another." in content
    assert not Study.objects.exists()


def test_every_column_of_the_long_table_is_reserved() -> None:
    assert set(COLUMNS) <= set(LONG_TABLE)


def test_a_new_question_comes_last(desk: Client, study: Study, question: Question) -> None:
    Question.objects.filter(pk=question.pk).update(position=4)
    data = saved_design(study, **rows(
        "questions", stored(question, position=4), question_row(name="age"),
        question_row(name="eyes", position=2), initial=1))
    assert desk.post(page(study), data).status_code == 302
    assert list(study.questions.values_list("name", "position")) == [
        ("eyes", 2), ("hand", 4), ("age", 5)]


def test_questions_and_translations_do_not_cost_the_images(
    desk: Client, study: Study, question: Question
) -> None:
    data = saved_design(study, **rows("questions", stored(question, text="Which?"), initial=1),
                        **rows("translations", {"language": "es"}))
    content = desk.post(page(study), data, follow=True).content.decode()
    assert "prepared again" not in content
    assert study.contrasts.get().pairs.count() == 2
    question.refresh_from_db()
    assert question.text == "Which?"


@pytest.mark.parametrize(("languages", "sentence"), [
    (["en"], "English is the study&#x27;s own language. Choose another one."),
    (["de", "de"], "Two translations are into the same language. Remove one of them."),
])
def test_a_language_is_translated_into_once_and_never_into_the_study_s_own(
    desk: Client, predictor: Predictor, languages: list[str], sentence: str
) -> None:
    data = design(predictor, **rows("translations", *({"language": each} for each in languages)))
    assert sentence in desk.post(ADD_STUDY, data).content.decode()
    assert not Study.objects.exists()


# --- A question's own page ----------------------------------------------------------------------


def with_translation(question: Question, *translations: dict[str, Any],
                     **values: Any) -> dict[str, Any]:
    """The question's own form as the browser sends it."""
    return {**question_row(position=1, **values), **rows("translations", *translations)}


GERMAN = {"language": "de", "text": "Welche Hand?", "choices": "links\nrechts"}


def test_a_question_is_translated_on_its_own_page_which_leads_back(
    desk: Client, study: Study, question: Question
) -> None:
    assert question_page(question) in desk.get(page(study)).content.decode()
    response = desk.post(question_page(question), with_translation(question, GERMAN))
    assert response.headers["Location"] == page(study)
    assert question.translations.get().text == "Welche Hand?"
    assert "Deutsch" in desk.get(page(study)).content.decode().split('id="questions-group"')[1]


@pytest.mark.parametrize(("translation", "name", "sentence"), [
    ({**GERMAN, "choices": "links"}, "choices", "The question has 2 lines of choices, this has 1."),
    ({**GERMAN, "language": "en"}, "language", "English is the study's own language."),
    ({**GERMAN, "text": ""}, "text", "This field is required."),
])
def test_a_translation_corresponds_to_its_question(
    desk: Client, question: Question, translation: dict[str, str], name: str, sentence: str
) -> None:
    response = desk.post(question_page(question), with_translation(question, translation))
    assert sentence in errors_of(response, "translations")[name][0]
    assert not QuestionTranslation.objects.exists()


def test_choices_and_their_translation_are_changed_together(
    desk: Client, study: Study, question: Question
) -> None:
    row = question.translations.create(**GERMAN)
    three = "left\nright\nboth"
    response = desk.post(page(study), saved_design(
        study, **rows("questions", stored(question, choices=three, position=1), initial=1)))
    assert "The translation into Deutsch has another number of lines" in errors_of(
        response, "questions")["choices"][0]
    data = {**question_row(position=1, choices=three), **rows(
        "translations", {**GERMAN, "choices": "links\nrechts\nbeide", "id": row.pk,
                         "question": question.pk}, initial=1)}
    assert desk.post(question_page(question), data).status_code == 302
    question.refresh_from_db()
    assert question.choices.split() == ["left", "right", "both"]


def test_a_study_does_not_take_the_language_of_a_translation(
    desk: Client, study: Study, question: Question
) -> None:
    question.translations.create(**GERMAN)
    response = desk.post(page(study), saved_design(
        study, language="de", **rows("questions", stored(question, position=1), initial=1)))
    assert "A question is translated into Deutsch" in (
        response.context["adminform"].form.errors["language"][0])


# --- After the launch ---------------------------------------------------------------------------


def test_a_launched_study_s_questions_and_translations_are_read_only(
    desk: Client, study: Study, question: Question
) -> None:
    question.translations.create(**GERMAN)
    StudyTranslation.objects.create(study=study, language="de", welcome_text="Willkommen!")
    services.open_session(StudySession.objects.create(study=study, name="Wave"))
    content = desk.get(page(study)).content.decode()
    for text in ("Which hand?", "Willkommen!"):
        assert text in content
    for name in ("questions-0-text", "translations-0-welcome_text", "questions-__prefix__-text"):
        assert f'name="{name}"' not in content
    data = saved_design(study, **rows("questions", stored(question, text="Other?"), initial=1))
    assert desk.post(page(study), data).status_code == 403
    content = desk.get(question_page(question)).content.decode()
    assert "Welche Hand?" in content
    assert 'name="translations-0-text"' not in content
    assert desk.post(question_page(question), with_translation(question)).status_code == 403
    assert desk.post(reverse("admin:studies_question_delete", args=[question.pk]),
                     {"post": "yes"}).status_code == 403
    assert Question.objects.get().text == "Which hand?"


def test_a_draft_with_questions_and_translations_can_be_deleted_whole(
    desk: Client, study: Study, question: Question
) -> None:
    question.translations.create(**GERMAN)
    StudyTranslation.objects.create(study=study, language="de")
    other = factories.make_study()
    address = reverse("admin:studies_study_delete", args=[study.pk])
    assert desk.post(address, {"post": "yes"}).status_code == 302
    assert list(Study.objects.all()) == [other]
    assert not Question.objects.exists()
    assert not QuestionTranslation.objects.exists()
    assert not StudyTranslation.objects.exists()


def test_deleting_a_question_leads_back_to_its_study(desk: Client, question: Question) -> None:
    response = desk.post(reverse("admin:studies_question_delete", args=[question.pk]),
                         {"post": "yes"})
    assert response.headers["Location"] == page(question.study)
    assert not Question.objects.exists()
