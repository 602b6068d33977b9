"""The sections of a study's page, in the order in which a study is thought out.

What is compared, the translations and the questions are tables of their own; their inlines carry
the numbers that are missing here.
"""

from typing import Any

FILE_FIELD = "prompt_file"
_OFTEN_LEFT = ("collapse",)

SECTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("1. Name and question", {"fields": ("name", "task", "language", "question")}),
    ("2. Prompts", {"fields": ("prompt_summary", FILE_FIELD)}),
    ("3. Images", {
        "fields": ("model", "predictor"),
        "description": "The model renders the images. The predictor gives each prompt its budget "
                       "of steps.",
    }),
    ("5. Trials", {
        "fields": (("main_trials", "practice_trials"), ("catch_percent", "catch_steps"),
                   ("repeat_percent", "trials_per_block")),
    }),
    ("6. How a trial is shown", {
        "fields": (("blank_ms", "image_scale"), ("min_viewing_ms", "viewing_limit_ms"),
                   "surround_grey"),
        "classes": _OFTEN_LEFT,
    }),
    ("7. The participant's way", {
        "fields": (("has_landing", "has_consent"), "has_screen_check",
                   ("min_window_px", "are_phones_allowed"), ("has_instructions", "has_debrief")),
        "description": "In this order, with your questions before and after the trials.",
        "classes": _OFTEN_LEFT,
    }),
    ("8. What participants read", {
        "fields": ("welcome_text", "consent_text", "instructions_text", "debrief_text"),
        "description": "Markdown. Participants read the standard text of the task wherever a field "
                       "is blank.",
        "classes": _OFTEN_LEFT,
    }),
)


def without_file(sections: tuple[tuple[str, dict[str, Any]], ...]) -> list[tuple[str, Any]]:
    """The sections of a study that takes no file any more."""
    return [(title, {**options, "fields": [each for each in options["fields"]
                                           if each != FILE_FIELD]})
            for title, options in sections]
