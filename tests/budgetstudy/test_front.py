"""The bare address, and the static files under ASGI."""

import warnings

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.contrib.staticfiles.storage import staticfiles_storage
from django.test import AsyncClient, Client

pytestmark = pytest.mark.django_db


def test_front_page_leads_staff_to_the_admin_and_others_to_their_link(client: Client) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "open the link in your invitation" in page.content.decode()
    client.force_login(User.objects.create_user("eva", is_staff=True))
    assert client.get("/")["Location"] == "/admin/"


def test_static_file_is_sent_without_a_warning_under_asgi() -> None:
    address = staticfiles_storage.url("base.css")

    async def fetch() -> tuple[bytes, str]:
        response = await AsyncClient().get(address)
        assert not response.streaming
        return response.content, response["Content-Type"]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        content, content_type = async_to_sync(fetch)()
    with staticfiles_storage.open("base.css") as file:
        assert content == file.read()
    assert content_type.startswith("text/css")
