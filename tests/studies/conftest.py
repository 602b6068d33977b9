"""Someone at the desk, someone in a browser, and a predictor that reads prompts."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page

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


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on which no script fails and nothing breaks the content security policy."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text)
            if "Content Security Policy" in message.text else None)
    yield page
    context.close()
    assert not problems
