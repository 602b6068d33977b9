"""The rows of the model and predictor that this repository ships."""

from generation.diffusion.weights import weights_sha256
from generation.models import DiffusionModel, Predictor
from generation.models.diffusion_models import EMBEDDED_FOLDER, EMBEDDED_SOURCE

MODEL_NAME = "Embedded scenes"
REFERENCE_STEPS = 40
GUIDANCE = 3.0
IMAGE_SIZE = 128


def register_shipped_model() -> Predictor:
    """Make the rows if they are missing; return the predictor, whose `model` is the model.

    Where the rows are of weights that were shipped before, new ones are made beside them.
    """
    digest = weights_sha256(EMBEDDED_FOLDER)
    version = _version(digest)
    # By name: an experimenter may register the same weights again under other settings.
    model, _ = DiffusionModel.objects.get_or_create(
        name=f"{MODEL_NAME}{version}",
        defaults={"source": EMBEDDED_SOURCE, "reference_steps": REFERENCE_STEPS,
                  "guidance": GUIDANCE, "width": IMAGE_SIZE, "height": IMAGE_SIZE,
                  "weights_sha256": digest},
    )
    predictor, _ = Predictor.objects.get_or_create(
        name=f"Embedded BiLSTM{version}", defaults={"model": model, "source": EMBEDDED_SOURCE}
    )
    return predictor


def _version(digest: str) -> str:
    """What the names end with: nothing, unless other weights have the plain name."""
    first = DiffusionModel.objects.filter(name=MODEL_NAME).first()
    is_free = first is None or first.weights_sha256 in ("", digest)
    return "" if is_free else f" {digest[:8]}"
