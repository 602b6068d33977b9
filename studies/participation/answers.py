"""One answer at a time, as the script of the trial page sends it."""

import json
from datetime import UTC, datetime
from typing import Any, Self

from django import forms

from studies.models import InputMethod, Side
from studies.participation.services import Answer

LONGEST_MS = 3_600_000
MOST_PIXELS = 100_000
# A browser's clock may be far off, but not outside what the database can hold and return.
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

# Stands for a list or an object. No field takes it.
NOT_PLAIN = "not a plain value"


class MalformedAnswer(ValueError):
    """The body of an answer cannot be read; the message says what is wrong."""


class AnswerForm(forms.Form):
    side = forms.ChoiceField(choices=Side.choices)
    response_ms = forms.IntegerField(min_value=1, max_value=LONGEST_MS)
    input_method = forms.ChoiceField(choices=InputMethod.choices)
    shown_at = forms.DateTimeField(required=False)
    image_load_ms = forms.IntegerField(min_value=0, max_value=LONGEST_MS, required=False)
    image_decode_ms = forms.IntegerField(min_value=0, max_value=LONGEST_MS, required=False)
    frame_ms = forms.FloatField(min_value=0.1, max_value=10_000, required=False)
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
