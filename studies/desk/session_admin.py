"""Study sessions in the admin: open, link, watch the numbers, close."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from unfold.admin import ModelAdmin
from unfold.decorators import display

from studies.desk import services, views
from studies.desk.forms import SessionForm
from studies.desk.recruitment import example_link, placeholder_of, session_numbers
from studies.models import ParticipantState, SessionState, Study, StudySession

EDITABLE = ("name", "quota", "release_minutes", "id_parameter", "return_url")
RECRUITER = ("Recruiter", {
    "fields": ("id_parameter", "return_url"),
    "description": "Where participants come from and go back to. Leave both blank where you send "
                   "the link yourself.",
})


@admin.register(StudySession)
class StudySessionAdmin(ModelAdmin):
    form = SessionForm
    list_display = ("name", "study", "stage", "num_participants", "num_finished", "quota",
                    "opened_at")
    list_select_related = ("study",)
    list_filter = ("state",)
    search_fields = ("name", "study__name")
    ordering = ("-created_at",)
    change_form_outer_before_template = "desk/session_panel.html"
    add_fieldsets = (
        (None, {"fields": ("study", "name", "quota", "release_minutes")}), RECRUITER,
        (None, {"fields": ("is_opened_now",)}),
    )
    fieldsets = (
        (None, {"fields": ("study", "name", "quota", "release_minutes", "opened_at",
                           "closed_at")}), RECRUITER,
    )

    class Media:
        js = (forms.Script("desk/js/copy.js", type="module"),)

    def get_urls(self) -> list[URLPattern]:
        guard = self.admin_site.admin_view
        return [
            path("<int:session_id>/open/", guard(views.open_session),
                 name="studies_studysession_open"),
            path("<int:session_id>/close/", guard(views.close_session),
                 name="studies_studysession_close"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[StudySession]:
        is_finished = Q(participants__state=ParticipantState.FINISHED)
        return super().get_queryset(request).annotate(
            num_participants=Count("participants"),
            num_finished=Count("participants", filter=is_finished),
        )

    def get_readonly_fields(self, request: HttpRequest,
                            obj: StudySession | None = None) -> tuple[str, ...]:
        if obj is None:
            return ()
        # Two names of one person could not be told apart.
        is_settled = obj.participants.exists() or obj.declines.exists()
        return ("study", "opened_at", "closed_at", *(("id_parameter",) if is_settled else ()))

    def get_object(self, request: HttpRequest, object_id: str,
                   from_field: str | None = None) -> StudySession | None:
        """Hold the row while a change is saved, so that nobody joins meanwhile."""
        if request.method == "POST" and object_id.isdecimal():
            StudySession.objects.select_for_update().filter(pk=object_id).first()
        session: StudySession | None = super().get_object(request, object_id, from_field)
        return session

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial = super().get_changeform_initial_data(request)
        chosen = str(initial.get("study", ""))
        study = Study.objects.filter(pk=chosen).first() if chosen.isdecimal() else None
        number = study.sessions.count() + 1 if study else 1
        return {"name": f"Session {number}", **initial}

    def has_delete_permission(self, request: HttpRequest,
                              obj: StudySession | None = None) -> bool:
        is_recorded = obj is not None and obj.state != SessionState.DRAFT
        return super().has_delete_permission(request, obj) and not is_recorded

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "",
                    extra_context: dict[str, Any] | None = None) -> Any:
        session = (self.get_queryset(request).select_related("study").filter(pk=object_id).first()
                   if object_id.isdecimal() else None)
        extra = {} if session is None else {
            "session": session, "numbers": session_numbers(session),
            "placeholder": placeholder_of(session),
            "link": example_link(session, request.build_absolute_uri(
                reverse("landing", args=[session.public_id]))),
        }
        return super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})

    def save_model(self, request: HttpRequest, obj: StudySession, form: ModelForm,
                   change: bool) -> None:
        if change:
            # Only what was edited: it may have been opened or closed since it was read.
            obj.save(update_fields=[name for name in EDITABLE if name in form.changed_data])
            return
        super().save_model(request, obj, form, change)
        if form.cleaned_data.get("is_opened_now"):
            self._open(request, obj)

    def response_add(self, request: HttpRequest, obj: StudySession,
                     post_url_continue: str | None = None) -> Any:
        if "_addanother" in request.POST:
            return super().response_add(request, obj, post_url_continue)
        # The link is what the experimenter came for, and the session's own page shows it.
        messages.success(request, f"“{obj.name}” was created.")
        return redirect("admin:studies_studysession_change", obj.pk)

    @display(description="state", label={"not opened yet": "info", "open": "success",
                                         "closed": "danger"})
    def stage(self, session: StudySession) -> str:
        return session.get_state_display()

    @display(description="participants", ordering="num_participants")
    def num_participants(self, session: Any) -> int:
        return int(session.num_participants)

    @display(description="finished", ordering="num_finished")
    def num_finished(self, session: Any) -> int:
        return int(session.num_finished)

    def _open(self, request: HttpRequest, session: StudySession) -> None:
        try:
            services.open_session(session)
        except services.StudyNotReady as error:
            messages.error(request, str(error))
