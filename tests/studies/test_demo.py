import pytest

from generation.models import DiffusionModel
from studies.desk import demo

pytestmark = pytest.mark.django_db


def test_demo_is_made_once_and_anew_for_weights_that_are_shipped_later() -> None:
    first = demo.make_session()
    assert demo.make_session() == first
    DiffusionModel.objects.update(weights_sha256="a" * 64)
    second = demo.make_session()
    assert demo.make_session() == second
    assert second.study.model != first.study.model
    assert second.study.name.startswith(first.study.name)
