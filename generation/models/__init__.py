"""What was asked of the models, and what became of it."""

from generation.models.budgets import Budget, Predictor
from generation.models.diffusion_models import DiffusionModel, SchedulerName
from generation.models.prompts import Prompt
from generation.models.renders import Render, RenderState

__all__ = [
    "Budget",
    "DiffusionModel",
    "Predictor",
    "Prompt",
    "Render",
    "RenderState",
    "SchedulerName",
]
