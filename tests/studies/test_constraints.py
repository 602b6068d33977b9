import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils.timezone import now

from studies.models import Pair, Response, SessionState, Study, StudySession
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


def test_pair_of_one_image_is_rejected() -> None:
    pair = factories.make_ready_pair(contrast=factories.make_contrast())
    with pytest.raises(IntegrityError, match="studies_pair_images_differ"):
        Pair.objects.update(baseline=pair.candidate)


@pytest.mark.parametrize(("field", "most"), [("practice_trials", 100), ("main_trials", 5000)])
def test_more_trials_than_can_be_numbered_are_refused_in_words(field: str, most: int) -> None:
    study = factories.make_study(**{field: most})
    study.full_clean()
    setattr(study, field, most + 1)
    with pytest.raises(ValidationError, match=f"At most {most} .* Lower"):
        study.full_clean()
    with pytest.raises(IntegrityError, match=f"studies_study_{field}_few"):
        Study.objects.update(**{field: most + 1})


@pytest.mark.parametrize("values", [
    {"state": SessionState.CLOSED},
    {"closed_at": now()},
])
def test_session_is_timed_as_closed_exactly_when_it_is(values: dict) -> None:
    factories.make_open_session(num_pairs=0)
    with pytest.raises(IntegrityError, match="studies_studysession_closed_is_timed"):
        StudySession.objects.update(**values)
