"""A participant's place: who is silent for long gives it back, and may ask for it again."""

from datetime import timedelta

from django.db import transaction
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from studies.models import Participant, ParticipantState, StudySession

RENEWED_EVERY = timedelta(minutes=1)
# Far longer than a database needs for one update: no place lapses while it is renewed.
MARGIN = timedelta(seconds=10)


class PlaceLost(Exception):
    """The place lapsed, and by now others have all of them."""

    sentence = _("Your place was given to somebody else while you were away. What you answered is "
                 "kept.")


def keep_place(participant: Participant) -> None:
    """Note that a participant is here; where the place lapsed, take a free one.

    Raises
    ------
    PlaceLost
        If the place lapsed and none is free.
    """
    if participant.state != ParticipantState.ACTIVE:
        return
    kept = timedelta(minutes=participant.session.release_minutes)
    silent = now() - participant.last_seen_at
    if silent < min(RENEWED_EVERY, kept / 2):
        return
    if silent < kept - MARGIN:
        _note_seen(participant)
    else:
        _take_again(participant)


@transaction.atomic
def _take_again(participant: Participant) -> None:
    """Count the places as a newcomer does, under the same lock."""
    session = StudySession.objects.select_for_update(no_key=True).get(pk=participant.session_id)
    others = session.participants.holding_places().exclude(pk=participant.pk)
    if others.count() >= session.quota:
        raise PlaceLost
    _note_seen(participant)


def _note_seen(participant: Participant) -> None:
    participant.last_seen_at = now()
    Participant.objects.filter(pk=participant.pk, state=ParticipantState.ACTIVE).update(
        last_seen_at=participant.last_seen_at
    )
