"""The site's bare address, which nobody is sent to and anybody may type."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe


@require_safe
def front(request: HttpRequest) -> HttpResponse:
    """Lead staff to the admin, and tell anyone else what they need."""
    if request.user.is_active and request.user.is_staff:
        return redirect("admin:index")
    return render(request, "front.html")
