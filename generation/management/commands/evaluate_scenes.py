import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from budgetstudy.reporting import FiguresCommand
from generation.models.diffusion_models import EMBEDDED_FOLDER


class Command(FiguresCommand):
    help = "Measure the embedded model's figures on held-out prompts (a few minutes)."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--model", type=Path, default=EMBEDDED_FOLDER, help="pipeline folder")
        parser.add_argument("--prompts", type=int, default=64)
        parser.add_argument("--seeds", type=int, default=2)
        parser.add_argument("--reference-steps", type=int, default=40)
        parser.add_argument("--guidance", type=float, default=3.0)
        parser.add_argument("--curves", type=Path,
                            help="keep the measured curves here, and resume from them")

    def figures(self, **options: Any) -> dict[str, Any]:
        from transformers import CLIPModel

        from generation.budget.curves import step_grid
        from generation.budget.folders import open_model
        from generation.budget.measuring import average_over_seeds, measure_curves
        from generation.scenes.evaluation import evaluate_scenes, held_out_scenes

        pipeline, encoder = open_model(options["model"])
        prompts = [scene.caption() for scene in held_out_scenes(options["prompts"])]
        with tempfile.TemporaryDirectory() as folder:
            rows = measure_curves(
                pipeline, encoder, prompts=prompts, seeds=range(options["seeds"]),
                steps=step_grid(options["reference_steps"]), guidance=options["guidance"],
                out=options["curves"] or Path(folder) / "curves.jsonl", report=self.progress,
            )
        averaged = average_over_seeds(rows)
        return evaluate_scenes(
            pipeline, CLIPModel.from_pretrained(options["model"] / "clip").float(),
            curves=[averaged[prompt] for prompt in prompts], guidance=options["guidance"],
            reference_steps=options["reference_steps"], folder=options["model"],
            report=self.progress,
        )
