"""What an experimenter sees of a text before a participant does."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from studies.models import Language, Study
from studies.participation import texts
from tests import factories

pytestmark = pytest.mark.django_db


def preview(client: Client, **values: Any) -> Any:
    return client.post(reverse("admin:studies_study_preview"), {
        "part": "welcome", "text": "", "task": "preference", "language": "en",
        "main_trials": 20, "practice_trials": 2, "catch_percent": 0, "repeat_percent": 0, **values})


def test_a_preview_is_what_participants_get(desk: Client) -> None:
    text = "# Hello\n\n*You*, <script>alert(1)</script>[go](javascript:x) | [on](https://x.org)\n"
    content = preview(desk, text=text).content.decode()
    assert content == texts.render(text)
    assert "<em>You</em>" in content
    assert "script" not in content


@pytest.mark.parametrize("part", ["welcome", "consent", "instructions", "debrief"])
@pytest.mark.parametrize("task", ["preference", "similarity"])
@pytest.mark.parametrize("language", Language.values)
def test_a_blank_text_is_previewed_as_the_standard_one(
    desk: Client, part: str, task: str, language: str
) -> None:
    numbers = {"main_trials": 11, "practice_trials": 4, "catch_percent": 20, "repeat_percent": 10}
    study = factories.make_study(task=task, **numbers)
    content = preview(desk, part=part, task=task, language=language, **numbers).content.decode()
    assert content == texts.render(study.texts(language)[part])
    assert Study.objects.count() == 1


@pytest.mark.parametrize(("values", "sentence"), [
    ({"main_trials": ""}, "Main trials: This field is required."),
    ({"main_trials": "many"}, "Main trials: Enter a whole number."),
    ({"part": "<b>"},
     "Part: Select a valid choice. &lt;b&gt; is not one of the available choices."),
])
def test_a_preview_says_what_it_lacks(desk: Client, values: dict[str, str], sentence: str) -> None:
    assert preview(desk, **values).content.decode() == f"<p><strong>{sentence}</strong></p>"


def test_only_who_may_see_studies_may_preview(client: Client) -> None:
    assert preview(client).status_code == 302
    user = User.objects.create_user("ina", is_staff=True)
    client.force_login(user)
    assert preview(client).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_study"))
    assert preview(client).status_code == 200
    assert client.get(reverse("admin:studies_study_preview")).status_code == 405
