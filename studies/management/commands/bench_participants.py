import asyncio
import os
import socket
import time
import urllib.request
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandParser
from django.urls import reverse

from budgetstudy.reporting import ScratchCommand
from budgetstudy.supervisor import Supervisor, server_commands
from studies.desk.bots.crowd import ANSWER, Tally, percentiles, send_crowd
from studies.desk.bots.sandbox import make_open_session
from studies.desk.bots.watching import Watch, embedded_postgres_id
from studies.models import Response

HOST = "127.0.0.1"
WEB_WORKERS = 2
START_SECONDS = 60.0
# As where participants are, whatever this machine's own settings say.
PRODUCTION = {"DEBUG": "0", "BUDGETSTUDY_HTTPS": "0", "ALLOWED_HOSTS": HOST,
              "BUDGETSTUDY_LOG_LEVEL": "WARNING"}


class Command(ScratchCommand):
    help = ("Send simulated participants through a whole study over HTTP, and measure. Uses a "
            "data folder and servers of its own, which are removed afterwards.")
    environment = PRODUCTION

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--participants", type=int, default=300)
        parser.add_argument("--trials", type=int, default=75, help="that each of them answers")
        parser.add_argument("--interval", type=float, default=4.0,
                            help="seconds from answer to answer; 0 for as fast as possible")
        parser.add_argument("--arrivals-per-s", type=float, default=10.0,
                            help="participants who open the link each second, before all answer")

    def asked(self, **options: Any) -> dict[str, Any]:
        load = {name: options[name]
                for name in ("participants", "trials", "interval", "arrivals_per_s")}
        if load["participants"] < 1 or load["trials"] < 1:
            raise ValueError("expected at least 1 participant and 1 trial, got "
                             f"{load['participants']} and {load['trials']}")
        if load["interval"] < 0 or load["arrivals_per_s"] <= 0:
            raise ValueError("expected an interval of at least 0 s and more than 0 arrivals/s, got "
                             f"{load['interval']} and {load['arrivals_per_s']}")
        return load

    def problem(self, figures: dict[str, Any], folder: Path) -> str:
        if not figures["errors"] and not figures["lost"]:
            return ""
        return (f"{figures['errors']} errors, {figures['lost']} answers lost. The server's log is "
                f"{folder / 'logs' / 'web.log'}")

    def measure(self, **asked: Any) -> dict[str, Any]:
        self.progress("Making a database and a study")
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        session = make_open_session(participants=asked["participants"], trials=asked["trials"])
        link = reverse("landing", kwargs={"session_id": session.public_id})
        port = _free_port()
        web = server_commands(HOST, port, web_workers=WEB_WORKERS)["web"]
        supervisor = Supervisor({"web": web}, logs=settings.DATA_DIR / "logs")
        supervisor.start()
        try:
            site = f"http://{HOST}:{port}"
            _wait_for(f"{site}/readyz")
            watch = Watch({"web": supervisor.process_id("web"), "bots": os.getpid(),
                           "database": embedded_postgres_id(settings.DATA_DIR)})
            tally = asyncio.run(send_crowd(site, link, watch=watch, report=self.progress, **asked))
        finally:
            supervisor.stop()
        return _figures(tally, watch)


def _figures(tally: Tally, watch: Watch) -> dict[str, Any]:
    stored = {str(trial) for trial in
              Response.objects.values_list("trial__public_id", flat=True)}
    acknowledged = len(tally.acknowledged)
    return {
        "answers_per_s": round(acknowledged / max(tally.answering_seconds, 1e-9), 1),
        **percentiles(tally.milliseconds[ANSWER]),
        "errors": tally.errors.total(),
        "acknowledged": acknowledged,
        "stored": len(stored),
        "lost": len(tally.acknowledged - stored),
        "finished": len(set(tally.codes)),
        "peak_mb": round(watch.peak_mb["web"]),
        # While they answered, their images included.
        "cpu_ms_per_answer": {name: round(1000 * seconds / max(acknowledged, 1), 2)
                              for name, seconds in tally.answering_cpu_seconds.items()},
        "what_failed": dict(tally.errors.most_common(10)),
        "pages": tally.pages(),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait_for(address: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise ValueError(f"the server did not start: {error}") from error
            time.sleep(0.2)
