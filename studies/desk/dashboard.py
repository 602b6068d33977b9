"""The admin's first page: what to do next, and how the latest studies are."""

from typing import Any

from django.db.models import OuterRef
from django.http import HttpRequest

from studies.models import (
    Participant,
    ParticipantState,
    SessionState,
    Study,
    StudyPrompt,
    StudySession,
)
from studies.models.counting import counted

SHOWN_STUDIES = 8


def add_next_steps(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Give the first page the latest studies, for those who may see them."""
    if request.user.has_perm("studies.view_study"):
        prompts = StudyPrompt.objects.filter(study=OuterRef("pk"))
        sessions = StudySession.objects.filter(study=OuterRef("pk"), state=SessionState.OPEN)
        people = Participant.objects.filter(session__study=OuterRef("pk"),
                                            state=ParticipantState.FINISHED)
        context["studies"] = list(
            Study.objects.annotate(
                num_prompts=counted(prompts, "study"), num_open=counted(sessions, "study"),
                num_finished=counted(people, "session__study"),
            ).order_by("-created_at")[:SHOWN_STUDIES]
        )
    return context
