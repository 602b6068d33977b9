"""Rows for tests, valid unless a test says otherwise. Each function saves what it returns."""

import hashlib
import io
import itertools
from typing import Any

from django.core.files.base import ContentFile
from django.utils.timezone import now
from PIL import Image

from generation.models import (
    Budget,
    DiffusionModel,
    Latency,
    Predictor,
    Prompt,
    Render,
    RenderState,
)
from studies.models import (
    Contrast,
    Pair,
    Participant,
    Question,
    Response,
    SessionState,
    Side,
    Stimulus,
    Study,
    StudyPrompt,
    StudySession,
    Trial,
    TrialKind,
)

_numbers = itertools.count(1)


def make_model(**values: Any) -> DiffusionModel:
    defaults = {"name": f"model {next(_numbers)}", "source": "embedded", "reference_steps": 50,
                "guidance": 3.0, "width": 128, "height": 128}
    return DiffusionModel.objects.create(**(defaults | values))


def make_predictor(**values: Any) -> Predictor:
    model = values.pop("model", None) or make_model()
    defaults = {"name": f"predictor {next(_numbers)}", "source": "embedded"}
    return Predictor.objects.create(model=model, **(defaults | values))


def make_prompt(**values: Any) -> Prompt:
    return Prompt.objects.create(**({"text": f"a red background {next(_numbers)}"} | values))


def make_budget(**values: Any) -> Budget:
    values.setdefault("num_steps", 8)
    values.setdefault("curves", {"steps": [1, 50], "i-clip": [0.5, 1.0]})
    return Budget.objects.create(**values)


def make_render(**values: Any) -> Render:
    model = values.pop("model", None) or make_model()
    prompt = values.pop("prompt", None) or make_prompt()
    defaults = {"seed": 1, "num_steps": 8, "scheduler": model.scheduler,
                "guidance": model.guidance, "width": model.width, "height": model.height}
    return Render.objects.create(model=model, prompt=prompt, **(defaults | values))


def make_ready_render(*, colour: str = "red", **values: Any) -> Render:
    """A render whose file is a plain image of one colour."""
    render = make_render(**values)
    content = _encoded(Image.new("RGB", (render.width, render.height), colour))
    render.image.save(f"{render.public_id}.webp", ContentFile(content), save=False)
    render.state, render.sha256 = RenderState.READY, hashlib.sha256(content).hexdigest()
    render.unet_evaluations, render.seconds = 2 * render.num_steps, 0.01 * render.num_steps
    render.started_at = render.finished_at = now()
    render.save()
    return render


def make_latencies(model: DiffusionModel, seconds: dict[int, float], **provenance: Any) -> None:
    """One run's latencies by step count."""
    run = {"run": str(next(_numbers)), "settings": model.sampling_settings(),
           "device_name": "a device", "dtype": "float32"}
    for num_steps, median in seconds.items():
        Latency.objects.create(
            model=model, num_steps=num_steps, seconds=median, fastest_seconds=0.9 * median,
            slowest_seconds=1.2 * median, repeats=5, provenance=run | provenance,
        )


def make_study(*, num_prompts: int = 0, **values: Any) -> Study:
    predictor = values.pop("predictor", None) or make_predictor()
    # The plain study that most tests mean; what else a study can have is asked for by name.
    defaults = {"name": f"study {next(_numbers)}", "practice_trials": 1, "main_trials": 4,
                "catch_percent": 0, "repeat_percent": 0, "trials_per_block": 0,
                "has_screen_check": False}
    study = Study.objects.create(
        model=predictor.model, predictor=predictor, **(defaults | values)
    )
    for position in range(1, num_prompts + 1):
        StudyPrompt.objects.create(study=study, prompt=make_prompt(), position=position)
    return study


def make_contrast(**values: Any) -> Contrast:
    study = values.pop("study", None) or make_study()
    return Contrast.objects.create(study=study, **values)


def make_ready_pair(*, contrast: Contrast, num_steps: int = 8) -> Pair:
    """A pair whose candidate is red, whose baseline is blue, with both stimuli composed."""
    prompt, model = make_prompt(), contrast.study.model
    pair = Pair.objects.create(
        contrast=contrast, prompt=prompt, seed=1,
        candidate=make_ready_render(model=model, prompt=prompt, num_steps=num_steps),
        baseline=make_ready_render(model=model, prompt=prompt, colour="blue",
                                   num_steps=model.reference_steps),
    )
    for side in Side:
        colours = ("red", "blue") if side == Side.LEFT else ("blue", "red")
        image = Image.new("RGB", (2 * model.width, model.height), colours[0])
        image.paste(colours[1], (model.width, 0, 2 * model.width, model.height))
        content = _encoded(image)
        stimulus = Stimulus(pair=pair, candidate_side=side, side_width=model.width,
                            side_height=model.height, sha256=hashlib.sha256(content).hexdigest())
        stimulus.image.save(f"{next(_numbers)}.webp", ContentFile(content), save=False)
        stimulus.save()
    return pair


def make_catch_pairs(study: Study, number: int) -> list[Pair]:
    """Ready catch pairs, of prompts that nothing else shows."""
    contrast = make_contrast(study=study, is_catch=True,
                             candidate_arm=f"fixed({study.catch_steps})")
    return [make_ready_pair(contrast=contrast, num_steps=study.catch_steps)
            for _ in range(number)]


def make_open_session(*, num_pairs: int = 6, study: Study | None = None,
                      **values: Any) -> StudySession:
    """An open session of a study whose pairs are ready to be shown."""
    study = study or make_study()
    contrast = make_contrast(study=study)
    for _ in range(num_pairs):
        pair = make_ready_pair(contrast=contrast)
        StudyPrompt.objects.create(study=study, prompt=pair.prompt, position=next(_numbers))
    if num_catch_pairs := study.num_catch_pairs(num_pairs):
        make_catch_pairs(study, num_catch_pairs)
    defaults = {"name": f"session {next(_numbers)}", "state": SessionState.OPEN,
                "opened_at": now()}
    return StudySession.objects.create(study=study, **(defaults | values))


def make_participant(**values: Any) -> Participant:
    session = values.pop("session", None) or make_open_session()
    return Participant.objects.create(
        session=session, **({"plan_seed": 1, "consented_at": now()} | values)
    )


def make_question(**values: Any) -> Question:
    defaults = {"name": f"question-{next(_numbers)}", "kind": "choice", "text": "Left or right?",
                "choices": "left\nright"}
    return Question.objects.create(**(defaults | values))


def make_trial(**values: Any) -> Trial:
    defaults = {"index": next(_numbers), "kind": TrialKind.MAIN, "candidate_side": Side.LEFT}
    return Trial.objects.create(**(defaults | values))


def make_response(**values: Any) -> Response:
    defaults = {"chosen_side": Side.LEFT, "response_ms": 900, "input_method": "keyboard"}
    return Response.objects.create(**(defaults | values))


def _encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=True, method=0)
    return buffer.getvalue()
