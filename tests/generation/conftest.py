"""Pipelines made when a test first asks for them, and a place for images."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def family_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Where a small pipeline of the named class is saved."""

    @cache
    def save(class_name: str) -> Path:
        import torch

        from tests.generation.pipelines import BUILDERS

        torch.manual_seed(0)
        folder = tmp_path_factory.mktemp(class_name)
        BUILDERS[class_name]().save_pretrained(folder)
        return folder

    return save


@pytest.fixture
def media(settings: Any, tmp_path: Path) -> Path:
    """The test's own folder for images."""
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


@pytest.fixture
def one_thread() -> Iterator[None]:
    """A UNet call is one call, and not one for each core."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
