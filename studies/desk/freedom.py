"""Which parts of a study may still change: all of them until its launch, none after it."""

from django.db.models import Model
from django.http import HttpRequest

from studies.models import Question, Study


def is_frozen(part: Model | None) -> bool:
    """Whether a study, or the study of a question, was launched."""
    study = part.study if isinstance(part, Question) else part
    return isinstance(study, Study) and study.is_frozen()


class DraftOnly:
    """An admin of a design, or of a part of one: to be read alone once the study is launched."""

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        allowed: bool = super().has_change_permission(request, obj)  # type: ignore[misc]
        return allowed and not is_frozen(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        allowed: bool = super().has_delete_permission(request, obj)  # type: ignore[misc]
        return allowed and not is_frozen(obj)


class DraftPart(DraftOnly):
    """An inline of a design."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        allowed: bool = super().has_add_permission(request, obj)  # type: ignore[misc]
        return allowed and not is_frozen(obj)
