"""Loaded before Django's settings: the tests have a data folder and servers of their own."""

import os
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "budgetstudy.settings")
# Never the folder of a running demo: its worker would take the tests' tasks.
os.environ["BUDGETSTUDY_DATA_DIR"] = os.environ.get(
    "BUDGETSTUDY_TEST_DATA_DIR", str(Path(__file__).resolve().parent.parent / "var" / "test")
)
# Playwright's synchronous API runs an event loop in the test's own thread.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
os.environ.setdefault("BUDGETSTUDY_LOG_LEVEL", "WARNING")

from hypothesis import HealthCheck, settings

from budgetstudy.embedded import start_servers

# No test may fail because the machine is slow.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

start_servers()
