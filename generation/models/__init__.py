"""What was asked of the models, and what became of it."""

from generation.models.budgets import Budget, Predictor
from generation.models.diffusion_models import DiffusionModel, SchedulerName
from generation.models.latencies import Latency
from generation.models.prompts import Prompt
from generation.models.renders import Priority, Render, RenderState

__all__ = [
    "Budget",
    "DiffusionModel",
    "Latency",
    "Predictor",
    "Priority",
    "Prompt",
    "Render",
    "RenderState",
    "SchedulerName",
]
