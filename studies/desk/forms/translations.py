"""A study's texts in other languages."""

from django.forms import BaseInlineFormSet
from unfold.forms import PaginationInlineFormSet

from studies.desk.forms.rules import RuledForm
from studies.desk.widgets import markdown_widgets
from studies.models import Language, StudyTranslation


class StudyTranslationForm(RuledForm):
    class Meta:
        model = StudyTranslation
        fields = ("language", "question", "welcome_text", "consent_text", "instructions_text",
                  "debrief_text")
        labels = {"welcome_text": "Landing page", "consent_text": "Consent",
                  "instructions_text": "Instructions", "debrief_text": "Debrief"}
        widgets = markdown_widgets()


class StudyTranslationFormSet(PaginationInlineFormSet):
    def clean(self) -> None:
        super().clean()
        refuse_language(self, self.instance.language)

    def get_unique_error_message(self, unique_check: object) -> str:
        return "Two translations are into the same language. Remove one of them."


def refuse_language(formset: BaseInlineFormSet, language: str) -> None:
    """Say at each row that nothing is translated into the study's own language."""
    for form in formset.forms:
        values = getattr(form, "cleaned_data", {})
        if values.get("language") == language and not values.get("DELETE"):
            form.add_error("language", f"{Language(language).label} is the study's own language. "
                                       "Choose another one.")
