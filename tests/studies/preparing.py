"""Studies on their way from a prompt list to their images, without the admin."""

from collections.abc import Callable, Mapping, Sequence

from generation.models import Budget, Predictor, Prompt
from studies.desk import preparation, services
from studies.desk.imports import PromptRow
from studies.models import Pair, Study, StudySession
from tests import factories

Predict = Callable[[Predictor, Sequence[Prompt]], Mapping[int, Budget]]


def rows(*texts: str) -> list[PromptRow]:
    return [PromptRow(line, text) for line, text in enumerate(texts, start=1)]


def predicting(*steps: int) -> Predict:
    """A predictor that gives these budgets in the prompts' order, and stores them."""

    def predict(predictor: Predictor, prompts: Sequence[Prompt]) -> dict[int, Budget]:
        budgets = {}
        for prompt, num_steps in zip(prompts, steps, strict=True):
            budgets[prompt.pk] = (
                Budget.objects.filter(prompt=prompt, predictor=predictor).first()
                or factories.make_budget(prompt=prompt, predictor=predictor, num_steps=num_steps))
        return budgets

    return predict


def make_preparing(*steps: int, contrasts: Sequence[tuple[str, str]] = (("budgeted", "reference"),),
                   **design: str | int) -> Study:
    study = services.create_study(
        f"study of {steps}", rows(*(f"prompt {number}" for number in range(len(steps)))),
        predictor=factories.make_predictor(), contrasts=contrasts,
        **{"catch_percent": 0} | design)
    services.prepare(study)
    return study


def prepared(*steps: int, **values: object) -> Study:
    study = make_preparing(*steps, **values)  # type: ignore[arg-type]
    preparation.prepare_study(study.pk, predict=predicting(*steps))
    study.refresh_from_db()
    return study


def steps_of(study: Study) -> set[tuple[str, str, int, int, int]]:
    return set(Pair.objects.filter(contrast__study=study).values_list(
        "contrast__candidate_arm", "prompt__text", "seed", "candidate__num_steps",
        "baseline__num_steps"))


def make_session(*, num_ready: int, num_waiting: int = 0, main_trials: int = 4) -> StudySession:
    study = factories.make_study(main_trials=main_trials, num_prompts=1)
    contrast = factories.make_contrast(study=study)
    for _ in range(num_ready):
        factories.make_ready_pair(contrast=contrast)
    for _ in range(num_waiting):
        prompt = factories.make_prompt()
        Pair.objects.create(
            contrast=contrast, prompt=prompt, seed=1,
            candidate=factories.make_render(model=study.model, prompt=prompt),
            baseline=factories.make_render(model=study.model, prompt=prompt, num_steps=50))
    return StudySession.objects.create(study=study, name="Session 1")
