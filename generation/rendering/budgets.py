"""Predicting the budgets that a study needs. Loads torch: for tasks only."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from generation.models import Budget, Predictor, Prompt
from generation.rendering.inspection import inspect_predictor_match

LoadPredictor = Callable[[Path], Any]


@lru_cache(maxsize=2)
def load_kept_predictor(folder: Path) -> Any:
    """Load a predictor once a process."""
    from generation.budget.prediction import load_predictor  # Loads torch.

    return load_predictor(folder)


def predict_budgets(
    predictor: Predictor, prompts: Sequence[Prompt], *, load: LoadPredictor = load_kept_predictor
) -> dict[int, Budget]:
    """Return each prompt's budget by prompt id, predicting those that are not yet known.

    Raises ValueError where the predictor was trained for another model.
    """
    wanted = {prompt.pk: prompt for prompt in prompts}
    known = _known(predictor, wanted)
    missing = [prompt for pk, prompt in sorted(wanted.items()) if pk not in known]
    if not missing:
        return known
    # Another worker may predict the same prompts now: its rows are as good as ours.
    Budget.objects.bulk_create(
        _predicted(predictor, missing, load=load), ignore_conflicts=True, batch_size=500
    )
    return _known(predictor, wanted)


def _predicted(
    predictor: Predictor, prompts: Sequence[Prompt], *, load: LoadPredictor
) -> list[Budget]:
    # The model's settings, or the files, may have changed since the predictor was registered.
    inspect_predictor_match(predictor)
    predictions = load(predictor.folder()).predict([prompt.text for prompt in prompts])
    return [
        Budget(prompt=prompt, predictor=predictor, num_steps=prediction.num_steps,
               curves={"steps": prediction.steps, **prediction.curves})
        for prompt, prediction in zip(prompts, predictions, strict=True)
    ]


def _known(predictor: Predictor, wanted: dict[int, Prompt]) -> dict[int, Budget]:
    budgets = Budget.objects.filter(predictor=predictor, prompt__in=wanted)
    return {budget.prompt_id: budget for budget in budgets}
