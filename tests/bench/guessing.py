"""A classifier that tries to guess what nobody may know."""

import math
from collections.abc import Sequence

from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDS = 5


def guess(seen: Sequence[dict[str, float | str]], labels: Sequence[bool], *,
          groups: Sequence[int]) -> float:
    """How well a logistic regression tells the labels apart: the AUC, 0.5 for guessing.

    Cross-validated, with each group, a participant, in one fold, and the folds' AUCs averaged.
    """
    model = make_pipeline(DictVectorizer(sparse=False), StandardScaler(),
                          LogisticRegression(max_iter=1000))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    return float(cross_val_score(model, list(seen), list(labels), groups=list(groups), cv=folds,
                                 scoring="roc_auc").mean())


def band(num_trials: int, *, deviations: float = 4) -> float:
    """How far from 0.5 the AUC of pure guessing strays: beyond four deviations once in 16,000.

    Under guessing, the AUC of n trials with as many of either label has the variance of Mann and
    Whitney's U (1947) divided by the square of its largest value: (n + 1) / (3 n^2).
    """
    return deviations * math.sqrt((num_trials + 1) / (3 * num_trials**2))
