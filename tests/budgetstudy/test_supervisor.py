import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from budgetstudy.supervisor import PortError, require_free_port, server_commands
from tests.conftest import wait_until

RUN = """
import sys
from pathlib import Path
from budgetstudy.supervisor import Supervisor

stubborn = ("import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
            "print('up', flush=True); time.sleep(600)")
Supervisor({"stubborn": [sys.executable, "-c", stubborn]}, logs=Path(sys.argv[1])).run(
    lambda: None, report=lambda line: print(line, flush=True))
"""


def test_port_that_does_not_exist_is_said() -> None:
    with pytest.raises(PortError, match="Port 99999 does not exist"):
        require_free_port("127.0.0.1", 99999)


def test_taken_port_names_the_next_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortError, match=f"make demo PORT={port % 65535 + 1}"):
            require_free_port("127.0.0.1", port)


def test_what_does_not_draw_has_a_worker_of_its_own() -> None:
    commands = server_commands("127.0.0.1", 8000)
    queues = {name: command[command.index("-Q") + 1] for name, command in commands.items()
              if "-Q" in command}
    assert queues == {"renderer": "render", "worker": "default"}


def test_impatient_second_interrupt_leaves_no_child_behind(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path)], stdout=subprocess.PIPE)
    log = tmp_path / "stubborn.log"
    wait_until(lambda: log.exists() and log.read_text() == "up\n", seconds=30)
    child = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    wait_until(lambda: not Path(f"/proc/{child}").exists(), seconds=5)
