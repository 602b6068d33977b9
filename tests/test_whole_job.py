"""From `make demo`'s command to a figure: the product itself, nothing in the test's own process."""

import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import wait_until

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parent.parent
NUM_TRIALS = 22  # Two for practice, sixteen that count, two catch trials and two repeats.


class Demo:
    """`manage.py demo` in a process of its own, on a data folder of its own."""

    def __init__(self, data_dir: Path, port: int) -> None:
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("DATABASE_URL", "REDIS_URL")}
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "demo", "--port", str(port)], cwd=ROOT, text=True,
            env=environment | {"BUDGETSTUDY_DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line

    def find(self, pattern: str, *, seconds: float = 60) -> str:
        """Wait until the output matches; return the match's first group."""
        wait_until(lambda: re.search(pattern, self.said) or self.process.poll() is not None,
                   seconds=seconds)
        match = re.search(pattern, self.said)
        assert match, self.said
        return match.group(1)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(120)


@pytest.fixture
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def demo(data_dir: Path, port: int) -> Iterator[Demo]:
    demo = Demo(data_dir, port)
    yield demo
    demo.stop()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


def processes_using(data_dir: Path) -> set[str]:
    """Command lines of the processes whose environment or arguments name the folder."""
    found = set()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            known = (place / "environ").read_bytes() + (place / "cmdline").read_bytes()
            if bytes(data_dir) in known and int(place.name) != os.getpid():
                found.add((place / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def take_part(page: Page, link: str) -> None:
    page.goto(link)
    page.get_by_role("link", name="Continue").click()
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Agree and continue").click()
    page.get_by_role("button", name="Continue").click()  # The window is large enough.
    page.get_by_role("button", name="I am ready").click()
    for number in range(NUM_TRIALS):
        said = f"{number + 1} of 2" if number < 2 else f"{number - 1} of {NUM_TRIALS - 2}"
        if number == 2:  # Practice is over: one key press.
            expect(page.get_by_role("button", name="Go on")).to_be_focused(timeout=20_000)
            page.keyboard.press("Space")
        shown = page.locator("[data-state=shown] .count span:visible").first
        expect(shown).to_contain_text(said, timeout=20_000)
        page.wait_for_timeout(80)  # Beyond the frame from which an answer counts.
        page.keyboard.press("f" if number % 3 else "j")
    page.wait_for_url("**/done")
    expect(page.locator("output")).not_to_be_empty()


def test_from_the_demo_command_to_a_rate_and_its_csv(
    demo: Demo, data_dir: Path, port: int, page: Page
) -> None:
    link = demo.find(r"Participant link +(\S+)")
    results = demo.find(r"Results +(\S+)")
    password = demo.find(r"password (\S+)")
    demo.find(r"(the participant link works now)", seconds=300)
    take_part(page, link)

    page.goto(results)
    page.get_by_label("Username").fill("experimenter")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name=re.compile("log in|sign in", re.IGNORECASE)).click()
    page.wait_for_url(results)
    shown = float(page.locator("[data-estimate=wilson]").first.get_attribute("data-rate") or "nan")
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("csv", re.IGNORECASE)).first.click()
    table = pd.read_csv(io.BytesIO(download.value.path().read_bytes()))
    main = table[table.trial_kind == "main"].dropna(subset=["response"])
    assert len(main) == 16
    assert table.trial_kind.value_counts().to_dict() == {
        "main": 16, "practice": 2, "catch": 2, "repeat": 2}
    assert shown == pytest.approx(main.is_candidate_chosen.astype(float).mean(), abs=5e-7)
    assert (main.baseline_steps == main.reference_steps).all()
    assert main.candidate_steps.between(1, main.reference_steps - 1).all()

    demo.stop()
    wait_until(lambda: not processes_using(data_dir), seconds=20)
    check_second_start(data_dir, port, link=link, password=password)


def check_second_start(data_dir: Path, port: int, *, link: str, password: str) -> None:
    """A second start has what the first one had, and needs no rendering."""
    again = Demo(data_dir, port)
    try:
        assert again.find(r"Participant link +(\S+)") == link
        assert again.find(r"password (\S+)") == password
        again.find(r"(the participant link works now)")
    finally:
        again.stop()


def test_interrupt_during_the_start_ends_without_a_traceback(data_dir: Path, port: int) -> None:
    demo = Demo(data_dir, port)
    demo.find("(Preparing the database)")
    demo.stop()
    demo._reader.join(5)
    assert "Stopped." in demo.said
    assert "Traceback" not in demo.said


def test_taken_port_is_said_plainly(data_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        demo = Demo(data_dir, port)
        assert demo.find(r"(Port \d+ is taken by another program)").startswith(f"Port {port}")
        demo.process.wait(120)
    assert demo.process.returncode != 0
    assert "Traceback" not in demo.said
