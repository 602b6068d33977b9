"""What no participant's browser would send: refused in one sentence, and never an error of ours."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from django.urls import URLPattern, reverse

from studies.models import Participant, Response
from studies.participation import urls
from studies.participation.services import start
from tests import factories
from tests.budgetstudy.wire import exchange, request
from tests.conftest import running_site

JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"
DEEP = b'{"a":' * 50_000
SECRET = "a" * 32
TOKEN = (f"Cookie: csrftoken={SECRET}", f"X-CSRFToken: {SECRET}")  # Past the CSRF check.
BODIES = {
    "nothing": b"",
    "any bytes": bytes(range(256)),
    "bad UTF-8": b'{"side": "\xff\xfe"}',
    "UTF-16": '{"side": "left"}'.encode("utf-16"),
    "deep JSON": DEEP,
    "surrogate": rb'{"side": "\ud800", "response_ms": 1, "input_method": "keyboard"}',
    "null byte": rb'{"side": "left\u0000", "response_ms": 1, "input_method": "keyboard"}',
    "huge number": b'{"side": "left", "response_ms": ' + b"9" * 5000 + b"}",
    "list": b"[]",
    "form": b"attempt=x&agreed=on&agreed=off",
    "null form": b"attempt=%00&agreed=%00&csrfmiddlewaretoken=%00",
    "bad form": b"attempt=%ff%fe&agreed=%zz&=&&&;",
    "many fields": b"a=1&" * 5000,
    "half a file": b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\nxx',
}
TYPES = [
    JSON, FORM, "Content-Type: multipart/form-data; boundary=x",
    "Content-Type: multipart/form-data", "Content-Type: application/json; charset=nonsense",
    "Content-Type: \xff", "Content-Type: ",
    "Content-Type: application/x-www-form-urlencoded; charset=utf-7",
]
HEADERS = [
    "Cookie: csrftoken=\x01; sessionid=%00", "Cookie: ;;;===;\xff",
    "Cookie: sessionid=" + "x" * 5000,
    "X-CSRFToken: \xff", "Accept-Language: " + "x-" * 3000, "Accept-Language: \xff;q=nan",
    "Referer: http://[", "Origin: null", "Origin: http://[", "If-Modified-Since: yesterday",
    "Range: bytes=-", "X-Forwarded-Proto: \x7f", "X-Forwarded-Host: a,b", "Host: \xe4.example",
    "Host: [::1", "Expect: 100-continue", "Accept: \xff/\xff", "Content-Encoding: gzip",
]
QUERIES = [
    "", "?%00", "?PROLIFIC_PID=%00", "?a=%ff%fe", "?" + "a=1&" * 3000, "?" + "x" * 30_000,
    "?PROLIFIC_PID=a&PROLIFIC_PID=b", "?language=%00", "?language=" + "e" * 2000, "?%", "?=&;&",
]
TAILS = ["%00", "%ff%fe", "%2e%2e/%2e%2e/etc/passwd", "/" * 500, "x" * 9000, "%", "%d8%00", "\xe4"]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


@pytest.fixture(scope="module")
def site(django_db_setup: None) -> Iterator[str]:
    """One server for all, on the test database."""
    with running_site() as address:
        yield address


@pytest.fixture
def participant(transactional_db: None) -> Participant:
    return start(factories.make_open_session())


def paths_of(participant: Participant) -> list[str]:
    """Every address of the participant's way, whatever they are by now, and some others."""
    trial = participant.trials.earliest("index")
    known = {"session_id": participant.session.public_id, "token": participant.token,
             "trial_id": trial.public_id}
    taking_part = [_path(pattern, {"token": participant.token}, known)
                   for pattern in urls.taking_part]
    others = [_path(pattern, {}, known) for pattern in urls.urlpatterns
              if isinstance(pattern, URLPattern)]
    return [*taking_part, *others, "/", "/nothing/here", "/admin/login/"]


def _path(pattern: URLPattern, given: dict[str, UUID], known: dict[str, UUID]) -> str:
    asked = pattern.pattern.converters
    others = {name: known.get(name, 1) for name in asked}
    return reverse(pattern.name, kwargs={**given, **others})


def assert_refused_or_served(site: str, sent: bytes) -> None:
    status, text = exchange(site, sent)
    assert 200 <= status < 500, f"{sent[:300]!r} got {status}: {text[:2000]!r}"


def test_any_method_is_served_or_refused(site: str, participant: Participant) -> None:
    for path in paths_of(participant):
        for method in METHODS:
            assert_refused_or_served(site, request(method, path, *TOKEN, JSON, body=b"{}"))


def test_any_query_is_served_or_refused(site: str, participant: Participant) -> None:
    for path in paths_of(participant):
        for query in QUERIES:
            assert_refused_or_served(site, request("GET", path + query))
            assert_refused_or_served(site, request("POST", path + query, *TOKEN, FORM))


def test_any_path_is_served_or_refused(site: str, participant: Participant) -> None:
    for path in paths_of(participant):
        for tail in TAILS:
            assert_refused_or_served(site, request("GET", path + tail))


def test_any_header_is_served_or_refused(site: str, participant: Participant) -> None:
    for path in paths_of(participant):
        for header in HEADERS:
            assert_refused_or_served(site, request("GET", path, header))
            posted = request("POST", path, *TOKEN, JSON, header, body=b"{}")
            assert_refused_or_served(site, posted)


@pytest.mark.parametrize("kind", TYPES)
def test_any_body_of_any_type_is_refused_in_a_sentence(
    site: str, participant: Participant, kind: str
) -> None:
    for path in paths_of(participant):
        for body in BODIES.values():
            assert_refused_or_served(site, request("POST", path, *TOKEN, kind, body=body))
    assert not Response.objects.exists()


def test_what_is_no_http_is_refused(site: str) -> None:
    for sent in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                 b"\x00" * 1000 + b"\r\n\r\n", request("GET", "no-slash"), request("GET", "*"),
                 request("GET", "http://other.example/"), request("CONNECT", "other.example:443"),
                 request("POST", "/", "Content-Length: -1"),
                 request("POST", "/", "Content-Length: x"),
                 request("POST", "/", "Transfer-Encoding: chunked", body=b"zz\r\n"),
                 request("GET", "/", "Upgrade: websocket", "Connection: Upgrade")):
        assert exchange(site, sent)[0] < 500, sent
    assert exchange(site, request("GET", "/healthz"))[0] == 200
