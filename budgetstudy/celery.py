"""The Celery application. Tasks live in each app's `tasks` module."""

import os

from celery import Celery
from celery.signals import beat_init, worker_init

from budgetstudy.embedded import start_servers

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "budgetstudy.settings")

app = Celery("budgetstudy")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
@beat_init.connect
def join_servers(**_sent: object) -> None:
    """Start the embedded servers, or keep them up for as long as this process needs them."""
    start_servers()
