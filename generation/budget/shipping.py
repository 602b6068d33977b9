"""A predictor's folder also holds the curves it was made from, so anyone can check its figures."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from safetensors import safe_open
from torch import Tensor
from transformers import CLIPTokenizer

from generation.budget.matching import record_model
from generation.budget.measuring import MeasuredCurves, average_over_seeds, read_curves
from generation.budget.tokens import TokenCounter
from generation.budget.training import Split, split_prompts, train_predictor

CURVES_FILE = "curves.jsonl"
_EMBEDDING = "token_embedding.weight"


def build_predictor(
    curves_file: Path, model_folder: Path, *, out: Path, report: Callable[[str], None]
) -> None:
    """Train a predictor on measured curves of the model in `model_folder`; write all to `out`."""
    curves = average_over_seeds(read_curves(curves_file))
    if not curves:
        raise ValueError(f"{curves_file} holds no curves: run measure_curves first")
    train_predictor(
        curves, split_prompts(list(curves)), tokens=_model_tokens(model_folder),
        embedding=_token_embedding(model_folder), out=out, report=report,
    )
    record_model(out, model_folder)
    with (out / CURVES_FILE).open("w") as file:
        file.writelines(json.dumps(_rounded(row)) + "\n" for row in curves.values())
    report(f"Wrote {out}")


def shipped_curves(folder: Path) -> tuple[list[MeasuredCurves], Split]:
    """The curves in a predictor's folder, averaged over seeds, and how training split them."""
    rows = read_curves(folder / CURVES_FILE)
    if not rows:
        raise ValueError(f"{folder} holds no {CURVES_FILE}")
    return rows, split_prompts([row.prompt for row in rows])


def mean_curve(rows: Iterable[MeasuredCurves]) -> MeasuredCurves:
    """The mean over prompts: what a predictor that ignores the prompt would say."""
    return average_over_seeds(
        MeasuredCurves("", 0, row.steps, row.curves) for row in rows
    )[""]


def _rounded(row: MeasuredCurves) -> dict[str, object]:
    curves = {metric: [round(value, 4) for value in values]
              for metric, values in row.curves.items()}
    return asdict(row) | {"curves": curves}


def _model_tokens(model_folder: Path) -> TokenCounter:
    tokenizer = CLIPTokenizer.from_pretrained(model_folder / "tokenizer")
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    return TokenCounter(backend, tokenizer.model_max_length)


def _token_embedding(model_folder: Path) -> Tensor:
    """The text encoder's token embeddings (V, E) in float32, read without building the model."""
    path = next((model_folder / "text_encoder").glob("*.safetensors"))
    with safe_open(path, framework="pt") as file:
        name = next(key for key in file.keys() if key.endswith(_EMBEDDING))  # noqa: SIM118
        embedding: Tensor = file.get_tensor(name)
    return embedding.float()
