"""From prompts to budgets with a trained predictor. Loads no diffusion model."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from generation.budget.curves import find_budget
from generation.budget.network import CurveNetwork, NetworkSize, pad_tokens
from generation.budget.tokens import CONFIG_FILE, TOKENIZER_FILE, TokenCounter

WEIGHTS_FILE = "model.safetensors"
_BATCH = 256


@dataclass(frozen=True)
class Prediction:
    """One prompt's budget and the curves it was read from.

    Attributes
    ----------
    num_steps : int
        The budget.
    steps : list of int, length K
        The step grid.
    curves : dict of str to list of float, length K each
        By metric, in the metric's own unit.
    """

    num_steps: int
    steps: list[int]
    curves: dict[str, list[float]]


@dataclass(frozen=True)
class BudgetPredictor:
    """A trained curve network with its tokenizer, metrics, step grid and tolerance."""

    network: CurveNetwork
    tokens: TokenCounter
    metrics: list[str]
    steps: list[int]
    tolerance: float

    @torch.inference_mode()
    def predict(self, prompts: Sequence[str]) -> list[Prediction]:
        """Predict each prompt's curves, and read its budget from their plateau.

        Raises
        ------
        ValueError
            If a prompt has more tokens than the text encoder reads.
        """
        ids = self.tokens.ids(prompts)
        for prompt, row in zip(prompts, ids, strict=True):
            if len(row) > self.tokens.max_tokens:
                raise ValueError(f"the prompt {prompt!r} has {len(row)} tokens; at most "
                                 f"{self.tokens.max_tokens} are read")
        self.network.eval()
        found = []
        for start in range(0, len(ids), _BATCH):
            curves = self.network.curves(*pad_tokens(ids[start:start + _BATCH]))  # (B, M, K)
            found += [self._read(row) for row in curves.tolist()]
        return found

    def _read(self, rows: list[list[float]]) -> Prediction:
        curves = dict(zip(self.metrics, rows, strict=True))
        budget = find_budget(self.steps, curves, tolerance=self.tolerance)
        return Prediction(budget, self.steps, curves)


def load_predictor(folder: Path) -> BudgetPredictor:
    """Load a predictor's folder; raise ValueError, naming the path, if it is not one."""
    tokens = TokenCounter.from_folder(folder)
    if not (folder / WEIGHTS_FILE).is_file():
        raise ValueError(f"{folder} holds no {WEIGHTS_FILE}: it is not a predictor's folder")
    config = json.loads((folder / CONFIG_FILE).read_text())
    network = CurveNetwork(NetworkSize(**config["size"]), num_metrics=len(config["metrics"]),
                           num_steps=len(config["steps"]))
    network.load_state_dict(load_file(folder / WEIGHTS_FILE))
    return BudgetPredictor(network, tokens, config["metrics"], config["steps"],
                           config["tolerance"])


def save_predictor(predictor: BudgetPredictor, folder: Path, *, size: NetworkSize) -> None:
    """Write the folder that `load_predictor` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.contiguous() for name, tensor in predictor.network.state_dict().items()}
    save_file(state, folder / WEIGHTS_FILE)
    predictor.tokens.tokenizer.save(str(folder / TOKENIZER_FILE))
    config = {"size": asdict(size), "metrics": predictor.metrics, "steps": predictor.steps,
              "tolerance": predictor.tolerance, "max_tokens": predictor.tokens.max_tokens}
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=1) + "\n")
