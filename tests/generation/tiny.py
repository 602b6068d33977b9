"""Small untrained pipelines: the numbers count, not the pictures."""

from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)

from generation.diffusion.schedulers import build_scheduler
from generation.scenes.tokenizer import build_tokenizer

_WIDTH = 16


def make_pipeline(*, scheduler: str, prediction: str = "epsilon") -> StableDiffusionPipeline:
    """A Stable Diffusion pipeline of 64 x 64 images, on the noise schedule of SD 1.x and 2.x."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    pipeline = StableDiffusionPipeline(
        vae=_vae(), text_encoder=CLIPTextModel(_text_config(tokenizer)).eval(),
        tokenizer=tokenizer, unet=_unet(cross_attention_dim=_WIDTH), scheduler=_noise(prediction),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )
    return _ready(pipeline, scheduler)


def make_xl_pipeline(
    *, scheduler: str, prediction: str = "epsilon", **vae: Any
) -> StableDiffusionXLPipeline:
    """The same with SDXL's two text encoders and size conditioning."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    config = _text_config(tokenizer)
    pipeline = StableDiffusionXLPipeline(
        vae=_vae(**vae), text_encoder=CLIPTextModel(config).eval(), tokenizer=tokenizer,
        text_encoder_2=CLIPTextModelWithProjection(config).eval(), tokenizer_2=tokenizer,
        unet=_unet(
            cross_attention_dim=2 * _WIDTH, addition_embed_type="text_time",
            addition_time_embed_dim=8, projection_class_embeddings_input_dim=6 * 8 + _WIDTH,
        ),
        scheduler=_noise(prediction), add_watermarker=False,
    )
    return _ready(pipeline, scheduler)


def _ready(pipeline: Any, scheduler: str) -> Any:
    pipeline.scheduler = build_scheduler(scheduler, pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.unet.eval()
    pipeline.vae.eval()
    return pipeline


def _text_config(tokenizer: CLIPTokenizer) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=_WIDTH, intermediate_size=2 * _WIDTH,
        projection_dim=_WIDTH, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=tokenizer.model_max_length, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )


def _unet(**config: Any) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8,
        attention_head_dim=8, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), **config,
    )


def _vae(**config: Any) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=1, norm_num_groups=4,
        latent_channels=4, sample_size=64, **config,
    )


def _noise(prediction: str) -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        set_alpha_to_one=False, prediction_type=prediction, steps_offset=1,
    )
