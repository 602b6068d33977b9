"""Several contrasts in one study: p values that allow for having asked several times."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import false_discovery_control
from statsmodels.stats.multitest import multipletests


@dataclass(frozen=True)
class Adjusted:
    """Adjusted p values, in the order of the raw ones."""

    holm: list[float]  # Any false finding among all at most at the level.
    benjamini_hochberg: list[float]  # The expected share of false findings at most at the level.


def adjust(p_values: Sequence[float]) -> Adjusted:
    """Adjust the p values of all contrasts that a study asks about.

    Parameters
    ----------
    p_values : sequence of float
        From 0 to 1, at least one.

    Returns
    -------
    Adjusted
        To be compared with the same level as raw ones.

    Raises
    ------
    ValueError
        If there is none, or one lies outside [0, 1].

    References
    ----------
    Holm (1979), Scand. J. Stat. 6, 65-70.
    Benjamini and Hochberg (1995), J. R. Stat. Soc. B 57, 289-300.
    """
    values = np.asarray(p_values, dtype=float)
    if values.size == 0:
        raise ValueError("expected at least one p value, got none")
    outside = values[~((values >= 0) & (values <= 1))]  # Catches NaN too.
    if outside.size:
        raise ValueError(f"a p value must lie between 0 and 1, got {outside[0]}")
    return Adjusted(
        holm=multipletests(values, method="holm")[1].tolist(),
        benjamini_hochberg=false_discovery_control(values, method="bh").tolist(),
    )
