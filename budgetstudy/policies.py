"""Which Content-Security-Policy a page gets."""

from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest, HttpResponseBase

# The admin's interface evaluates expressions kept in attributes, and sets styles inline.
ADMIN_POLICY = {"script-src": [SELF, UNSAFE_EVAL], "style-src": [SELF, UNSAFE_INLINE]}


class PolicyMiddleware(CSPMiddleware):
    """The strict policy everywhere, relaxed for the admin alone."""

    def get_policy_parts(self, request: HttpRequest, response: HttpResponseBase,
                         report_only: bool = False) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if request.resolver_match is not None and request.resolver_match.app_name == "admin":
            parts.replace = ADMIN_POLICY
        return parts
