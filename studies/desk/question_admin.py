"""Questions in the admin: beside the rest of their study, and each on a page with translations."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin, StackedInline
from unfold.decorators import display

from studies.desk.forms import (
    QuestionForm,
    QuestionFormSet,
    QuestionTranslationForm,
    QuestionTranslationFormSet,
)
from studies.desk.freedom import DraftOnly, DraftPart
from studies.models import Question, QuestionTranslation, Study

_FIELDS = (("moment", "kind"), "text", "choices", ("minimum", "maximum"), ("name", "position"),
           "is_required")
# Before is said before after, which the alphabet does not.
_ORDER = ("-moment", "position", "pk")


class QuestionInline(DraftPart, StackedInline):
    model = Question
    form = QuestionForm
    formset = QuestionFormSet
    fields = (*_FIELDS, "translations")
    readonly_fields = ("translations",)
    ordering = _ORDER
    extra = 0
    template = "desk/folded_inline.html"
    show_count = True
    verbose_name_plural = "10. Questions before and after the trials"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Question]:
        questions: QuerySet[Question] = super().get_queryset(request)
        return questions.prefetch_related("translations")

    @display(description="Translations")
    def translations(self, question: Question) -> str:
        if question.pk is None:
            return "Save the study first."
        names = [row.get_language_display() for row in question.translations.all()]
        return format_html('{} <a class="desk-link" href="{}">Translate</a>',
                           ", ".join(names) or "None.",
                           reverse("admin:studies_question_change", args=[question.pk]))


class QuestionTranslationInline(DraftPart, StackedInline):
    model = QuestionTranslation
    form = QuestionTranslationForm
    formset = QuestionTranslationFormSet
    fields = ("language", "text", "choices")
    extra = 0
    verbose_name = "translation"
    verbose_name_plural = "Translations"


@admin.register(Question)
class QuestionAdmin(DraftOnly, ModelAdmin):
    """One question with its translations. It is reached from its study, and leads back there."""

    form = QuestionForm
    inlines = (QuestionTranslationInline,)
    fieldsets = ((None, {"fields": ("study", *_FIELDS)}),)
    readonly_fields = ("study",)
    list_display = ("text", "study", "moment", "kind")
    list_select_related = ("study",)
    search_fields = ("text", "name", "study__name")
    ordering = ("study", *_ORDER)
    warn_unsaved_form = True

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Question]:
        questions: QuerySet[Question] = super().get_queryset(request)
        return questions.select_related("study")

    def get_object(self, request: HttpRequest, object_id: str,
                   from_field: str | None = None) -> Question | None:
        """Hold the study while a change is saved, so that no launch slips in between."""
        question: Question | None = super().get_object(request, object_id, from_field)
        if question is not None and request.method == "POST":
            question.study = Study.objects.select_for_update().get(pk=question.study_id)
        return question

    def response_post_save_change(self, request: HttpRequest,
                                  obj: Question) -> HttpResponseRedirect:
        return redirect("admin:studies_study_change", obj.study_id)

    def delete_view(self, request: HttpRequest, object_id: str,
                    extra_context: dict[str, Any] | None = None) -> Any:
        question = (self.get_queryset(request).filter(pk=object_id).first()
                    if object_id.isdecimal() else None)
        response = super().delete_view(request, object_id, extra_context)
        if question is not None and response.status_code == 302:
            return redirect("admin:studies_study_change", question.study_id)
        return response
