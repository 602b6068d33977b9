"""Prompts that a model would not read to their end."""

import inspect
from typing import Any

from transformers import CLIPTokenizer

from generation.diffusion.samples import SamplingError


def refuse_long_prompt(pipeline: Any, prompt: str) -> None:
    """Refuse what one of the pipeline's text encoders would cut silently.

    Every encoder counts, even FLUX's CLIP, of which only a pooled vector is used: what it does not
    read would shape the image through T5 alone, and nobody would know. So the shortest decides.

    Parameters
    ----------
    pipeline : diffusers.DiffusionPipeline
    prompt : str

    Raises
    ------
    SamplingError
        A `ValueError` that names the tokenizer and how much it reads.
    """
    for name in ("tokenizer", "tokenizer_2", "tokenizer_3"):
        tokenizer = getattr(pipeline, name, None)
        if tokenizer is None:  # SD3 may have been saved without its T5.
            continue
        preamble, text = _as_read(pipeline, prompt)
        num_tokens, limit = len(tokenizer(text).input_ids), _limit(pipeline, tokenizer)
        if preamble:
            num_preamble = len(tokenizer(preamble).input_ids)
            num_tokens, limit = num_tokens - num_preamble, limit - num_preamble
        if num_tokens > limit:
            raise SamplingError(
                f"the prompt has {num_tokens} tokens, and the model's {name}, a "
                f"{type(tokenizer).__name__}, reads at most {limit}: shorten it"
            )


def _limit(pipeline: Any, tokenizer: Any) -> int:
    """How many tokens the pipeline keeps: CLIP all that it can read, T5 and Gemma what is set."""
    set_length = _default(pipeline, "max_sequence_length")
    if isinstance(tokenizer, CLIPTokenizer) or set_length is None:
        return int(tokenizer.model_max_length)
    instruction = _instruction(pipeline)
    # Sana makes room for its instruction, and keeps two fewer for the prompt.
    return int(set_length) + (len(tokenizer(instruction).input_ids) - 2 if instruction else 0)


def _as_read(pipeline: Any, prompt: str) -> tuple[str, str]:
    """Return what the pipeline puts before a prompt, and both together, as it tokenizes them."""
    if hasattr(pipeline, "_text_preprocessing"):  # PixArt and Sana read lower case only.
        prompt = pipeline._text_preprocessing(prompt, clean_caption=False)[0]
    if hasattr(pipeline, "system_prompt"):
        preamble = f"{pipeline.system_prompt} <Prompt Start> "
    else:
        preamble = _instruction(pipeline)
    return preamble, preamble + prompt


def _instruction(pipeline: Any) -> str:
    return "\n".join(_default(pipeline, "complex_human_instruction") or ())


def _default(pipeline: Any, argument: str) -> Any:
    found = inspect.signature(type(pipeline).__call__).parameters.get(argument)
    return None if found is None else found.default
