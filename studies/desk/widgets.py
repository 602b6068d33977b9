"""Form widgets of the desk. Its scripts add what they do to those that carry their data."""

from typing import Any

from django.urls import reverse_lazy
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextareaWidget


class MarkdownWidget(UnfoldAdminTextareaWidget):
    """A text that can be looked at as participants will read it; `preview.js` does so."""

    def __init__(self, part: str) -> None:
        super().__init__(attrs={
            "rows": 6, "data-part": part,
            "data-preview-url": reverse_lazy("admin:studies_study_preview"),
        })


class GreyWidget(UnfoldAdminIntegerFieldWidget):
    """A level of grey, which `swatch.js` shows beside it."""

    def __init__(self) -> None:
        super().__init__(attrs={"min": 0, "max": 255, "data-swatch": ""})


def number(**attrs: Any) -> UnfoldAdminIntegerFieldWidget:
    return UnfoldAdminIntegerFieldWidget(attrs=attrs)


def text(rows: int) -> UnfoldAdminTextareaWidget:
    return UnfoldAdminTextareaWidget(attrs={"rows": rows})


def markdown_widgets() -> dict[str, MarkdownWidget]:
    """One for each text that participants read."""
    return {f"{part}_text": MarkdownWidget(part)
            for part in ("welcome", "consent", "instructions", "debrief")}
