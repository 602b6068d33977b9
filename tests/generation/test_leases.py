import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, connections
from django.db.models.functions import Now

from generation.models import DiffusionModel, Priority, Prompt, Render, RenderState
from generation.rendering import leases
from generation.rendering.services import prioritise
from tests import factories

RESULT = {"image": "renders/a.webp", "sha256": "0" * 64, "unet_evaluations": 16, "seconds": 0.1}
pytestmark = pytest.mark.django_db


def lease_next(render: Render, *, like: Render | None = None) -> leases.Lease:
    lease = leases.lease_next(render.model_id, like=like)
    assert lease is not None
    return lease


def let_lapse(lease: leases.Lease) -> None:
    Render.objects.filter(lease_id=lease.id).update(
        lease_expires_at=Now() - timedelta(seconds=1)
    )


@contextmanager
def locked(render: Render) -> Iterator[None]:
    """Lock a row from another connection; who waits for it fails soon instead of for ever."""
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor, connection.cursor() as own:
            own.execute("SET lock_timeout = '3s'")
            cursor.execute("BEGIN")
            cursor.execute("SELECT id FROM generation_render WHERE id = %s FOR UPDATE",
                           [render.pk])
            yield
            cursor.execute("ROLLBACK")
            own.execute("RESET lock_timeout")
    finally:
        other.close()


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
    assert (render.state, render.lease_id, render.attempts) == ("running", new.id, 1)
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


def test_lapse_in_company_is_no_attempt() -> None:
    render = factories.make_render()
    for losses in (1, 2):
        let_lapse(lease_next(render))
        assert leases.reap() == leases.Reaped(returned=1, quarantined=0)
        render.refresh_from_db()
        assert (render.state, render.attempts, render.shared_losses) == ("pending", 0, losses)
    assert render.error == (f"the worker {leases.holder_name()} stopped while it rendered this "
                            "among others; this is no attempt of its own")


def test_render_with_two_shared_losses_is_leased_alone() -> None:
    suspect = factories.make_render(shared_losses=2)
    other = factories.make_render(model=suspect.model, shared_losses=1)
    assert lease_next(suspect).render == other
    assert leases.lease_next(suspect.model_id) is None
    alone = leases.lease_next(suspect.model_id, is_alone=True)
    assert alone is not None
    assert alone.render == suspect
    assert leases.lease_next(suspect.model_id, is_alone=True) is None


def test_third_worker_that_dies_of_a_render_alone_quarantines_it_and_is_named() -> None:
    render = factories.make_render(shared_losses=2)
    for attempt in (1, 2, 3):
        lease = leases.lease_next(render.model_id, is_alone=True)
        assert lease is not None
        let_lapse(lease)
        leases.reap()
        render.refresh_from_db()
        assert (render.attempts, render.shared_losses) == (attempt, 2)
        assert render.error == (f"attempt {attempt}: the worker {leases.holder_name()} stopped "
                                "before the image was finished")
    assert render.state == RenderState.QUARANTINED


def test_shared_losses_stay_counted_whatever_comes_later() -> None:
    render = factories.make_render(shared_losses=2)
    for end in (leases.release, leases.fail):
        lease = leases.lease_next(render.model_id, is_alone=True)
        assert lease is not None
        end(lease, "why")
    last = leases.lease_next(render.model_id, is_alone=True)
    assert last is not None
    leases.finish(last, **RESULT)
    assert Render.objects.get().shared_losses == 2


def test_most_urgent_goes_first_then_what_has_failed_less() -> None:
    failed = factories.make_render(attempts=1, num_steps=49)
    study = factories.make_render(model=failed.model)
    urgent = factories.make_render(model=failed.model, priority=Priority.RUNNING_STUDY, num_steps=1)
    leased = [lease_next(failed).render for _ in range(3)]
    assert leased == [urgent, study, failed]


def test_longest_goes_first_within_a_block_of_the_list() -> None:
    model, size = factories.make_model(), leases.WINDOW
    first = factories.make_render(model=model).pk // size * size + size
    steps = {first + place: 1 + (place * 7) % 50 for place in range(size + 2)}
    for pk, num_steps in steps.items():
        factories.make_render(pk=pk, model=model, prompt=Prompt.objects.get(), num_steps=num_steps,
                              seed=pk)
    Render.objects.filter(pk__lt=first).delete()
    leased = []
    while lease := leases.lease_next(model.pk):
        leased.append(lease.render.pk)
    block = sorted(leased[:size], key=lambda pk: (-steps[pk], pk))
    assert leased[:size] == block
    assert set(leased[size:]) == {first + size, first + size + 1}


def test_batch_holds_one_kind() -> None:
    first = factories.make_render(guidance=3.0)
    same = {"model": first.model, "prompt": first.prompt}
    unguided = [factories.make_render(**same, guidance=guidance) for guidance in (0.0, 1.0)]
    factories.make_render(**same, guidance=7.5, scheduler="own")
    factories.make_render(**same, guidance=7.5, width=64)
    factories.make_render(**same, guidance=7.5, height=64)
    alike = factories.make_render(**same, guidance=7.5)
    assert lease_next(first).render == first
    assert lease_next(first, like=first).render == alike
    assert leases.lease_next(first.model_id, like=first) is None
    assert [lease_next(first, like=unguided[0]).render for _ in unguided] == unguided


def test_paused_model_leases_nothing() -> None:
    render = factories.make_render(model=factories.make_model(is_paused=True))
    assert leases.lease_next(render.model_id) is None
    assert leases.lease_next(render.model_id, is_alone=True) is None


def test_wanted_is_what_is_held_still_and_not_paused() -> None:
    kept, reaped = (lease_next(factories.make_render()) for _ in range(2))
    paused = lease_next(factories.make_render())
    DiffusionModel.objects.filter(pk=paused.render.model_id).update(is_paused=True)
    let_lapse(reaped)
    leases.reap()
    again = lease_next(reaped.render)
    assert leases.still_wanted([kept, reaped, paused, again]) == {kept.id, again.id}


def test_released_render_has_not_used_an_attempt() -> None:
    render = factories.make_render()
    leases.release(lease_next(render), "disk full")
    render.refresh_from_db()
    assert (render.state, render.attempts, render.error) == ("pending", 0, "disk full")
    leases.release(lease_next(render))
    render.refresh_from_db()
    assert (render.state, render.attempts, render.error) == ("pending", 0, "disk full")


@pytest.mark.django_db(transaction=True)
def test_row_that_is_being_finished_keeps_nobody_waiting() -> None:
    finishing, other = (lease_next(factories.make_render()) for _ in range(2))
    for lease in (finishing, other):
        let_lapse(lease)
    with locked(finishing.render):
        assert leases.renew([finishing.id, other.id]) == 1
        let_lapse(other)
        assert leases.reap() == leases.Reaped(returned=1, quarantined=0)
        waiting = Render.objects.filter(pk=other.render.pk)
        assert prioritise(Render.objects.all(), Priority.RUNNING_STUDY) == 1
        assert waiting.get().priority == Priority.RUNNING_STUDY
    assert leases.reap() == leases.Reaped(returned=1, quarantined=0)


@pytest.mark.django_db(transaction=True)
def test_worker_skips_a_row_that_another_is_leasing() -> None:
    first = factories.make_render(num_steps=50)
    second = factories.make_render(model=first.model)
    with locked(first):
        assert lease_next(first).render == second
        assert leases.lease_next(first.model_id) is None
    assert lease_next(first).render == first
