"""What a participant sends with a form: agreement, and what the screen is like."""

from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from studies.models import Language, Study
from studies.participation import texts
from studies.participation.answers import MOST_PIXELS


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
