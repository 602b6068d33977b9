import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from generation.budget.evaluation import evaluate_predictor
from generation.budget.matching import require_match
from generation.budget.measuring import MeasuredCurves, average_over_seeds, read_curves
from generation.budget.prediction import BudgetPredictor, load_predictor
from generation.budget.shipping import build_predictor, mean_curve
from generation.budget.tokens import TokenCounter
from generation.budget.training import split_prompts, train_predictor
from generation.scenes.captions import random_scene
from generation.scenes.tokenizer import MAX_TOKENS, build_tokenizer

STEPS = [1, 2, 4, 8, 16]


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> TokenCounter:
    from tokenizers import Tokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    build_tokenizer().save_pretrained(folder)
    return TokenCounter(Tokenizer.from_file(str(folder / "tokenizer.json")), MAX_TOKENS)


@pytest.fixture(scope="module")
def curves() -> dict[str, MeasuredCurves]:
    """Curves that rise the more slowly the more objects a caption names."""
    rng = np.random.default_rng(0)
    rows = {}
    for _ in range(120):
        scene = random_scene(rng)
        slowness = 0.3 + 0.5 * len(scene.things)
        rise = [float(1 - np.exp(-(step - 1) / slowness)) for step in STEPS]
        rows[scene.caption()] = MeasuredCurves(
            scene.caption(), -1, STEPS, {"rising": rise, "falling": [1 - v for v in rise]}
        )
    return rows


@pytest.fixture(scope="module")
def trained(
    tokens: TokenCounter, curves: dict[str, MeasuredCurves],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[BudgetPredictor, Path]:
    folder = tmp_path_factory.mktemp("predictor")
    embedding = torch.randn(612, 32, generator=torch.Generator().manual_seed(0))
    predictor = train_predictor(curves, split_prompts(list(curves)), tokens=tokens,
                                embedding=embedding, out=folder, num_epochs=60,
                                report=lambda line: None)
    return predictor, folder


def test_predictor_beats_the_mean_curve_on_prompts_it_has_not_seen(
    trained: tuple[BudgetPredictor, Path], curves: dict[str, MeasuredCurves]
) -> None:
    split = split_prompts(list(curves))
    figures = evaluate_predictor(
        trained[0], [curves[prompt] for prompt in split.test],
        mean_curve=mean_curve(curves[prompt] for prompt in split.train),
    )
    assert figures["prompts"] == len(split.test)
    assert figures["variance_explained"]["rising"] > 0.6
    assert figures["curve_mae"]["rising"] < figures["mean_curve_mae"]["rising"]
    assert figures["spearman_budget"] > 0.6


def test_loaded_predictor_predicts_the_same(
    trained: tuple[BudgetPredictor, Path], curves: dict[str, MeasuredCurves]
) -> None:
    prompts = list(curves)[:7]
    assert load_predictor(trained[1]).predict(prompts) == trained[0].predict(prompts)


def test_prediction_does_not_depend_on_the_batch(
    trained: tuple[BudgetPredictor, Path], curves: dict[str, MeasuredCurves]
) -> None:
    prompts = list(curves)[:5]
    together = trained[0].predict(prompts)
    alone = [trained[0].predict([prompt])[0] for prompt in prompts]
    for one, other in zip(together, alone, strict=True):
        assert one.curves["rising"] == pytest.approx(other.curves["rising"], abs=1e-5)


def test_prompt_over_the_limit_is_refused_with_its_length(
    trained: tuple[BudgetPredictor, Path]
) -> None:
    with pytest.raises(ValueError, match=r"has 52 tokens; at most 40"):
        trained[0].predict(["red " * 50])


def test_counter_counts_start_and_end_and_never_cuts(tokens: TokenCounter) -> None:
    assert tokens.count(["a red background", "red " * 50]) == [5, 52]


def test_splits_share_no_prompt(curves: dict[str, MeasuredCurves]) -> None:
    split = split_prompts(list(curves))
    parts = [set(split.train), set(split.validation), set(split.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == len(curves)


def test_too_few_prompts_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 20 prompts, got 3"):
        split_prompts(["a", "b", "c"])


def test_averaging_over_seeds_by_hand() -> None:
    rows = [MeasuredCurves("p", seed, [1, 2], {"m": [value, 1.0]})
            for seed, value in enumerate([0.0, 0.5])]
    assert average_over_seeds(rows)["p"].curves == {"m": [0.25, 1.0]}


def test_line_cut_by_a_crash_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "curves.jsonl"
    path.write_text('{"prompt": "p", "seed": 0, "steps": [1], "curves": {"m": [1]}}\n{"prompt": "q')
    assert [row.prompt for row in read_curves(path)] == ["p"]


def test_folder_without_a_predictor_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{tmp_path} holds no tokenizer.json"):
        load_predictor(tmp_path)


def test_trained_predictor_says_which_model_it_is_for(
    curves: dict[str, MeasuredCurves], pipeline_folder: Path, tmp_path: Path
) -> None:
    measured = tmp_path / "curves.jsonl"
    measured.write_text("".join(json.dumps(asdict(row)) + "\n" for row in curves.values()))
    out = tmp_path / "predictor"
    build_predictor(measured, pipeline_folder, out=out, report=lambda line: None)
    config = json.loads((out / "config.json").read_text())
    weights = (pipeline_folder / "text_encoder" / "model.safetensors").read_bytes()
    assert config["text_encoder_sha256"] == [hashlib.sha256(weights).hexdigest()]
    require_match(out, pipeline_folder, reference_steps=STEPS[-1])
    assert load_predictor(out).steps == STEPS
