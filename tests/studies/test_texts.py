import pytest

from studies.method.standard_texts import STANDARD_TEXTS
from studies.method.texts import effective_texts, is_standard_question
from studies.models import Language, StudyTranslation
from studies.participation import texts
from tests import factories


def test_markdown_becomes_harmless_html_below_the_pages_heading() -> None:
    html = texts.render("# Hello\n\n<script>alert(1)</script>*you* [a](javascript:x) "
                        "<b onclick=x style=color:red>b</b> <img src=x>")
    assert "<h2>Hello</h2>" in html
    assert "<em>you</em>" in html
    for active in ("script", "onclick", "style", "<img", "javascript"):
        assert active not in html


def test_study_without_texts_has_sensible_ones(db: None) -> None:
    study = factories.make_study(practice_trials=2, main_trials=30, consent_text="  \n")
    written = study.texts()
    assert "32 comparisons" in written["welcome"]
    assert "5 minutes" in written["welcome"]
    assert "voluntary" in written["consent"]
    assert "side by side" in written["instructions"]
    assert "Thank you" in written["debrief"]
    study.task = "similarity"
    assert "above" in study.texts()["instructions"]
    assert "closer" in study.texts()["question"]


def test_catch_trials_and_repeats_are_counted_in_the_welcome(db: None) -> None:
    study = factories.make_study(practice_trials=2, main_trials=30, catch_percent=10,
                                 repeat_percent=20)
    assert "41 comparisons" in study.texts()["welcome"]


def test_study_texts_come_first(db: None) -> None:
    study = factories.make_study(welcome_text="Come **in** {study}", question="Which is nicer?")
    assert study.texts()["welcome"] == "Come **in** {study}"
    assert study.texts()["question"] == "Which is nicer?"


def test_translation_has_the_standard_text_for_each_blank(db: None) -> None:
    study = factories.make_study(welcome_text="Come in", question="Which is nicer?")
    StudyTranslation.objects.create(study=study, language="de", welcome_text="Nur herein")
    german = study.texts("de")
    assert german["welcome"] == "Nur herein"
    assert german["question"] == "Welches Bild gefällt Ihnen besser?"
    assert "freiwillig" in german["consent"]


@pytest.mark.parametrize("language", Language.values)
@pytest.mark.parametrize("task", ["preference", "similarity"])
def test_every_language_has_every_standard_text(language: str, task: str) -> None:
    found = effective_texts({}, task=task, num_trials=10, language=language)
    assert set(found) == {"question", "welcome", "consent", "instructions", "debrief"}
    assert all(found.values())
    assert "10" in found["welcome"]
    assert is_standard_question(found["question"])
    assert set(STANDARD_TEXTS) == set(Language.values)
