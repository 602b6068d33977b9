import uuid

from django.db import models
from django.db.models import Q


class Prompt(models.Model):
    """A text that an image is made from. Shared by every study that uses it."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    text = models.TextField(unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(text=""), name="generation_prompt_not_empty")
        ]

    def __str__(self) -> str:
        return self.text
