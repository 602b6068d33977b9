from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from generation.models.diffusion_models import EMBEDDED_FOLDER


class Command(BaseCommand):
    help = "Train the embedded text-to-image model from nothing; resumes where it was stopped."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--work", type=Path, default=settings.DATA_DIR / "scenes",
                            help="scenes, latents and checkpoints (about 2 GB)")
        parser.add_argument("--out", type=Path, default=EMBEDDED_FOLDER,
                            help="the pipeline folder to write")
        parser.add_argument("--start", type=Path,
                            help="train a model further that this command wrote before")
        parser.add_argument("--scenes", type=int, help="how many scenes to draw (even)")
        for part in ("clip", "vae", "unet"):
            parser.add_argument(f"--{part}-steps", type=int,
                                help=f"training steps of the {part}; 0 keeps it as it starts")

        parser.add_argument("--unet-rate", type=float,
                            help="the UNet's highest learning rate; to train a good model further, "
                                 "a third of the default unlearns less")

    def handle(self, *args: Any, **options: Any) -> None:
        from generation.scenes.training import TrainingPlan, train_scenes

        chosen = {"num_scenes": options["scenes"], "unet_rate": options["unet_rate"]} | {
            f"{part}_steps": options[f"{part}_steps"] for part in ("clip", "vae", "unet")
        }
        plan = TrainingPlan(**{name: value for name, value in chosen.items()
                               if value is not None})
        train_scenes(options["work"], options["out"], plan=plan, start=options["start"],
                     report=self.stdout.write)
