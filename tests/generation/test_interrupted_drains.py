"""Pausing, cancelling and leaving while the real sampler draws with the embedded model."""

from collections.abc import Callable
from functools import partial

import pytest

from generation.diffusion.pipelines import load_pipeline
from generation.diffusion.sampling import sample_all
from generation.models import DiffusionModel, Render, RenderState, SchedulerName
from generation.models.diffusion_models import EMBEDDED_FOLDER
from generation.rendering.draining import drain_renders
from generation.rendering.services import (
    cancel_renders,
    pause_model,
    resume_model,
    retry_cancelled,
)
from tests import factories

STEPS = (20, 6, 5)
pytestmark = [pytest.mark.django_db(transaction=True),
              pytest.mark.usefixtures("one_thread", "media")]
sample = partial(sample_all, device="cpu")


# The batched sampler drives DDIM; through the pipeline's own scheduler goes its own loop.
@pytest.fixture(params=[SchedulerName.DDIM, SchedulerName.OWN])
def model(request: pytest.FixtureRequest) -> DiffusionModel:
    return factories.make_model(scheduler=request.param, width=64, height=64)


class Calls:
    """Counts the UNet calls of a model, and does something during one of them."""

    def __init__(self, model: DiffusionModel, *, during: int, do: Callable[[], object]) -> None:
        self.count = 0
        self._during = during
        self._do = do
        self._unet = load_pipeline(str(EMBEDDED_FOLDER), "", scheduler=model.scheduler,
                                   device="cpu").unet

    def __enter__(self) -> "Calls":
        self._hook = self._unet.register_forward_pre_hook(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()

    def _call(self, *_: object) -> None:
        self.count += 1
        if self.count == self._during:
            self._do()


def make_renders(model: DiffusionModel) -> None:
    prompt = factories.make_prompt(text="a red circle above a blue square")
    for num_steps in STEPS:
        factories.make_render(model=model, prompt=prompt, num_steps=num_steps)


def states() -> dict[int, str]:
    return dict(Render.objects.values_list("num_steps", "state"))


def assert_nothing_is_lost(model: DiffusionModel) -> None:
    """What was interrupted counts as untried, and is rendered by the next drain."""
    unfinished = Render.objects.exclude(state=RenderState.READY)
    assert set(unfinished.values_list("attempts", "shared_losses")) <= {(0, 0)}
    drain_renders(model.pk, sample=sample, seconds=60)
    assert states() == dict.fromkeys(STEPS, "ready")
    assert set(Render.objects.values_list("attempts", "shared_losses", "error")) == {(1, 0, "")}


def test_paused_model_makes_no_further_call(model: DiffusionModel) -> None:
    make_renders(model)
    with Calls(model, during=3, do=lambda: pause_model(model)) as calls:
        assert drain_renders(model.pk, sample=sample, seconds=60) is False
    assert calls.count == 3
    assert states() == dict.fromkeys(STEPS, "pending")
    resume_model(model)
    assert_nothing_is_lost(model)


def test_leaving_worker_makes_no_further_call(model: DiffusionModel) -> None:
    make_renders(model)
    asked = list[str]()
    with Calls(model, during=3, do=lambda: asked.append("to leave")) as calls:
        assert drain_renders(model.pk, sample=sample, seconds=60, is_stopping=lambda: bool(asked))
    assert calls.count == 3
    assert states() == dict.fromkeys(STEPS, "pending")
    assert_nothing_is_lost(model)


def test_cancelled_render_gets_no_further_call_and_the_others_all_of_theirs(
    model: DiffusionModel,
) -> None:
    make_renders(model)
    longest = Render.objects.filter(num_steps=max(STEPS))
    with Calls(model, during=3, do=lambda: cancel_renders(longest)) as calls:
        assert drain_renders(model.pk, sample=sample, seconds=60) is False
    # In slots the others are at their third step too; whole images come one length at a time.
    is_in_slots = model.scheduler == SchedulerName.DDIM
    assert calls.count == (6 if is_in_slots else 3 + 6 + 5)
    assert states() == {20: "cancelled", 6: "ready", 5: "ready"}
    made = Render.objects.ready().values_list("num_steps", "unet_evaluations")
    assert dict(made) == {6: 12, 5: 10}
    assert retry_cancelled(longest) == 1
    assert_nothing_is_lost(model)
