"""Whether the trials can be shown in a participant's window."""

from collections.abc import Mapping

from studies.models import Study

# No phone's screen is as wide as this in CSS pixels, and no tablet's is narrower.
PHONE_BELOW_PX = 600


def problem_of(study: Study, measured: Mapping[str, int | float | bool | None]) -> str:
    """Why they cannot: `phone` or `narrow`; empty where they can. `windows.js` says the same."""
    narrowest_screen = min(measured["screen_width"] or 0, measured["screen_height"] or 0)
    if not study.are_phones_allowed and measured["is_touch"] and narrowest_screen < PHONE_BELOW_PX:
        return "phone"
    return "narrow" if (measured["window_width"] or 0) < study.min_window_px else ""
