from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from budgetstudy.reporting import FiguresCommand
from generation.models.budgets import EMBEDDED_FOLDER


class Command(FiguresCommand):
    help = "Compare a predictor with measured curves of prompts it has not seen."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--predictor", type=Path, default=EMBEDDED_FOLDER)

    def figures(self, **options: Any) -> dict[str, Any]:
        from generation.budget.evaluation import evaluate_predictor
        from generation.budget.prediction import load_predictor
        from generation.budget.shipping import mean_curve, shipped_curves

        predictor = load_predictor(options["predictor"])
        rows, split = shipped_curves(options["predictor"])
        return evaluate_predictor(
            predictor,
            [row for row in rows if row.prompt in split.test],
            mean_curve=mean_curve(row for row in rows if row.prompt in split.train),
        )
