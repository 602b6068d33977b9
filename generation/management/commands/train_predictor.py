from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from generation.models.budgets import EMBEDDED_FOLDER as PREDICTOR_FOLDER
from generation.models.diffusion_models import EMBEDDED_FOLDER


class Command(BaseCommand):
    help = "Train the BiLSTM that predicts budgets, on curves that measure_curves wrote."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("curves", type=Path, help="JSON-lines file of measured curves")
        parser.add_argument("--model", type=Path, default=EMBEDDED_FOLDER, help="pipeline folder")
        parser.add_argument("--out", type=Path, default=PREDICTOR_FOLDER)

    def handle(self, *args: Any, **options: Any) -> None:
        from generation.budget.shipping import build_predictor

        try:
            build_predictor(options["curves"], options["model"], out=options["out"],
                            report=self.stdout.write)
        except ValueError as error:
            raise CommandError(str(error)) from error
