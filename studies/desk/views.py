"""What the buttons and the moving parts of the study and session pages call."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.html import format_html
from django.views.decorators.http import require_POST, require_safe

from studies.desk import services
from studies.desk.forms import PreviewForm
from studies.desk.progress import study_progress
from studies.method.markup import safe_html
from studies.models import Study, StudySession

may_view = permission_required("studies.view_study", raise_exception=True)
may_change = permission_required("studies.change_study", raise_exception=True)
may_change_session = permission_required("studies.change_studysession", raise_exception=True)


def panel(request: HttpRequest, study: Study) -> dict[str, Any]:
    """Where a study stands, and what this user may do about it."""
    return {
        "progress": study_progress(study),
        "sessions": study.sessions.order_by("pk"),
        "may_change_study": request.user.has_perm("studies.change_study"),
        "may_add_session": request.user.has_perm("studies.add_studysession"),
    }


@require_safe
@may_view
def progress(request: HttpRequest, study_id: int) -> HttpResponse:
    """The part of a study's page that moves while images render."""
    study = get_object_or_404(Study.objects.select_related("model", "predictor"), pk=study_id)
    response = render(request, "desk/_progress.html", panel(request, study))
    response["Cache-Control"] = "no-store"
    return response


@require_POST
@may_view
def preview(request: HttpRequest) -> HttpResponse:
    """A text as participants will read it, made by the same sanitiser."""
    form = PreviewForm(request.POST)
    if not form.is_valid():  # As while a number is being written.
        return HttpResponse(format_html("<p><strong>{}</strong></p>", form.problem()))
    return HttpResponse(safe_html(form.read_text()))


@require_POST
@may_change
def prepare(request: HttpRequest, study_id: int) -> HttpResponseRedirect:
    study = get_object_or_404(Study, pk=study_id)
    try:
        services.prepare(study)
    except services.StudyNotReady as error:
        messages.error(request, str(error))
    # How it goes, the page says itself; a message beside it would stay when it is no longer true.
    return redirect("admin:studies_study_change", study_id)


@require_POST
@may_change
def retry(request: HttpRequest, study_id: int) -> HttpResponseRedirect:
    """Give a study's failed images new attempts."""
    study = get_object_or_404(Study, pk=study_id)
    num_retried = services.retry_failed(study)
    noun = "image is" if num_retried == 1 else "images are"
    messages.success(request, f"{num_retried} failed {noun} tried again.")
    return redirect("admin:studies_study_change", study_id)


@require_POST
@may_change_session
def open_session(request: HttpRequest, session_id: int) -> HttpResponseRedirect:
    session = get_object_or_404(StudySession, pk=session_id)
    try:
        services.open_session(session)
    except services.StudyNotReady as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The session is open. Send participants the link below.")
    return redirect("admin:studies_studysession_change", session_id)


@require_POST
@may_change_session
def close_session(request: HttpRequest, session_id: int) -> HttpResponseRedirect:
    session = get_object_or_404(StudySession, pk=session_id)
    try:
        services.close_session(session)
    except services.StudyNotReady as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The session is closed. Nobody else can join.")
    return redirect("admin:studies_studysession_change", session_id)
