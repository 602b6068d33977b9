"""What participants did, in the admin: to be read, never edited."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.filters import RelatedFieldListFilter
from django.db.models import Count, Field, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from studies.models import (
    Participant,
    ParticipantState,
    QuestionAnswer,
    RecruiterIdentity,
    Response,
    StudySession,
    Trial,
)

_WAY = ("created_at", "consented_at", "questions_before_at", "screen_checked_at", "instructed_at",
        "questions_after_at", "finished_at", "withdrawn_at", "last_seen_at")


class SessionFilter(RelatedFieldListFilter):
    def field_choices(self, field: Field, request: HttpRequest,
                      model_admin: admin.ModelAdmin) -> list[tuple[str, Any]]:
        # A session's name begins with its study's: read both at once.
        sessions = StudySession.objects.select_related("study").order_by("-created_at")
        return [(str(session.pk), str(session)) for session in sessions]


class ReadOnly:
    """Recorded data are shown, and nothing else."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class QuestionAnswerInline(ReadOnly, TabularInline):
    model = QuestionAnswer
    fields = ("asked", "moment", "value", "created_at")
    readonly_fields = fields
    ordering = ("-question__moment", "question__position", "question_id")
    verbose_name_plural = "Answers to the study's questions"
    hide_title = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[QuestionAnswer]:
        answers: QuerySet[QuestionAnswer] = super().get_queryset(request)
        return answers.select_related("question")

    @display(description="question")
    def asked(self, answer: QuestionAnswer) -> str:
        return answer.question.text

    @display(description="when")
    def moment(self, answer: QuestionAnswer) -> str:
        return answer.question.get_moment_display()


@admin.register(Participant)
class ParticipantAdmin(ReadOnly, ModelAdmin):
    # Neither here nor below the token: with it, anyone could answer in the participant's place.
    list_display = ("public_id", "session", "stage", "reached", "answered", "language",
                    "created_at", "finished_at")
    list_select_related = ("session__study",)
    list_filter = ("state", "language", ("session", SessionFilter))
    search_fields = ("public_id", "completion_code")
    ordering = ("-created_at",)
    inlines = (QuestionAnswerInline,)
    fieldsets = (
        (None, {"fields": ("public_id", "session", "state", "language", "reached", "answered",
                           "completion_code", "plan_seed")}),
        ("The way", {"fields": (*_WAY, "consent_sha256")}),
        ("Screen", {"fields": ("screen",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Participant]:
        return super().get_queryset(request).annotate(
            num_answered=Count("trials__response"), num_trials=Count("trials")
        )

    def get_fieldsets(self, request: HttpRequest, obj: Participant | None = None) -> Any:
        if not request.user.has_perm("studies.view_recruiteridentity"):
            return self.fieldsets
        return (*self.fieldsets, ("Recruiter", {"fields": ("recruiter_id",)}))

    @display(description="state", ordering="state",
             label={"taking part": "info", "finished": "success", "withdrawn": "warning"})
    def stage(self, participant: Participant) -> str:
        return participant.get_state_display()

    @display(description="last step")
    def reached(self, participant: Any) -> str:
        """The last step that is behind the participant; a withdrawal has erased the others."""
        steps = (
            ("withdrew", participant.state == ParticipantState.WITHDRAWN),
            ("finished", participant.state == ParticipantState.FINISHED),
            ("questions after", participant.questions_after_at),
            ("all trials", 0 < participant.num_trials == participant.num_answered),
            ("some trials", participant.num_answered),
            ("instructions", participant.instructed_at),
            ("screen check", participant.screen_checked_at),
            ("questions before", participant.questions_before_at),
            ("consent", participant.consented_at),
        )
        return next((name for name, is_behind in steps if is_behind), "joined")

    @display(description="answered")
    def answered(self, participant: Any) -> str:
        return f"{participant.num_answered} of {participant.num_trials}"

    @display(description="Recruiter's id")
    def recruiter_id(self, participant: Participant) -> str:
        identity = RecruiterIdentity.objects.filter(participant=participant).first()
        return identity.external_id if identity else "none"


@admin.register(RecruiterIdentity)
class RecruiterIdentityAdmin(ReadOnly, ModelAdmin):
    """To find who wrote to the recruiter. Only with a permission of its own."""

    list_display = ("external_id", "session", "participant", "created_at")
    list_select_related = ("participant", "session__study")
    list_filter = (("session", SessionFilter),)
    search_fields = ("external_id",)
    ordering = ("-created_at",)
    fields = ("external_id", "session", "participant", "created_at")


@admin.register(Trial)
class TrialAdmin(ReadOnly, ModelAdmin):
    list_display = ("index", "participant", "kind", "pair", "candidate_side", "repeats",
                    "is_answered")
    list_select_related = ("participant", "response", "repeat_of", "pair__prompt",
                           "pair__contrast")
    list_filter = ("kind", ("participant__session", SessionFilter))
    search_fields = ("participant__public_id",)
    show_full_result_count = False
    fields = ("public_id", "participant", "index", "kind", "pair", "candidate_side", "repeats",
              "created_at")

    @display(description="answered", boolean=True)
    def is_answered(self, trial: Trial) -> bool:
        return hasattr(trial, "response")

    @display(description="repeat of")
    def repeats(self, trial: Trial) -> str:
        if trial.repeat_of is None:
            return "-"
        address = reverse("admin:studies_trial_change", args=[trial.repeat_of_id])
        return format_html('<a class="desk-link" href="{}">trial {}</a>', address,
                           trial.repeat_of.index)


@admin.register(Response)
class ResponseAdmin(ReadOnly, ModelAdmin):
    list_display = ("created_at", "participant", "trial_index", "kind", "chosen_side",
                    "response_ms", "input_method", "displayed_px", "focus_lost")
    list_select_related = ("trial__participant",)
    list_filter = ("input_method", "trial__kind", ("trial__participant__session", SessionFilter))
    search_fields = ("trial__participant__public_id",)
    show_full_result_count = False
    ordering = ("-created_at",)
    fieldsets = (
        (None, {"fields": ("public_id", "trial", "chosen_side", "response_ms", "input_method",
                           "shown_at", "created_at")}),
        ("How it was shown", {"fields": (
            "image_load_ms", "image_decode_ms", "frame_ms", "viewport_width", "viewport_height",
            "device_pixel_ratio", "displayed_px", "focus_lost")}),
    )

    @display(description="participant")
    def participant(self, response: Response) -> str:
        return str(response.trial.participant)

    @display(description="trial")
    def trial_index(self, response: Response) -> int:
        return response.trial.index

    @display(description="kind")
    def kind(self, response: Response) -> str:
        return response.trial.get_kind_display()
