"""Untrained pipelines of the sizes of Stable Diffusion 2.1 and SDXL, to measure speed without them.

The configurations are facts about those models; the weights are random, and the tokenizer is this
project's own, filled up to their 77 tokens. What such a pipeline draws is noise, at the true cost.
"""

from copy import deepcopy
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from generation.diffusion.pipelines import choose_device
from generation.diffusion.schedulers import build_scheduler

_MAX_TOKENS = 77
_VOCABULARY = 49408

_SD21_UNET = {
    "sample_size": 64, "block_out_channels": (320, 640, 1280, 1280), "layers_per_block": 2,
    "cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20),
    "use_linear_projection": True,
    "down_block_types": (*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
    "up_block_types": ("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
}
_SDXL_UNET = {
    "sample_size": 128, "block_out_channels": (320, 640, 1280), "layers_per_block": 2,
    "cross_attention_dim": 2048, "attention_head_dim": (5, 10, 20),
    "transformer_layers_per_block": (1, 2, 10), "use_linear_projection": True,
    "down_block_types": ("DownBlock2D", *("CrossAttnDownBlock2D",) * 2),
    "up_block_types": (*("CrossAttnUpBlock2D",) * 2, "UpBlock2D"),
    "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
_VAE = {
    "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "latent_channels": 4,
    "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4,
}
# Width, layers, heads, width inside, projected width, activation.
_OPENCLIP_H = (1024, 23, 16, 4096, 512, "gelu")
_CLIP_L = (768, 12, 12, 3072, 768, "quick_gelu")
_OPENCLIP_G = (1280, 32, 20, 5120, 1280, "gelu")


def make_untrained(
    name: str, *, scheduler: str, tokenizer: CLIPTokenizer, device: str = ""
) -> Any:
    """Build one on its device: bfloat16 on a GPU, float32 elsewhere.

    Parameters
    ----------
    name : str
        `sd21` (512 x 512, epsilon) or `sdxl` (1024 x 1024).
    scheduler : str
        `ddim` or `dpmsolver++`.
    tokenizer : CLIPTokenizer
        Any; a copy of it is told to fill up to 77 tokens.
    device : str, optional
        A torch device; empty for a GPU where there is one.

    Returns
    -------
    StableDiffusionPipeline or StableDiffusionXLPipeline
        Ready for sampling, as `load_pipeline` leaves one.

    Raises
    ------
    ValueError
        If the name, the scheduler or the device is unknown.
    """
    if name not in ("sd21", "sdxl"):
        raise ValueError(f"expected sd21 or sdxl, got {name!r}")
    target = choose_device(device)
    torch.manual_seed(0)
    tokenizer = deepcopy(tokenizer)
    tokenizer.model_max_length = _MAX_TOKENS
    with torch.device(target):
        pipeline = _sd21(tokenizer) if name == "sd21" else _sdxl(tokenizer)
    pipeline.scheduler = build_scheduler(scheduler, pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.to(target, torch.bfloat16 if target.type == "cuda" else torch.float32)
    pipeline.unet.to(memory_format=torch.channels_last)
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
    return pipeline


def _sd21(tokenizer: CLIPTokenizer) -> StableDiffusionPipeline:
    return StableDiffusionPipeline(
        vae=AutoencoderKL(**_VAE, sample_size=768, scaling_factor=0.18215),
        text_encoder=CLIPTextModel(_text_config(tokenizer, *_OPENCLIP_H)),
        tokenizer=tokenizer, unet=UNet2DConditionModel(**_SD21_UNET), scheduler=_noise(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )


def _sdxl(tokenizer: CLIPTokenizer) -> StableDiffusionXLPipeline:
    return StableDiffusionXLPipeline(
        vae=AutoencoderKL(**_VAE, sample_size=1024, scaling_factor=0.13025, force_upcast=True),
        text_encoder=CLIPTextModel(_text_config(tokenizer, *_CLIP_L)), tokenizer=tokenizer,
        text_encoder_2=CLIPTextModelWithProjection(_text_config(tokenizer, *_OPENCLIP_G)),
        tokenizer_2=tokenizer, unet=UNet2DConditionModel(**_SDXL_UNET), scheduler=_noise(),
        add_watermarker=False,
    )


def _text_config(
    tokenizer: CLIPTokenizer, width: int, layers: int, heads: int, inside: int, projected: int,
    activation: str,
) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=_VOCABULARY, hidden_size=width, intermediate_size=inside,
        projection_dim=projected, num_hidden_layers=layers, num_attention_heads=heads,
        hidden_act=activation, max_position_embeddings=_MAX_TOKENS,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _noise() -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        set_alpha_to_one=False, steps_offset=1,
    )
