"""An arm is a rule that gives a prompt its step count.

Arms are written ``budgeted``, ``reference``, ``uniform`` or ``fixed(n)``.
"""

import math
import re
from collections.abc import Mapping

ARM_PATTERN = r"^(budgeted|reference|uniform|fixed\([1-9][0-9]{0,3}\))$"


def fixed_steps(arm: str) -> int | None:
    """Return n of ``fixed(n)``, and None for the other arms.

    Raises
    ------
    ValueError
        If `arm` is not the name of an arm.
    """
    if not re.match(ARM_PATTERN, arm):
        raise ValueError(
            f"unknown arm {arm!r}: expected budgeted, reference, uniform or fixed(n), "
            "with n from 1 to 9999"
        )
    return int(arm[6:-1]) if arm.startswith("fixed") else None


def uniform_steps(budgets: Mapping[int, int]) -> int:
    """The one step count whose total over the prompts equals the budgets', rounded up."""
    if not budgets:
        raise ValueError("a uniform step count needs at least one budget, got none")
    return math.ceil(sum(budgets.values()) / len(budgets))


def steps_by_prompt(
    arm: str, budgets: Mapping[int, int], *, reference_steps: int
) -> dict[int, int]:
    """Give every prompt its step count under an arm.

    Parameters
    ----------
    arm : str
    budgets : mapping of int to int
        Predicted budget by prompt, in steps.
    reference_steps : int
        The model's full step count.

    Returns
    -------
    dict of int to int
        Steps by prompt, from 1 to `reference_steps`.

    Raises
    ------
    ValueError
        If the arm is unknown or asks for more steps than the reference has.
    """
    steps = fixed_steps(arm)
    if steps is not None and steps > reference_steps:
        raise ValueError(f"{arm} asks for more steps than the reference's {reference_steps}")
    if arm == "budgeted":
        return dict(budgets)
    if arm == "reference":
        steps = reference_steps
    elif arm == "uniform":
        steps = uniform_steps(budgets)
    assert steps is not None
    return dict.fromkeys(budgets, steps)
