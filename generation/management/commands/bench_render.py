from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from budgetstudy.reporting import FiguresCommand
from generation.models.budgets import EMBEDDED_FOLDER as PREDICTOR_FOLDER
from generation.models.diffusion_models import EMBEDDED_FOLDER
from generation.rendering.shipped import GUIDANCE, IMAGE_SIZE, REFERENCE_STEPS

FIRST_SEED = 1000
RANDOM_MODELS = {"sd21": 512, "sdxl": 1024}  # Pixels a side.


class Command(FiguresCommand):
    help = "Time one workload three ways: image by image, in buckets of equal length, in slots."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--workload", choices=["embedded", *RANDOM_MODELS], default="embedded",
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
        import torch

        from generation.diffusion.benchmark import (
            largest_difference,
            linearity,
            time_bucketed,
            time_engine,
            time_naive,
        )
        from generation.diffusion.sampling import choose_slots

        pipeline, recipes = self._workload(**options)
        num_slots = options["slots"] or choose_slots(pipeline, recipes[0])
        self.progress(f"{len(recipes)} images, {num_slots} slots, {pipeline.device}")
        time_naive(pipeline, recipes[:2])  # Warm up.
        self.progress("Image by image")
        naive = time_naive(pipeline, recipes)
        self.progress("In buckets")
        bucketed = time_bucketed(pipeline, recipes, batch_size=num_slots)
        if options["compile"]:
            pipeline.unet.compile()
            time_engine(pipeline, recipes[:2 * num_slots], num_slots=num_slots)
        self.progress("In slots")
        engine = time_engine(pipeline, recipes, num_slots=num_slots)
        # Whole prompts, so that each part has as many long images as short ones.
        parts = [engine, *(time_engine(pipeline, recipes[:len(recipes) // share // 2 * 2],
                                       num_slots=num_slots) for share in (2, 4))]
        difference = largest_difference(naive, engine)
        if difference > 1 and pipeline.unet.dtype == torch.float32:
            raise ValueError(f"the images differ by up to {difference} grey levels of 255: the "
                             "engine does not draw what the pipeline does")
        return {
            "naive": naive.figures(), "bucketed": bucketed.figures(), "engine": engine.figures(),
            "ratio_engine_naive": naive.seconds / engine.seconds,
            "ratio_engine_bucketed": bucketed.seconds / engine.seconds,
            # A compiled UNet runs no hooks, so the time in it is not known.
            "utilisation": (None if options["compile"]
                            else engine.unet_seconds / engine.seconds),
            "max_difference": difference,
            "cost_r_squared": linearity([part.unet_evaluations for part in parts],
                                        [part.seconds for part in parts]),
            "images": len(recipes), "slots": num_slots, "device": str(pipeline.device),
            "dtype": str(pipeline.unet.dtype).removeprefix("torch."),
        }

    def _workload(self, **options: Any) -> tuple[Any, list[Any]]:
        """The pipeline, and for each prompt a recipe at its budget and one at the full count."""
        from generation.budget.prediction import load_predictor
        from generation.diffusion.pipelines import load_pipeline
        from generation.diffusion.recipes import Recipe
        from generation.scenes.evaluation import held_out_scenes

        prompts = [scene.caption() for scene in held_out_scenes(options["prompts"])]
        budgets = [row.num_steps for row in load_predictor(PREDICTOR_FOLDER).predict(prompts)]
        full = options["reference_steps"]
        if options["workload"] == "embedded":
            source, size, guidance = EMBEDDED_FOLDER, IMAGE_SIZE, GUIDANCE
            pipeline = load_pipeline(str(source), "", scheduler=options["scheduler"],
                                     device=options["device"])
        else:
            from generation.diffusion.untrained import make_untrained
            from generation.scenes.tokenizer import build_tokenizer

            source, size, guidance = Path(), RANDOM_MODELS[options["workload"]], 7.5
            pipeline = make_untrained(options["workload"], scheduler=options["scheduler"],
                                      tokenizer=build_tokenizer(), device=options["device"])
        return pipeline, [
            Recipe(str(source), "", prompt=prompt, seed=FIRST_SEED + place, num_steps=num_steps,
                   scheduler=options["scheduler"], guidance=guidance, width=size, height=size)
            for place, (prompt, budget) in enumerate(zip(prompts, budgets, strict=True))
            # A budget is a share of the shipped model's full count.
            for num_steps in (max(1, round(budget * full / REFERENCE_STEPS)), full)
        ]
