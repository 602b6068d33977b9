"""A participant's place: who is silent for long gives it back, and may ask for it again."""

from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from studies.models import Participant, ParticipantState, StudySession

RENEWED_EVERY = timedelta(minutes=1)


class PlaceLost(Exception):
    """The place lapsed, and by now others have all of them."""

    sentence = _("Your place was given to somebody else while you were away. What you answered is "
                 "kept.")


class PlaceLapsed(PlaceLost):
    """The place lapsed, and another is free: for who asks for it, not for a mere look."""


def keep_place(participant: Participant, *, may_take: bool = True) -> None:
    """Note that a participant is here; where the place lapsed, take a free one if one may.

    Raises
    ------
    PlaceLost
        If the place lapsed and none is free.
    PlaceLapsed
        If the place lapsed, one is free, and it may not be taken.
    """
    if participant.state != ParticipantState.ACTIVE:
        return
    kept = timedelta(minutes=participant.session.release_minutes)
    if now() - participant.last_seen_at < min(RENEWED_EVERY, kept / 2):
        return
    if _renew(participant, kept):
        return
    if may_take:
        _take_again(participant)
        return
    _check_one_is_free(participant, participant.session)
    raise PlaceLapsed


def _renew(participant: Participant, kept: timedelta) -> bool:
    """In one statement by the database's clock, which also counts the places: none lapses here."""
    return _note_seen(participant, last_seen_at__gte=Now() - kept)


@transaction.atomic
def _take_again(participant: Participant) -> None:
    """Count the places as a newcomer does, under the same lock."""
    session = StudySession.objects.select_for_update(no_key=True).get(pk=participant.session_id)
    _check_one_is_free(participant, session)
    _note_seen(participant)


def _check_one_is_free(participant: Participant, session: StudySession) -> None:
    others = session.participants.holding_places().exclude(pk=participant.pk)
    if others.count() >= session.quota:
        raise PlaceLost


def _note_seen(participant: Participant, **condition: object) -> bool:
    seen = Participant.objects.filter(
        pk=participant.pk, state=ParticipantState.ACTIVE, **condition
    ).update(last_seen_at=Now())
    if seen:
        participant.last_seen_at = now()
    return seen == 1
