import pytest
from django.test import Client


def test_healthz_answers_without_a_database(client: Client) -> None:
    assert client.get("/healthz").content == b"ok\n"


@pytest.mark.django_db
def test_readyz_reaches_database_and_redis(client: Client) -> None:
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"database": True, "redis": True})


@pytest.mark.django_db
def test_readyz_says_which_part_is_out_of_reach(client: Client, settings: object) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # type: ignore[attr-defined]
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (503, {"database": True, "redis": False})
