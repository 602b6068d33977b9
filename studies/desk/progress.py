"""How far a study's images are: what its page shows, read anew each time."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet, Sum
from django.utils.timezone import now

from generation.models import Budget, Prompt, Render, RenderState
from generation.models.renders import RenderQuerySet
from studies.desk.readiness import missing_for_launch, missing_for_preparation
from studies.models import Contrast, Pair, Study, StudyPrompt, StudyState

GALLERY_PAIRS = 24
TABLE_ROWS = 100
SHOWN_FAILURES = 5
_RATE_WINDOW = timedelta(seconds=90)


@dataclass(frozen=True)
class RenderCounts:
    """A study's images by state."""

    done: int = 0
    running: int = 0
    waiting: int = 0
    quarantined: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        return self.done + self.running + self.waiting + self.stopped

    @property
    def stopped(self) -> int:
        """Those that wait for a person, not for a worker."""
        return self.quarantined + self.cancelled

    @property
    def is_settled(self) -> bool:
        return self.running == self.waiting == 0


@dataclass(frozen=True)
class Bar:
    """One bar of the budget histogram, in the units of its SVG view box."""

    low: int
    high: int
    count: int
    x: float
    width: float
    height: float

    @property
    def y(self) -> float:
        return 40 - self.height

    @property
    def steps(self) -> str:
        return f"{self.low}" if self.low == self.high else f"{self.low} to {self.high}"


@dataclass(frozen=True)
class BudgetSummary:
    """The budgets of a study's prompts."""

    count: int
    smallest: int
    median: float
    largest: int
    mean: float
    saved_percent: float
    bars: list[Bar]


@dataclass(frozen=True)
class ContrastCount:
    contrast: Contrast
    pairs: int
    left_out: int


@dataclass(frozen=True)
class Failure:
    """Images, or pairs, that could not be made for one and the same reason, and the first."""

    error: str
    count: int
    prompt: Prompt
    num_steps: int
    is_of_pairs: bool = False


@dataclass(frozen=True)
class Progress:
    """Everything the study's page shows of its preparation."""

    study: Study
    renders: RenderCounts
    time_left: str
    pairs_total: int
    pairs_ready: int
    catch_total: int
    catch_ready: int
    is_composing: bool
    contrasts: list[ContrastCount]
    errors: list[Failure]
    budgets: BudgetSummary | None
    budget_rows: list[Budget]
    gallery: list[Pair]
    missing: list[str]

    @property
    def is_predicting(self) -> bool:
        return self.study.state == StudyState.PREPARING and not self.pairs_total

    @property
    def can_prepare(self) -> bool:
        return not self.study.is_frozen() and not self.is_predicting

    @property
    def must_prepare(self) -> bool:
        """Preparing is what comes next, and nothing stands in its way."""
        return (self.can_prepare and not self.pairs_total
                and not missing_for_preparation(self.study))

    @property
    def can_open(self) -> bool:
        """A session would open if asked to."""
        return not self.missing and not self.is_predicting

    @property
    def is_complete(self) -> bool:
        return (0 < self.pairs_total == self.pairs_ready
                and self.catch_total == self.catch_ready)

    @property
    def is_settled(self) -> bool:
        """Nothing will change by itself any more, so the page need not ask again."""
        return not self.is_predicting and self.renders.is_settled and not self.is_composing

    @property
    def milestone(self) -> str:
        """One sentence that changes seldom, for screen readers."""
        if self.study.preparation_error:
            return "Preparing failed."
        if self.is_predicting:
            return "Predicting budgets."
        if not self.pairs_total:
            return "Images are not prepared yet."
        if not self.renders.is_settled:
            return "Rendering images."
        return "All images are rendered." if self.is_complete else "Rendering has stopped."


def study_progress(study: Study) -> Progress:
    """Read a study's progress, in a fixed number of queries."""
    pairs = Pair.objects.filter(contrast__study=study)
    total = Counter(pairs.values_list("contrast__is_catch", flat=True))
    ready = Counter(pairs.ready().values_list("contrast__is_catch", flat=True))
    renders = study_renders(study)
    counts = _counts(renders)
    budgets = Budget.objects.filter(
        predictor=study.predictor_id, prompt__study_prompts__study=study
    )
    summary = _summary(list(budgets.values_list("num_steps", flat=True)),
                       reference_steps=study.model.reference_steps)
    return Progress(
        study=study,
        renders=counts,
        time_left="" if counts.is_settled else _time_left(renders),
        pairs_total=total[False],
        pairs_ready=ready[False],
        catch_total=total[True],
        catch_ready=ready[True],
        is_composing=pairs.composable().exists(),
        contrasts=_contrast_counts(study),
        errors=_failures(renders, pairs),
        budgets=summary,
        budget_rows=list(budgets.select_related("prompt").order_by(
            "num_steps", "prompt__text")[:TABLE_ROWS]) if summary else [],
        gallery=_gallery(pairs.filter(contrast__is_catch=False)),
        missing=missing_for_launch(study),
    )


