"""The admin pages of models, predictors, prompts and renders."""

import math
import re
import uuid
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from generation.latency_admin import LatencyInline, latency_state, measure_latency
from generation.models import Budget, DiffusionModel, Predictor, Prompt, Render, RenderState
from generation.rendering.inspection import (
    inspect_model_scheduler,
    inspect_model_source,
    inspect_predictor_folder,
    inspect_predictor_match,
    model_size_factor,
)
from generation.rendering.services import (
    cancel_renders,
    pause_model,
    restore_missing,
    resume_model,
    retry_quarantined,
)

# A file that shows two images is two sides wide; WebP ends at 16383 pixels.
LARGEST_SIDE = 8184
STATE_LABELS = {
    RenderState.PENDING: "info",
    RenderState.RUNNING: "warning",
    RenderState.READY: "success",
    RenderState.QUARANTINED: "danger",
    RenderState.CANCELLED: "default",
}


class RecordAdmin(ModelAdmin):
    """For rows that the system writes: to be read, never to be added, edited or deleted."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class DiffusionModelForm(forms.ModelForm):
    class Meta:
        model = DiffusionModel
        fields = ("name", "source", "revision", "scheduler", "reference_steps", "guidance",
                  "width", "height")

    def clean_revision(self) -> str:
        revision: str = self.cleaned_data["revision"]
        if revision and not re.fullmatch(r"[0-9a-f]{40}", revision):
            raise forms.ValidationError(
                f"{revision!r} is not a commit of 40 hexadecimal digits. A branch or tag can "
                "change under a running study, so it is not accepted."
            )
        return revision

    def clean_reference_steps(self) -> int:
        num_steps: int = self.cleaned_data["reference_steps"]
        if not 1 <= num_steps <= 1000:
            raise forms.ValidationError(f"Expected 1 to 1000 steps, got {num_steps}.")
        return num_steps

    def clean_guidance(self) -> float:
        guidance: float = self.cleaned_data["guidance"]
        if not 0 <= guidance < math.inf:
            raise forms.ValidationError(f"Guidance must be at least 0, got {guidance}.")
        return guidance

    def clean_width(self) -> int:
        return _checked_size(self.cleaned_data["width"])

    def clean_height(self) -> int:
        return _checked_size(self.cleaned_data["height"])

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        if "source" in cleaned and "revision" in cleaned:
            try:
                inspect_model_source(cleaned["source"], cleaned["revision"])
            except ValueError as error:
                self.add_error("source", str(error))
            else:
                self._check_fit(cleaned["source"], cleaned["revision"])
        return cleaned

    def _check_fit(self, source: str, revision: str) -> None:
        """Refuse a scheduler and a size that this pipeline cannot work with."""
        try:
            inspect_model_scheduler(source, revision, self.cleaned_data.get("scheduler", "own"))
        except ValueError as error:
            self.add_error("scheduler", str(error))
        try:
            factor = model_size_factor(source, revision)
        except ValueError as error:
            self.add_error("source", str(error))
            return
        for side in ("width", "height"):
            if (pixels := self.cleaned_data.get(side, 0)) % factor:
                self.add_error(side, f"{pixels} is not a multiple of {factor}, the side of the "
                               "squares that this pipeline makes images of.")


@admin.register(DiffusionModel)
class DiffusionModelAdmin(ModelAdmin):
    form = DiffusionModelForm
    list_display = ("name", "source", "scheduler", "reference_steps", "guidance", "size",
                    "is_paused", "ready_renders", "waiting_renders", "quarantined_renders")
    list_filter = ("is_paused",)
    search_fields = ("name", "source")
    actions = (measure_latency, "pause", "resume")
    # What images were made with stays what it was; another setting is another model.
    sampling_fields = ("source", "revision", "scheduler", "reference_steps", "guidance", "width",
                       "height")

    def get_queryset(self, request: HttpRequest) -> QuerySet[DiffusionModel]:
        waiting = (RenderState.PENDING, RenderState.RUNNING)
        found: QuerySet[DiffusionModel] = super().get_queryset(request)
        return found.annotate(
            num_ready=Count("renders", filter=Q(renders__state=RenderState.READY)),
            num_waiting=Count("renders", filter=Q(renders__state__in=waiting)),
            num_quarantined=Count("renders", filter=Q(renders__state=RenderState.QUARANTINED)),
        )

    def get_readonly_fields(
        self, request: HttpRequest, obj: DiffusionModel | None = None
    ) -> tuple[str, ...]:
        if obj is None:
            return ()
        fixed = self.sampling_fields if obj.renders.exists() else ()
        return (*fixed, "latency", "weights_sha256")

    def save_model(
        self, request: HttpRequest, obj: DiffusionModel, form: forms.ModelForm, change: bool
    ) -> None:
        if {"source", "revision"} & set(form.changed_data):
            obj.weights_sha256 = ""  # Of the folder before, of which there are no images.
        super().save_model(request, obj, form, change)

    def get_inlines(
        self, request: HttpRequest, obj: DiffusionModel | None
    ) -> tuple[type[LatencyInline], ...]:
        # It is only read: a measurement that ends while the page is open must not refuse its form.
        if request.method == "POST" or obj is None or not obj.latencies.exists():
            return ()
        return (LatencyInline,)

    @display(description="Latency")
    def latency(self, model: DiffusionModel) -> str:
        return latency_state(model)

    @admin.action(description="Pause rendering", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[DiffusionModel]) -> None:
        for model in queryset:
            pause_model(model)
        self.message_user(request, f"Workers leave {_counted(queryset, 'model')} alone.")

    @admin.action(description="Resume rendering", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[DiffusionModel]) -> None:
        for model in queryset:
            resume_model(model)
        self.message_user(request, f"{_counted(queryset, 'model')} may be rendered with again.")

    @display(description="Size")
    def size(self, model: DiffusionModel) -> str:
        return f"{model.width} × {model.height}"

    @display(description="Ready", ordering="num_ready")
    def ready_renders(self, model: Any) -> int:
        return int(model.num_ready)

    @display(description="Waiting", ordering="num_waiting")
    def waiting_renders(self, model: Any) -> int:
        return int(model.num_waiting)

    @display(description="Quarantined", ordering="num_quarantined")
    def quarantined_renders(self, model: Any) -> int:
        return int(model.num_quarantined)


class PredictorForm(forms.ModelForm):
    class Meta:
        model = Predictor
        fields = ("name", "model", "source")

    def clean_source(self) -> str:
        source: str = self.cleaned_data["source"]
        try:
            inspect_predictor_folder(Predictor(source=source).folder())
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error
        return source

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "model" in cleaned and "source" in cleaned:
            try:
                inspect_predictor_match(Predictor(model=cleaned["model"], source=cleaned["source"]))
            except ValueError as error:
                self.add_error("model", str(error))
        return cleaned


@admin.register(Predictor)
class PredictorAdmin(ModelAdmin):
    form = PredictorForm
    list_display = ("name", "model", "source", "num_budgets")
    list_select_related = ("model",)
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Predictor]:
        found: QuerySet[Predictor] = super().get_queryset(request)
        return found.annotate(num_predicted=Count("budgets"))

    def get_readonly_fields(
        self, request: HttpRequest, obj: Predictor | None = None
    ) -> tuple[str, ...]:
        return ("model", "source") if obj is not None and obj.budgets.exists() else ()

    @display(description="Budgets", ordering="num_predicted")
    def num_budgets(self, predictor: Any) -> int:
        return int(predictor.num_predicted)


class BudgetInline(TabularInline):
    model = Budget
    fields = readonly_fields = ("predictor", "num_steps", "created_at")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Budget]:
        found: QuerySet[Budget] = super().get_queryset(request)
        return found.select_related("predictor")


@admin.register(Prompt)
class PromptAdmin(RecordAdmin):
    list_display = ("text", "budget_steps", "created_at")
    search_fields = ("text",)
    fields = ("text", "public_id", "created_at")
    inlines = (BudgetInline,)
    ordering = ("-pk",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Prompt]:
        found: QuerySet[Prompt] = super().get_queryset(request)
        return found.prefetch_related("budgets__predictor")

    @display(description="Budget")
    def budget_steps(self, prompt: Prompt) -> str:
        return ", ".join(f"{budget} ({budget.predictor})" for budget in prompt.budgets.all())


@admin.register(Render)
class RenderAdmin(RecordAdmin):
    list_display = ("thumbnail", "prompt", "num_steps", "seed", "model", "state_label", "priority",
                    "unet_evaluations", "cost_seconds", "cost_joules", "attempts", "short_error")
    list_display_links = ("thumbnail", "prompt")
    list_select_related = ("model", "prompt")
    list_filter = ("state", "priority", "model")
    list_per_page = 50
    search_fields = ("prompt__text", "sha256")
    ordering = ("-pk",)
    actions = ("retry_quarantined", "cancel", "restore")
    fieldsets = (
        (None, {"fields": ("picture", "state", "priority", "error", "attempts",
                           "shared_losses")}),
        ("Recipe", {"fields": ("model", "prompt", "seed", "num_steps", "scheduler", "guidance",
                               "width", "height")}),
        ("Cost", {"fields": ("unet_evaluations", "seconds", "joules")}),
        ("Provenance", {"fields": ("sha256", "provenance", "lease_holder", "public_id",
                                   "created_at", "started_at", "finished_at")}),
    )
    readonly_fields = ("picture", "public_id", "created_at", "started_at",
                       "finished_at")

    def get_urls(self) -> list[URLPattern]:
        image = path("<uuid:public_id>/image/", self.admin_site.admin_view(self.image_view),
                     name="generation_render_image")
        return [image, *super().get_urls()]

    def image_view(self, request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
        """Send a render's file to staff who may see renders."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        render = get_object_or_404(Render.objects.ready(), public_id=public_id)
        try:
            content = render.image.read()
        except FileNotFoundError:
            raise Http404("The file is missing from the storage.") from None
        # Whole: under ASGI, sending a file piece by piece blocks more than it spares.
        return HttpResponse(content, content_type="image/webp",
                            headers={"Cache-Control": "private, max-age=3600"})

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("generation.change_render"))

    @admin.action(description="Retry quarantined renders", permissions=["retry"])
    def retry_quarantined(self, request: HttpRequest, queryset: Any) -> None:
        retried = retry_quarantined(queryset)
        self._report(request, retried, f"{retried} quarantined renders wait for a worker again.",
                     otherwise="None of the selected renders is quarantined.")

    @admin.action(description="Cancel renders that are not finished", permissions=["retry"])
    def cancel(self, request: HttpRequest, queryset: Any) -> None:
        cancelled = cancel_renders(queryset)
        self._report(request, cancelled, f"{cancelled} renders are cancelled.",
                     otherwise="All the selected renders are finished already.")

    @admin.action(description="Render again where the file is gone", permissions=["retry"])
    def restore(self, request: HttpRequest, queryset: Any) -> None:
        missing = restore_missing(queryset)
        self._report(request, missing, f"{missing} files are gone; they are rendered again.",
                     otherwise="Every ready render has its file.")

    def _report(
        self, request: HttpRequest, count: int, message: str, *, otherwise: str
    ) -> None:
        self.message_user(request, message if count else otherwise,
                          messages.SUCCESS if count else messages.WARNING)

    @display(description="Image")
    def thumbnail(self, render: Render) -> SafeString | str:
        return _picture(render, width=64)

    @display(description="Image")
    def picture(self, render: Render) -> SafeString | str:
        return _picture(render, width=render.width)

    @display(description="State", ordering="state", label=STATE_LABELS)
    def state_label(self, render: Render) -> tuple[str, str]:
        return render.state, RenderState(render.state).label

    @display(description="Seconds", ordering="seconds")
    def cost_seconds(self, render: Render) -> str:
        return "" if render.seconds is None else f"{render.seconds:.2f}"

    @display(description="Joules", ordering="joules")
    def cost_joules(self, render: Render) -> str:
        return "" if render.joules is None else f"{render.joules:.1f}"

    @display(description="Error")
    def short_error(self, render: Render) -> str:
        return Truncator(render.error).chars(56)


def _picture(render: Render, *, width: int) -> SafeString | str:
    if render.state != RenderState.READY:
        return ""
    address = reverse("admin:generation_render_image", args=[render.public_id])
    height = round(width * render.height / render.width)
    return format_html('<img src="{}" width="{}" height="{}" loading="lazy" alt="{}">',
                       address, width, height, f"{render.prompt} at {render.num_steps} steps")


def _counted(models: QuerySet[DiffusionModel], noun: str) -> str:
    number = models.count()
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _checked_size(pixels: int) -> int:
    """Refuse what the autoencoder cannot make, and what two of do not fit into a WebP file."""
    if pixels % 8 or not 8 <= pixels <= LARGEST_SIDE:
        raise forms.ValidationError(
            f"{pixels} is not a multiple of 8 from 8 to {LARGEST_SIDE}: the model's autoencoder "
            "works in squares of 8 pixels, and two images share one file."
        )
    return pixels
