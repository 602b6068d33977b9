"""Who a participant is to the recruiter: read from the join link, recognised ever after."""

import uuid
from typing import Protocol
from urllib.parse import quote

from django.core import signing
from django.db.models import Q
from django.utils.crypto import salted_hmac

from studies.models import Participant, RecruiterIdentity, StudySession

LONGEST_ID = RecruiterIdentity._meta.get_field("external_id").max_length or 0
# What a byte that is no UTF-8 becomes.
UNREADABLE = "\ufffd"
_SALT = "studies.participation.recruiters"


class Parameters(Protocol):
    """The part of a QueryDict that is read here."""

    def getlist(self, key: str) -> list[str]: ...


class BrokenLink(ValueError):
    """The link does not say, in the way that was agreed, who comes from the recruiter."""


def read_id(session: StudySession, parameters: Parameters) -> str:
    """The recruiter's id of a visitor, empty where the session asks for none.

    Raises
    ------
    BrokenLink
        If it is missing, repeated, too long, or holds what no recruiter's id holds.
    """
    if not session.id_parameter:
        return ""
    values = [value.strip() for value in parameters.getlist(session.id_parameter)]
    if len(values) != 1 or not 1 <= len(values[0]) <= LONGEST_ID or not _is_plain(values[0]):
        raise BrokenLink
    return values[0]


def _is_plain(value: str) -> bool:
    """Printable UTF-8 without spaces, and not a blank that the recruiter forgot to fill."""
    is_text = value.isprintable() and not {" ", UNREADABLE} & set(value)
    return is_text and not value.startswith(("{", "[", "<"))


def sealed(session: StudySession, external_id: str) -> str:
    """The id as a form carries it: whoever changes it is found out."""
    return signing.dumps([str(session.public_id), external_id], salt=_SALT) if external_id else ""


def unsealed(session: StudySession, text: str) -> str:
    """The id that `sealed` sealed for this session.

    Raises
    ------
    BrokenLink
        If anything else is given.
    """
    if not session.id_parameter:
        return ""
    try:
        place, external_id = signing.loads(text, salt=_SALT)
    except (signing.BadSignature, ValueError) as error:
        raise BrokenLink from error
    if place != str(session.public_id):
        raise BrokenLink
    return str(external_id)


def token_for(session: StudySession, external_id: str) -> uuid.UUID:
    """The token of the one participant that an id can become.

    It is computed with the server's secret key, and nobody without that can. So the same id always
    meets the same row, and the database's own rule keeps a second one out. A withdrawal erases the
    id but not the token: who withdrew is recognised on coming back, while the id itself cannot be
    read from anything that is kept.
    """
    text = f"{session.public_id}:{external_id}"
    digest = salted_hmac(_SALT, text, algorithm="sha256").digest()
    return uuid.UUID(bytes=digest[:16], version=4)


def find(session: StudySession, external_id: str) -> Participant | None:
    """The participant with this id: also one who withdrew, or came under an earlier secret key."""
    token = token_for(session, external_id)
    known = Q(token=token) | Q(identity__external_id=external_id)
    return session.participants.filter(known).first()


def return_address(participant: Participant) -> str:
    """Where the recruiter wants participants back, with their code; empty where it is not said."""
    code = quote(participant.completion_code, safe="")
    return participant.session.return_url.replace("{code}", code)
