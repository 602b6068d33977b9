"""One visitor over HTTP who notes everything that can be seen on the way."""

import http.client
import json
import time
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

MOST_PAGES = 30
REDIRECTS = (301, 302, 303, 307, 308)
ANSWER = {"response_ms": 812, "input_method": "keyboard"}

Attributes = dict[str, str]


@dataclass(frozen=True)
class Exchange:
    """One request and its reply, as they went over the wire."""

    address: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    milliseconds: float

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Page:
    """The way on, the trials, and what else a browser would load."""

    form: Attributes | None = None
    fields: dict[str, str] = field(default_factory=dict)
    link: str | None = None
    trials: Attributes | None = None
    assets: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    """The element marked `data-next` is the way on; else the first form, or link as a button."""

    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._is_in_form = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        page = self.page
        if "data-trials" in given:
            page.trials = given
        elif tag == "form":
            self._is_in_form = page.form is None or "data-next" in given
            if self._is_in_form:
                page.form, page.fields = given, {}
        elif tag == "input" and self._is_in_form and given.get("name"):
            page.fields[given["name"]] = given.get("value", "on")
        elif tag == "a" and ("data-next" in given or "button" in given.get("class", "").split()):
            page.link = page.link or given["href"]
        elif tag == "script" and "src" in given:
            page.assets.append(given["src"])
        elif tag == "link" and given.get("rel") in ("stylesheet", "icon", "modulepreload"):
            page.assets.append(given["href"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_in_form = False


class Lost(Exception):
    """There is no way on; the message says where."""


class Visitor:
    """A browser without a screen: cookies, one connection, and a memory of all it saw."""

    def __init__(self, site: str, *, loads_assets: bool = True) -> None:
        self._site = site
        self._loads_assets = loads_assets
        self._connection = http.client.HTTPConnection(urlsplit(site).netloc, timeout=60)
        self._cookies: dict[str, str] = {}
        self.seen: list[Exchange] = []
        self.trials: Attributes = {}

    def join(self, address: str) -> Exchange:
        """Walk from the participant's link until the trials or a refusal; return the last page."""
        reply = self.get(address)
        for _ in range(MOST_PAGES):
            page = read_page(reply.body)
            for asset in page.assets if self._loads_assets else []:
                self.get_once(urljoin(reply.address, asset))
            if reply.status != 200 or page.trials:
                self.trials = page.trials or {}
                return reply
            if page.form is not None:
                reply = self.post(urljoin(reply.address, page.form.get("action", "")), page.fields)
            elif page.link:
                reply = self.get(urljoin(reply.address, page.link))
            else:
                break
        raise Lost(f"{reply.address} leads nowhere")

    def leave(self) -> None:
        self._connection.close()

    def where_now(self) -> dict[str, Any]:
        return self.get(self.trials["data-next"]).json()

    def answer(self, trial: dict[str, Any], side: str) -> Exchange:
        return self.send("POST", trial["answer"], json.dumps({"side": side, **ANSWER}).encode(), {
            "Content-Type": "application/json", "X-CSRFToken": self.trials["data-csrf"]})

    def get(self, address: str) -> Exchange:
        return self._followed(self.send("GET", address))

    def get_once(self, address: str) -> None:
        """What a browser keeps: scripts and styles, and what a script imports."""
        if any(exchange.address == address for exchange in self.seen):
            return
        reply = self.get(address)
        for quoted in reply.body.split(b'"')[1::2] if address.endswith(".js") else []:
            if quoted.startswith(b"./") and quoted.endswith(b".js"):
                self.get_once(urljoin(reply.address, quoted.decode()))

    def post(self, address: str, fields: dict[str, str]) -> Exchange:
        body = urlencode(fields).encode()
        return self._followed(self.send("POST", address, body, {
            "Content-Type": "application/x-www-form-urlencoded"}))

    def send(self, method: str, address: str, body: bytes | None = None,
             headers: dict[str, str] | None = None) -> Exchange:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        began = time.perf_counter()
        self._connection.request(method, address, body, {
            "Origin": self._site, "Cookie": cookies, **(headers or {})})
        reply = self._connection.getresponse()
        content = reply.read()
        exchange = Exchange(address, reply.status, reply.getheaders(), content,
                            1000 * (time.perf_counter() - began))
        for name, value in exchange.headers:
            if name.lower() == "set-cookie":
                self._cookies |= {key: each.value for key, each in SimpleCookie(value).items()}
        self.seen.append(exchange)
        return exchange

    def _followed(self, exchange: Exchange) -> Exchange:
        while exchange.status in REDIRECTS:
            location = dict(exchange.headers)["location"]
            exchange = self.send("GET", urljoin(exchange.address, location))
        return exchange


def read_page(content: bytes) -> Page:
    reader = _Reader()
    reader.feed(content.decode(errors="replace"))
    return reader.page
