"""Small, untrained pipelines of every family this project drives: the numbers count."""

import string
from typing import Any

import torch
from diffusers import (
    AuraFlowPipeline,
    AuraFlowTransformer2DModel,
    AutoencoderDC,
    AutoencoderKL,
    ChromaPipeline,
    ChromaTransformer2DModel,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    Lumina2Pipeline,
    Lumina2Transformer2DModel,
    PixArtAlphaPipeline,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    PNDMScheduler,
    SanaPipeline,
    SanaTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    Gemma2Config,
    Gemma2Model,
    GemmaTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
    UMT5Config,
    UMT5EncoderModel,
)

from generation.diffusion.recipes import Recipe
from generation.diffusion.schedulers import build_scheduler
from generation.scenes.tokenizer import build_tokenizer

_WIDTH = 8  # Of every text encoder.


def build_stable_diffusion() -> StableDiffusionPipeline:
    return StableDiffusionPipeline(
        vae=_autoencoder(), text_encoder=_clip(CLIPTextModel), tokenizer=build_tokenizer(),
        unet=_unet(cross_attention_dim=_WIDTH),
        scheduler=PNDMScheduler(skip_prk_steps=True, beta_schedule="scaled_linear"),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )


def build_stable_diffusion_xl(**vae: Any) -> StableDiffusionXLPipeline:
    return StableDiffusionXLPipeline(
        vae=_autoencoder(**vae), text_encoder=_clip(CLIPTextModel), tokenizer=build_tokenizer(),
        text_encoder_2=_clip(CLIPTextModelWithProjection), tokenizer_2=build_tokenizer(),
        unet=_unet(cross_attention_dim=2 * _WIDTH, addition_embed_type="text_time",
                   addition_time_embed_dim=8,
                   projection_class_embeddings_input_dim=_WIDTH + 6 * 8),
        scheduler=EulerDiscreteScheduler(beta_schedule="scaled_linear"), add_watermarker=False,
    )


def build_stable_diffusion_3() -> StableDiffusion3Pipeline:
    return StableDiffusion3Pipeline(
        transformer=SD3Transformer2DModel(
            sample_size=16, in_channels=4, out_channels=4, num_layers=1, attention_head_dim=8,
            num_attention_heads=2, joint_attention_dim=2 * _WIDTH, caption_projection_dim=16,
            pooled_projection_dim=2 * _WIDTH, pos_embed_max_size=16,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0), vae=_flow_autoencoder(),
        text_encoder=_clip(CLIPTextModelWithProjection), tokenizer=build_tokenizer(),
        text_encoder_2=_clip(CLIPTextModelWithProjection), tokenizer_2=build_tokenizer(),
        text_encoder_3=_t5(2 * _WIDTH), tokenizer_3=_t5_tokenizer(),
    )


def build_flux() -> FluxPipeline:
    return FluxPipeline(
        transformer=FluxTransformer2DModel(
            in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
            num_attention_heads=1, joint_attention_dim=_WIDTH, pooled_projection_dim=_WIDTH,
            guidance_embeds=True, axes_dims_rope=(4, 4, 8),
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=_flow_autoencoder(), text_encoder=_clip(CLIPTextModel), tokenizer=build_tokenizer(),
        text_encoder_2=_t5(_WIDTH), tokenizer_2=_t5_tokenizer(),
    )


def build_chroma() -> ChromaPipeline:
    return ChromaPipeline(
        transformer=ChromaTransformer2DModel(
            in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
            num_attention_heads=1, joint_attention_dim=_WIDTH, axes_dims_rope=(4, 4, 8),
            approximator_num_channels=8, approximator_hidden_dim=16, approximator_layers=1,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=_flow_autoencoder(),
        text_encoder=_t5(_WIDTH), tokenizer=_t5_tokenizer(),
    )


def build_pixart_alpha() -> PixArtAlphaPipeline:
    return PixArtAlphaPipeline(**_pixart_parts())


def build_pixart_sigma() -> PixArtSigmaPipeline:
    return PixArtSigmaPipeline(**_pixart_parts())


def build_sana() -> SanaPipeline:
    return SanaPipeline(
        tokenizer=_gemma_tokenizer(), text_encoder=_gemma(),
        vae=AutoencoderDC(
            latent_channels=4, attention_head_dim=2,
            encoder_block_types=("ResBlock", "EfficientViTBlock"),
            decoder_block_types=("ResBlock", "EfficientViTBlock"),
            encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8),
            encoder_layers_per_block=(1, 1), decoder_layers_per_block=(1, 1),
            encoder_qkv_multiscales=((), (5,)), decoder_qkv_multiscales=((), (5,)),
        ),
        transformer=SanaTransformer2DModel(
            in_channels=4, out_channels=4, num_layers=1, num_attention_heads=2,
            attention_head_dim=4, num_cross_attention_heads=2, cross_attention_head_dim=4,
            cross_attention_dim=8, caption_channels=_WIDTH, sample_size=32,
        ),
        scheduler=DPMSolverMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0,
        ),
    )


def build_aura_flow() -> AuraFlowPipeline:
    return AuraFlowPipeline(
        tokenizer=_t5_tokenizer(),
        text_encoder=UMT5EncoderModel(UMT5Config(**_t5_sizes(_WIDTH))), vae=_autoencoder(),
        transformer=AuraFlowTransformer2DModel(
            sample_size=16, in_channels=4, num_mmdit_layers=1, num_single_dit_layers=1,
            attention_head_dim=8, num_attention_heads=2, joint_attention_dim=_WIDTH,
            caption_projection_dim=16, out_channels=4, pos_embed_max_size=64,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.73),
    )


