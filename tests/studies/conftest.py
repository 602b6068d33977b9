"""Someone at the desk, and a predictor that reads prompts."""

import json
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from generation.models import Predictor
from generation.scenes.tokenizer import build_tokenizer
from tests import factories


@pytest.fixture(scope="session")
def predictor_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A predictor's tokenizer, without its weights."""
    folder = tmp_path_factory.mktemp("predictor")
    build_tokenizer().backend_tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"max_tokens": 12}))
    return folder


@pytest.fixture
def predictor(predictor_folder: Path) -> Predictor:
    return factories.make_predictor(source=str(predictor_folder))


@pytest.fixture
def desk(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("eva"))
    return client
