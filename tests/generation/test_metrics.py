import math

import pytest
import torch

from generation.budget.metrics import image_similarity, laplacian_snr, patch_cosine_distance


def test_lsnr_recovers_a_known_noise_level() -> None:
    """Gaussian noise of SD 0.05 on grey 0.5: 20 log10(rms / SD), the estimator being unbiased."""
    rng = torch.Generator().manual_seed(0)
    grey = torch.full((1, 1, 256, 256), 0.5)
    noisy = (grey + 0.05 * torch.randn(grey.shape, generator=rng)).expand(-1, 3, -1, -1)
    expected = 20 * math.log10(math.hypot(0.5, 0.05) / 0.05)
    assert laplacian_snr(noisy).item() == pytest.approx(expected, abs=0.2)


def test_lsnr_of_a_clean_image_is_bounded_by_rounding() -> None:
    value = laplacian_snr(torch.ones(1, 3, 8, 8)).item()
    assert value == pytest.approx(20 * math.log10(255 * math.sqrt(12)), abs=1e-3)


def test_distance_to_itself_is_zero_and_similarity_one() -> None:
    patches = torch.randn(2, 4, 8)
    assert patch_cosine_distance(patches, patches).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert image_similarity(patches[:, 0], patches[:, 0]).tolist() == pytest.approx([1, 1])


def test_opposite_patches_are_two_apart() -> None:
    patches = torch.randn(1, 4, 8)
    assert patch_cosine_distance(patches, -patches).item() == pytest.approx(2)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected images"):
        laplacian_snr(torch.zeros(3, 8, 8))
    with pytest.raises(ValueError, match="shapes differ"):
        patch_cosine_distance(torch.zeros(1, 2, 3), torch.zeros(1, 2, 4))
