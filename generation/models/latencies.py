import uuid
from typing import Self

from django.db import models
from django.db.models import OuterRef, Q, Subquery

from generation.models.diffusion_models import DiffusionModel


class LatencyQuerySet(models.QuerySet["Latency"]):
    def newest_run(self) -> Self:
        """Each model's newest measurement: step counts timed together, in one place."""
        newest = Latency.objects.filter(model=OuterRef("model")).order_by("-created_at", "-pk")
        return self.filter(provenance__run=Subquery(newest.values("provenance__run")[:1]))


class Latency(models.Model):
    """How long one image takes when it is rendered alone: measured on request, never derived."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    model = models.ForeignKey(DiffusionModel, on_delete=models.CASCADE, related_name="latencies")
    num_steps = models.PositiveSmallIntegerField()
    seconds = models.FloatField(help_text="Median over the repeats, from the prompt to the image.")
    fastest_seconds = models.FloatField()
    slowest_seconds = models.FloatField()
    joules = models.FloatField(null=True, help_text="Per image; empty where it cannot be read.")
    repeats = models.PositiveSmallIntegerField()
    # Device, dtype, library versions, how seconds and joules were measured, the model's settings,
    # and the run that the step counts measured together share.
    provenance = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = LatencyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "latencies"
        constraints = [
            models.CheckConstraint(
                condition=Q(num_steps__gte=1, repeats__gte=1, fastest_seconds__gt=0,
                            seconds__gte=models.F("fastest_seconds"),
                            slowest_seconds__gte=models.F("seconds")),
                name="generation_latency_is_measured",
            ),
        ]
        indexes = [models.Index(fields=["model", "-created_at"], name="generation_latency_newest")]

    def __str__(self) -> str:
        return f"{self.model} at {self.num_steps} steps: {self.seconds:.3f} s"

    def place(self) -> str:
        """Name the device and the precision: only times of one place can be compared."""
        device = self.provenance.get("device_name", "an unnamed device")
        dtype = self.provenance.get("dtype")
        return f"{device}, {dtype}" if dtype else device
