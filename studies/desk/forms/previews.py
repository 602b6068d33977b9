"""Looking at a text before it is saved."""

from typing import Any

from django import forms

from studies.models import Study
from studies.models.designs import WRITTEN_TEXTS


class PreviewForm(forms.ModelForm):
    """One text, with those parts of a design that the standard texts speak of."""

    part = forms.ChoiceField(choices=[(part, part) for part in WRITTEN_TEXTS])
    text = forms.CharField(required=False, strip=False)

    class Meta:
        model = Study
        fields = ("task", "language", "practice_trials", "main_trials", "catch_percent",
                  "repeat_percent")

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if "part" in values:
            setattr(self.instance, f"{values['part']}_text", values.get("text", ""))
        return values

    def read_text(self) -> str:
        """What participants would read: the text, or the standard one where it is blank."""
        return self.instance.texts()[self.cleaned_data["part"]]

    def problem(self) -> str:
        """What must be mended first, in one sentence."""
        name, messages = next(iter(self.errors.items()))
        label = self[name].label if name in self.fields else ""
        return f"{label}: {messages[0]}" if label else str(messages[0])
