"""What a real server does with bodies that are too large."""

from collections.abc import Iterator

import pytest
from django.conf import settings

from budgetstudy.bodies import SENTENCE
from tests.budgetstudy.wire import exchange, request
from tests.conftest import running_site

TOO_MANY = settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1
CHUNK = b"%x\r\n%s\r\n" % (65536, b"x" * 65536)


@pytest.fixture(scope="module")
def site(django_db_setup: None) -> Iterator[str]:
    """One server for all: none of these requests leaves anything behind."""
    with running_site() as address:
        yield address


def test_large_body_is_refused_by_its_announcement(site: str) -> None:
    announcing = request("POST", "/", f"Content-Length: {10 * TOO_MANY}")
    assert exchange(site, announcing) == (413, SENTENCE)  # None of it was waited for.


def test_body_without_a_length_is_refused_once_it_is_too_large(site: str) -> None:
    opening = request("POST", "/", "Transfer-Encoding: chunked")
    chunks = [CHUNK] * (TOO_MANY // 65536 + 1)
    assert exchange(site, opening, *chunks) == (413, SENTENCE)  # Its end was not waited for.


def test_connection_serves_on_after_a_refused_body(site: str) -> None:
    refused = request("POST", "/", f"Content-Length: {TOO_MANY}").replace(b"close", b"keep-alive")
    status, rest = exchange(site, refused, b"x" * TOO_MANY, request("GET", "/healthz"))
    assert (status, rest[:len(SENTENCE)]) == (413, SENTENCE)


@pytest.mark.parametrize("body", [b"", b"x" * (TOO_MANY - 1)])
def test_body_within_the_limit_reaches_the_site(site: str, body: bytes) -> None:
    assert exchange(site, request("POST", "/", body=body))[0] == 403  # By the CSRF check.


def test_even_the_admin_takes_no_body_of_any_size(site: str) -> None:
    announced = f"Content-Length: {settings.MOST_UPLOAD_BYTES + 1}"
    assert exchange(site, request("POST", "/admin/login/", announced)) == (413, SENTENCE)


def test_admin_takes_uploads(site: str) -> None:
    status, _ = exchange(site, request("POST", "/admin/login/", body=b"x" * TOO_MANY))
    assert status == 403  # Likewise.
