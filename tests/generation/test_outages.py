"""A database that goes away during a drain costs nothing."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction

from generation.models import Priority, Render, RenderState
from generation.rendering import leases
from generation.rendering.draining import drain_renders, lease_once
from generation.rendering.outages import outlast
from tests import factories
from tests.generation.easels import Easel, states

# Images are kept in other threads.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]


def end_connections(step: int) -> None:
    """Every third step, what a restart of PostgreSQL does to those who use it."""
    if step % 3:
        return
    with suppress(OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                       "WHERE datname = current_database() AND pid <> pg_backend_pid()")
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


@pytest.fixture
def fresh_connections() -> Iterator[None]:
    """Leave no connection behind that a test has ended."""
    yield
    postgres: Any = connection  # Other databases have no pool.
    postgres.close()
    postgres.close_pool()


@pytest.mark.usefixtures("fresh_connections")
def test_lost_connections_lose_no_image() -> None:
    model = factories.make_model()
    for num_steps in (2, 3, 4, 5, 6):
        factories.make_render(model=model, num_steps=num_steps)
    easel = Easel(at_step=end_connections)
    assert drain_renders(model.pk, sample=easel, seconds=60) is False
    assert set(states().values()) == {"ready"}
    assert set(Render.objects.values_list("attempts", flat=True)) == {1}
    assert not easel.dropped


@pytest.mark.usefixtures("fresh_connections")
def test_full_storage_puts_back_what_is_held_though_connections_are_lost(media: Path) -> None:
    model = factories.make_model()
    for num_steps in (2, 200, 201):
        factories.make_render(model=model, num_steps=num_steps)
    Render.objects.filter(num_steps=2).update(priority=Priority.RUNNING_STUDY)
    (media / "renders").write_text("no folder can be made here")

    def fail_slowly(step: int) -> None:
        time.sleep(0.02)
        end_connections(3)

    assert drain_renders(model.pk, sample=Easel(at_step=fail_slowly), seconds=60) is False
    assert states() == dict.fromkeys((2, 200, 201), "pending")
    assert set(Render.objects.values_list("attempts", flat=True)) == {0}


def test_outage_is_waited_out_and_a_long_one_is_not() -> None:
    errors: Iterator[Exception]

    def ask() -> str:
        for error in errors:
            raise error
        return "here"

    errors = iter([OperationalError("restarting"), InterfaceError("closed")])
    assert outlast(ask) == "here"
    errors = iter([OperationalError("restarting"), OperationalError("gone")])
    with pytest.raises(OperationalError, match="gone"):
        outlast(ask, seconds=0.1)


def test_lease_whose_answer_is_lost_after_the_commit_is_held() -> None:
    first = factories.make_render(num_steps=9)
    factories.make_render(model=first.model)
    asked = []

    def lease_and_lose_the_answer(**how: Any) -> leases.Lease | None:
        lease = leases.lease_next(first.model_id, **how)
        asked.append(lease)
        if len(asked) == 1:
            raise OperationalError("restarting")
        return lease

    lease = lease_once(lease_and_lose_the_answer)
    assert lease is not None
    assert (lease.render, len(asked)) == (first, 1)
    assert Render.objects.filter(state=RenderState.RUNNING).count() == 1
    with transaction.atomic():
        assert leases.lock(lease)


def test_other_errors_are_not_taken_for_an_outage() -> None:
    asked = []

    def ask() -> None:
        asked.append(1)
        raise IntegrityError

    with pytest.raises(IntegrityError):
        outlast(ask)
    assert len(asked) == 1
