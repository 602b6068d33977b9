"""The experimenter's own questions, as participants meet them."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from studies.models import (
    Participant,
    Question,
    QuestionAnswer,
    QuestionMoment,
    QuestionTranslation,
    StudyTranslation,
)
from studies.participation import services
from studies.participation.questions import LONGEST_TEXT, QuestionsForm, asked_of
from tests import factories
from tests.studies.walking import address_of, enter, go_on

NUMBER = {"kind": "number", "choices": "", "minimum": 18, "maximum": 99}
TEXT = {"kind": "text", "choices": ""}
SCALE = {"kind": "scale", "choices": "never\nalways", "minimum": 1, "maximum": 5}
LONG_SCALE = {"kind": "scale", "choices": "never\nalways", "minimum": 0, "maximum": 100}


def ask(client: Client, **values: Any) -> tuple[Any, str]:
    """The page that asks one question, and the name of its field."""
    study = factories.make_study()
    question = factories.make_question(study=study, **values)
    page = enter(client, factories.make_open_session(study=study), **{"Accept-Language": "en"})
    assert address_of(page).endswith("/questions/before")
    return page, f"question-{question.pk}"


@pytest.mark.parametrize(("values", "sent", "stored"), [
    ({}, "1", "right"), (NUMBER, "23", "23"), (NUMBER, " 23.50 ", "23.5"),
    (NUMBER, "23,5", "23.5"),
    (TEXT, " so so\r\n", "so so"),
    (SCALE, "4", "4"), (LONG_SCALE, "66.6", "66.6"),
    ({**SCALE, "minimum": 0.5, "maximum": 2.5}, "1.5", "1.5"),
    ({"is_required": False}, "", ""), ({**NUMBER, "is_required": False}, "", ""),
])
def test_answer_is_stored(client: Client, db: None, values: dict, sent: str, stored: str) -> None:
    page, name = ask(client, **values)
    page = go_on(client, page, **{name: sent})
    assert address_of(page).endswith("/instructions")
    assert QuestionAnswer.objects.get().value == stored


@pytest.mark.parametrize(("values", "sent", "complaint"), [
    ({}, "", "choose one of the answers"), ({}, "2", "choose one of the answers"),
    ({}, "left", "choose one of the answers"), ({}, "\x00", "choose one of the answers"),
    (NUMBER, "", "write a number"), (NUMBER, "many", "in digits only"),
    (NUMBER, "1,234,5", "in digits only"), ({**NUMBER, "is_required": False}, "x", "digits only"),
    (NUMBER, "nan", "in digits only"), (NUMBER, "1e999", "in digits only"),
    (NUMBER, "17", "not below 18"), (NUMBER, "100", "not above 99"),
    (TEXT, "  ", "write an answer"), (TEXT, "x" * (LONGEST_TEXT + 7), f"has {LONGEST_TEXT + 7}"),
    (TEXT, "\x00", "Null characters"), (SCALE, "6", "point on the scale"),
    (SCALE, "1.5", "point on the scale"), (LONG_SCALE, "101", "not above 100"),
])
def test_what_cannot_be_read_is_said_beside_the_question(
    client: Client, db: None, values: dict, sent: str, complaint: str
) -> None:
    page, name = ask(client, **values)
    page = go_on(client, page, **{name: sent})
    assert page.status_code == 400
    html = page.content.decode()
    error = html.index(complaint)
    assert html.rindex("Left or right?", 0, error) > html.rindex('class="question', 0, error)
    assert not QuestionAnswer.objects.exists()
    assert Participant.objects.get().questions_before_at is None


def test_what_was_answered_well_stays_beside_an_error(client: Client, db: None) -> None:
    page, name = ask(client, **NUMBER)
    second = factories.make_question(study=Question.objects.get().study, **TEXT)
    page = go_on(client, page, **{name: "many", f"question-{second.pk}": "I like <it>"})
    assert "I like &lt;it&gt;" in page.content.decode()


def test_page_that_is_sent_again_changes_nothing(client: Client, db: None) -> None:
    page, name = ask(client)
    for sent in ("0", "1", "0"):
        go_on(client, page, **{name: sent})
    assert QuestionAnswer.objects.get().value == "left"


@pytest.mark.django_db(transaction=True)
def test_two_pages_at_once_store_the_answers_of_one() -> None:
    study = factories.make_study()
    questions = [factories.make_question(study=study, **TEXT) for _ in range(5)]
    participant = services.start(factories.make_open_session(study=study))

    def send(value: str) -> None:
        services.record_answers(Participant.objects.get(pk=participant.pk), QuestionMoment.BEFORE,
                                {question.pk: value for question in questions})
        connection.close()

    with ThreadPoolExecutor(4) as crowd:
        list(crowd.map(send, ["one", "two", "three", "four"]))
    assert len(set(QuestionAnswer.objects.values_list("value", flat=True))) == 1
    assert QuestionAnswer.objects.count() == 5


def test_choice_is_stored_in_the_words_of_the_studys_own_language(
    client: Client, db: None
) -> None:
    study = factories.make_study()
    StudyTranslation.objects.create(study=study, language="de")
    one, other = (factories.make_question(study=study, position=position) for position in (1, 2))
    QuestionTranslation.objects.create(question=one, language="de", text="Links oder rechts?",
                                       choices="links\nrechts")
    QuestionTranslation.objects.create(question=other, language="de", text="Noch einmal?",
                                       choices="links\nrechts\nMitte")
    page = enter(client, factories.make_open_session(study=study), query="?language=de")
    html = page.content.decode()
    assert html.count("Links oder rechts?") == html.count("Noch einmal?") == 1
    # Choices that do not correspond are asked in the question's own words.
    assert html.count("rechts</") == html.count("right</") == 1
    go_on(client, page, **{f"question-{one.pk}": "1", f"question-{other.pk}": "0"})
    assert list(QuestionAnswer.objects.order_by("question").values_list("value", flat=True)) == [
        "right", "left"]


def test_questions_come_in_their_order_and_at_their_moment(client: Client, db: None) -> None:
    study = factories.make_study()
    for text, position, moment in (("third", 9, "before"), ("first", 1, "before"),
                                   ("later", 1, "after"), ("second", 2, "before")):
        factories.make_question(study=study, text=text, position=position, moment=moment)
    html = enter(client, factories.make_open_session(study=study)).content.decode()
    places = [html.index(f"{text}</legend>") for text in ("first", "second", "third")]
    assert places == sorted(places)
    assert "later" not in html


def test_scale_shows_its_points_with_words_at_the_ends(client: Client, db: None) -> None:
    html = ask(client, **SCALE)[0].content.decode()
    assert html.count('type="radio"') == 5
    assert "never" in html
    assert "always" in html


def test_scale_with_many_points_is_asked_as_a_number(client: Client, db: None) -> None:
    html = ask(client, **LONG_SCALE)[0].content.decode()
    assert 'type="radio"' not in html
    assert "From 0 (never) to 100 (always)" in html


@given(st.lists(st.text(), min_size=4, max_size=4))
def test_no_text_breaks_a_form(texts: list[str]) -> None:
    """Any text is either stored as something that reads back, or refused."""
    kinds: list[dict[str, Any]] = [{"choices": "left\nright"}, NUMBER, TEXT, SCALE]
    questions = [Question(pk=number, text="?", **values)
                 for number, values in enumerate(kinds, start=1)]
    for question in questions:
        question._prefetched_objects_cache = {"translations": []}  # type: ignore[attr-defined]
    form = QuestionsForm({f"question-{question.pk}": text
                          for question, text in zip(questions, texts, strict=True)},
                         questions=questions, language="en")
    if form.is_valid():
        assert set(form.answers()) == {1, 2, 3, 4}
    list(form.rows())


def test_questions_are_read_in_two_queries(
    client: Client, db: None, django_assert_num_queries: Any
) -> None:
    ask(client)
    participant = Participant.objects.select_related("session__study").get()
    for _ in range(10):
        factories.make_question(study=participant.session.study)
    with django_assert_num_queries(2):
        QuestionsForm(None, questions=asked_of(participant, QuestionMoment.BEFORE),
                      language="de").as_p()
