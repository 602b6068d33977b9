"""What the server's processes use while bots are at work."""

import asyncio
import os
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import psutil

SAMPLE_SECONDS = 1.0


class Watch:
    """CPU seconds and peak memory of groups of processes, by name.

    A group is a process with its children; of this process itself, they are not counted.
    """

    def __init__(self, groups: dict[str, int]) -> None:
        self._groups = groups
        # By process, as one that ends takes its count along: a database's connection, for one.
        self._cpu: dict[str, dict[int, float]] = defaultdict(dict)
        self.peak_mb: dict[str, float] = defaultdict(float)

    async def keep_looking(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(SAMPLE_SECONDS)

    def look(self) -> None:
        for name, process_id in self._groups.items():
            resident = 0
            for process in _family(process_id):
                with suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    self._cpu[name][process.pid] = times.user + times.system
                    resident += process.memory_info().rss
            self.peak_mb[name] = max(self.peak_mb[name], resident / 2**20)

    def cpu_seconds(self) -> dict[str, float]:
        """Used so far, since the processes began."""
        self.look()
        return {name: sum(self._cpu[name].values()) for name in self._groups}


def embedded_postgres_id(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])


def _family(process_id: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        head = psutil.Process(process_id)
        return [head] if process_id == os.getpid() else [head, *head.children(recursive=True)]
    return []
