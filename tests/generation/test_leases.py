import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, connections, transaction
from django.db.models.functions import Now

from generation.models import Render, RenderState
from generation.rendering import leases
from tests import factories

RESULT = {"image": "renders/a.webp", "sha256": "0" * 64, "unet_evaluations": 16, "seconds": 0.1}
pytestmark = pytest.mark.django_db


def lease_next(render: Render) -> leases.Lease:
    lease = leases.lease_next(render.model_id)
    assert lease is not None
    return lease


def let_lapse(lease: leases.Lease) -> None:
    Render.objects.filter(lease_id=lease.id).update(
        lease_expires_at=Now() - timedelta(seconds=1)
    )


def test_running_render_without_a_lease_is_refused_by_the_database() -> None:
    with pytest.raises(IntegrityError, match="running_is_leased"):
        factories.make_render(state=RenderState.RUNNING)


def test_waiting_render_with_a_lease_is_refused_by_the_database() -> None:
    with pytest.raises(IntegrityError, match="running_is_leased"):
        factories.make_render(lease_id=uuid.uuid4())


def test_ready_render_without_a_file_is_refused_by_the_database() -> None:
    with pytest.raises(IntegrityError, match="ready_is_complete"):
        factories.make_render(state=RenderState.READY)


def test_quarantined_render_says_why() -> None:
    with pytest.raises(IntegrityError, match="quarantined_says_why"):
        factories.make_render(state=RenderState.QUARANTINED)


def test_lease_counts_the_attempt_before_the_work() -> None:
    render = factories.make_render()
    lease = lease_next(render)
    render.refresh_from_db()
    assert (render.state, render.attempts, render.lease_id) == ("running", 1, lease.id)
    assert render.lease_holder == leases.holder_name()
    assert leases.lease_next(render.model_id) is None


def test_other_models_renders_are_not_leased() -> None:
    factories.make_render()
    assert leases.lease_next(factories.make_model().pk) is None


def test_render_that_failed_waits_behind_the_others() -> None:
    failing = factories.make_render()
    other = factories.make_render(model=failing.model)
    leases.fail(lease_next(failing), "no luck")
    assert lease_next(failing).render == other
    assert lease_next(failing).render == failing


def test_finished_render_keeps_its_result() -> None:
    lease = lease_next(factories.make_render())
    assert leases.finish(lease, **RESULT)
    render = Render.objects.get()
    assert (render.state, render.unet_evaluations, render.lease_id) == ("ready", 16, None)
    assert render.finished_at is not None


def test_lapsed_lease_goes_back_and_its_old_holder_is_fenced_off() -> None:
    render = factories.make_render()
    old = lease_next(render)
    let_lapse(old)
    assert leases.reap() == leases.Reaped(returned=1, quarantined=0)
    new = lease_next(render)
    assert not leases.lock(old)
    assert not leases.finish(old, **RESULT)
    assert not leases.fail(old, "late")
    assert not leases.release(old, "late")
    assert not leases.renew([old.id])
    render.refresh_from_db()
    assert (render.state, render.lease_id, render.attempts) == ("running", new.id, 2)
    assert leases.finish(new, **RESULT)


def test_renewed_lease_does_not_lapse() -> None:
    lease = lease_next(factories.make_render())
    let_lapse(lease)
    assert leases.renew([lease.id]) == 1
    assert leases.reap() == leases.Reaped(returned=0, quarantined=0)


def test_third_failure_quarantines_with_the_error() -> None:
    render = factories.make_render()
    for attempt in (1, 2, 3):
        leases.fail(lease_next(render), f"failure {attempt}")
    render.refresh_from_db()
    assert (render.state, render.attempts, render.error) == ("quarantined", 3, "failure 3")
    assert leases.lease_next(render.model_id) is None


def test_third_dead_worker_quarantines_and_is_named() -> None:
    render = factories.make_render()
    for _ in range(3):
        let_lapse(lease_next(render))
        leases.reap()
    render.refresh_from_db()
    assert render.state == RenderState.QUARANTINED
    assert render.error == (f"attempt 3: the worker {leases.holder_name()} stopped before the "
                            "image was finished")


def test_released_render_has_not_used_an_attempt() -> None:
    render = factories.make_render()
    leases.release(lease_next(render), "disk full")
    render.refresh_from_db()
    assert (render.state, render.attempts, render.error) == ("pending", 0, "disk full")


@pytest.mark.django_db(transaction=True)
def test_worker_skips_a_row_that_another_is_leasing() -> None:
    first = factories.make_render()
    second = factories.make_render(model=first.model)
    other = connections.create_connection("default")
    try:
        with transaction.atomic():
            Render.objects.select_for_update().get(pk=first.pk)
            with other.cursor() as cursor:
                cursor.execute("SELECT id FROM generation_render WHERE state = 'pending' "
                               "ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED")
                assert cursor.fetchone() == (second.pk,)
    finally:
        other.close()
