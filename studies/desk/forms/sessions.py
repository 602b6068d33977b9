"""A recruitment wave."""

import re
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminURLInputWidget, UnfoldBooleanSwitchWidget

from studies.desk.forms.rules import RuledForm
from studies.desk.readiness import missing_for_launch
from studies.desk.widgets import number
from studies.models import StudySession

PLACEHOLDER = "{code}"


class SessionForm(RuledForm):
    """A recruitment wave; opened at once unless the experimenter says otherwise."""

    # Not the model's own: a link without its scheme is completed to https, as it should be.
    return_url = forms.URLField(
        required=False, max_length=500, assume_scheme="https", label="Return link",
        widget=UnfoldAdminURLInputWidget,
        help_text="The recruiter's page to which participants return at the end, https or http. "
        "“{code}” in it stands for the participant's completion code, as in "
        "https://recruiter.example/complete?cc={code}. Blank: participants take the code from the "
        "page themselves.",
        error_messages={"invalid": "This is not a link. It begins with https:// or http://."},
    )
    is_opened_now = forms.BooleanField(
        required=False, initial=True, label="Open it now", widget=UnfoldBooleanSwitchWidget,
        help_text="The link works from then on, and the study's design can no longer change.",
    )

    class Meta:
        model = StudySession
        fields = ("study", "name", "quota", "release_minutes", "id_parameter", "return_url")
        labels = {
            "release_minutes": "Release after (minutes)",
            "id_parameter": "Recruiter's parameter",
            "return_url": "Return link",
        }
        help_texts = {
            "quota": "Participants at most: those who finished, and those under way.",
            "release_minutes": "A participant who is silent for so long gives the place back. "
            "Who returns later goes on if there is a place.",
            "id_parameter": "The link's parameter in which the recruiter names each participant, "
            "as PROLIFIC_PID. One name takes part once, from whichever device. Blank for an open "
            "link. It stays as it is once somebody has joined.",
        }
        widgets = {"quota": number(min=1), "release_minutes": number(min=1)}

    def clean_return_url(self) -> str:
        address: str = self.cleaned_data["return_url"]
        if address and not address.startswith(("https://", "http://")):
            raise forms.ValidationError("The link must begin with https:// or http://.")
        for other in re.findall(r"\{[^{}]*\}?|\}", address.replace(PLACEHOLDER, "")):
            raise forms.ValidationError(
                f"“{other}” stands for nothing here. Only “{PLACEHOLDER}” is replaced."
            )
        return address

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        study = values.get("study")
        if study and values.get("is_opened_now"):
            for reason in missing_for_launch(study):
                self.add_error("is_opened_now", reason)
        return values
