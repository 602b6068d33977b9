import pytest
from django.db import IntegrityError, connection, transaction

from studies.models import Response
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def response() -> Response:
    participant = factories.make_participant()
    pair = participant.session.study.contrasts.get().pairs.first()
    return factories.make_response(trial=factories.make_trial(participant=participant, pair=pair))


def test_second_answer_to_a_trial_is_rejected_by_the_database(response: Response) -> None:
    with pytest.raises(IntegrityError):
        factories.make_response(trial=response.trial)


def test_response_cannot_be_changed(response: Response) -> None:
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Response.objects.update(chosen_side="right")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        response.delete()


def test_withdrawal_may_erase_a_response(response: Response) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL budgetstudy.withdrawal = 'on'")
        response.delete()
    assert not Response.objects.exists()