def study_renders(study: Study) -> RenderQuerySet:
    """Every image that the study's pairs show, each once."""
    pairs = Pair.objects.filter(contrast__study=study)
    # EXISTS, not a join: a render that several pairs share must count once.
    return Render.objects.filter(
        Q(Exists(pairs.filter(candidate=OuterRef("pk"))))
        | Q(Exists(pairs.filter(baseline=OuterRef("pk"))))
        | Q(Exists(pairs.filter(reference=OuterRef("pk"))))
    )


def _counts(renders: QuerySet[Render]) -> RenderCounts:
    states = Counter(renders.values_list("state", flat=True))
    return RenderCounts(done=states[RenderState.READY], running=states[RenderState.RUNNING],
                        waiting=states[RenderState.PENDING],
                        quarantined=states[RenderState.QUARANTINED],
                        cancelled=states[RenderState.CANCELLED])


def _failures(renders: QuerySet[Render], pairs: QuerySet[Pair]) -> list[Failure]:
    """Why images failed, the commonest reason first, then why pairs cannot be composed."""
    quarantined = _by_reason(renders.filter(state=RenderState.QUARANTINED), "error")
    broken = _by_reason(pairs.exclude(composition_error=""), "composition_error")
    first_renders = Render.objects.select_related("prompt").in_bulk([row[1] for row in quarantined])
    first_pairs = Pair.objects.select_related("prompt", "candidate").in_bulk(
        [row[1] for row in broken])
    return [
        *(Failure(error, count, first_renders[first].prompt, first_renders[first].num_steps)
          for error, first, count in quarantined),
        *(Failure(error, count, first_pairs[first].prompt, first_pairs[first].candidate.num_steps,
                  is_of_pairs=True)
          for error, first, count in broken),
    ]


def _by_reason(rows: QuerySet, field: str) -> list[tuple[str, int, int]]:
    """The commonest reasons, each with the first row that has it and how many have it."""
    groups = rows.order_by().values_list(field).annotate(first=Min("pk"), count=Count("pk"))
    return list(groups.order_by("-count", "first")[:SHOWN_FAILURES])


def _contrast_counts(study: Study) -> list[ContrastCount]:
    num_prompts = StudyPrompt.objects.filter(study=study).count()
    by_contrast = Counter(
        Pair.objects.filter(contrast__study=study, contrast__is_catch=False)
        .values_list("contrast", flat=True)
    )
    is_prepared = bool(by_contrast)
    return [ContrastCount(contrast, pairs=by_contrast[contrast.pk],
                          left_out=num_prompts - by_contrast[contrast.pk] if is_prepared else 0)
            for contrast in study.contrasts.compared().order_by("pk")]


def _time_left(renders: QuerySet[Render]) -> str:
    """How long the rest will take at the pace of the last minute and a half, in words."""
    remaining = renders.filter(state__in=[RenderState.PENDING, RenderState.RUNNING])
    since = now() - _RATE_WINDOW
    recent = renders.filter(state=RenderState.READY, finished_at__gte=since).aggregate(
        steps=Sum("num_steps"), first=Min("started_at"))
    steps_left = remaining.aggregate(steps=Sum("num_steps"))["steps"] or 0
    if not recent["steps"]:
        return ""
    seconds = (now() - max(recent["first"], since)).total_seconds()
    return duration_in_words(steps_left * seconds / recent["steps"])


def duration_in_words(seconds: float) -> str:
    """A rough duration for people: no more precise than it is."""
    if seconds < 60:
        return "less than a minute"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"about {minutes} minute{'' if minutes == 1 else 's'}"
    return f"about {round(minutes / 60)} hours"


def _summary(steps: Sequence[int], *, reference_steps: int) -> BudgetSummary | None:
    if not steps:
        return None
    mean = statistics.fmean(steps)
    return BudgetSummary(
        count=len(steps), smallest=min(steps), median=statistics.median(steps),
        largest=max(steps), mean=mean, saved_percent=100 * (1 - mean / reference_steps),
        bars=histogram(steps, largest=reference_steps),
    )


def histogram(steps: Sequence[int], *, largest: int, max_bars: int = 25) -> list[Bar]:
    """Count step counts from 1 to `largest` in equal bins, as bars in a box of 100 by 40."""
    width_steps = -(-largest // max_bars)
    num_bars = -(-largest // width_steps)
    counts = Counter(min((value - 1) // width_steps, num_bars - 1) for value in steps)
    tallest = max(counts.values(), default=1)
    return [
        Bar(low=index * width_steps + 1, high=min((index + 1) * width_steps, largest),
            count=counts[index], x=round(100 * index / num_bars, 3),
            width=round(90 / num_bars, 3), height=round(38 * counts[index] / tallest, 3))
        for index in range(num_bars)
    ]


def _gallery(pairs: QuerySet[Pair]) -> list[Pair]:
    """The first pairs of which something can be seen."""
    ready = Q(candidate__state=RenderState.READY) | Q(baseline__state=RenderState.READY)
    return list(
        pairs.filter(ready).select_related("contrast", "prompt", "candidate", "baseline")
        .order_by("pk")[:GALLERY_PAIRS]
    )
