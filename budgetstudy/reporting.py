"""Commands that measure something: a table for people, one JSON object for programs."""

import json
from abc import abstractmethod
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser


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


def _flattened(figures: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in figures.items():
        if isinstance(value, dict):
            rows += _flattened(value, f"{prefix}{name}.")
        else:
            text = f"{value:.4g}" if isinstance(value, float) else str(value)
            rows.append((f"{prefix}{name}", text))
    return rows
