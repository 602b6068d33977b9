"""Running recipes through the batched sampler."""

from functools import cache
from typing import Any

from generation.diffusion.batching import sample_batched
from generation.diffusion.costs import CostMeter
from generation.diffusion.recipes import Recipe
from tests.generation.pipelines import make_pipeline, make_xl_pipeline


@cache
def pipeline_of(family: str, scheduler: str, prediction: str) -> Any:
    make = make_pipeline if family == "sd" else make_xl_pipeline
    return make(scheduler=scheduler, prediction=prediction)


def sample_together(pipeline: Any, recipes: list[Recipe], **options: Any) -> dict[int, Any]:
    """What comes out of the sampler, by place in `recipes`; each place at most once."""
    defaults: dict[str, Any] = {"num_slots": 4, "meter": CostMeter()}
    found = list(sample_batched(pipeline, enumerate(recipes), **(defaults | options)))
    assert len(dict(found)) == len(found)
    return dict(found)
