"""Commands that measure something: a table for people, one JSON object for programs."""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from budgetstudy.supervisor import interrupt_when_asked_to_end, scratch_environment


class FiguresCommand(BaseCommand):
    """Print what `figures` returns; with ``--json`` nothing else goes to standard output."""

    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    @abstractmethod
    def figures(self, **options: Any) -> dict[str, Any]:
        """Measure; may raise ValueError with what is wrong and what to do."""

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            figures = self.figures(**options)
        except ValueError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(figures, allow_nan=False))
            return
        rows = dict(_flattened(figures))
        width = max(map(len, rows), default=0)
        for name, value in rows.items():
            self.stdout.write(f"{name:<{width}}  {value}")

    def progress(self, line: str) -> None:
        """Say how far it is, beside the figures rather than among them."""
        self.stderr.write(line)


class ScratchCommand(FiguresCommand):
    """Measures on a data folder and servers of its own, which go unless something is wrong."""

    noun = "measurement"
    environment: Mapping[str, str] = {}

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        # In the process that this command starts on a scratch folder.
        parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)

    @abstractmethod
    def asked(self, **options: Any) -> dict[str, Any]:
        """The options that decide what is measured; may raise ValueError."""

    @abstractmethod
    def measure(self, **asked: Any) -> dict[str, Any]:
        """Measure on the servers of this process, which are the scratch folder's."""

    @abstractmethod
    def problem(self, figures: dict[str, Any], folder: Path) -> str:
        """What the figures say is wrong, if anything; the folder is kept then."""

    def handle(self, *args: Any, **options: Any) -> None:
        self._problem = ""
        super().handle(*args, **options)
        if self._problem:
            raise CommandError(self._problem)

    def figures(self, **options: Any) -> dict[str, Any]:
        asked = self.asked(**options)
        if options["here"]:
            interrupt_when_asked_to_end()
            return self.measure(**asked)
        folder = Path(tempfile.mkdtemp(prefix=f"{self.noun}-"))
        figures = self._figures_of_child(folder, asked)
        self._problem = self.problem(figures, folder)
        if not self._problem:
            shutil.rmtree(folder)
        return figures

    def _figures_of_child(self, folder: Path, asked: dict[str, Any]) -> dict[str, Any]:
        """Django's settings name one data folder a process, so another takes another process."""
        name = type(self).__module__.rpartition(".")[2]
        arguments = [f"--{option.replace('_', '-')}={value}" for option, value in asked.items()]
        child = subprocess.run(
            [sys.executable, settings.BASE_DIR / "manage.py", name, "--here", "--json", *arguments],
            env={**scratch_environment(folder), **self.environment}, stdout=subprocess.PIPE,
            text=True, check=False,
        )
        if child.returncode:
            raise ValueError(f"the {self.noun} itself failed; what it left is in {folder}")
        figures: dict[str, Any] = json.loads(child.stdout)
        return figures


def _flattened(figures: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in figures.items():
        if isinstance(value, dict):
            rows += _flattened(value, f"{prefix}{name}.")
        else:
            text = f"{value:.4g}" if isinstance(value, float) else str(value)
            rows.append((f"{prefix}{name}", text))
    return rows
