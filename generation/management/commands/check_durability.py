import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser

from budgetstudy.reporting import FiguresCommand
from budgetstudy.supervisor import interrupt_when_asked_to_end, scratch_environment
from generation.rendering.durability import Durability, prove_durability


class Command(FiguresCommand):
    help = ("Render while workers are killed and servers restarted, and count what is lost. Uses "
            "a data folder and servers of its own.")

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--renders", type=int, default=200)
        parser.add_argument("--kills", type=int, default=20, help="of the worker that renders")
        parser.add_argument("--seed", type=int, default=0, help="of the random moments")
        # In the process that this command starts on a scratch folder.
        parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        self._problem = ""
        super().handle(*args, **options)
        if self._problem:
            raise CommandError(f"{self._problem}: see the figures.")

    def figures(self, **options: Any) -> dict[str, Any]:
        trial = {name: options[name] for name in ("renders", "kills", "seed")}
        if trial["renders"] < 1 or trial["kills"] < 1:
            raise ValueError("expected at least 1 render and 1 kill, got "
                             f"{trial['renders']} and {trial['kills']}")
        if options["here"]:
            interrupt_when_asked_to_end()
            call_command("migrate", verbosity=0)
            return asdict(prove_durability(**trial, report=self.progress))
        folder = Path(tempfile.mkdtemp(prefix="durability-"))
        figures = self._figures_of_child(folder, trial)
        self._problem = Durability(**figures).problem()
        if self._problem:
            self.progress(f"What was rendered and the logs are kept in {folder}")
        else:
            shutil.rmtree(folder)
        return figures

    def _figures_of_child(self, folder: Path, trial: dict[str, int]) -> dict[str, Any]:
        """Django's settings name one data folder a process, so another takes another process."""
        arguments = [f"--{name}={value}" for name, value in trial.items()]
        child = subprocess.run(
            [sys.executable, settings.BASE_DIR / "manage.py", "check_durability", "--here",
             "--json", *arguments],
            env=scratch_environment(folder), stdout=subprocess.PIPE, text=True, check=False,
        )
        if child.returncode:
            raise ValueError(f"the trial itself failed; what it left is in {folder}")
        figures: dict[str, Any] = json.loads(child.stdout)
        return figures
