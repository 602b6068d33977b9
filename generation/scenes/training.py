"""Train the embedded model from nothing: CLIP, then the autoencoder, then the UNet."""

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer

from generation.scenes.corpus import Corpus, draw_corpus
from generation.scenes.fitting import Progress, Schedule, fit
from generation.scenes.networks import (
    TRAIN_TIMESTEPS,
    assemble_pipeline,
    build_clip,
    build_scheduler,
    build_unet,
    build_vae,
)
from generation.scenes.tokenizer import build_tokenizer


@dataclass(frozen=True)
class TrainingPlan:
    """How much to train; the defaults give a model like the shipped one."""

    num_scenes: int = 36_000
    clip_steps: int = 900
    clip_batch: int = 96
    vae_steps: int = 5_000
    vae_batch: int = 8
    unet_steps: int = 12_000
    unet_batch: int = 32
    unet_rate: float = 1.5e-3
    caption_dropout: float = 0.1
    seed: int = 0


def train_scenes(
    work: Path, out: Path, *, plan: TrainingPlan, report: Progress, start: Path | None = None
) -> None:
    """Train every part, resuming from what `work` holds, and write the model to `out`.

    Parameters
    ----------
    work : Path
        Scenes, latents and checkpoints; may be deleted afterwards.
    out : Path
        Receives a `StableDiffusionPipeline` folder in float16, with a `clip` folder beside its
        parts, and `training.json` with the plan, the device and the seconds of the last run.
    plan : TrainingPlan
        A part with 0 steps is kept as it starts.
    report : callable
        Receives lines of progress.
    start : Path, optional
        A model that this function wrote before, to train further from its weights.
    """
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(plan.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    report(f"Drawing {plan.num_scenes} scenes")
    corpus = draw_corpus(work, num_scenes=plan.num_scenes, seed=plan.seed)
    tokenizer = build_tokenizer()
    clip = build_clip(tokenizer).to(device)
    vae = build_vae().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if start:
        _load_weights(clip, start / "clip")
        _load_weights(vae, start / "vae")
    clock = _Stopwatch()
    train_clip(clip, tokenizer, corpus=corpus, plan=plan, work=work, report=report)
    clock.lap("clip")
    train_vae(vae, corpus, plan=plan, work=work, report=report)
    clock.lap("vae")
    latents = encode_corpus(vae, corpus, work=work, report=report)
    generator = _Generator(clip).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if start:
        _load_weights(generator.text_encoder, start / "text_encoder")
        _load_weights(generator.unet, start / "unet")
    train_unet(generator, latents, tokens=tokenize(tokenizer, corpus.captions),
               empty=tokenize(tokenizer, [""])[0], plan=plan, work=work, report=report)
    clock.lap("unet")
    pipeline = assemble_pipeline(
        tokenizer, generator.text_encoder, vae=vae, unet=generator.unet  # type: ignore[arg-type]
    )
    pipeline.to(torch.float16).save_pretrained(out)
    clip.half().save_pretrained(out / "clip")
    record = {"plan": asdict(plan), "device": str(device), "threads": torch.get_num_threads(),
              "seconds_of_last_run": clock.laps, "torch": torch.__version__}
    (out / "training.json").write_text(json.dumps(record, indent=1) + "\n")
    report(f"Wrote {out}")


def train_clip(
    clip: CLIPModel, tokenizer: CLIPTokenizer, *, corpus: Corpus, plan: TrainingPlan, work: Path,
    report: Progress,
) -> None:
    """Contrast images with captions; siblings share a batch as each other's hard negatives."""
    tokens = tokenize(tokenizer, corpus.captions)

    def loss_at(step: int) -> Tensor:
        rng = np.random.default_rng((plan.seed, 1, step))
        firsts = 2 * rng.choice(len(tokens) // 2, plan.clip_batch // 2, replace=False)
        rows = np.sort(np.concatenate([firsts, firsts + 1]))
        return clip(
            input_ids=tokens[rows].to(clip.device),
            pixel_values=to_pixels(corpus.images[rows]).to(clip.device),
            return_loss=True,
        ).loss

    fit(clip, loss_at, schedule=Schedule(plan.clip_steps, 1e-3),
        checkpoint=work / "clip.safetensors", report=report)


def train_vae(
    vae: AutoencoderKL, corpus: Corpus, *, plan: TrainingPlan, work: Path, report: Progress
) -> None:
    """Reconstruct pixels and their gradients; then give every latent channel mean 0, SD 1."""

    def loss_at(step: int) -> Tensor:
        rng = np.random.default_rng((plan.seed, 2, step))
        rows = np.sort(rng.choice(len(corpus.images), plan.vae_batch, replace=False))
        pixels = to_pixels(corpus.images[rows]).to(vae.device, memory_format=torch.channels_last)
        posterior = vae.encode(pixels).latent_dist
        rebuilt = vae.decode(posterior.sample()).sample
        divergence = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean()
        error = nn.functional.mse_loss(rebuilt, pixels) + 0.1 * _edge_error(rebuilt, pixels)
        return error + 1e-4 * divergence

    if not plan.vae_steps:
        return
    fit(vae, loss_at, schedule=Schedule(plan.vae_steps, 2e-3),
        checkpoint=work / "vae.safetensors", report=report)
    sample = corpus.images[:: max(1, len(corpus.images) // 512)]
    standardise_latents(vae, to_pixels(sample).to(vae.device))


@torch.no_grad()
def standardise_latents(vae: AutoencoderKL, pixels: Tensor) -> None:
    """Fold a per-channel shift and scale into the 1 x 1 convolutions around the latents.

    The pipeline knows one scaling factor for all channels; this makes it exactly 1 for each.
    """
    latents = torch.cat([vae.encode(part).latent_dist.mean for part in pixels.split(64)])
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))  # (C,)
    channels = len(mean)
    inward, outward = vae.quant_conv, vae.post_quant_conv
    inward.weight[:channels] /= deviation[:, None, None, None]
    inward.bias[:channels] = (inward.bias[:channels] - mean) / deviation
    inward.bias[channels:] -= 2 * deviation.log()  # The other half are log variances.
    outward.bias += outward.weight[:, :, 0, 0] @ mean
    outward.weight *= deviation[None, :, None, None]


@torch.no_grad()
def encode_corpus(vae: AutoencoderKL, corpus: Corpus, *, work: Path, report: Progress) -> Tensor:
    """Encode every scene once, or load what was encoded before: (N, 8, 16, 16) float32."""
    path = work / "latents.npy"
    if not path.exists():
        parts = []
        for start in range(0, len(corpus.images), 64):
            if start % 6400 == 0:
                report(f"latents: {start} of {len(corpus.images)}")
            pixels = to_pixels(corpus.images[start:start + 64])
            pixels = pixels.to(vae.device, memory_format=torch.channels_last)
            parts.append(vae.encode(pixels).latent_dist.mean.float().cpu())
        partial = path.with_suffix(".partial.npy")
        np.save(partial, torch.cat(parts).numpy())
        os.replace(partial, path)
    return torch.from_numpy(np.load(path))


class _Generator(nn.Module):
    """What the last part trains: the UNet, and a copy of CLIP's text encoder."""

    def __init__(self, clip: CLIPModel) -> None:
        super().__init__()
        self.unet = build_unet()
        self.text_encoder = CLIPTextModel(clip.config.text_config)
        self.text_encoder.load_state_dict(clip.text_model.state_dict(), strict=False)


def train_unet(
    generator: _Generator, latents: Tensor, *, tokens: Tensor, empty: Tensor, plan: TrainingPlan,
    work: Path, report: Progress,
) -> None:
    """Predict velocity from noised latents and captions, some of them dropped for guidance."""
    scheduler = build_scheduler()
    device = next(generator.parameters()).device

    def loss_at(step: int) -> Tensor:
        rng = np.random.default_rng((plan.seed, 3, step))
        torch_rng = torch.Generator().manual_seed(int(rng.integers(2**62)))
        rows = rng.choice(len(latents), plan.unet_batch, replace=False)
        clean = latents[rows].to(device, memory_format=torch.channels_last)
        said = tokens[rows].clone()
        said[rng.random(plan.unet_batch) < plan.caption_dropout] = empty
        # One draw from each of B equal bands: the same distribution, less noise in the loss.
        bands = (np.arange(plan.unet_batch) + rng.random(plan.unet_batch)) / plan.unet_batch
        # Noisier timesteps more often: there it is decided what stands where.
        steps = torch.from_numpy((bands**0.6 * TRAIN_TIMESTEPS).astype(np.int64)).to(device)
        noise = torch.randn(clean.shape, generator=torch_rng).to(device)
        noisy = scheduler.add_noise(clean, noise, steps)
        target = scheduler.get_velocity(clean, noise, steps)
        context = generator.text_encoder(said.to(device)).last_hidden_state  # (B, T, 128)
        predicted = generator.unet(noisy, steps, context).sample
        return nn.functional.mse_loss(predicted, target)

    fit(generator, loss_at, schedule=Schedule(plan.unet_steps, plan.unet_rate, average_decay=0.995),
        checkpoint=work / "unet.safetensors", report=report)


def _load_weights(network: Any, folder: Path) -> None:
    loaded = type(network).from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    network.load_state_dict(loaded.state_dict())


def tokenize(tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    """Token ids (N, T), padded to the model's length as the pipeline pads them."""
    return tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids


def to_pixels(images: np.ndarray) -> Tensor:
    """Turn uint8 images (N, H, W, 3) into float tensors (N, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _edge_error(rebuilt: Tensor, pixels: Tensor) -> Tensor:
    error = rebuilt - pixels
    return error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()


class _Stopwatch:
    def __init__(self) -> None:
        self.laps: dict[str, int] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name], self._last = round(now - self._last), now
