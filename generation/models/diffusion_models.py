import uuid
from pathlib import Path

from django.db import models
from django.db.models import Q

# The model that this repository ships. Its row holds this word, not a machine's path.
EMBEDDED_SOURCE = "embedded"
EMBEDDED_FOLDER = Path(__file__).resolve().parent.parent / "scenes" / "weights"


class SchedulerName(models.TextChoices):
    DDIM = "ddim", "DDIM"
    DPM_SOLVER = "dpmsolver++", "DPM-Solver++ 2M"
    OWN = "own", "the pipeline's own"


class DiffusionModel(models.Model):
    """A diffusers text-to-image pipeline, and how this project samples it."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=100, unique=True)
    source = models.CharField(
        max_length=500,
        help_text="A diffusers pipeline folder that the web server and every worker can read, "
        f"or a hub id. “{EMBEDDED_SOURCE}” is the model this project ships.",
    )
    revision = models.CharField(
        max_length=40, blank=True, help_text="For a hub id: the 40-character commit. Else empty."
    )
    reference_steps = models.PositiveSmallIntegerField(
        default=50, help_text="The full step count, which every image is compared with."
    )
    scheduler = models.CharField(
        max_length=20, choices=SchedulerName, default=SchedulerName.DDIM
    )
    guidance = models.FloatField(default=7.5, help_text="Classifier-free guidance; 1 is off.")
    width = models.PositiveSmallIntegerField(default=512, help_text="Pixels.")
    height = models.PositiveSmallIntegerField(default=512, help_text="Pixels.")
    weights_sha256 = models.CharField(
        "sha256 of the weights", max_length=64, blank=True, editable=False,
        help_text="Of a folder's weights when it was first used. Workers refuse any others.",
    )
    is_paused = models.BooleanField(
        default=False, help_text="Workers leave its images alone until it is resumed."
    )
    # What became of the last request to measure how long one image takes alone.
    latency_requested_at = models.DateTimeField(
        null=True, editable=False, help_text="While a worker has not begun to measure."
    )
    latency_problem = models.TextField(blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(scheduler__in=SchedulerName.values),
                name="generation_diffusionmodel_scheduler_known",
            ),
            models.CheckConstraint(
                condition=Q(reference_steps__gte=1, reference_steps__lte=1000),
                name="generation_diffusionmodel_reference_steps_range",
            ),
            models.CheckConstraint(
                condition=Q(guidance__gte=0), name="generation_diffusionmodel_guidance_positive"
            ),
            models.CheckConstraint(
                condition=Q(width__gte=8, height__gte=8),
                name="generation_diffusionmodel_size_positive",
            ),
            models.CheckConstraint(
                condition=Q(revision="") | Q(revision__regex=r"^[0-9a-f]{40}$"),
                name="generation_diffusionmodel_revision_is_hash",
            ),
            models.CheckConstraint(
                condition=Q(weights_sha256="") | Q(weights_sha256__regex=r"^[0-9a-f]{64}$"),
                name="generation_diffusionmodel_weights_is_hash",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def location(self) -> str:
        """Where the pipeline is loaded from: a folder or a hub id."""
        return str(EMBEDDED_FOLDER) if self.source == EMBEDDED_SOURCE else self.source

    def sampling_settings(self) -> dict[str, str | float | int]:
        """All that decides how long an image takes, apart from its steps and the machine."""
        return {"source": self.source, "revision": self.revision, "scheduler": self.scheduler,
                "guidance": self.guidance, "width": self.width, "height": self.height}
