"""What a model's admin pages say about latency: the action, the newest run, what went wrong."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.timezone import localtime
from unfold.admin import TabularInline
from unfold.decorators import display

from generation.models import DiffusionModel, Latency
from generation.rendering.services import request_latency


@admin.action(description="Measure latency", permissions=["change"])
def measure_latency(
    model_admin: admin.ModelAdmin, request: HttpRequest, queryset: QuerySet[DiffusionModel]
) -> None:
    """Ask for each selected model's latency."""
    for model in queryset:
        request_latency(model)
    count = len(queryset)
    model_admin.message_user(
        request, f"Latency will be measured for {count} model{'' if count == 1 else 's'} by the "
        "next free worker. The model's page shows what it found, or why it could not.",
        messages.SUCCESS,
    )


def latency_state(model: DiffusionModel) -> str:
    """Say how the last request to measure it stands."""
    if model.latency_requested_at is not None:
        return f"Waiting for a worker since {localtime(model.latency_requested_at):%Y-%m-%d %H:%M}."
    if model.latency_problem:
        return f"Not measured: {model.latency_problem}"
    if model.latencies.exists():
        return "Measured: see below."
    return "Never measured. Choose “Measure latency” among the actions in the list of models."


class LatencyInline(TabularInline):
    """The newest run's latencies."""

    model = Latency
    verbose_name_plural = "Latency: one image, rendered alone"
    fields = readonly_fields = ("steps", "alone", "spread", "joules", "repeats", "device",
                                "measured_at")
    ordering = ("num_steps",)
    hide_title = True
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> Any:
        found: Any = super().get_queryset(request)
        return found.newest_run()

    @display(description="Steps")
    def steps(self, latency: Latency) -> int:
        return latency.num_steps

    @display(description="Seconds (median)")
    def alone(self, latency: Latency) -> str:
        return f"{latency.seconds:.3f}"

    @display(description="Range")
    def spread(self, latency: Latency) -> str:
        return f"{latency.fastest_seconds:.3f} to {latency.slowest_seconds:.3f}"

    @display(description="Device")
    def device(self, latency: Latency) -> str:
        return latency.place()

    @display(description="Measured")
    def measured_at(self, latency: Latency) -> str:
        return f"{localtime(latency.created_at):%Y-%m-%d %H:%M}"
