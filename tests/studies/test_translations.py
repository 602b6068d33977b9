"""What participants read in each language: all of it, and as its catalogs have it."""

import io
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from babel.messages import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.test import Client
from django.utils import translation
from django.utils.translation.template import templatize
from playwright.sync_api import Browser, Page

from studies.method.standard_texts import STANDARD_TEXTS
from studies.models import Language, Participant, QuestionMoment
from studies.participation import services
from tests import factories
from tests.studies.walking import DESKTOP, address_of, go_on

ROOT = Path(__file__).resolve().parent.parent.parent
MET_BY_PARTICIPANTS = re.compile(
    r"(templates|studies)/participation/|templates/(4\d\d\w*|500)\.html"
)
KEYWORDS: dict[str, Any] = {"_": None, "gettext": None, "gettext_lazy": None, "ngettext": (1, 2),
                            "ngettext_lazy": (1, 2)}
# What a translation must hold as its original does: values, and the tags around words.
FIXED = re.compile(r"%\(\w+\)[a-z]|%%|<[^>]+>")
QUOTES = {"en": "“”", "de": "„“", "es": "«»", "zh-hans": "“”"}
OTHERS = [code for code in Language.values if code != "en"]

# The landing's, the consent's, the instructions' and the trials'.
WORDS = {
    "en": ("Welcome", "Your agreement", "How it works", "Left image"),
    "de": ("Willkommen", "Ihre Einwilligung", "So funktioniert es", "Linkes Bild"),
    "es": ("Le damos la bienvenida", "Su consentimiento", "Cómo funciona", "Imagen izquierda"),
    "zh-hans": ("欢迎", "知情同意", "操作说明", "左侧图片"),
}


def marked_strings() -> dict[str | tuple[str, ...], set[str]]:
    """What the sources mark for translation, and the files that each string stands in."""
    found: dict[str | tuple[str, ...], set[str]] = {}
    templates = (ROOT / "templates").rglob("*.html")
    modules = (path for package in ("budgetstudy", "generation", "studies")
               for path in (ROOT / package).rglob("*.py"))
    for path in (*templates, *modules):
        source = path.read_text()
        if path.suffix == ".html":
            # Without indents, which only mean something in Python.
            source = "\n".join(line.strip() for line in templatize(source).splitlines())
        for _line, message, _comments, _context in extract(
            "python", io.BytesIO(source.encode()), keywords=KEYWORDS
        ):
            found.setdefault(message, set()).add(str(path.relative_to(ROOT)))
    return found


def catalog_path(language: str) -> Path:
    name = translation.to_locale(language)
    return Path(settings.LOCALE_PATHS[0]) / name / "LC_MESSAGES" / "django.po"


def catalog(language: str) -> Catalog:
    with catalog_path(language).open("rb") as file:
        return read_po(file, locale=translation.to_locale(language), abort_invalid=True)


def messages(language: str) -> list[Message]:
    return [message for message in catalog(language) if message.id]


