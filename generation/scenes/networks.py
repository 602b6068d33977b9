"""The networks of the embedded model, untrained, and the pipeline they form."""

from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
)

from generation.scenes.drawing import IMAGE_SIZE

TEXT_WIDTH = 128
LATENT_CHANNELS = 8
LATENT_SIZE = IMAGE_SIZE // 8
TRAIN_TIMESTEPS = 1000


def build_clip(tokenizer: CLIPTokenizer) -> CLIPModel:
    """A CLIP of 1.6 M parameters on 128 x 128 images in patches of 16."""
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        projection_dim=TEXT_WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    vision = CLIPVisionConfig(
        hidden_size=128,
        intermediate_size=512,
        projection_dim=TEXT_WIDTH,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=IMAGE_SIZE,
        patch_size=16,
    )
    return CLIPModel(CLIPConfig(
        text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=TEXT_WIDTH
    ))


def build_vae() -> AutoencoderKL:
    """An autoencoder from 128 x 128 RGB to 16 x 16 latents of 8 channels."""
    return AutoencoderKL(
        block_out_channels=(8, 16, 32, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=LATENT_CHANNELS,
        layers_per_block=1,
        # More groups than this would normalise a plain background's colour away.
        norm_num_groups=1,
        sample_size=IMAGE_SIZE,
        scaling_factor=1.0,
    )


def build_unet() -> UNet2DConditionModel:
    """A text-conditioned UNet of 5.9 M parameters over the 16 x 16 latents."""
    return UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(64, 128, 128),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def build_scheduler() -> DDIMScheduler:
    """DDIM on the cosine schedule, predicting velocity, with trailing timesteps.

    Trailing spacing starts every step count at the same, noisiest timestep, so that the noise an
    image starts from does not depend on how many steps it gets.
    """
    return DDIMScheduler(
        num_train_timesteps=TRAIN_TIMESTEPS,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        steps_offset=1,  # Unused by trailing spacing; the pipeline warns about 0.
        set_alpha_to_one=True,
    )


def assemble_pipeline(
    tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel, *, vae: AutoencoderKL,
    unet: UNet2DConditionModel,
) -> StableDiffusionPipeline:
    """Put the trained parts together as an ordinary Stable Diffusion pipeline."""
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
