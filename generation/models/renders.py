import uuid
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from generation.diffusion.recipes import Recipe
from generation.models.diffusion_models import DiffusionModel, SchedulerName
from generation.models.prompts import Prompt


class RenderState(models.TextChoices):
    PENDING = "pending", "waiting"
    RUNNING = "running", "running"
    READY = "ready", "ready"
    QUARANTINED = "quarantined", "quarantined"
    CANCELLED = "cancelled", "cancelled"


class Priority(models.IntegerChoices):
    """What a worker renders first; lower goes first."""

    RUNNING_STUDY = 0, "participants are waiting"
    STUDY = 10, "a study is being prepared"


class RenderQuerySet(models.QuerySet["Render"]):
    def claimable(self) -> Self:
        """Waiting for a worker, and workers may have it."""
        return self.filter(state=RenderState.PENDING, model__is_paused=False)

    def like(self, render: "Render") -> Self:
        """Of the kind that can share a batch of the sampler with this one."""
        return self.filter(_same_kind(render))

    def unlike(self, render: "Render") -> Self:
        return self.exclude(_same_kind(render))

    def ready(self) -> Self:
        return self.filter(state=RenderState.READY)

    def lapsed(self) -> Self:
        """Leased to a worker that has stopped renewing its lease."""
        return self.filter(state=RenderState.RUNNING, lease_expires_at__lt=Now())


def _same_kind(render: "Render") -> Q:
    is_guided = Q(guidance__gt=1) if render.recipe().is_guided else Q(guidance__lte=1)
    return is_guided & Q(scheduler=render.scheduler, width=render.width, height=render.height)


class Render(models.Model):
    """One recipe and what became of it. Rendered once, shared by every study."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    model = models.ForeignKey(DiffusionModel, on_delete=models.PROTECT, related_name="renders")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="renders")
    seed = models.PositiveBigIntegerField()
    num_steps = models.PositiveSmallIntegerField()
    # Copied from the model's row when requested: a later edit there changes no render.
    scheduler = models.CharField(max_length=20, choices=SchedulerName)
    guidance = models.FloatField()
    width = models.PositiveSmallIntegerField()
    height = models.PositiveSmallIntegerField()

    state = models.CharField(max_length=12, choices=RenderState, default=RenderState.PENDING)
    priority = models.PositiveSmallIntegerField(choices=Priority, default=Priority.STUDY)
    attempts = models.PositiveSmallIntegerField(default=0)
    # A worker that dies takes a whole batch along, and at most one image in it is to blame. So
    # such a loss is no attempt; after two of them an image is rendered alone.
    shared_losses = models.PositiveSmallIntegerField(
        default=0, help_text="Workers that died while they rendered this among others."
    )
    error = models.TextField(blank=True)
    # The lease is also a fence: only the holder of this id may write the result.
    lease_id = models.UUIDField(null=True, editable=False)
    lease_holder = models.CharField(max_length=200, blank=True)
    lease_expires_at = models.DateTimeField(null=True, editable=False)

    image = models.FileField(upload_to="renders/", max_length=200, blank=True)
    sha256 = models.CharField(max_length=64, blank=True, help_text="Of the image file.")
    unet_evaluations = models.PositiveIntegerField(null=True, help_text="Exact.")
    seconds = models.FloatField(null=True, help_text="Measured, this image's share of its batch.")
    joules = models.FloatField(
        null=True, help_text="Measured, likewise; empty where the device cannot be read."
    )
    # Device, batch size, library versions, revision: what a reader needs to repeat it.
    provenance = models.JSONField(default=dict, blank=True)

    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)

    objects = RenderQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["model", "prompt", "seed", "num_steps", "scheduler", "guidance", "width",
                        "height"],
                name="generation_render_recipe_once",
            ),
            models.CheckConstraint(
                condition=Q(state__in=RenderState.values), name="generation_render_state_known"
            ),
            models.CheckConstraint(
                condition=Q(priority__in=Priority.values), name="generation_render_priority_known"
            ),
            models.CheckConstraint(
                condition=Q(scheduler__in=SchedulerName.values),
                name="generation_render_scheduler_known",
            ),
            models.CheckConstraint(
                condition=Q(num_steps__gte=1), name="generation_render_steps_positive"
            ),
            models.CheckConstraint(
                condition=~Q(state=RenderState.READY)
                | Q(sha256__regex=r"^[0-9a-f]{64}$", unet_evaluations__gte=1, seconds__gt=0,
                    finished_at__isnull=False) & ~Q(image=""),
                name="generation_render_ready_is_complete",
            ),
            models.CheckConstraint(
                condition=Q(state=RenderState.RUNNING, lease_id__isnull=False,
                            lease_expires_at__isnull=False, started_at__isnull=False)
                | ~Q(state=RenderState.RUNNING) & Q(lease_id__isnull=True),
                name="generation_render_running_is_leased",
            ),
            models.CheckConstraint(
                condition=~Q(state=RenderState.QUARANTINED) | ~Q(error=""),
                name="generation_render_quarantined_says_why",
            ),
        ]
        indexes = [
            models.Index(F("model"), F("priority"), F("attempts"), F("id"),
                         condition=Q(state=RenderState.PENDING), name="generation_render_pending"),
        ]

    def __str__(self) -> str:
        return f"{self.prompt} at {self.num_steps} steps"

    def recipe(self) -> Recipe:
        """What the sampler needs, with the model's location resolved."""
        return Recipe(
            source=self.model.location(),
            revision=self.model.revision,
            prompt=self.prompt.text,
            seed=self.seed,
            num_steps=self.num_steps,
            scheduler=self.scheduler,
            guidance=self.guidance,
            width=self.width,
            height=self.height,
            weights_sha256=self.model.weights_sha256,
        )
