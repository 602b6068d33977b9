import threading
from typing import Any

import pytest
import torch

from generation.diffusion.cpu_parts import call_in_parts
from tests.generation.pipelines import make_pipeline, make_xl_pipeline


@pytest.fixture
def four_threads() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("rows", "parts"), [(8, 4), (6, 3), (5, 1), (2, 2), (1, 1)])
def test_parts_together_are_the_whole(four_threads: None, rows: int, parts: int) -> None:
    unet = make_pipeline(scheduler="ddim").unet
    threads: list[int] = []
    unet.register_forward_pre_hook(lambda *_: threads.append(torch.get_num_threads()))
    noisy, context = torch.randn(rows, 4, 8, 8), torch.randn(rows, 7, 8)
    timesteps = torch.arange(rows) * 100
    together = call_in_parts(unet, noisy, timesteps, context=context, added=None)
    assert threads == [4 // parts] * parts
    with torch.inference_mode():
        expected = unet(noisy, timesteps, encoder_hidden_states=context).sample
    assert torch.allclose(together, expected, atol=1e-5)
    assert torch.get_num_threads() == 4


def test_each_row_gets_its_own_conditioning(four_threads: None) -> None:
    unet = make_xl_pipeline(scheduler="ddim").unet
    noisy, context = torch.randn(4, 4, 8, 8), torch.randn(4, 7, 16)
    added = {"text_embeds": torch.randn(4, 8), "time_ids": torch.rand(4, 6) * 64}
    timesteps = torch.tensor([1, 2, 3, 4])
    together = call_in_parts(unet, noisy, timesteps, context=context, added=added)
    with torch.inference_mode():
        expected = unet(noisy, timesteps, encoder_hidden_states=context,
                        added_cond_kwargs=added).sample
    assert torch.allclose(together, expected, atol=1e-5)


def test_an_error_in_a_part_is_raised(four_threads: None) -> None:
    unet = make_pipeline(scheduler="ddim").unet

    def fail(*_: Any) -> None:
        raise torch.OutOfMemoryError("full")

    unet.register_forward_pre_hook(fail)
    with pytest.raises(torch.OutOfMemoryError):
        call_in_parts(unet, torch.randn(4, 4, 8, 8), torch.zeros(4, dtype=torch.int64),
                      context=torch.randn(4, 7, 8), added=None)


def test_threads_are_started_once_a_process(four_threads: None) -> None:
    unet = make_pipeline(scheduler="ddim").unet
    threads: set[threading.Thread] = set()
    unet.register_forward_pre_hook(lambda *_: threads.add(threading.current_thread()))
    for _ in range(3):
        call_in_parts(unet, torch.randn(8, 4, 8, 8), torch.zeros(8, dtype=torch.int64),
                      context=torch.randn(8, 7, 8), added=None)
    assert len(threads) <= 4
