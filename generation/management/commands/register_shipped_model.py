from typing import Any

from django.core.management.base import BaseCommand

from generation.rendering.shipped import register_shipped_model


class Command(BaseCommand):
    help = "Register the model and the predictor that this repository ships."

    def handle(self, *args: Any, **options: Any) -> None:
        predictor = register_shipped_model()
        self.stdout.write(f"{predictor.model} with {predictor}")
