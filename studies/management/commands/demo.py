import os
import sys
import time
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError
from django.urls import reverse

from budgetstudy.supervisor import (
    PortError,
    Supervisor,
    require_free_port,
    server_commands,
)
from studies.desk import demo
from studies.models import SessionState, StudySession

HOST = "127.0.0.1"


class Command(BaseCommand):
    help = "Run everything on this machine with a demo study: servers, workers, web."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, **options: Any) -> None:
        port = options["port"]
        try:
            require_free_port(HOST, port)
        except PortError as error:
            raise CommandError(str(error)) from error
        self.stdout.write("Preparing the database and the static files …")
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        password = demo.make_user(settings.DATA_DIR / "demo_password")
        session = demo.make_session()
        self._introduce(session, password, address=f"http://{HOST}:{port}")
        Supervisor(server_commands(HOST, port), logs=settings.DATA_DIR / "logs").run(
            _Progress(session, self).tick, report=self.stdout.write
        )

    def _introduce(self, session: StudySession, password: str, *, address: str) -> None:
        link = reverse("landing", kwargs={"session_id": session.public_id})
        results = reverse("results", kwargs={"study_id": session.study.public_id})
        self.stdout.write(
            f"\n  Participant link   {address}{link}\n{self._when_it_works(session)}"
            f"  Admin              {address}{reverse('admin:index')}\n"
            f"                     user {demo.USER_NAME}, password {password}\n"
            f"  Results            {address}{results}\n"
            f"  Logs               {os.path.relpath(settings.DATA_DIR / 'logs')}\n\n"
            "Ctrl-C stops everything; what is done is kept.\n"
        )


    def _when_it_works(self, session: StudySession) -> str:
        if session.state == SessionState.OPEN:
            return ""
        return (f"                     works once {session.study.main_trials} pairs of images are "
                "ready; this terminal says when\n")


class _Progress:
    """Tell the terminal how far the images are, and when participants may come."""

    def __init__(self, session: StudySession, command: BaseCommand) -> None:
        self._session = session
        self._command = command
        self._said = ""
        self._was_open = False
        self._is_done = False
        self._checked = 0.0

    def tick(self) -> None:
        if self._is_done or time.monotonic() - self._checked < 1:
            return
        self._checked = time.monotonic()
        try:
            progress = demo.advance(self._session)
        except OperationalError:
            return  # The database is away for a moment; ask again at the next tick.
        if progress.pairs:
            self._say(f"Images: {progress.ready_renders} of {progress.renders} rendered, "
                      f"{progress.ready_pairs} of {progress.pairs} pairs ready")
        else:
            self._say("Predicting budgets …")
        if self._session.state == SessionState.OPEN and not self._was_open:
            self._was_open = True
            self._say("The study is open: the participant link works now.", is_kept=True)
        if progress.is_complete():
            self._is_done = True
            self._say("All images are ready.", is_kept=True)

    def _say(self, line: str, *, is_kept: bool = False) -> None:
        if line == self._said:
            return
        self._said = line
        # A terminal's line is rewritten in place; a log gets each change as a line of its own.
        is_terminal = sys.stdout.isatty()
        start, end = ("\r\033[K", "\n" if is_kept else "") if is_terminal else ("", "\n")
        self._command.stdout.write(f"{start}{line}", ending=end)
        self._command.stdout.flush()
