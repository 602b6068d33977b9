"""Run the project's processes together, restart those that die, and stop them all at the end."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO

_GRACE_SECONDS = 6.0
_POLL_SECONDS = 0.5
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class PortError(Exception):
    """No server can listen on the port; the message says why and what to do."""


def require_free_port(host: str, port: int) -> None:
    """Raise `PortError` unless a server can listen there now."""
    if not 1 <= port <= 65535:
        raise PortError(f"Port {port} does not exist: choose one from 1 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise PortError(f"Port {port} cannot be used: {error.strerror}") from error
            raise PortError(
                f"Port {port} is taken by another program. "
                f"Choose another: make demo PORT={port % 65535 + 1}"
            ) from error


def server_commands(host: str, port: int, *, web_workers: int = 1) -> dict[str, list[str]]:
    """The processes of one machine: the web, two workers, and the clock.

    Images take their turns by the minute; what does not draw must not wait behind them.
    """
    celery = [sys.executable, "-m", "celery", "-A", "budgetstudy"]
    # One process each: CUDA does not survive a fork.
    worker = [*celery, "worker", "--pool", "solo", "--loglevel", "INFO", "--without-gossip",
              "--without-mingle"]
    return {
        "web": [sys.executable, "-m", "uvicorn", "budgetstudy.asgi:application", "--host", host,
                "--port", str(port), "--workers", str(web_workers), "--log-level", "warning"],
        "renderer": [*worker, "-Q", "render", "-n", "renderer@%h"],
        "worker": [*worker, "-Q", "default", "-n", "worker@%h"],
        # The plain scheduler keeps no file of its own.
        "clock": [*celery, "beat", "--scheduler", "celery.beat:Scheduler", "--loglevel", "WARNING"],
    }


def scratch_environment(data_dir: Path) -> dict[str, str]:
    """For a process that has embedded servers and data of its own, whatever this one uses."""
    return {**os.environ, "BUDGETSTUDY_DATA_DIR": str(data_dir), "DATABASE_URL": "",
            "REDIS_URL": ""}


class Supervisor:
    """Child processes, each in a process group of its own and with a log file of its own."""

    def __init__(self, commands: dict[str, list[str]], *, logs: Path,
                 environment: dict[str, str] | None = None) -> None:
        self._commands = commands
        self._logs = logs
        self._environment = {**os.environ, **(environment or {})}
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, tick: Callable[[], object], *, report: Callable[[str], None]) -> None:
        """Keep every process up, and call `tick` about twice a second, until interrupted."""
        interrupt_when_asked_to_end()
        try:
            self.start()
            while True:
                tick()
                self.revive(report)
                time.sleep(_POLL_SECONDS)
        except KeyboardInterrupt:
            report("Stopping …")
        finally:
            # An impatient second Ctrl-C must not leave children behind.
            for number in _INTERRUPTS:
                signal.signal(number, signal.SIG_IGN)
            self.stop()

    def start(self) -> None:
        self._logs.mkdir(parents=True, exist_ok=True)
        for name in self._commands:
            self._start(name)

    def stop(self) -> None:
        """Ask every child to end, and kill what has not after a few seconds."""
        for child in self._children.values():
            _signal_group(child, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_SECONDS
        for child in self._children.values():
            with suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, deadline - time.monotonic()))
            _signal_group(child, signal.SIGKILL)
            child.wait()
        self._children.clear()

    def process_id(self, name: str) -> int:
        return self._children[name].pid

    def kill(self, name: str) -> None:
        """Kill a child and all that it has started, as the kernel does for want of memory."""
        _signal_group(self._children[name], signal.SIGKILL)
        self._children[name].wait()

    def log_file(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _start(self, name: str) -> None:
        with self.log_file(name).open("ab") as log:
            self._children[name] = _spawn(self._commands[name], log, env=self._environment)

    def revive(self, report: Callable[[str], None]) -> None:
        """Start again what has ended."""
        for name, child in list(self._children.items()):
            if child.poll() is not None:
                report(f"The {name} process ended with code {child.returncode}; starting it again. "
                       f"Its log is {self.log_file(name)}")
                time.sleep(_POLL_SECONDS)
                self._start(name)


def _spawn(command: Sequence[str], log: IO[bytes], *,
           env: dict[str, str]) -> subprocess.Popen[bytes]:
    # Its own session: the terminal's Ctrl-C reaches only the supervisor, which stops the rest.
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                            start_new_session=True)


def _signal_group(child: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return


def interrupt_when_asked_to_end() -> None:
    """Have every way of being asked to end raise KeyboardInterrupt, so that children are ended."""
    for number in _INTERRUPTS:
        signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
