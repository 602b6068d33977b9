from typing import Any

from django.core.management.base import CommandParser

from budgetstudy.reporting import FiguresCommand
from generation.models import DiffusionModel, Latency
from generation.rendering.latencies import measure_latency, step_counts_for


class Command(FiguresCommand):
    help = "Measure and record how long one image of a model takes when it is rendered alone."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("model", metavar="MODEL_NAME", help="as the admin lists it")
        parser.add_argument("--repeats", type=int, default=5, help="images at each step count")
        parser.add_argument("--steps", type=int, nargs="+", metavar="N",
                            help="step counts; without it, those that its budgets suggest")

    def figures(self, **options: Any) -> dict[str, Any]:
        model = _model(options["model"])
        measured = measure_latency(model, step_counts=options["steps"] or step_counts_for(model),
                                   repeats=options["repeats"])
        return {
            "model": model.name,
            **{name: measured[0].provenance[name] for name in ("device_name", "dtype", "cost")},
            "repeats": options["repeats"],
            "latencies": {f"{latency.num_steps} steps": _figures(latency) for latency in measured},
        }


def _figures(latency: Latency) -> dict[str, float | None]:
    return {"seconds": latency.seconds, "fastest_seconds": latency.fastest_seconds,
            "slowest_seconds": latency.slowest_seconds, "joules": latency.joules}


def _model(name: str) -> DiffusionModel:
    model = DiffusionModel.objects.filter(name=name).first()
    if model is None:
        names = ", ".join(DiffusionModel.objects.order_by("name").values_list("name", flat=True))
        raise ValueError(f"there is no model {name!r}; expected one of: {names or 'none yet'}")
    return model
