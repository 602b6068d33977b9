"""Start-up is refused, by name, when a value is missing or malformed."""

import os
import subprocess
import sys

import pytest


def start_up(**variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL")}
    return subprocess.run(
        [sys.executable, "-c", "import django; django.setup()"], env=environment | variables,
        capture_output=True, text=True, check=False,
    )


def test_missing_secret_stops_start_up_where_the_database_is_not_ours() -> None:
    result = start_up(DATABASE_URL="postgres://somebody@db.example.org/study")
    assert result.returncode != 0
    assert "SECRET_KEY is missing" in result.stderr


def test_embedded_default_keeps_a_secret_of_its_own() -> None:
    assert start_up().returncode == 0


@pytest.mark.parametrize("name", ["DEBUG", "BUDGETSTUDY_RENDER_LEASE_SECONDS"])
def test_malformed_value_is_rejected_by_name(name: str) -> None:
    result = start_up(**{name: "soon"})
    assert result.returncode != 0
    assert name in result.stderr.splitlines()[-1]


def test_another_database_than_postgresql_is_refused() -> None:
    result = start_up(DATABASE_URL="sqlite:///study.db", SECRET_KEY="x" * 50)
    assert "DATABASE_URL must name a PostgreSQL database" in result.stderr.splitlines()[-1]
