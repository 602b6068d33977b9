"""What participants did, in the admin: to be read, never edited."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.filters import RelatedFieldListFilter
from django.db.models import Count, Field, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.decorators import display

from studies.models import Participant, Response, StudySession, Trial


class SessionFilter(RelatedFieldListFilter):
    def field_choices(self, field: Field, request: HttpRequest,
                      model_admin: admin.ModelAdmin) -> list[tuple[str, Any]]:
        # A session's name begins with its study's: read both at once.
        sessions = StudySession.objects.select_related("study").order_by("-created_at")
        return [(str(session.pk), str(session)) for session in sessions]


class RecordAdmin(ModelAdmin):
    """Recorded data are shown, and nothing else."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Participant)
class ParticipantAdmin(RecordAdmin):
    list_display = ("public_id", "session", "stage", "answered", "created_at", "finished_at")
    list_select_related = ("session__study",)
    list_filter = ("state", ("session", SessionFilter))
    search_fields = ("public_id", "completion_code")
    ordering = ("-created_at",)
    # Not the token: with it, anyone could answer in the participant's place.
    fields = ("public_id", "session", "state", "completion_code", "plan_seed", "consented_at",
              "finished_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Participant]:
        return super().get_queryset(request).annotate(
            num_answered=Count("trials__response"), num_trials=Count("trials")
        )

    @display(description="state", label={"taking part": "info", "finished": "success"})
    def stage(self, participant: Participant) -> str:
        return participant.get_state_display()

    @display(description="answered")
    def answered(self, participant: Any) -> str:
        return f"{participant.num_answered} of {participant.num_trials}"


@admin.register(Trial)
class TrialAdmin(RecordAdmin):
    list_display = ("index", "participant", "kind", "pair", "candidate_side", "is_answered")
    list_select_related = ("participant", "response", "pair__prompt", "pair__contrast")
    list_filter = ("kind", ("participant__session", SessionFilter))
    search_fields = ("participant__public_id",)
    fields = ("public_id", "participant", "index", "kind", "pair", "candidate_side")
    show_full_result_count = False

    @display(description="answered", boolean=True)
    def is_answered(self, trial: Trial) -> bool:
        return hasattr(trial, "response")


@admin.register(Response)
class ResponseAdmin(RecordAdmin):
    list_display = ("created_at", "participant", "trial_index", "kind", "chosen_side",
                    "response_ms", "input_method")
    list_select_related = ("trial__participant",)
    list_filter = ("input_method", "trial__kind", ("trial__participant__session", SessionFilter))
    search_fields = ("trial__participant__public_id",)
    ordering = ("-created_at",)
    show_full_result_count = False

    @display(description="participant")
    def participant(self, response: Response) -> str:
        return str(response.trial.participant)

    @display(description="trial")
    def trial_index(self, response: Response) -> int:
        return response.trial.index

    @display(description="kind")
    def kind(self, response: Response) -> str:
        return response.trial.get_kind_display()
