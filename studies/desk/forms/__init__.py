"""What an experimenter fills in."""

from studies.desk.forms.contrasts import ContrastForm, ContrastFormSet
from studies.desk.forms.previews import PreviewForm
from studies.desk.forms.questions import (
    QuestionForm,
    QuestionFormSet,
    QuestionTranslationForm,
    QuestionTranslationFormSet,
)
from studies.desk.forms.sessions import SessionForm
from studies.desk.forms.studies import EXAMPLE, StudyForm
from studies.desk.forms.translations import StudyTranslationForm, StudyTranslationFormSet

__all__ = ["EXAMPLE", "ContrastForm", "ContrastFormSet", "PreviewForm", "QuestionForm",
           "QuestionFormSet", "QuestionTranslationForm", "QuestionTranslationFormSet",
           "SessionForm", "StudyForm", "StudyTranslationForm", "StudyTranslationFormSet"]
