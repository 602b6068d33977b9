"""Charging a batch's time and energy to its images, and reading a GPU's energy counter."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from generation.diffusion.costs import CostMeter
from generation.diffusion.energy import find_energy_counter

windows = st.lists(
    st.tuples(st.floats(0.001, 50), st.sets(st.integers(0, 4), min_size=1), st.booleans()),
    min_size=1, max_size=20,
)


class Bench:
    """A clock and a counter that go on only when told to: 100 W, in joules."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.watts = 100.0
        self.total: float | None = 5e6

    def work(self, seconds: float) -> None:
        self.now += seconds
        if self.total is not None:
            self.total += self.watts * seconds

    def meter(self, *, has_counter: bool = True) -> CostMeter:
        return CostMeter(lambda: self.now, (lambda: self.total) if has_counter else None,
                         device="cpu")


def test_images_in_one_window_share_it_equally() -> None:
    bench = Bench()
    meter = bench.meter()
    bench.work(7)  # Nobody's: before the window.
    meter.resume()
    bench.work(4)
    meter.share([0, 1])
    bench.work(3)
    meter.share([1])
    bench.work(9)  # Nobody's: a pause.
    meter.resume()
    bench.work(2)
    meter.share([0, 1, 2, 3])
    # By hand: 4/2 + 2/4 and 4/2 + 3 + 2/4 seconds, at 100 W.
    first, second = meter.take(0), meter.take(1)
    assert (first.seconds, second.seconds) == pytest.approx((2.5, 5.5))
    assert (first.joules, second.joules) == pytest.approx((250, 550))
    assert "shared equally" in first.method()["seconds"]
    assert "NVML total energy counter" in first.method()["joules"]


@given(windows)
def test_what_images_are_charged_adds_up_to_the_windows(
    drawn: list[tuple[float, set[int], bool]]
) -> None:
    bench = Bench()
    meter, charged = bench.meter(), set[int]()
    lasted = 0.0
    meter.resume()
    for seconds, images, is_after_pause in drawn:
        if is_after_pause:
            bench.work(3)
            meter.resume()
        bench.work(seconds)
        meter.share(images)
        charged |= images
        lasted += seconds
    assert sum(meter.take(index).seconds for index in charged) == pytest.approx(lasted)


@given(st.floats(2.001, 100), st.sets(st.integers(0, 9), min_size=1))
def test_joules_add_up_like_seconds(seconds: float, images: set[int]) -> None:
    bench = Bench()
    meter = bench.meter()
    meter.resume()
    bench.work(seconds)
    meter.share(images)
    joules = [meter.take(index).joules for index in images]
    assert sum(value or 0 for value in joules) == pytest.approx(100 * seconds, rel=1e-6)


@pytest.mark.parametrize(("seconds", "is_measured"), [(0.9, False), (1.1, True)])
def test_an_image_of_less_than_two_seconds_of_windows_gets_no_joules(
    seconds: float, is_measured: bool
) -> None:
    bench = Bench()
    meter = bench.meter()
    meter.resume()
    for _ in range(2):
        bench.work(seconds)
        meter.share(range(8))  # The windows count, not this image's eighth of them.
    cost = meter.take(3)
    assert (cost.joules is not None) is is_measured
    assert ("not measured: 1.80 s of work" in cost.method()["joules"]) is not is_measured


def test_without_a_counter_there_are_no_joules() -> None:
    bench = Bench()
    meter = bench.meter(has_counter=False)
    meter.resume()
    bench.work(60)
    meter.share([0])
    cost = meter.take(0)
    assert (cost.seconds, cost.joules) == (60, None)
    assert cost.method()["joules"] == "not readable on cpu"


@pytest.mark.parametrize("reading", [None, 0.0])
def test_a_failed_or_reset_counter_costs_only_its_windows_images_their_joules(
    reading: float | None
) -> None:
    bench = Bench()
    meter = bench.meter()
    meter.resume()
    bench.work(3)
    bench.total = reading
    meter.share([0])
    bench.total = 10.0
    meter.resume()
    bench.work(3)
    meter.share([0, 1])
    failed, other = meter.take(0), meter.take(1)
    assert (failed.seconds, failed.joules) == (4.5, None)
    assert "failed" in failed.method()["joules"]
    assert other.joules == pytest.approx(150)


def test_a_taken_image_is_forgotten() -> None:
    bench = Bench()
    meter = bench.meter()
    meter.resume()
    bench.work(1)
    meter.share([0])
    assert meter.take(0).seconds == 1
    with pytest.raises(ValueError, match="image 0 was charged nothing"):
        meter.take(0)
    bench.work(2)
    meter.share([0])
    assert meter.take(0).seconds == 2


def test_what_cannot_be_shared_is_said() -> None:
    meter = Bench().meter()
    with pytest.raises(ValueError, match="call resume"):
        meter.share([0])
    meter.resume()
    with pytest.raises(ValueError, match="at least one image"):
        meter.share([])


class FakeNvmlError(Exception):
    pass


def nvml(*, failing: str = "", readings: list[int] | None = None) -> Any:
    """Stands for pynvml on a machine with two GPUs, of which torch sees only the second."""
    energies = iter(readings or [])

    def answering(name: str, answer: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if name == failing:
                raise FakeNvmlError(name)
            return answer(*arguments)
        return call

    def handle(uuid: str) -> str:
        return {"GPU-a": "the first", "GPU-b": "the second"}[uuid]

    def energy(found: str) -> int:
        assert found == "the second"
        if (reading := next(energies, None)) is None:
            raise FakeNvmlError("gone")
        return reading

    return SimpleNamespace(
        NVMLError=FakeNvmlError,
        nvmlInit=answering("nvmlInit", lambda: None),
        nvmlDeviceGetHandleByUUID=answering("nvmlDeviceGetHandleByUUID", handle),
        nvmlDeviceGetTotalEnergyConsumption=answering(
            "nvmlDeviceGetTotalEnergyConsumption", energy),
    )


def counter(library: Any) -> Any:
    return find_energy_counter(torch.device("cuda:0"), nvml=library, uuid_of=lambda _: "GPU-b")


def test_energy_is_read_in_joules_of_the_device_with_torchs_uuid() -> None:
    read = counter(nvml(readings=[1000, 2500, 4000]))
    assert (read(), read()) == (2.5, 4.0)
    assert read() is None  # The driver no longer answers.


@pytest.mark.parametrize("failing", [
    "nvmlInit", "nvmlDeviceGetHandleByUUID", "nvmlDeviceGetTotalEnergyConsumption",
])
def test_where_nvml_does_not_answer_there_is_no_counter(failing: str) -> None:
    assert counter(nvml(failing=failing, readings=[1000])) is None


def test_a_cpu_has_no_counter() -> None:
    assert find_energy_counter(torch.device("cpu"), nvml=nvml(readings=[1, 2])) is None


@pytest.mark.gpu
def test_a_real_gpus_counter_rises() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    read = find_energy_counter(torch.device("cuda:0"))
    assert read is not None
    before = read()
    square = torch.rand(4096, 4096, device="cuda")
    for _ in range(300):
        square = torch.nn.functional.normalize(square @ square)
    torch.cuda.synchronize()
    after = read()
    assert before is not None
    assert after is not None
    assert after > before
