from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from generation.budget.curves import step_grid
from generation.diffusion.recipes import SCHEDULERS
from generation.models.diffusion_models import EMBEDDED_FOLDER
from generation.rendering.services import is_rendering


class Command(BaseCommand):
    help = "Measure metric curves of a model over the step grid, for a predictor; resumes."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("out", type=Path, help="JSON-lines file to append to")
        parser.add_argument("--model", type=Path, default=EMBEDDED_FOLDER, help="pipeline folder")
        parser.add_argument("--prompts-file", type=Path,
                            help="one prompt a line; without it, scenes' captions")
        parser.add_argument("--prompts", type=int, default=400, help="how many captions")
        parser.add_argument("--skip", type=int, default=0, help="held-out prompts to pass over")
        parser.add_argument("--seeds", type=int, default=2, help="noises per prompt")
        parser.add_argument("--first-seed", type=int, default=0,
                            help="so that two processes can share the seeds")
        parser.add_argument("--reference-steps", type=int, default=40)
        parser.add_argument("--steps", default="",
                            help="the step counts to measure, as 1,2,5,40, or “dense” for every "
                                 "one; 12 of them, denser where curves bend, when omitted")
        parser.add_argument("--scheduler", choices=SCHEDULERS, default="ddim")
        parser.add_argument("--size", default="",
                            help="pixels, as 1024x1024; the model's own when omitted")
        parser.add_argument("--guidance", type=float, default=3.0)
        parser.add_argument("--now", action="store_true",
                            help="measure while images of studies wait; without it they go first")

    def handle(self, *args: Any, **options: Any) -> None:
        from generation.budget.folders import open_model
        from generation.budget.measuring import measure_curves

        if not 2 <= options["reference_steps"] <= 1000:
            raise CommandError("--reference-steps must lie between 2 and 1000")
        prompts = _prompts(options["prompts_file"], options["prompts"], skip=options["skip"])
        try:
            steps = _steps(options["steps"], options["reference_steps"])
            pipeline, encoder = open_model(options["model"], scheduler=options["scheduler"])
            measure_curves(
                pipeline, encoder,
                prompts=prompts,
                seeds=range(options["first_seed"], options["first_seed"] + options["seeds"]),
                steps=steps,
                size=_size(options["size"]),
                guidance=options["guidance"],
                out=options["out"],
                report=self.stdout.write,
                is_busy=(lambda: False) if options["now"] else is_rendering,
            )
        except ValueError as error:
            raise CommandError(str(error)) from error


def _steps(text: str, reference_steps: int) -> list[int]:
    """Read the step grid; raise ValueError unless it rises from 1 to the reference count."""
    if not text:
        return step_grid(reference_steps)
    if text == "dense":
        return list(range(1, reference_steps + 1))
    try:
        steps = [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--steps must be whole numbers with commas, got {text!r}") from None
    if steps != sorted(set(steps)) or steps[0] != 1 or steps[-1] != reference_steps:
        raise ValueError(f"--steps must rise from 1 to the reference count, {reference_steps}, "
                         f"got {text}")
    return steps


def _size(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise ValueError(f"--size must be width and height in pixels as 1024x1024, got {text!r}")
    return int(width), int(height)


def _prompts(path: Path | None, count: int, *, skip: int) -> list[str]:
    from generation.scenes.evaluation import held_out_scenes

    if path is None:
        return [scene.caption() for scene in held_out_scenes(count, skip=skip)]
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read as UTF-8 text: {error}") from error
    prompts = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not prompts:
        raise CommandError(f"{path} holds no prompt")
    return prompts
