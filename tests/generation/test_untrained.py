"""The untrained pipelines are as large as the published models, counted without allocating them."""

import pytest
import torch

from generation.diffusion.untrained import make_untrained
from generation.scenes.tokenizer import build_tokenizer

# Millions of parameters of stabilityai/stable-diffusion-2-1-base and stable-diffusion-xl-base-1.0.
PUBLISHED = {
    "sd21": {"unet": 865.91, "text_encoder": 340.39, "vae": 83.65},
    "sdxl": {"unet": 2567.46, "text_encoder": 123.06, "text_encoder_2": 694.66, "vae": 83.65},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_are_the_published_ones(name: str) -> None:
    pipeline = make_untrained(name, scheduler="ddim", tokenizer=build_tokenizer(), device="meta")
    for part, millions in PUBLISHED[name].items():
        network: torch.nn.Module = getattr(pipeline, part)
        count = sum(parameter.numel() for parameter in network.parameters())
        assert count / 1e6 == pytest.approx(millions, abs=0.01), part


def test_networks_only_infer_and_the_callers_tokenizer_stays_as_it_is() -> None:
    tokenizer = build_tokenizer()
    kept_length = tokenizer.model_max_length
    pipeline = make_untrained("sd21", scheduler="ddim", tokenizer=tokenizer, device="meta")
    assert not any(getattr(pipeline, part).training for part in PUBLISHED["sd21"])
    assert (tokenizer.model_max_length, pipeline.tokenizer.model_max_length) == (kept_length, 77)


def test_other_names_are_refused() -> None:
    with pytest.raises(ValueError, match="flux"):
        make_untrained("flux", scheduler="ddim", tokenizer=build_tokenizer())
