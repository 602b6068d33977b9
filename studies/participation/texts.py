"""A study's texts as participants read them."""

import functools
import hashlib

from django.utils.safestring import SafeString, mark_safe

from studies.method.markup import safe_html
from studies.models import Participant, Study


def question(participant: Participant) -> str:
    """What each trial asks, in the participant's language."""
    return participant.session.study.texts(participant.language)["question"]


def consent_version(study: Study, language: str) -> str:
    """The sha256 of the text that is agreed to: its Markdown, in UTF-8."""
    return hashlib.sha256(study.texts(language)["consent"].encode()).hexdigest()


@functools.lru_cache(maxsize=256)
def render(text: str) -> SafeString:
    """Turn Markdown into HTML that a template shows as it is."""
    return mark_safe(safe_html(text))
