"""The long table: one row per planned trial, answered or not, in one query."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.db.models import (
    Case,
    CharField,
    F,
    IntegerField,
    OuterRef,
    Q,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Concat

from budgetstudy import __version__
from studies.analysis.rates import CHANCE_LEVEL
from studies.models import Study, StudyPrompt, Trial, TrialKind

_CHUNK_ROWS = 1000
_CONTRAST = "pair__contrast__"
_STUDY = f"{_CONTRAST}study__"

_category = Subquery(
    StudyPrompt.objects.filter(
        study=OuterRef(f"{_CONTRAST}study"), prompt=OuterRef("pair__prompt")
    ).values("category")[:1]
)
_chosen_arm = Case(
    When(response=None, then=None),
    When(response__chosen_side=F("candidate_side"), then=F(f"{_CONTRAST}candidate_arm")),
    default=F(f"{_CONTRAST}baseline_arm"),
)
# 1 and 0 rather than true and false: its mean is the rate in every language, missing or not.
_is_candidate_chosen = Case(
    When(response=None, then=None),
    When(response__chosen_side=F("candidate_side"), then=1),
    default=0,
    output_field=IntegerField(),
)
# Practice is left out although its answers may be known: nothing is concluded from it.
_catch_correct = Case(
    When(Q(response=None) | ~Q(kind=TrialKind.CATCH), then=None),
    When(response__chosen_side=F("candidate_side"), then=0),
    default=1,
    output_field=IntegerField(),
)

# Column by expression, in the order in which analysts know them.
_COLUMNS: dict[str, Any] = {
    "row_id": F("public_id"),
    "study": F(f"{_STUDY}name"),
    "study_version": F(f"{_STUDY}version"),
    "study_session": F("participant__session__name"),
    "participant": F("participant__public_id"),
    "trial_index": F("index"),
    "trial_kind": F("kind"),
    "repeat_of": F("repeat_of__public_id"),
    "contrast": Concat(f"{_CONTRAST}candidate_arm", Value(" against "),
                       f"{_CONTRAST}baseline_arm", output_field=CharField()),
    "task": F(f"{_STUDY}task"),
    "chance_level": Value(CHANCE_LEVEL),
    "prompt_id": F("pair__prompt__public_id"),
    "prompt": F("pair__prompt__text"),
    "category": _category,
    "seed": F("pair__seed"),
    "model": F(f"{_STUDY}model__name"),
    "model_revision": F(f"{_STUDY}model__revision"),
    "scheduler": F("pair__candidate__scheduler"),
    "guidance": F("pair__candidate__guidance"),
    "reference_steps": F(f"{_STUDY}model__reference_steps"),
    "candidate_arm": F(f"{_CONTRAST}candidate_arm"),
    "baseline_arm": F(f"{_CONTRAST}baseline_arm"),
    "candidate_steps": F("pair__candidate__num_steps"),
    "baseline_steps": F("pair__baseline__num_steps"),
    "candidate_sha256": F("pair__candidate__sha256"),
    "baseline_sha256": F("pair__baseline__sha256"),
    "candidate_side": F("candidate_side"),
    "response": F("response__chosen_side"),
    "chosen_arm": _chosen_arm,
    "is_candidate_chosen": _is_candidate_chosen,
    "response_ms": F("response__response_ms"),
    "input_method": F("response__input_method"),
    "shown_at": F("response__shown_at"),
    "responded_at": F("response__created_at"),
    "image_load_ms": F("response__image_load_ms"),
    "viewport_width": F("response__viewport_width"),
    "viewport_height": F("response__viewport_height"),
    "device_pixel_ratio": F("response__device_pixel_ratio"),
    "displayed_px": F("response__displayed_px"),
    "focus_lost": F("response__focus_lost"),
    "catch_correct": _catch_correct,
    "plan_seed": F("participant__plan_seed"),
    "app_version": Value(__version__),
}
COLUMNS = tuple(_COLUMNS)


def long_rows(study: Study) -> Iterator[tuple[Any, ...]]:
    """Read a study's trials, practice included, through a server-side cursor."""
    trials = Trial.objects.filter(pair__contrast__study=study).order_by("participant_id", "index")
    for row in trials.values_list(*_COLUMNS.values()).iterator(chunk_size=_CHUNK_ROWS):
        yield tuple(map(_plain, row))


def _plain(value: Any) -> Any:
    """Leave numbers as they are; empty for missing; times in UTC to the millisecond."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value if isinstance(value, int | float) else str(value)
