import pytest

from generation.diffusion.recipes import Recipe


@pytest.mark.parametrize(("guidance", "is_guided"), [
    (0.0, False), (1.0, False), (1.01, True), (7.5, True),
])
def test_guidance_above_one_costs_a_second_evaluation(guidance: float, is_guided: bool) -> None:
    recipe = Recipe("folder", "", prompt="", seed=0, num_steps=5, scheduler="ddim",
                    guidance=guidance, width=64, height=64)
    assert (recipe.is_guided, recipe.evaluations_per_step) == (is_guided, 1 + is_guided)
