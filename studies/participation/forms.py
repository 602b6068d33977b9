"""What a participant sends: agreement, what the screen is like, and one answer at a time."""

import json
from datetime import UTC, datetime
from typing import Any, Self

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from studies.models import InputMethod, Language, Side, Study
from studies.participation import texts
from studies.participation.services import Answer

LONGEST_MS = 3_600_000
MOST_PIXELS = 100_000
# A browser's clock may be far off, but not outside what the database can hold and return.
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

# Stands for a list or an object. No field takes it.
NOT_PLAIN = "not a plain value"


class MalformedAnswer(ValueError):
    """The body of an answer cannot be read; the message says what is wrong."""


class VisitForm(forms.Form):
    """What the pages before a participant exists carry from one to the next."""

    # Drawn when the page is shown, so that a double click or a repeated send takes one place.
    attempt = forms.UUIDField()


class ConsentForm(VisitForm):
    """What starts a participant. Without a consent page there is nothing to tick."""

    version = forms.CharField(required=False, max_length=64)
    agreed = forms.BooleanField(
        error_messages={"required": _("Please tick the box if you agree. Otherwise choose “I do "
                                      "not want to take part”.")}
    )

    def __init__(self, data: QueryDict | None, *, study: Study, language: Language) -> None:
        super().__init__(data)
        self.current = texts.consent_version(study, language)
        if not study.has_consent:
            del self.fields["agreed"], self.fields["version"]

    def clean(self) -> dict[str, Any]:
        """Refuse an agreement to another text than the one that stands now."""
        values: dict[str, Any] = self.cleaned_data
        if values.get("agreed") and values.get("version") != self.current:
            self.add_error("agreed", _("This is not the text that you agreed to. Please read it, "
                                       "and tick the box again."))
        return values


class ScreenForm(forms.Form):
    """What the screen check measured, in CSS pixels."""

    window_width = forms.IntegerField(min_value=1, max_value=MOST_PIXELS)
    window_height = forms.IntegerField(min_value=1, max_value=MOST_PIXELS)
    screen_width = forms.IntegerField(min_value=1, max_value=MOST_PIXELS)
    screen_height = forms.IntegerField(min_value=1, max_value=MOST_PIXELS)
    device_pixel_ratio = forms.FloatField(min_value=0.05, max_value=50)
    # Estimated, and empty where a browser does not let anybody estimate it.
    zoom_percent = forms.IntegerField(min_value=10, max_value=1000, required=False)
    is_touch = forms.BooleanField(required=False)


class AnswerForm(forms.Form):
    side = forms.ChoiceField(choices=Side.choices)
    response_ms = forms.IntegerField(min_value=1, max_value=LONGEST_MS)
    input_method = forms.ChoiceField(choices=InputMethod.choices)
    shown_at = forms.DateTimeField(required=False)
    image_load_ms = forms.IntegerField(min_value=0, max_value=LONGEST_MS, required=False)
    viewport_width = forms.IntegerField(min_value=1, max_value=MOST_PIXELS, required=False)
    viewport_height = forms.IntegerField(min_value=1, max_value=MOST_PIXELS, required=False)
    device_pixel_ratio = forms.FloatField(min_value=0.05, max_value=50, required=False)
    displayed_px = forms.IntegerField(min_value=1, max_value=MOST_PIXELS, required=False)
    focus_lost = forms.IntegerField(min_value=0, max_value=MOST_PIXELS, required=False)

    @classmethod
    def from_body(cls, body: bytes) -> Self:
        """Read a JSON object of plain values.

        Raises
        ------
        MalformedAnswer
            If the body is anything else.
        """
        try:
            # A deep nest of brackets ends in a RecursionError, bad UTF-8 and bad JSON in a
            # ValueError.
            values = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise MalformedAnswer("The answer is not readable as JSON.") from error
        if not isinstance(values, dict):
            raise MalformedAnswer("The answer must be a JSON object.")
        return cls({name: _as_text(values.get(name)) for name in cls.base_fields})

    def clean_shown_at(self) -> datetime | None:
        shown_at: datetime | None = self.cleaned_data["shown_at"]
        if shown_at is not None and not EARLIEST <= shown_at <= LATEST:
            raise forms.ValidationError("the time lies outside the years 1970 to 2200")
        return shown_at

    def answer(self) -> Answer:
        """The valid answer.

        Raises
        ------
        MalformedAnswer
            If a field is wrong; the message names the first one.
        """
        if not self.is_valid():
            name, messages = next(iter(self.errors.items()))
            raise MalformedAnswer(f"The answer's {name} is wrong: {messages[0]}")
        values: dict[str, Any] = dict(self.cleaned_data)
        values["chosen_side"] = values.pop("side")
        values["focus_lost"] = values["focus_lost"] or 0
        return Answer(**values)


def _as_text(value: object) -> str:
    """A form reads texts, as a browser's own form would send them."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    # Written out, a list or an object could be nested too deep for json.dumps.
    return json.dumps(value) if isinstance(value, int | float) else NOT_PLAIN
