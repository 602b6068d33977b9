"""Take pairs away from a draft. Renders stay: the next preparation uses them again."""

from collections.abc import Iterable

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import QuerySet

from studies.models import Pair, Stimulus


@transaction.atomic
def discard_pairs(pairs: QuerySet[Pair]) -> None:
    """Delete pairs with their stimuli, and the stimuli's files once that is committed."""
    # A stimulus being composed now must not outlive its pair: its insert waits for this lock.
    keys = list(pairs.select_for_update(of=("self",)).values_list("pk", flat=True))
    files = list(Stimulus.objects.filter(pair__in=keys).values_list("image", flat=True))
    Pair.objects.filter(pk__in=keys).delete()
    transaction.on_commit(lambda: _delete_files(files))


def _delete_files(names: Iterable[str]) -> None:
    for name in names:
        default_storage.delete(name)
