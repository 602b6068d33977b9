"""The admin's first page: what to do next, and how the latest studies are."""

from typing import Any

from django.db.models import Count, Q
from django.http import HttpRequest

from studies.models import ParticipantState, SessionState, Study

SHOWN_STUDIES = 8


def add_next_steps(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Give the first page the latest studies, for those who may see them."""
    if request.user.has_perm("studies.view_study"):
        context["studies"] = list(
            Study.objects.annotate(
                num_prompts=Count("study_prompts", distinct=True),
                num_open=Count("sessions", distinct=True,
                               filter=Q(sessions__state=SessionState.OPEN)),
                num_finished=Count(
                    "sessions__participants", distinct=True,
                    filter=Q(sessions__participants__state=ParticipantState.FINISHED)),
            ).order_by("-created_at")[:SHOWN_STUDIES]
        )
    return context
