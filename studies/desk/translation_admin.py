"""A study's texts in other languages, in the admin."""

from unfold.admin import StackedInline

from studies.desk.forms import StudyTranslationForm, StudyTranslationFormSet
from studies.desk.freedom import DraftPart
from studies.models import StudyTranslation


class StudyTranslationInline(DraftPart, StackedInline):
    model = StudyTranslation
    form = StudyTranslationForm
    formset = StudyTranslationFormSet
    fields = StudyTranslationForm.Meta.fields
    extra = 0
    template = "desk/folded_inline.html"
    show_count = True
    verbose_name = "translation"
    verbose_name_plural = "9. Translations"
