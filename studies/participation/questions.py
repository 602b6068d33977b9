"""The experimenter's own questions as a form: shown in one language, read back in the study's."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from studies.method.choices import choice_lines
from studies.models import Participant, Question, QuestionKind, QuestionMoment

LONGEST_TEXT = 2000
# A scale with more points is asked as a number: nobody tells so many buttons apart.
MOST_POINTS = 21


@dataclass(frozen=True)
class Row:
    """A question as its page shows it. A scale has words at its lower and upper end."""

    field: forms.BoundField
    has_buttons: bool
    is_scale: bool
    lower: str
    upper: str
    hint: str


class QuestionsForm(forms.Form):
    """All questions of one moment, named by their keys."""

    def __init__(self, data: Mapping[str, Any] | None, *, questions: list[Question],
                 language: str) -> None:
        super().__init__(data, label_suffix="")
        self.questions, self.language = questions, language
        for question in questions:
            self.fields[_name(question)] = _field(question, language)

    def rows(self) -> Iterator[Row]:
        for question in self.questions:
            field, is_scale = self[_name(question)], question.kind == QuestionKind.SCALE
            lines = _in_language(question, self.language)[1] if is_scale else []
            lower, upper = (*lines, "", "")[:2]
            has_buttons = isinstance(field.field.widget, forms.RadioSelect)
            hint = _range_of(question, lower, upper) if is_scale and not has_buttons else ""
            yield Row(field, has_buttons, is_scale, lower, upper, hint)

    def answers(self) -> dict[int, str]:
        """What is stored of valid answers, by the question's key; blank where none was given."""
        return {question.pk: _stored(question, self.cleaned_data[_name(question)])
                for question in self.questions}


def asked_of(participant: Participant, moment: QuestionMoment) -> list[Question]:
    questions = participant.session.study.questions.filter(moment=moment)
    return list(questions.order_by("position", "pk").prefetch_related("translations"))


def points_of(question: Question) -> list[str]:
    """The points of a scale, from its minimum in steps of one; none where they are too many."""
    lowest, highest = _ends_of(question)
    num_points = int(highest - lowest) + 1
    if num_points > MOST_POINTS:
        return []
    return [_as_text(lowest + step) for step in range(num_points)]


def _ends_of(question: Question) -> tuple[float, float]:
    """Of a scale, which the database lets have neither end open."""
    return question.minimum or 0.0, question.maximum or 0.0


def _range_of(question: Question, lower: str, upper: str) -> str:
    lowest, highest = [
        f"{_as_text(number)} ({word})" if word else _as_text(number)
        for number, word in zip(_ends_of(question), (lower, upper), strict=True)
    ]
    return gettext("From %(lowest)s to %(highest)s") % {"lowest": lowest, "highest": highest}


def _name(question: Question) -> str:
    return f"question-{question.pk}"


def _field(question: Question, language: str) -> forms.Field:
    text, lines = _in_language(question, language)
    field = _FIELDS[QuestionKind(question.kind)](question, lines)
    field.label, field.required = text, question.is_required
    field.widget.is_required = question.is_required
    return field


def _in_language(question: Question, language: str) -> tuple[str, list[str]]:
    """The question's text and choices. A translation with other choices than its question's own
    cannot be told which is which, so the question's own stand.
    """
    own = choice_lines(question.choices)
    for translation in question.translations.all():
        if translation.language == language:
            lines = choice_lines(translation.choices)
            return translation.text, lines if len(lines) == len(own) else own
    return question.text, own


def _choice_field(question: Question, lines: list[str]) -> forms.Field:
    # Sent by number, as the words depend on the language.
    return forms.ChoiceField(
        choices=[(str(number), line) for number, line in enumerate(lines)],
        widget=forms.RadioSelect,
        error_messages={"required": _("Please choose one of the answers."),
                        "invalid_choice": _("Please choose one of the answers.")},
    )


class _NumberField(forms.FloatField):
    """Takes a comma as the decimal point, as most of Europe writes it."""

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and value.count(",") == 1 and "." not in value:
            value = value.replace(",", ".")
        return super().to_python(value)


def _number_field(question: Question, lines: list[str]) -> forms.Field:
    lowest, highest = question.minimum, question.maximum
    field = _NumberField(
        # Not type="number": a browser then sends nothing where it cannot read what stands there.
        widget=forms.TextInput(attrs={"data-number": True, "autocomplete": "off"}),
        error_messages={"required": _("Please write a number."),
                        "invalid": _("Please write a number, in digits only.")},
    )
    if lowest is not None and lowest >= 0:
        field.widget.attrs["inputmode"] = "decimal"  # Some phones' digits come without a minus.
    if lowest is not None:
        field.widget.attrs["data-min"] = _as_text(lowest)
        field.validators.append(MinValueValidator(
            lowest, _("Please write a number that is not below %(limit_value)g.")
        ))
    if highest is not None:
        field.widget.attrs["data-max"] = _as_text(highest)
        field.validators.append(MaxValueValidator(
            highest, _("Please write a number that is not above %(limit_value)g.")
        ))
    return field


def _text_field(question: Question, lines: list[str]) -> forms.Field:
    return forms.CharField(
        max_length=LONGEST_TEXT,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={
            "required": _("Please write an answer."),
            "max_length": _("Please shorten this to %(limit_value)d characters; it has "
                            "%(show_value)d."),
        },
    )


def _scale_field(question: Question, lines: list[str]) -> forms.Field:
    points = points_of(question)
    if not points:
        return _number_field(question, lines)
    return forms.ChoiceField(
        choices=[(point, point) for point in points],
        widget=forms.RadioSelect,
        error_messages={"required": _("Please choose a point on the scale."),
                        "invalid_choice": _("Please choose a point on the scale.")},
    )


_FIELDS = {
    QuestionKind.CHOICE: _choice_field, QuestionKind.NUMBER: _number_field,
    QuestionKind.TEXT: _text_field, QuestionKind.SCALE: _scale_field,
}


def _stored(question: Question, value: str | float | None) -> str:
    """A choice in the words of the study's own language, a number as it was read."""
    if value is None or value == "":
        return ""
    if question.kind == QuestionKind.CHOICE:
        return choice_lines(question.choices)[int(value)]
    return _as_text(value) if isinstance(value, float) else str(value)


def _as_text(number: float) -> str:
    return f"{number:.15g}"
