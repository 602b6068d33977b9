"""A made-up study for bots to walk through: real rows, and images of noise instead of renders.

For a database that is thrown away; nothing marks these rows off from a real study's.
"""

import hashlib
import io
import uuid

from django.core.files.base import ContentFile
from django.db import transaction
from django.utils.timezone import now
from PIL import Image

from generation.models import Prompt, Render, RenderState
from generation.rendering.shipped import REFERENCE_STEPS, register_shipped_model
from studies.desk.imports import PromptRow
from studies.desk.services import create_study, open_session
from studies.models import Pair, Side, Stimulus, Study, StudySession

# So that practice has prompts of its own, and plans something to choose among.
SPARE_PAIRS = 5
BUDGET = 8
NOISE = 40


@transaction.atomic
def make_open_session(*, participants: int, trials: int) -> StudySession:
    """A study of so many trials a participant, open to so many participants."""
    prompts = [PromptRow(number, f"sandbox prompt {number}", "")
               for number in range(1, trials + SPARE_PAIRS + 1)]
    study = create_study(
        "Sandbox", prompts, predictor=register_shipped_model(), main_trials=trials,
        # One answer a trial asked for.
        practice_trials=0, catch_percent=0, repeat_percent=0,
    )
    _fill(study)
    session = StudySession.objects.create(study=study, name="Sandbox", quota=participants)
    open_session(session)
    return session


def _fill(study: Study) -> None:
    """Give every prompt a pair with both stimuli, as if it had been rendered and composed."""
    contrast = study.contrasts.get()
    for row in study.study_prompts.select_related("prompt"):
        candidate, baseline = (_rendered(study, row.prompt, num_steps=num_steps)
                               for num_steps in (BUDGET, REFERENCE_STEPS))
        pair = Pair.objects.create(contrast=contrast, prompt=row.prompt, seed=1,
                                   candidate=candidate, baseline=baseline)
        for side in Side:
            _add_stimulus(pair, side)


def _rendered(study: Study, prompt: Prompt, *, num_steps: int) -> Render:
    model, at = study.model, now()
    name = f"{uuid.uuid4()}.webp"
    # Nobody is shown a render itself, so its file need not be there.
    return Render.objects.create(
        model=model, prompt=prompt, seed=1, num_steps=num_steps, scheduler=model.scheduler,
        guidance=model.guidance, width=model.width, height=model.height, state=RenderState.READY,
        image=f"renders/{name}", sha256=hashlib.sha256(name.encode()).hexdigest(),
        unet_evaluations=2 * num_steps, seconds=0.01, started_at=at, finished_at=at,
    )


def _add_stimulus(pair: Pair, side: Side) -> None:
    width, height = pair.candidate.width, pair.candidate.height
    image = Image.effect_noise((2 * width, height), NOISE).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=True, method=0)
    stimulus = Stimulus(pair=pair, candidate_side=side, side_width=width, side_height=height,
                        sha256=hashlib.sha256(buffer.getvalue()).hexdigest())
    stimulus.image.save(f"{uuid.uuid4()}.webp", ContentFile(buffer.getvalue()), save=False)
    stimulus.save()
