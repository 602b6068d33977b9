"""The rows of the model and predictor that this repository ships."""

from generation.models import DiffusionModel, Predictor
from generation.models.diffusion_models import EMBEDDED_SOURCE

REFERENCE_STEPS = 40
GUIDANCE = 3.0
IMAGE_SIZE = 128


def register_shipped_model() -> Predictor:
    """Make the rows if they are missing; return the predictor, whose `model` is the model."""
    # By name: an experimenter may register the same weights again under other settings.
    model, _ = DiffusionModel.objects.get_or_create(
        name="Embedded scenes",
        defaults={"source": EMBEDDED_SOURCE, "reference_steps": REFERENCE_STEPS,
                  "guidance": GUIDANCE, "width": IMAGE_SIZE, "height": IMAGE_SIZE},
    )
    predictor, _ = Predictor.objects.get_or_create(
        name="Embedded BiLSTM", defaults={"model": model, "source": EMBEDDED_SOURCE}
    )
    return predictor
