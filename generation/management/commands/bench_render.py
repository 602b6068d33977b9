from typing import Any

from django.core.management.base import CommandParser

from budgetstudy.reporting import FiguresCommand
from generation.diffusion.recipes import Recipe
from generation.models.budgets import EMBEDDED_FOLDER as PREDICTOR_FOLDER
from generation.models.diffusion_models import EMBEDDED_FOLDER, EMBEDDED_SOURCE
from generation.rendering.shipped import GUIDANCE, IMAGE_SIZE, REFERENCE_STEPS

FIRST_SEED = 1000
# Pixels a side, and guidance.
WORKLOADS = {EMBEDDED_SOURCE: (IMAGE_SIZE, GUIDANCE), "sd21": (512, 7.5), "sdxl": (1024, 7.5)}


class Command(FiguresCommand):
    help = "Time one workload three ways: image by image, in buckets of equal length, in slots."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--workload", choices=WORKLOADS, default=EMBEDDED_SOURCE,
                            help="the shipped model, or untrained networks of the exact sizes of "
                                 "Stable Diffusion 2.1 at 512² or SDXL at 1024² (for a GPU)")
        parser.add_argument("--prompts", type=int, default=96)
        parser.add_argument("--slots", type=int, help="images that share a UNet call")
        parser.add_argument("--reference-steps", type=int, default=REFERENCE_STEPS)
        parser.add_argument("--scheduler", choices=["ddim", "dpmsolver++"], default="ddim")
        parser.add_argument("--compile", action="store_true",
                            help="compile the UNet for the engine (the naive loop stays eager)")
        parser.add_argument("--device", default="")

    def figures(self, **options: Any) -> dict[str, Any]:
        from generation.diffusion.comparison import compare
        from generation.diffusion.sampling import choose_slots

        recipes = _recipes(options["workload"], num_prompts=options["prompts"],
                           reference_steps=options["reference_steps"],
                           scheduler=options["scheduler"])
        pipeline = _load(options["workload"], scheduler=options["scheduler"],
                         device=options["device"])
        num_slots = options["slots"] or choose_slots(pipeline, recipes[0])
        self.progress(f"{len(recipes)} images, {num_slots} slots, {pipeline.device}")
        comparison = compare(pipeline, recipes, num_slots=num_slots,
                             is_compiled=options["compile"], report=self.progress)
        return {
            **comparison.figures(),
            "images": len(recipes), "slots": num_slots, "device": str(pipeline.device),
            "dtype": str(pipeline.unet.dtype).removeprefix("torch."),
        }


def _load(workload: str, *, scheduler: str, device: str) -> Any:
    if workload == EMBEDDED_SOURCE:
        from generation.diffusion.pipelines import load_pipeline

        return load_pipeline(str(EMBEDDED_FOLDER), "", scheduler=scheduler, device=device)
    from generation.diffusion.untrained import make_untrained
    from generation.scenes.tokenizer import build_tokenizer

    return make_untrained(workload, scheduler=scheduler, tokenizer=build_tokenizer(),
                          device=device)


def _recipes(
    workload: str, *, num_prompts: int, reference_steps: int, scheduler: str
) -> list[Recipe]:
    """For each prompt a recipe at its budget, and one at the full count."""
    from generation.budget.prediction import load_predictor
    from generation.scenes.evaluation import held_out_scenes

    prompts = [scene.caption() for scene in held_out_scenes(num_prompts)]
    budgets = [row.num_steps for row in load_predictor(PREDICTOR_FOLDER).predict(prompts)]
    size, guidance = WORKLOADS[workload]
    return [
        Recipe(workload, "", prompt=prompt, seed=FIRST_SEED + place, num_steps=num_steps,
               scheduler=scheduler, guidance=guidance, width=size, height=size)
        for place, (prompt, budget) in enumerate(zip(prompts, budgets, strict=True))
        # A budget is a share of the shipped model's full count.
        for num_steps in (max(1, round(budget * reference_steps / REFERENCE_STEPS)),
                          reference_steps)
    ]
