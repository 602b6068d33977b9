"""Which language a participant reads."""

from django.http import HttpRequest
from django.utils.translation.trans_real import parse_accept_lang_header

from studies.method.standard_texts import STANDARD_TEXTS
from studies.models import Language, Study

PARAMETER = "language"


def offered(study: Study) -> list[Language]:
    """The languages that the study speaks, its own first.

    With texts of its own it speaks those that they are written in; the standard texts exist in all.
    """
    if study.has_own_texts():
        others = set(study.translations.values_list("language", flat=True))
    else:
        others = set(STANDARD_TEXTS)
    own = Language(study.language)
    return [own, *(each for each in Language if each in others and each != own)]


def choose(request: HttpRequest, languages: list[Language]) -> Language:
    """The language asked for by the address, else the first of the browser's that is offered."""
    asked = request.GET.get(PARAMETER)
    preferred = [asked] if asked in languages else [
        code for code, _ in parse_accept_lang_header(request.headers.get("Accept-Language", ""))
    ]
    for code in preferred:
        for language in languages:
            if _primary(code) == _primary(language):
                return language
    return languages[0]


def _primary(code: str | None) -> str:
    """`de` of `de-at`: each language is offered in one variant."""
    return (code or "").partition("-")[0]
