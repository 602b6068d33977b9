import uuid
from typing import Self

from django.db import models
from django.db.models import Q

from studies.models.pairs import Pair
from studies.models.participants import Participant
from studies.models.sides import Side


class TrialKind(models.TextChoices):
    PRACTICE = "practice", "practice"
    MAIN = "main", "main"
    CATCH = "catch", "catch"
    REPEAT = "repeat", "repeat"


class TrialQuerySet(models.QuerySet["Trial"]):
    def unanswered(self) -> Self:
        return self.filter(response=None)


class Trial(models.Model):
    """One planned showing of a pair to a participant."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    participant = models.ForeignKey(Participant, on_delete=models.PROTECT, related_name="trials")
    index = models.PositiveSmallIntegerField(help_text="Order within the participant, from 1.")
    kind = models.CharField(max_length=8, choices=TrialKind)
    pair = models.ForeignKey(Pair, on_delete=models.PROTECT, related_name="trials")
    candidate_side = models.CharField(max_length=5, choices=Side)
    repeat_of = models.OneToOneField(
        "self", on_delete=models.PROTECT, related_name="repeat", null=True,
        help_text="The main trial that this one shows once more, with the sides swapped.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TrialQuerySet.as_manager()

    class Meta:
        ordering = ["participant", "index"]
        constraints = [
            models.UniqueConstraint(
                fields=["participant", "index"], name="studies_trial_index_once"
            ),
            models.UniqueConstraint(
                fields=["participant", "pair"],
                condition=Q(kind=TrialKind.MAIN),
                name="studies_trial_pair_once",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=TrialKind.values), name="studies_trial_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(candidate_side__in=Side.values), name="studies_trial_side_known"
            ),
            models.CheckConstraint(
                condition=Q(kind=TrialKind.REPEAT, repeat_of__isnull=False)
                | ~Q(kind=TrialKind.REPEAT) & Q(repeat_of=None),
                name="studies_trial_repeat_names_its_first",
            ),
            models.CheckConstraint(
                condition=Q(index__gte=1), name="studies_trial_index_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"trial {self.index} of {self.participant}"
