"""The content hash of a study: everything that could change an answer."""

import hashlib
import json

from studies.models import Contrast, Pair, Study


def content_hash(study: Study) -> str:
    """The sha256 of the design's canonical JSON.

    It covers each pair's recipe (model, prompt, seed, step counts, scheduler, guidance, size), not
    the bytes of its files: a session may open while later pairs still render. A recipe is complete
    once images are prepared, and each file's own sha256 is kept with its render.
    """
    design = {
        "task": study.task,
        "texts": {"question": study.question, **study.texts()},
        "practice_trials": study.practice_trials,
        "main_trials": study.main_trials,
        "model": [study.model.source, study.model.revision, study.model.reference_steps],
        "prompts": [list(row) for row in study.study_prompts.order_by("position").values_list(
            "position", "prompt__text", "category")],
        "contrasts": [_contrast(contrast) for contrast in study.contrasts.order_by(
            "candidate_arm", "baseline_arm")],
    }
    canonical = json.dumps(design, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _contrast(contrast: Contrast) -> dict[str, object]:
    pairs = Pair.objects.filter(contrast=contrast).order_by("prompt__text", "seed")
    recipe = ("scheduler", "guidance", "width", "height")
    return {
        "candidate_arm": contrast.candidate_arm,
        "baseline_arm": contrast.baseline_arm,
        "pairs": [list(row) for row in pairs.values_list(
            "prompt__text", "seed", "candidate__num_steps", "baseline__num_steps",
            "reference__num_steps", *(f"candidate__{name}" for name in recipe))],
    }
