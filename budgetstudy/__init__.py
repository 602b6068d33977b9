"""Settings, URLs, ASGI, Celery and the embedded servers. No domain logic."""

from budgetstudy.celery import app as celery_app

__all__ = ["celery_app"]
__version__ = "0.1.0"
