"""Requests through the real server, whose handler is ours."""

import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from budgetstudy.asgi import NUM_THREADS
from tests import factories


@pytest.mark.django_db(transaction=True)
def test_crowd_larger_than_the_threads_is_served(site: str) -> None:
    session = factories.make_open_session()

    def visit(_: int) -> int:
        with urllib.request.urlopen(f"{site}/join/{session.public_id}/", timeout=60) as reply:
            return int(reply.status)

    with ThreadPoolExecutor(4 * NUM_THREADS) as crowd:
        assert set(crowd.map(visit, range(8 * NUM_THREADS))) == {200}


@pytest.mark.django_db(transaction=True)
def test_streams_arrive_whole_one_after_another(site: str, client: Client) -> None:
    session = factories.make_open_session()
    participant = factories.make_participant(session=session)
    pair = session.study.contrasts.get().pairs.first()
    factories.make_response(trial=factories.make_trial(participant=participant, pair=pair))
    client.force_login(get_user_model().objects.create_superuser("staff"))
    export = urllib.request.Request(
        f"{site}/results/{session.study.public_id}/responses.csv",
        headers={"Cookie": f"sessionid={client.cookies['sessionid'].value}"},
    )
    for _ in range(NUM_THREADS + 1):
        with urllib.request.urlopen(export, timeout=60) as reply:
            assert len(reply.read().splitlines()) == 2
