"""A folder for each family of pipelines, made when a test first asks for it."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

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
