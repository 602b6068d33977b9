import uuid

from django.db import models
from django.db.models import Q

from studies.models.sides import Side
from studies.models.trials import Trial


class InputMethod(models.TextChoices):
    KEYBOARD = "keyboard", "keyboard"
    POINTER = "pointer", "pointer"
    TOUCH = "touch", "touch"


class Response(models.Model):
    """A participant's only answer to one trial. Inserted once; the database refuses a change."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    trial = models.OneToOneField(Trial, on_delete=models.PROTECT, related_name="response")
    chosen_side = models.CharField(max_length=5, choices=Side)
    response_ms = models.PositiveIntegerField(help_text="From the frame that showed the stimulus.")
    input_method = models.CharField(max_length=8, choices=InputMethod)
    # As the browser's clock had it; created_at is the server's.
    shown_at = models.DateTimeField(null=True)
    image_load_ms = models.PositiveIntegerField(null=True)
    image_decode_ms = models.PositiveIntegerField(null=True)
    frame_ms = models.FloatField(
        null=True, help_text="Milliseconds between two frames of the participant's screen."
    )
    viewport_width = models.PositiveIntegerField(null=True, help_text="CSS pixels.")
    viewport_height = models.PositiveIntegerField(null=True, help_text="CSS pixels.")
    device_pixel_ratio = models.FloatField(null=True)
    displayed_px = models.PositiveIntegerField(
        null=True, help_text="Width of one side as shown, CSS pixels."
    )
    focus_lost = models.PositiveIntegerField(
        default=0, help_text="Times the window lost focus during the trial."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(chosen_side__in=Side.values), name="studies_response_side_known"
            ),
            models.CheckConstraint(
                condition=Q(input_method__in=InputMethod.values),
                name="studies_response_input_known",
            ),
            models.CheckConstraint(
                condition=Q(response_ms__gt=0), name="studies_response_time_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"answer to {self.trial}"
