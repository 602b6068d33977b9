"""How well a predictor does on prompts it has not seen."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from generation.budget.curves import find_budget
from generation.budget.measuring import MeasuredCurves
from generation.budget.prediction import BudgetPredictor


def evaluate_predictor(
    predictor: BudgetPredictor, held_out: Sequence[MeasuredCurves], *, mean_curve: MeasuredCurves
) -> dict[str, Any]:
    """Compare predicted with measured curves and budgets.

    Parameters
    ----------
    predictor : BudgetPredictor
    held_out : sequence of MeasuredCurves
        Averaged over seeds; prompts that training never saw.
    mean_curve : MeasuredCurves
        The training prompts' mean: what a predictor that ignores the prompt would say.

    Returns
    -------
    dict
        `variance_explained` by metric: 1 - squared error over squared error of `mean_curve`,
        summed over prompts and step counts (1 is perfect, 0 no better than the mean curve);
        `curve_mae` and `mean_curve_mae` by metric, in its unit; `spearman_budget`: predicted
        against oracle budgets; `budget_mae` in steps; `ms_per_prompt` in batches of 100;
        `prompts`.
    """
    if len(held_out) < 3:
        raise ValueError(f"expected at least 3 held-out prompts, got {len(held_out)}")
    predictions = predictor.predict([row.prompt for row in held_out])
    explained, error, baseline = {}, {}, {}
    for metric in predictor.metrics:
        measured = np.array([row.curves[metric] for row in held_out])  # (N, K)
        predicted = np.array([prediction.curves[metric] for prediction in predictions])
        mean = np.array(mean_curve.curves[metric])
        explained[metric] = float(1 - ((measured - predicted) ** 2).sum()
                                  / ((measured - mean) ** 2).sum())
        error[metric] = float(np.abs(measured - predicted).mean())
        baseline[metric] = float(np.abs(measured - mean).mean())
    oracle = [find_budget(row.steps, row.curves, tolerance=predictor.tolerance)
              for row in held_out]
    budgets = [prediction.num_steps for prediction in predictions]
    return {
        "variance_explained": explained,
        "curve_mae": error,
        "mean_curve_mae": baseline,
        "spearman_budget": _rank_correlation(budgets, oracle),
        "budget_mae": float(np.abs(np.subtract(budgets, oracle)).mean()),
        "ms_per_prompt": _milliseconds(predictor, [row.prompt for row in held_out]),
        "prompts": len(held_out),
    }


def _rank_correlation(budgets: list[int], oracle: list[int]) -> float:
    for name, values in (("predicted", budgets), ("oracle", oracle)):
        if len(set(values)) == 1:
            raise ValueError(f"the {name} budgets are all {values[0]}: nothing to correlate")
    return float(spearmanr(budgets, oracle).statistic)


def _milliseconds(predictor: BudgetPredictor, prompts: list[str]) -> float:
    """Median time per prompt over ten batches of 100."""
    batch = (prompts * 100)[:100]
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        predictor.predict(batch)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds)) / len(batch) * 1000
