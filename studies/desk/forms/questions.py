"""The experimenter's own questions, and their translations."""

from collections import Counter
from typing import Any

from django import forms
from django.db.models import Max
from unfold.forms import PaginationInlineFormSet

from studies.desk.forms.rules import RuledForm
from studies.desk.forms.translations import refuse_language
from studies.desk.readiness import number_of
from studies.desk.widgets import number, text
from studies.method.choices import choice_lines
from studies.method.columns import is_taken
from studies.models import Question, QuestionKind, QuestionTranslation

FEWEST_CHOICES = 2
MOST_POINTS = 11
# What each kind asks for, beyond its text. The rest is emptied: it would mean nothing.
DETAILS = {
    QuestionKind.CHOICE: {"choices"}, QuestionKind.NUMBER: {"minimum", "maximum"},
    QuestionKind.TEXT: set(), QuestionKind.SCALE: {"choices", "minimum", "maximum"},
}
EMPTY = {"choices": "", "minimum": None, "maximum": None}


class QuestionForm(RuledForm):
    class Meta:
        model = Question
        fields = ("moment", "kind", "is_required", "text", "choices", "minimum", "maximum", "name",
                  "position")
        labels = {"text": "Question", "name": "Column", "position": "Place",
                  "is_required": "Must be answered"}
        help_texts = {
            "text": "", "is_required": "", "minimum": "", "maximum": "",
            "choices": "One a line. For a scale: the words at its lower and at its upper end, or "
            "nothing.",
            "name": "What the answers are called in the exported table: letters, digits, “_” and "
            "“-”, such as age.",
            "position": "Smaller numbers come first. Blank: last.",
        }
        widgets = {"choices": text(4), "minimum": number(step="any"), "maximum": number(step="any"),
                   "position": number(min=0)}
        error_messages = {
            "name": {"invalid": "Only letters, digits, “_” and “-” can be in a column's name."},
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("minimum", "maximum"):  # 18 rather than 18.0.
            if (end := self.initial.get(name)) is not None and end == int(end):
                self.initial[name] = int(end)
        if "position" in self.fields:
            self.fields["position"].required = False
            if not self.instance.pk:
                self.initial["position"] = None

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if is_taken(name):
            raise forms.ValidationError(
                f"The exported tables have a column “{name}” of their own. Choose another name."
            )
        return name

    def clean_position(self) -> int:
        position: int | None = self.cleaned_data["position"]
        if position is not None:
            return position
        last = Question.objects.filter(study=self.instance.study_id).aggregate(
            last=Max("position"))["last"]
        return int(last or 0) + 1

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if values.get("kind") in DETAILS:
            kind = QuestionKind(values["kind"])
            for name in EMPTY.keys() & values.keys() - DETAILS[kind]:
                values[name] = EMPTY[name]
            self._check_choices(kind, choice_lines(values.get("choices", "")))
            if kind == QuestionKind.SCALE:
                self._check_points(values.get("minimum"), values.get("maximum"))
        return values

    def _check_choices(self, kind: QuestionKind, lines: list[str]) -> None:
        if repeated := [line for line, times in Counter(lines).items() if times > 1]:
            self.add_error("choices", f"“{repeated[0]}” is there twice.")
        elif kind == QuestionKind.CHOICE and len(lines) < FEWEST_CHOICES:
            self.add_error("choices", f"Write at least {FEWEST_CHOICES} choices, one a line.")
        elif kind == QuestionKind.SCALE and len(lines) not in (0, 2):
            self.add_error("choices", "Write two lines, the words at the lower and at the upper "
                                      "end, or none.")

    def _check_points(self, minimum: float | None, maximum: float | None) -> None:
        for name, end in (("minimum", minimum), ("maximum", maximum)):
            if name in self.errors:
                continue
            if end is None:
                self.add_error(name, "A scale needs both its ends.")
            elif end % 1:
                self.add_error(name, "The ends of a scale are whole numbers.")
        if minimum is not None and maximum is not None and maximum - minimum >= MOST_POINTS:
            self.add_error("maximum", f"A scale has at most {MOST_POINTS} points. Ask for a number "
                                      "instead.")


class QuestionFormSet(PaginationInlineFormSet):
    """The questions on the study's page, where their translations cannot be edited beside them."""

    def clean(self) -> None:
        super().clean()
        for form in self.initial_forms:
            if "choices" in form.changed_data and not form.errors:
                self._check_translations(form)

    def get_unique_error_message(self, unique_check: object) -> str:
        return "Two questions have the same column. Give one of them another."

    def _check_translations(self, form: forms.ModelForm) -> None:
        wanted = len(choice_lines(form.cleaned_data["choices"]))
        for translation in form.instance.translations.all():
            if len(choice_lines(translation.choices)) != wanted:
                form.add_error("choices", "The translation into "
                                          f"{translation.get_language_display()} has another "
                                          "number of lines. Change both on the question's own "
                                          "page: follow “Translate”.")


class QuestionTranslationForm(RuledForm):
    class Meta:
        model = QuestionTranslation
        fields = ("language", "text", "choices")
        labels = {"text": "Question"}
        help_texts = {"choices": "One a line, in the order of the question's own."}
        widgets = {"choices": text(4)}


class QuestionTranslationFormSet(PaginationInlineFormSet):
    """A question's translations, edited beside the question itself."""

    def clean(self) -> None:
        super().clean()
        refuse_language(self, self.instance.study.language)
        wanted = len(choice_lines(self.instance.choices))
        for form in self.forms:
            values = getattr(form, "cleaned_data", {})
            lines = choice_lines(values.get("choices", ""))
            if values and not values.get("DELETE") and len(lines) != wanted:
                form.add_error("choices", f"The question has {number_of(wanted, 'line')} of "
                                          f"choices, this has {len(lines)}. Write one for each.")

    def get_unique_error_message(self, unique_check: object) -> str:
        return "Two translations are into the same language. Remove one of them."
