"""The pages that say what went wrong, in the language of whoever meets them.

Django's own views for them prepare a token for forms, and for that read the request's body. Where
the body is what went wrong, that fails once more, and ends in a 500. These pages have no form.
"""

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import translation


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, "400.html", status=400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, "403.html", status=403)


def untrusted_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form came without the token that shows that it is from a page of ours."""
    return _page(request, "403_csrf.html", status=403)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, "404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    return _page(request, "500.html", status=500)


def _page(request: HttpRequest, template: str, *, status: int) -> HttpResponse:
    """Speak as the page did that failed; where there was none, as the browser prefers."""
    language = getattr(request, "LANGUAGE_CODE", "")
    with translation.override(language or translation.get_language_from_request(request)):
        return HttpResponse(render_to_string(template), status=status,
                            headers={"Vary": "Accept-Language"})
