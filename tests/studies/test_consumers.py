"""The live notice over a real Redis channel layer."""

import asyncio
import json
import time
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from channels.layers import get_channel_layer
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser, User

from generation.rendering.notices import GROUP
from studies.desk.consumers import NOT_ALLOWED, RenderConsumer
from studies.desk.routing import websocket_urlpatterns

NOTICE = {"type": "renders.changed"}


def socket(user: Any) -> ApplicationCommunicator:
    scope = {"type": "websocket", "path": "/ws/renders/", "headers": [], "query_string": b"",
             "subprotocols": [], "user": user}
    return ApplicationCommunicator(URLRouter(websocket_urlpatterns), scope)


async def connect(user: Any) -> tuple[ApplicationCommunicator, dict[str, Any]]:
    connection = socket(user)
    await connection.send_input({"type": "websocket.connect"})
    return connection, await connection.receive_output(timeout=5)


async def disconnect(connection: ApplicationCommunicator) -> None:
    await connection.send_input({"type": "websocket.disconnect", "code": 1000})
    await connection.wait(timeout=5)


def staff() -> User:
    return User(username="eva", is_staff=True, is_superuser=True)


async def refusal(user: Any) -> dict[str, Any]:
    connection, answer = await connect(user)
    await disconnect(connection)  # As a server does; a task left over may not end by itself.
    return answer


@pytest.mark.parametrize("user", [
    AnonymousUser(), User(username="participant", is_superuser=True),
    User(username="gone", is_staff=True, is_superuser=True, is_active=False),
], ids=["anonymous", "not staff", "inactive"])
@pytest.mark.django_db(transaction=True)
def test_only_staff_may_watch(user: Any) -> None:
    answer = asyncio.run(refusal(user))
    assert (answer["type"], answer["code"]) == ("websocket.close", NOT_ALLOWED)


@pytest.mark.django_db(transaction=True)
def test_staff_without_permission_may_not_watch() -> None:
    answer = asyncio.run(refusal(User.objects.create_user("ina", is_staff=True)))
    assert (answer["type"], answer["code"]) == ("websocket.close", NOT_ALLOWED)


@pytest.mark.django_db(transaction=True)
def test_many_changes_arrive_as_few_notices_and_the_last_is_never_lost() -> None:
    async def watch() -> tuple[list[float], float]:
        connection, answer = await connect(staff())
        assert answer["type"] == "websocket.accept"
        layer = get_channel_layer()
        assert layer is not None
        for _ in range(20):
            await layer.group_send(GROUP, NOTICE)
            await asyncio.sleep(0.08)
        last_sent, received_at = time.monotonic(), []
        while not await connection.receive_nothing(timeout=1.5 * RenderConsumer.interval):
            message = await connection.receive_output()
            assert json.loads(message["text"]) == NOTICE
            received_at.append(time.monotonic())
        await disconnect(connection)
        return received_at, last_sent

    received_at, last_sent = asyncio.run(watch())
    # 20 changes in 1.6 s: at once, after a second, and once more for the last of them.
    assert 2 <= len(received_at) <= 4
    assert received_at[-1] >= last_sent


@pytest.mark.django_db(transaction=True)
def test_what_a_page_sends_is_ignored() -> None:
    async def watch() -> bool:
        connection, _ = await connect(staff())
        await connection.send_input({"type": "websocket.receive", "text": json.dumps(NOTICE)})
        is_quiet = await connection.receive_nothing(timeout=0.3)
        await disconnect(connection)
        return bool(is_quiet)

    assert asyncio.run(watch())


@pytest.mark.django_db(transaction=True)
def test_socket_outlives_a_lull_longer_than_one_read() -> None:
    async def watch() -> dict[str, Any]:
        connection, _ = await connect(staff())
        layer = get_channel_layer()
        assert layer is not None
        assert await connection.receive_nothing(timeout=layer.brpop_timeout + 1.5)
        await layer.group_send(GROUP, NOTICE)
        message = await connection.receive_output(timeout=5)
        await disconnect(connection)
        return message

    assert json.loads(asyncio.run(watch())["text"]) == NOTICE
