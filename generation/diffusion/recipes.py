"""A recipe: all that determines one image."""

from dataclasses import dataclass

SCHEDULERS = ("ddim", "dpmsolver++", "own")


@dataclass(frozen=True)
class Recipe:
    """Everything an image depends on, apart from the machine that renders it.

    Parameters
    ----------
    source : str
        A diffusers pipeline folder, or a hub id.
    revision : str
        The hub id's 40-hex commit; empty for a folder.
    prompt : str
    seed : int
        Seeds the starting noise; at least 0.
    num_steps : int
        Denoising steps, from 1 to the model's reference count.
    scheduler : str
        `ddim` (eta 0) or `dpmsolver++` (2M); always with trailing timestep spacing, so that the
        starting noise level does not depend on the step count. `own`: as the pipeline was saved.
    guidance : float
        Classifier-free guidance scale, at least 0; guidance is off at 1 and below.
    width, height : int
        Pixels.
    weights_sha256 : str
        Of a folder's weights, as `weights.weights_sha256` gives it; empty where any will do.

    Raises
    ------
    ValueError
        If a value lies outside its range.
    """

    source: str
    revision: str
    prompt: str
    seed: int
    num_steps: int
    scheduler: str
    guidance: float
    width: int
    height: int
    weights_sha256: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.num_steps, bool) or not isinstance(self.num_steps, int):
            raise ValueError(f"the step count must be a whole number, got {self.num_steps!r}")
        if self.num_steps < 1:
            raise ValueError(f"the step count must be at least 1, got {self.num_steps}")
        if self.seed < 0:
            raise ValueError(f"the seed must be at least 0, got {self.seed}")
        if self.scheduler not in SCHEDULERS:
            raise ValueError(f"the scheduler must be one of {SCHEDULERS}, got {self.scheduler!r}")
        if self.guidance < 0:
            raise ValueError(f"guidance must be at least 0, got {self.guidance}")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"the size must be positive, got {self.width} x {self.height}")

    @property
    def is_guided(self) -> bool:
        """Whether classifier-free guidance is on, as diffusers decides it."""
        return self.guidance > 1

    @property
    def evaluations_per_step(self) -> int:
        """UNet evaluations of one step: with guidance the unconditional latent is another one."""
        return 2 if self.is_guided else 1
