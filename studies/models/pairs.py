import uuid
from typing import Self

from django.db import models
from django.db.models import Exists, F, OuterRef, Q

from generation.models import Prompt, Render, RenderState
from studies.models.designs import Contrast
from studies.models.sides import Side

STOPPED = (RenderState.QUARANTINED, RenderState.CANCELLED)


class PairQuerySet(models.QuerySet["Pair"]):
    def composable(self) -> Self:
        """Every render is ready, but the stimuli are not composed yet and may still be."""
        rendered = self.filter(
            composition_error="", candidate__state=RenderState.READY,
            baseline__state=RenderState.READY,
        ).filter(Q(reference=None) | Q(reference__state=RenderState.READY))
        return rendered.exclude(pk__in=self.ready().values("pk"))

    def stopped(self) -> Self:
        """Not to be shown until a person does something: an image failed or was cancelled."""
        return self.exclude(pk__in=self.ready().values("pk")).filter(
            ~Q(composition_error="") | Q(candidate__state__in=STOPPED)
            | Q(baseline__state__in=STOPPED) | Q(reference__state__in=STOPPED)
        )

    def ready(self) -> Self:
        """Both stimuli exist, so the pair can be shown."""
        stimuli = Stimulus.objects.filter(pair=OuterRef("pk"))
        return self.filter(Exists(stimuli.filter(candidate_side=Side.LEFT)),
                           Exists(stimuli.filter(candidate_side=Side.RIGHT)))


class Pair(models.Model):
    """One prompt and seed under one contrast: two renders."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    contrast = models.ForeignKey(Contrast, on_delete=models.CASCADE, related_name="pairs")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="pairs")
    seed = models.PositiveBigIntegerField()
    candidate = models.ForeignKey(Render, on_delete=models.PROTECT, related_name="+")
    baseline = models.ForeignKey(Render, on_delete=models.PROTECT, related_name="+")
    # Shown above the two, for the similarity task only.
    reference = models.ForeignKey(Render, on_delete=models.PROTECT, related_name="+", null=True)
    # Why the stimuli cannot be composed; such a pair is not tried again.
    composition_error = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = PairQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["contrast", "prompt", "seed"], name="studies_pair_once"
            ),
            models.CheckConstraint(
                condition=~Q(candidate=F("baseline")), name="studies_pair_images_differ"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.prompt} ({self.contrast})"


class Stimulus(models.Model):
    """The one image file that a trial shows: both sides, and the reference above if any."""

    # Part of a draft like its pair; once shown, the trial protects the pair.
    pair = models.ForeignKey(Pair, on_delete=models.CASCADE, related_name="stimuli")
    candidate_side = models.CharField(max_length=5, choices=Side)
    image = models.FileField(upload_to="stimuli/", max_length=200)
    sha256 = models.CharField(max_length=64)
    # Of one side; the file is two sides wide, and two high when a reference stands above.
    side_width = models.PositiveSmallIntegerField()
    side_height = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "stimuli"
        constraints = [
            models.UniqueConstraint(
                fields=["pair", "candidate_side"], name="studies_stimulus_once_per_side"
            ),
            models.CheckConstraint(
                condition=Q(candidate_side__in=Side.values), name="studies_stimulus_side_known"
            ),
            models.CheckConstraint(
                condition=Q(sha256__regex=r"^[0-9a-f]{64}$"), name="studies_stimulus_sha256_hex"
            ),
        ]

    def __str__(self) -> str:
        return f"stimulus {self.pk}"


