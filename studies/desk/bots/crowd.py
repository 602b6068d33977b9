"""A crowd of bots, and how the server stood it."""

import asyncio
import re
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from studies.desk.bots.browsing import Browser, ConnectionBroken
from studies.desk.bots.walking import Bot, Lost, Wait
from studies.desk.bots.watching import Watch

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ANSWER = "POST /take/*/trials/*/answer"
REPORT_SECONDS = 5.0

Report = Callable[[str], None]


@dataclass
class Tally:
    """What happened to the requests: milliseconds by page, and what went wrong."""

    milliseconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)
    acknowledged: set[str] = field(default_factory=set)
    codes: list[str] = field(default_factory=list)
    answering_seconds: float = 0.0
    # Meanwhile, by group of processes.
    answering_cpu_seconds: dict[str, float] = field(default_factory=dict)

    def observe(self, method: str, path: str, status: int, seconds: float) -> None:
        self.milliseconds[_page_name(method, path)].append(1000 * seconds)
        if status >= 500:
            self.errors[f"{_page_name(method, path)} says {status}"] += 1

    def fail(self, reason: str) -> None:
        self.errors[UUID.sub("*", reason)] += 1

    def pages(self) -> dict[str, dict[str, float]]:
        """Count and percentiles in milliseconds by page, the slowest first."""
        rows = {name: {"requests": len(values), **percentiles(values)}
                for name, values in self.milliseconds.items()}
        return dict(sorted(rows.items(), key=lambda row: -row[1]["p95_ms"]))


def percentiles(milliseconds: Iterable[float]) -> dict[str, float]:
    values = list(milliseconds) or [0.0]
    return {f"p{percent}_ms": round(float(np.percentile(values, percent)), 1)
            for percent in (50, 95, 99)}


async def send_crowd(site: str, link: str, *, participants: int, trials: int, interval: float,
                     arrivals_per_s: float, watch: Watch, report: Report) -> Tally:
    """Send bots through a study: once all have arrived, all answer, and leave when they are done.

    An answer is due every `interval` seconds, whether or not the one before was quick; with 0,
    as soon as the one before is acknowledged.
    """
    tally = Tally()
    browsers = [Browser(site, observe=tally.observe) for _ in range(participants)]
    everyone = [Bot(browser, seed=seed, fail=tally.fail) for seed, browser in enumerate(browsers)]
    beside = [asyncio.create_task(watch.keep_looking()),
              asyncio.create_task(_report(tally, wanted=participants * trials, report=report))]
    try:
        bots = await _all(everyone, tally, lambda n, bot: _arrive(bot, link, n / arrivals_per_s))
        began, cpu_before = time.monotonic(), watch.cpu_seconds()
        bots = await _all(bots, tally, lambda n, bot: _take_part(
            bot, _pace(began, interval=interval, share=n / participants)))
        tally.answering_seconds = time.monotonic() - began
        tally.answering_cpu_seconds = {name: seconds - cpu_before[name]
                                       for name, seconds in watch.cpu_seconds().items()}
        tally.acknowledged = {trial for bot in everyone for trial in bot.acknowledged}
        tally.codes = [bot.code for bot in bots]
    finally:
        for task in beside:
            task.cancel()
        for browser in browsers:
            await browser.__aexit__()
    return tally


async def _all(bots: list[Bot], tally: Tally,
               act: Callable[[int, Bot], Awaitable[None]]) -> list[Bot]:
    """Have every bot do it at once; return those who could. The others are told of and left."""
    async def attempt(number: int, bot: Bot) -> Bot | None:
        try:
            await act(number, bot)
        except (Lost, ConnectionBroken, ValueError, KeyError) as error:
            tally.fail(f"{type(error).__name__}: {error}")
            return None
        return bot

    done = await asyncio.gather(*(attempt(number, bot) for number, bot in enumerate(bots)))
    return [bot for bot in done if bot is not None]


async def _arrive(bot: Bot, link: str, delay_seconds: float) -> None:
    await asyncio.sleep(delay_seconds)
    await bot.arrive(link)


async def _take_part(bot: Bot, wait: Wait) -> None:
    await bot.answer_all(wait)
    await bot.leave()


def _pace(began: float, *, interval: float, share: float) -> Wait:
    """Answers fall due evenly over the interval, a bot's share of it after one another."""
    async def wait(number: int) -> None:
        due = began + interval * (number + 1 - share)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    return wait


async def _report(tally: Tally, *, wanted: int, report: Report) -> None:
    num_before = 0
    while True:
        await asyncio.sleep(REPORT_SECONDS)
        answers = tally.milliseconds.get(ANSWER, [])
        latest, num_before = answers[num_before:], len(answers)
        if latest:
            said = percentiles(latest)
            report(f"{len(answers)} of {wanted} answers, {len(latest) / REPORT_SECONDS:.0f}/s, "
                   f"p50 {said['p50_ms']:g} ms, p95 {said['p95_ms']:g} ms, "
                   f"{tally.errors.total()} errors")
        else:
            requests = sum(map(len, tally.milliseconds.values()))
            report(f"{requests} requests, {tally.errors.total()} errors")


def _page_name(method: str, path: str) -> str:
    if path.startswith("/static/"):
        return "GET /static/*"
    return f"{method} {UUID.sub('*', path.partition('?')[0])}"
