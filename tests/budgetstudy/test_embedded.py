"""Several processes share the embedded servers, and any of them may die."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import environ
import psycopg
import pytest
import redis

from budgetstudy import embedded

HOLD = ("import django; django.setup(); from budgetstudy.embedded import start_servers; "
        "start_servers(); print('up', flush=True); input()")


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    if (tmp_path / "postgres").exists():
        embedded.stop_servers(tmp_path)


def holding_process(data_dir: Path) -> subprocess.Popen[str]:
    """A process that uses the servers until it reads a line."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("DATABASE_URL", "REDIS_URL")}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=environment | {"BUDGETSTUDY_DATA_DIR": str(data_dir)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def are_up(data_dir: Path) -> tuple[bool, bool]:
    database = environ.Env.db_url_config(embedded.database_url(data_dir))
    try:
        with psycopg.connect(host=database["HOST"], dbname=database["NAME"], user="postgres"):
            has_database = True
    except psycopg.OperationalError:
        has_database = False
    try:
        has_redis = bool(redis.Redis.from_url(embedded.redis_url(data_dir)).ping())
    except redis.ConnectionError:
        has_redis = False
    return has_database, has_redis


def test_servers_stop_with_their_last_user(data_dir: Path) -> None:
    first, second = holding_process(data_dir), holding_process(data_dir)
    first.communicate("\n", timeout=30)
    assert are_up(data_dir) == (True, True)
    second.communicate("\n", timeout=30)
    assert are_up(data_dir) == (False, False)


def test_killed_user_leaves_nothing_locked(data_dir: Path) -> None:
    killed = holding_process(data_dir)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert are_up(data_dir) == (True, True)
    last = holding_process(data_dir)
    last.communicate("\n", timeout=30)
    assert are_up(data_dir) == (False, False)


def test_servers_start_where_the_path_is_too_long_for_a_socket(data_dir: Path) -> None:
    deep = data_dir / ("a" * 60) / ("b" * 60)
    deep.mkdir(parents=True)
    process = holding_process(deep)
    assert are_up(deep) == (True, True)
    process.communicate("\n", timeout=30)
    assert are_up(deep) == (False, False)
