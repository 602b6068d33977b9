"""A simulated participant's way, from the landing page to the completion code."""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode, urljoin

from studies.desk.bots.browsing import Browser, ConnectionBroken, Reply
from studies.desk.bots.pages import Page, read_page

# Far more than any study's way has; a page that leads to itself ends here.
MOST_PAGES = 60
# As the trial page does, an answer is sent again until the server has it.
RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)

State = dict[str, Any]
# Called before the answer number n (from 0) may be given.
Wait = Callable[[int], Awaitable[None]]
Fail = Callable[[str], None]


class Lost(Exception):
    """The bot cannot go on; the message says where and why."""


class Bot:
    """One simulated participant in one browser."""

    def __init__(self, browser: Browser, *, seed: int, fail: Fail) -> None:
        self._browser = browser
        self._dice = random.Random(seed)
        self._fail = fail
        self._seen: set[str] = set()  # What a browser's own cache would hold.
        self._trials: dict[str, str] = {}
        self._state: State = {}
        self.acknowledged: list[str] = []  # The trials whose answer the server says it has.
        self.code = ""

    async def arrive(self, link: str) -> None:
        """Walk from the participant's link to the first trial, its images loaded."""
        await self._walk(await self._browser.get(link))
        if not self._trials:
            raise Lost(f"there are no trials on the way from {link}")
        self._state = await self._json(await self._browser.get(self._trials["data-next"]))
        await self._load_stimuli()

    async def answer_all(self, wait: Wait) -> None:
        """Answer until the server says that it has everything."""
        while (trial := self._state.get("trial")) is not None:
            await wait(len(self.acknowledged))
            self._state = await self._answer(trial)
            self.acknowledged.append(trial["id"])
            await self._load_stimuli()

    async def leave(self) -> None:
        """Walk on from the last trial to the completion code."""
        await self._walk(await self._browser.get(self._state["done"]))
        if not self.code:
            raise Lost("the way ended without a completion code")

    async def _walk(self, reply: Reply) -> None:
        for _ in range(MOST_PAGES):
            page = await self._open(reply)
            if page.code or page.trials:
                self.code, self._trials = page.code, page.trials or {}
                return
            reply = await self._go_on(reply, page)
        raise Lost(f"{reply.path} leads nowhere")

    async def _open(self, reply: Reply) -> Page:
        if reply.status != 200:
            raise Lost(f"{reply.path} says {reply.status}")
        page = read_page(reply.text())
        for address in page.assets:
            await self._fetch_once(urljoin(reply.path, address))
        return page

    async def _go_on(self, reply: Reply, page: Page) -> Reply:
        if page.form is not None:
            address = urljoin(reply.path, page.form.action) if page.form.action else reply.path
            return await self._browser.post(
                address, urlencode(page.form.filled()).encode(),
                Content_Type="application/x-www-form-urlencoded",
            )
        if page.link:
            return await self._browser.get(urljoin(reply.path, page.link))
        raise Lost(f"{reply.path} has no way on")

    async def _answer(self, trial: State) -> State:
        body = json.dumps(self._opinion()).encode()
        for pause in (*RETRY_SECONDS, None):
            try:
                reply = await self._browser.post(
                    trial["answer"], body, Content_Type="application/json",
                    X_CSRFToken=self._trials["data-csrf"],
                )
                if reply.status < 500:
                    return await self._json(reply)
                reason = f"an answer got {reply.status}"
            except ConnectionBroken as error:
                reason = f"an answer got lost: {error}"
            self._fail(reason)
            if pause is not None:
                await asyncio.sleep(pause)
        raise Lost(reason)

    def _opinion(self) -> State:
        return {
            "side": self._dice.choice(("left", "right")),
            "response_ms": self._dice.randint(600, 3000),
            "input_method": self._dice.choice(("keyboard", "pointer", "touch")),
            "shown_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "image_load_ms": self._dice.randint(2, 60),
            "viewport_width": 1280, "viewport_height": 800, "device_pixel_ratio": 1,
            "displayed_px": 512, "focus_lost": 0,
        }

    async def _json(self, reply: Reply) -> State:
        if reply.status != 200:
            raise Lost(f"{reply.path} says {reply.status}: {reply.text()[:200]}")
        state: State = json.loads(reply.body)
        return state

    async def _load_stimuli(self) -> None:
        """The current trial's image, and the next one's ahead."""
        for name in ("trial", "upcoming"):
            if (trial := self._state.get(name)) is not None:
                await self._fetch_once(trial["stimulus"])

    async def _fetch_once(self, address: str) -> None:
        if address in self._seen:
            return
        self._seen.add(address)
        reply = await self._browser.get(address)
        if reply.status != 200:
            self._fail(f"{address} says {reply.status}")