def build_lumina_2() -> Lumina2Pipeline:
    return Lumina2Pipeline(
        transformer=Lumina2Transformer2DModel(
            sample_size=4, in_channels=4, hidden_size=12, num_layers=1, num_refiner_layers=1,
            num_attention_heads=1, num_kv_heads=1, multiple_of=2, axes_dim_rope=(4, 4, 4),
            axes_lens=(300, 64, 64), cap_feat_dim=_WIDTH,
        ),
        # Four blocks: this pipeline takes a scale factor of 8 for granted.
        vae=_flow_autoencoder(num_blocks=4), scheduler=FlowMatchEulerDiscreteScheduler(shift=6.0),
        text_encoder=_gemma(), tokenizer=_gemma_tokenizer(),
    )


BUILDERS = {
    "StableDiffusionPipeline": build_stable_diffusion,
    "StableDiffusionXLPipeline": build_stable_diffusion_xl,
    "StableDiffusion3Pipeline": build_stable_diffusion_3,
    "FluxPipeline": build_flux,
    "ChromaPipeline": build_chroma,
    "PixArtAlphaPipeline": build_pixart_alpha,
    "PixArtSigmaPipeline": build_pixart_sigma,
    "SanaPipeline": build_sana,
    "AuraFlowPipeline": build_aura_flow,
    "Lumina2Pipeline": build_lumina_2,
}


def make_pipeline(*, scheduler: str, prediction: str = "epsilon") -> StableDiffusionPipeline:
    """One that the batched sampler drives, as `load_pipeline` leaves it."""
    torch.manual_seed(0)
    return _ready(build_stable_diffusion(), scheduler, prediction)


def make_xl_pipeline(
    *, scheduler: str, prediction: str = "epsilon", **vae: Any
) -> StableDiffusionXLPipeline:
    """The same with SDXL's two text encoders and size conditioning."""
    torch.manual_seed(0)
    return _ready(build_stable_diffusion_xl(**vae), scheduler, prediction)


def make_recipe(**values: Any) -> Recipe:
    defaults: dict[str, Any] = {
        "source": "small", "revision": "", "prompt": "a red circle", "seed": 7, "num_steps": 3,
        "scheduler": "ddim", "guidance": 3.0, "width": 16, "height": 16,
    }
    return Recipe(**(defaults | values))


def _ready(pipeline: Any, scheduler: str, prediction: str) -> Any:
    """Give it a scheduler on the noise schedule of SD 1.x and 2.x."""
    noise = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        set_alpha_to_one=False, prediction_type=prediction, steps_offset=1,
    )
    pipeline.scheduler = build_scheduler(scheduler, noise.config)
    pipeline.set_progress_bar_config(disable=True)
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
    return pipeline


def _pixart_parts() -> dict[str, Any]:
    return {
        "tokenizer": _t5_tokenizer(), "text_encoder": _t5(_WIDTH), "vae": _autoencoder(),
        "transformer": PixArtTransformer2DModel(
            num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8,
            num_layers=1, cross_attention_dim=16, sample_size=16, caption_channels=_WIDTH,
            use_additional_conditions=False,
        ),
        "scheduler": DPMSolverMultistepScheduler(beta_schedule="scaled_linear"),
    }


def _unet(**kwargs: Any) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=16, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), attention_head_dim=2, **kwargs,
    )


def _autoencoder(num_blocks: int = 2, **kwargs: Any) -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * num_blocks,
        up_block_types=("UpDecoderBlock2D",) * num_blocks,
        block_out_channels=(8,) * num_blocks, norm_num_groups=4, latent_channels=4, **kwargs,
    )


def _flow_autoencoder(num_blocks: int = 2) -> AutoencoderKL:
    return _autoencoder(num_blocks, scaling_factor=1.5, shift_factor=0.06, use_quant_conv=False,
                        use_post_quant_conv=False)


def _clip(kind: type[Any]) -> Any:
    tokenizer = build_tokenizer()
    return kind(CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=_WIDTH, intermediate_size=_WIDTH,
        projection_dim=_WIDTH, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    ))


def _t5_sizes(width: int) -> dict[str, Any]:
    return {"vocab_size": len(_t5_tokenizer()), "d_model": width, "d_kv": 4, "d_ff": 8,
            "num_layers": 1, "num_heads": 2, "feed_forward_proj": "gated-gelu"}


def _t5(width: int) -> T5EncoderModel:
    return T5EncoderModel(T5Config(**_t5_sizes(width)))


def _t5_tokenizer() -> T5Tokenizer:
    """One token a letter, and an end token."""
    pieces = ["<pad>", "</s>", "<unk>", "▁", *string.ascii_lowercase]
    return T5Tokenizer(vocab=[(piece, -float(len(piece))) for piece in pieces], extra_ids=0,
                       model_max_length=512)


def _gemma() -> Gemma2Model:
    return Gemma2Model(Gemma2Config(
        vocab_size=len(_gemma_tokenizer()), hidden_size=_WIDTH, intermediate_size=_WIDTH,
        num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=4,
    ))


def _gemma_tokenizer() -> GemmaTokenizer:
    """One token a character."""
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *string.printable.strip()]
    return GemmaTokenizer(vocab={piece: index for index, piece in enumerate(pieces)}, merges=[])
