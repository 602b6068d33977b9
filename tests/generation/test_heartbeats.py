import time
from collections.abc import Callable

import pytest
from pytest_django.fixtures import Settings

from generation.models import Render
from generation.rendering import leases
from generation.rendering.heartbeats import Heartbeat
from tests import factories
from tests.conftest import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lease(settings: Settings) -> leases.Lease:
    settings.RENDER_LEASE_SECONDS = 1
    lease = leases.lease_next(factories.make_render().model_id)
    assert lease is not None
    return lease


def expiry(lease: leases.Lease) -> Callable[[], object]:
    return lambda: Render.objects.get(pk=lease.render.pk).lease_expires_at


def test_held_lease_is_renewed(lease: leases.Lease) -> None:
    first = expiry(lease)()
    with Heartbeat() as heartbeat:
        heartbeat.hold(lease)
        wait_until(lambda: expiry(lease)() != first, seconds=10)


def test_lease_is_renewed_however_old_it_is_while_the_sampler_gets_on(
    lease: leases.Lease, settings: Settings
) -> None:
    settings.RENDER_LONGEST_SECONDS = 1
    with Heartbeat() as heartbeat:
        heartbeat.hold(lease)
        for _ in range(30):  # Three times the longest pause.
            time.sleep(0.1)
            heartbeat.progressed()
    assert leases.reap().returned == 0


def test_leases_of_a_sampler_that_hangs_are_left_to_lapse(
    lease: leases.Lease, settings: Settings
) -> None:
    settings.RENDER_LONGEST_SECONDS = 0
    first = expiry(lease)()
    with Heartbeat() as heartbeat:
        heartbeat.hold(lease)
        time.sleep(1.2)  # Three beats.
    assert expiry(lease)() == first
    assert leases.reap().returned == 1
