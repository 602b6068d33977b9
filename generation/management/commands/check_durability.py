from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import CommandParser

from budgetstudy.reporting import ScratchCommand
from generation.rendering.durability import Durability, prove_durability


class Command(ScratchCommand):
    help = ("Render while workers are killed and servers restarted, and count what is lost. Uses "
            "a data folder and servers of its own.")
    noun = "trial"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--renders", type=int, default=200)
        parser.add_argument("--kills", type=int, default=20, help="of the worker that renders")
        parser.add_argument("--seed", type=int, default=0, help="of the random moments")

    def asked(self, **options: Any) -> dict[str, Any]:
        trial = {name: options[name] for name in ("renders", "kills", "seed")}
        if trial["renders"] < 1 or trial["kills"] < 1:
            raise ValueError("expected at least 1 render and 1 kill, got "
                             f"{trial['renders']} and {trial['kills']}")
        return trial

    def measure(self, **asked: Any) -> dict[str, Any]:
        call_command("migrate", verbosity=0)
        return asdict(prove_durability(**asked, report=self.progress))

    def problem(self, figures: dict[str, Any], folder: Path) -> str:
        if not (problem := Durability(**figures).problem()):
            return ""
        self.progress(f"What was rendered and the logs are kept in {folder}")
        return f"{problem}: see the figures."
