import uuid
from pathlib import Path

from django.db import models
from django.db.models import Q

from generation.models.diffusion_models import EMBEDDED_SOURCE, DiffusionModel
from generation.models.prompts import Prompt

EMBEDDED_FOLDER = Path(__file__).resolve().parent.parent / "budget" / "predictor"


class Predictor(models.Model):
    """A trained BiLSTM that gives a prompt its budget on one model."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=100, unique=True)
    model = models.ForeignKey(DiffusionModel, on_delete=models.PROTECT, related_name="predictors")
    source = models.CharField(max_length=500, help_text="The predictor's folder.")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name

    def folder(self) -> Path:
        """Where the predictor is loaded from."""
        return EMBEDDED_FOLDER if self.source == EMBEDDED_SOURCE else Path(self.source)


class Budget(models.Model):
    """The step count that a predictor gave a prompt, and the curves it was read from."""

    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="budgets")
    predictor = models.ForeignKey(Predictor, on_delete=models.PROTECT, related_name="budgets")
    num_steps = models.PositiveSmallIntegerField()
    # {"steps": [1, 2, …], "<metric>": [value at each step count, …], …}
    curves = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["prompt", "predictor"], name="generation_budget_once_per_predictor"
            ),
            models.CheckConstraint(
                condition=Q(num_steps__gte=1), name="generation_budget_steps_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.num_steps} steps"
