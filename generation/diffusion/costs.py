"""Charging the time and the energy of a batch to the images in it. Needs no torch."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

# NVML renews its counter every 20 to 100 ms, and a reading is late by up to that much at either
# end of a window. Over 2 s that is a few percent; over less the difference is mostly noise.
LEAST_COUNTED_SECONDS = 2.0

ReadJoules = Callable[[], float | None]


@dataclass(frozen=True)
class Cost:
    """What one image cost, and in words how that was measured.

    Parameters
    ----------
    seconds : float
        This image's share of wall time. Lower is better.
    joules : float or None
        Its share of the device's energy; None where that was not measured. Lower is better.
    how_seconds, how_joules : str
        How each was measured, or why it was not.
    """

    seconds: float
    joules: float | None
    how_seconds: str
    how_joules: str

    def method(self) -> dict[str, str]:
        """Return the JSON object that belongs under "cost" in an image's provenance."""
        return {"seconds": self.how_seconds, "joules": self.how_joules}


@dataclass
class _Account:
    """What one image has been charged so far."""

    seconds: float = 0.0
    joules: float | None = 0.0  # None once a window's reading failed.
    window_seconds: float = 0.0  # Of all its windows, whoever else was in them.


@dataclass
class CostMeter:
    """Shares out the time and the energy of each window among the images worked on in it.

    Parameters
    ----------
    clock : callable
        Returns seconds and never goes back. On a device that works asynchronously it has to wait
        for the device, or a window ends before its work does.
    joules : callable, optional
        Returns the device's running total in joules, or None where a reading fails. Without it
        every image's joules are None.
    device : str, optional
        Named where joules cannot be read.
    """

    clock: Callable[[], float] = time.perf_counter
    joules: ReadJoules | None = None
    device: str = field(default="this device", kw_only=True)
    _started: tuple[float, float | None] | None = field(default=None, init=False)
    _accounts: dict[int, _Account] = field(default_factory=dict, init=False)

    def resume(self) -> None:
        """Start a window; the time since the last one is charged to nobody."""
        self._started = self._read()

    def share(self, indexes: Collection[int]) -> None:
        """Charge the window to these images in equal parts, and start the next one.

        Parameters
        ----------
        indexes : collection of int
            The images worked on since the last `resume` or `share`, at least one. In a UNet call
            each has as many evaluations as any other.

        Raises
        ------
        ValueError
            If no window was started or there is no image.
        """
        if self._started is None:
            raise ValueError("there is no window to share: call resume before share")
        if not indexes:
            raise ValueError("a window needs at least one image to be shared by")
        (started, before), (ended, after) = self._started, self._read()
        joules = _used(before, after)
        part = 1 / len(indexes)
        for index in indexes:
            account = self._accounts.setdefault(index, _Account())
            account.seconds += part * (ended - started)
            account.window_seconds += ended - started
            account.joules = (None if account.joules is None or joules is None
                              else account.joules + part * joules)
        self._started = (ended, after)

    def take(self, index: int) -> Cost:
        """Return what an image was charged in all, and forget it.

        Raises
        ------
        ValueError
            If it was charged nothing since it was last taken.
        """
        account = self._accounts.pop(index, None)
        if account is None:
            raise ValueError(f"image {index} was charged nothing")
        reason = self._why_no_joules(account)
        return Cost(
            account.seconds, None if reason else account.joules,
            "wall time of each UNet call shared equally by the images in it, of decoding by those "
            "decoded together; encoding the prompt by itself",
            reason or "NVML total energy counter of the whole device, shared likewise",
        )

    def forget(self, index: int) -> None:
        """Drop what an image was charged, if anything: it will not be finished."""
        self._accounts.pop(index, None)

    def _read(self) -> tuple[float, float | None]:
        return self.clock(), None if self.joules is None else self.joules()

    def _why_no_joules(self, account: _Account) -> str:
        if self.joules is None:
            return f"not readable on {self.device}"
        if account.joules is None:
            return "a reading of the NVML total energy counter failed"
        if account.window_seconds < LEAST_COUNTED_SECONDS:
            return (f"not measured: {account.window_seconds:.2f} s of work, and NVML's counter is "
                    f"too slow for less than {LEAST_COUNTED_SECONDS:g} s")
        return ""


def _used(before: float | None, after: float | None) -> float | None:
    """Return a window's joules; None where a reading failed, or a driver reload reset it."""
    if before is None or after is None or after < before:
        return None
    return after - before
