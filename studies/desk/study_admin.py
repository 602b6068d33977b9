"""Studies in the admin: the design, its prompts, and how far its images are."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet
from django.forms import BaseModelFormSet, ModelForm
from django.http import HttpRequest
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from generation.models import DiffusionModel, Predictor
from generation.models.diffusion_models import EMBEDDED_SOURCE
from studies.desk import services, views
from studies.desk.forms import ContrastForm, ContrastFormSet, StudyForm
from studies.desk.freedom import DraftOnly, DraftPart, is_frozen
from studies.desk.imports import PromptList
from studies.desk.question_admin import QuestionInline
from studies.desk.readiness import number_of
from studies.desk.sections import SECTIONS, without_file
from studies.desk.translation_admin import StudyTranslationInline
from studies.models import Contrast, Study, StudyPrompt, StudySession
from studies.models.counting import counted

# A change of these asks for other images.
IMAGE_FIELDS = {"model", "predictor", "task"}


class ContrastInline(DraftPart, TabularInline):
    """What the study compares. The contrast of its catch trials is its own affair."""

    model = Contrast
    form = ContrastForm
    formset = ContrastFormSet
    fields = ("candidate_arm", "baseline_arm")
    extra = 0
    min_num = 1
    verbose_name_plural = "4. What is compared"
    # Between the images and the trials, not below everything.
    before_section = 4

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contrast]:
        contrasts: QuerySet[Contrast] = super().get_queryset(request)
        return contrasts.filter(is_catch=False)


@admin.register(Study)
class StudyAdmin(DraftOnly, ModelAdmin):
    form = StudyForm
    inlines = (ContrastInline, StudyTranslationInline, QuestionInline)
    list_display = ("name", "stage", "num_prompts", "num_sessions", "results", "created_at")
    list_select_related = ("model", "predictor")
    search_fields = ("name",)
    ordering = ("-created_at",)
    readonly_fields = ("prompt_summary",)
    change_form_outer_before_template = "desk/study_panel.html"
    warn_unsaved_form = True
    fieldsets = SECTIONS

    class Media:
        js = tuple(forms.Script(f"desk/js/{name}.js", type="module")
                   for name in ("study", "preview", "swatch"))

    def get_urls(self) -> list[URLPattern]:
        guard = self.admin_site.admin_view
        return [
            path("<int:study_id>/progress/", guard(views.progress),
                 name="studies_study_progress"),
            path("<int:study_id>/prepare/", guard(views.prepare), name="studies_study_prepare"),
            path("<int:study_id>/retry/", guard(views.retry), name="studies_study_retry"),
            path("preview/", guard(views.preview), name="studies_study_preview"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Study]:
        return super().get_queryset(request).annotate(
            num_prompts=counted(StudyPrompt.objects.filter(study=OuterRef("pk")), "study"),
            num_sessions=counted(StudySession.objects.filter(study=OuterRef("pk")), "study"),
        )

    def get_object(self, request: HttpRequest, object_id: str,
                   from_field: str | None = None) -> Study | None:
        """Hold the row while a change is saved, so that no launch slips in between."""
        study: Study | None = super().get_object(request, object_id, from_field)
        if study is not None and request.method == "POST":
            study.refresh_from_db(from_queryset=Study.objects.select_for_update())
        return study

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        predictor = (Predictor.objects.filter(source=EMBEDDED_SOURCE).first()
                     or Predictor.objects.first())
        model = predictor.model if predictor else DiffusionModel.objects.first()
        return {"model": model, "predictor": predictor,
                **super().get_changeform_initial_data(request)}

    def get_form(self, request: HttpRequest, obj: Study | None = None, change: bool = False,
                 **kwargs: Any) -> Any:
        if is_frozen(obj):  # Nothing can be filled in, so nothing says how.
            kwargs["help_texts"] = dict.fromkeys(StudyForm.Meta.fields, "")
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Study | None = None) -> Any:
        return without_file(SECTIONS) if is_frozen(obj) else SECTIONS

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "",
                    extra_context: dict[str, Any] | None = None) -> Any:
        studies = Study.objects.select_related("model", "predictor")
        study = studies.filter(pk=object_id).first() if object_id.isdecimal() else None
        extra = {} if study is None else views.panel(request, study)
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    def save_model(self, request: HttpRequest, obj: Study, form: StudyForm,
                   change: bool) -> None:
        super().save_model(request, obj, form, change)
        if form.prompt_list is not None:
            services.add_prompts(obj, form.prompt_list.accepted)
            _say_prompts(request, form.prompt_list)

    def save_related(self, request: HttpRequest, form: ModelForm,
                     formsets: list[BaseModelFormSet], change: bool) -> None:
        has_other_images = bool(IMAGE_FIELDS & set(form.changed_data)) or any(
            formset.model is Contrast and formset.has_changed() for formset in formsets)
        if change and has_other_images and services.discard_preparation(form.instance):
            messages.warning(request, "What is compared has changed, so the images must be "
                                      "prepared again. Those already rendered are used again.")
        super().save_related(request, form, formsets, change)

    def response_add(self, request: HttpRequest, obj: Study,
                     post_url_continue: str | None = None) -> Any:
        # The study's own page says what comes next.
        if "_addanother" in request.POST or "_popup" in request.POST:
            return super().response_add(request, obj, post_url_continue)
        messages.success(request, f"“{obj.name}” was created.")
        return redirect("admin:studies_study_change", obj.pk)

    def delete_model(self, request: HttpRequest, obj: Study) -> None:
        services.delete_study(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Study]) -> None:
        for study in queryset:
            services.delete_study(study)

    @display(description="state", label={"draft": "info", "in preparation": "warning",
                                         "launched": "success"})
    def stage(self, study: Study) -> str:
        return study.get_state_display()

    @display(description="prompts", ordering="num_prompts")
    def num_prompts(self, study: Any) -> int:
        return int(study.num_prompts)

    @display(description="sessions", ordering="num_sessions")
    def num_sessions(self, study: Any) -> int:
        return int(study.num_sessions)

    @display(description="results")
    def results(self, study: Study) -> str:
        return format_html('<a class="desk-link" href="{}">Results</a>',
                           reverse("results", args=[study.public_id]))

    @display(description="Prompts in this study")
    def prompt_summary(self, study: Study) -> str:
        num_prompts = study.study_prompts.count() if study.pk else 0
        return (number_of(num_prompts, "prompt") if num_prompts
                else "None yet: upload a file below.")


def _say_prompts(request: HttpRequest, prompts: PromptList) -> None:
    number = len(prompts.accepted)
    was = "was" if number == 1 else "were"
    messages.success(request,
                     f"{number_of(number, 'prompt')} {was} read from {prompts.filename}.")
    if note := prompts.duplicate_note():
        messages.warning(request, note)