def forms(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


def written(messages: Catalog) -> dict[tuple[str, ...], tuple[str, ...]]:
    """All but the header, which has dates."""
    return {forms(message.id): forms(message.string) for message in messages if message.id}


def test_site_speaks_the_languages_that_a_study_can_have() -> None:
    assert Language.choices == settings.LANGUAGES


def test_only_what_participants_meet_is_marked() -> None:
    sources = set().union(*marked_strings().values())
    assert sources
    assert not {source for source in sources if not MET_BY_PARTICIPANTS.match(source)}


@pytest.mark.parametrize("language", OTHERS)
class TestCatalog:
    def test_holds_what_is_marked_and_nothing_else(self, language: str) -> None:
        assert {message.id for message in messages(language)} == set(marked_strings())
        assert not catalog(language).obsolete

    def test_every_string_is_translated_in_all_its_forms(self, language: str) -> None:
        num_plurals = catalog(language).num_plurals
        for message in messages(language):
            assert not message.fuzzy, message.id
            assert all(forms(message.string)), message.id
            expected = 1 if isinstance(message.id, str) else num_plurals
            assert len(forms(message.string)) == expected, message.id

    def test_values_and_tags_are_those_of_the_original(self, language: str) -> None:
        for message in messages(language):
            originals = [Counter(FIXED.findall(text)) for text in forms(message.id)]
            for text in forms(message.string):
                assert Counter(FIXED.findall(text)) in originals, text

    def test_compiled_catalog_is_the_written_one(self, language: str) -> None:
        """Mended by: pybabel compile -d studies/locale -D django"""
        fresh = io.BytesIO()
        write_mo(fresh, catalog(language))
        fresh.seek(0)
        with catalog_path(language).with_suffix(".mo").open("rb") as file:
            assert written(read_mo(file)) == written(read_mo(fresh))

    def test_punctuation_is_the_languages_own(self, language: str) -> None:
        foreign = set("\"'„“”«»") - set(QUOTES[language])
        if language == "zh-hans":
            foreign |= set(",;:?!()")
        for message in messages(language):
            for text in forms(message.string):
                assert not foreign & set(FIXED.sub("", text)), text

    def test_quoted_labels_are_those_on_the_page(self, language: str) -> None:
        opening, closing = tuple(QUOTES[language])
        translated = {message.id: message.string for message in messages(language)}
        quoting = {text: re.findall("“(.+?)”", text) for text in translated
                   if isinstance(text, str)}
        assert sum(map(len, quoting.values())) >= 2
        for text, labels in quoting.items():
            for label in labels:
                assert f"{opening}{translated[label]}{closing}" in translated[text]
        assert f"{opening}{translated['Withdraw']}{closing}" in STANDARD_TEXTS[language].consent


@pytest.mark.parametrize("language", Language.values)
def test_each_page_of_the_way_speaks_one_language(
    client: Client, db: None, language: str
) -> None:
    session = factories.make_open_session(study=factories.make_study(practice_trials=1))
    page = client.get(f"/join/{session.public_id}/?language={language}")
    english = [text for text in marked_strings() if isinstance(text, str) and len(text) > 12
               and not FIXED.search(text)]
    for number, word in enumerate(WORDS[language]):
        if number:
            page = go_on(client, page, agreed="on", **DESKTOP)
        content = page.content.decode()
        assert f'<html lang="{language}" dir="ltr">' in content
        assert word in content
        assert language == "en" or not [text for text in english if text in content]
    assert address_of(page).endswith("/trials")
    assert Participant.objects.get().language == language


@pytest.mark.parametrize(("language", "word"), [
    ("de", "Unter dieser Adresse gibt es nichts"), ("es", "No hay nada en esta dirección"),
    ("zh-CN", "此网址没有内容"), ("fr", "There is nothing at this address"),
])
def test_page_that_is_not_there_says_so_as_the_browser_prefers(
    client: Client, db: None, language: str, word: str
) -> None:
    for address in ("/nothing", "/join/123e4567-e89b-12d3-a456-426614174000/"):
        reply = client.get(address, headers={"Accept-Language": language})
        assert reply.status_code == 404
        assert word in reply.content.decode()
        assert reply["Vary"] == "Accept-Language"


def test_form_without_its_token_is_refused_as_the_browser_prefers(db: None) -> None:
    session = factories.make_open_session()
    reply = Client(enforce_csrf_checks=True).post(
        f"/join/{session.public_id}/consent", headers={"Accept-Language": "es"})
    assert reply.status_code == 403
    assert "Inténtelo otra vez" in reply.content.decode()


def test_what_goes_wrong_on_a_page_is_said_in_its_language(client: Client, db: None) -> None:
    session = factories.make_open_session()
    too_many = {f"field-{number}": "" for number in range(2000)}
    reply = client.post(f"/join/{session.public_id}/consent?language=de", too_many,
                        headers={"Accept-Language": "es"})
    assert reply.status_code == 400
    assert "Diese Anfrage konnte nicht gelesen werden" in reply.content.decode()
    participant = services.start(session, language="de")
    services.note_instructed(participant)
    trial_id = services.start(session).trials.first().public_id  # type: ignore[union-attr]
    reply = client.get(f"/take/{participant.token}/trials/{trial_id}/stimulus",
                       headers={"Accept-Language": "es"})
    assert reply.json() == {"error": "Diesen Vergleich gibt es hier nicht."}


@pytest.mark.parametrize("address", ["/", "/admin/", "/admin/studies/study/add/", "/results/"])
def test_desk_and_results_stay_english(db: None, desk: Client, address: str) -> None:
    session = factories.make_open_session()
    visitor = Client()
    visitor.get(f"/join/{session.public_id}/?language=de")
    page = desk.get(address, headers={"Accept-Language": "de"}, follow=True).content.decode()
    assert '<html lang="en' in page
    assert "Abmelden" not in page


@pytest.mark.browser
@pytest.mark.parametrize("language", OTHERS)
def test_longer_words_fit_a_phone(browser: Browser, site: str, language: str) -> None:
    study = factories.make_study(has_screen_check=True, min_window_px=360, task="similarity")
    study.translations.create(language=language)
    factories.make_question(study=study, kind="scale", choices="", minimum=1, maximum=7)
    session = factories.make_open_session(study=study, return_url="https://pay.example/{code}")
    participant = services.start(session, language=language)
    context = browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True,
                                  has_touch=True, locale=language)
    page = context.new_page()
    context.set_extra_http_headers({"Accept-Language": language})
    join, take = f"{site}/join/{session.public_id}", f"{site}/take/{participant.token}"
    for address in (f"{join}/", f"{join}/consent", f"{join}/declined", f"{take}/withdraw",
                    f"{take}/questions/before", f"{site}/nothing"):
        look(page, language, address)
    services.record_answers(participant, QuestionMoment.BEFORE, {})
    look(page, language, f"{take}/screen")
    services.pass_screen_check(participant, {})
    look(page, language, f"{take}/instructions")
    services.note_instructed(participant)
    look(page, language, f"{take}/trials")
    for trial in participant.trials.order_by("index"):
        services.record_response(participant, trial, services.Answer(
            chosen_side="left", response_ms=812, input_method="keyboard"))
    look(page, language, f"{take}/done")
    page.goto(f"{take}/withdraw")
    page.locator("form button").click()
    page.wait_for_url("**/withdrawn")
    look(page, language, page.url)
    context.close()


def look(page: Page, language: str, address: str) -> None:
    page.goto(address)
    assert page.url == address
    assert page.evaluate("document.documentElement.lang") == language
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
