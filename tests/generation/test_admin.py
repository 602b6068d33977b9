import json
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from generation.budget.matching import record_model
from generation.models import DiffusionModel, Predictor, Render, RenderState
from tests import factories

pytestmark = pytest.mark.django_db
MODEL_FORM = {"name": "My model", "revision": "", "scheduler": "ddim", "reference_steps": 50,
              "guidance": 7.5, "width": 512, "height": 512}


@pytest.fixture
def model_form(pipeline_folder: Path) -> dict[str, Any]:
    return MODEL_FORM | {"source": str(pipeline_folder)}


def add_model(client: Client, form: dict[str, Any]) -> str:
    return client.post(reverse("admin:generation_diffusionmodel_add"), form).content.decode()


def staff_client(*permissions: str) -> Client:
    user = User.objects.create_user("someone", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def test_model_folder_is_registered(admin_client: Client, model_form: dict[str, Any]) -> None:
    add_model(admin_client, model_form)
    assert DiffusionModel.objects.get().source == model_form["source"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"source": "/nowhere/at/all"}, "there is no folder /nowhere/at/all"),
        ({"source": "owner/name"}, "for a hub id give the revision"),
        ({"source": "owner/name", "revision": "main"}, "40 hexadecimal digits"),
        ({"width": 100}, "100 is not a multiple of 8"),
        ({"reference_steps": 0}, "1 to 1000"),
        ({"guidance": -1}, "at least 0"),
        ({"guidance": "nan"}, "Enter a number"),
        ({"width": 0}, "from 8 to 8184"),
        ({"height": 8192}, "from 8 to 8184"),
    ],
)
def test_model_that_cannot_work_is_refused_in_the_form(
    admin_client: Client, model_form: dict[str, Any], changes: dict[str, Any], sentence: str
) -> None:
    assert sentence in add_model(admin_client, model_form | changes)
    assert not DiffusionModel.objects.exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scheduler": "ddim"}, "ddim cannot drive this pipeline"),
        ({"scheduler": "dpmsolver++"}, "Choose “the pipeline&#x27;s own”"),
        ({"width": 520, "source": "Lumina2Pipeline"}, "520 is not a multiple of 16"),
        ({"height": 520, "source": "SanaPipeline"}, "520 is not a multiple of 32"),
    ],
)
def test_scheduler_and_size_must_fit_the_pipeline(
    admin_client: Client, family_folder: Callable[[str], Path], changes: dict[str, Any],
    sentence: str,
) -> None:
    folder = str(family_folder(changes.get("source", "FluxPipeline")))
    fitting = MODEL_FORM | {"source": folder, "scheduler": "own"}
    assert sentence in add_model(admin_client, fitting | changes | {"source": folder})
    assert not DiffusionModel.objects.exists()
    add_model(admin_client, fitting)
    assert DiffusionModel.objects.get().scheduler == "own"


def test_other_folder_has_other_weights(
    admin_client: Client, model_form: dict[str, Any]
) -> None:
    model = factories.make_model(weights_sha256="a" * 64)
    address = reverse("admin:generation_diffusionmodel_change", args=[model.pk])
    assert "a" * 64 in admin_client.get(address).content.decode()
    for form, expected in ((model_form | {"source": "embedded"}, "a" * 64), (model_form, "")):
        admin_client.post(address, form)
        model.refresh_from_db()
        assert (model.source, model.weights_sha256) == (form["source"], expected)


def test_how_a_model_is_sampled_cannot_change_once_it_has_renders(admin_client: Client) -> None:
    model = factories.make_ready_render().model
    address = reverse("admin:generation_diffusionmodel_change", args=[model.pk])
    admin_client.post(address, MODEL_FORM | {"source": "elsewhere", "guidance": 1.0})
    changed = DiffusionModel.objects.get()
    assert (changed.name, changed.source, changed.guidance) == ("My model", "embedded", 3.0)


@pytest.mark.parametrize("page", ["diffusionmodel", "predictor", "prompt", "render"])
def test_lists_take_as_many_queries_for_many_rows(
    admin_client: Client, page: str, django_assert_max_num_queries: Any
) -> None:
    for _ in range(12):
        render = factories.make_ready_render()
        predictor = factories.make_predictor(model=render.model)
        factories.make_budget(prompt=render.prompt, predictor=predictor)
    with django_assert_max_num_queries(12):
        assert admin_client.get(reverse(f"admin:generation_{page}_changelist")).status_code == 200


def test_render_page_shows_picture_cost_and_error(admin_client: Client) -> None:
    ready = factories.make_ready_render()
    failed = factories.make_render(state=RenderState.QUARANTINED, error="no such folder")
    listing = admin_client.get(reverse("admin:generation_render_changelist")).content.decode()
    assert reverse("admin:generation_render_image", args=[ready.public_id]) in listing
    assert "no such folder" in listing
    page = admin_client.get(reverse("admin:generation_render_change", args=[failed.pk]))
    assert "no such folder" in page.content.decode()


def test_recorded_render_cannot_be_edited_or_deleted(admin_client: Client) -> None:
    render = factories.make_ready_render()
    change = reverse("admin:generation_render_change", args=[render.pk])
    assert admin_client.post(change, {"seed": 9}).status_code == 403
    delete = reverse("admin:generation_render_delete", args=[render.pk])
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403
    assert Render.objects.get().seed == 1


def test_image_goes_to_staff_who_may_see_renders_only(admin_client: Client) -> None:
    render = factories.make_ready_render()
    address = reverse("admin:generation_render_image", args=[render.public_id])
    response = admin_client.get(address)
    assert response["Content-Type"] == "image/webp"
    assert response.content == render.image.read()
    assert Client().get(address).status_code == 302
    assert staff_client().get(address).status_code == 403
    assert staff_client_may_see(address)


def staff_client_may_see(address: str) -> bool:
    User.objects.filter(username="someone").delete()
    return staff_client("view_render").get(address).status_code == 200


def test_image_that_is_not_there_is_said_to_be_missing(admin_client: Client) -> None:
    waiting = factories.make_render()
    for public_id in (waiting.public_id, uuid.uuid4()):
        address = reverse("admin:generation_render_image", args=[public_id])
        assert admin_client.get(address).status_code == 404
    deleted = factories.make_ready_render()
    Path(deleted.image.path).unlink()
    address = reverse("admin:generation_render_image", args=[deleted.public_id])
    assert admin_client.get(address).status_code == 404


def act_on_all(client: Client, model: type[Model], action: str) -> str:
    rows = list(model._default_manager.values_list("pk", flat=True))
    address = reverse(f"admin:generation_{model._meta.model_name}_changelist")
    data = {"action": action, "_selected_action": rows}
    return client.post(address, data, follow=True).content.decode()


def retry_all(client: Client) -> str:
    return act_on_all(client, Render, "retry_quarantined")


def test_models_are_paused_and_resumed(admin_client: Client) -> None:
    model = factories.make_model()
    for action, is_paused in (("pause", True), ("resume", False)):
        assert "1 model" in act_on_all(admin_client, DiffusionModel, action)
        model.refresh_from_db()
        assert model.is_paused is is_paused


def test_renders_are_cancelled_and_missing_files_rendered_again(admin_client: Client) -> None:
    waiting, ready = factories.make_render(), factories.make_ready_render()
    assert "1 renders are cancelled" in act_on_all(admin_client, Render, "cancel")
    assert "finished already" in act_on_all(admin_client, Render, "cancel")
    assert "Every ready render has its file" in act_on_all(admin_client, Render, "restore")
    Path(ready.image.path).unlink()
    assert "1 files are gone" in act_on_all(admin_client, Render, "restore")
    states = {render.pk: render.state for render in Render.objects.all()}
    assert states == {waiting.pk: "cancelled", ready.pk: "pending"}


@pytest.mark.parametrize("action", ["cancel", "restore", "retry_quarantined"])
def test_viewer_changes_no_render(action: str) -> None:
    factories.make_render()
    act_on_all(staff_client("view_render"), Render, action)
    assert Render.objects.claimable().count() == 1


def test_viewer_pauses_no_model() -> None:
    factories.make_model()
    act_on_all(staff_client("view_diffusionmodel"), DiffusionModel, "pause")
    assert not DiffusionModel.objects.filter(is_paused=True).exists()


def test_quarantined_renders_are_retried(admin_client: Client) -> None:
    factories.make_render(state=RenderState.QUARANTINED, error="no such folder", attempts=3)
    factories.make_ready_render()
    assert "1 quarantined renders wait" in retry_all(admin_client)
    assert Render.objects.claimable().count() == 1
    assert "None of the selected renders is quarantined" in retry_all(admin_client)


def test_viewer_cannot_retry() -> None:
    factories.make_render(state=RenderState.QUARANTINED, error="no such folder", attempts=3)
    retry_all(staff_client("view_render"))
    assert not Render.objects.claimable().exists()


def test_predictor_without_a_folder_is_refused(admin_client: Client) -> None:
    form = {"name": "mine", "model": factories.make_model().pk, "source": "/nowhere/at/all"}
    page = admin_client.post(reverse("admin:generation_predictor_add"), form).content.decode()
    assert "there is no folder /nowhere/at/all" in page


@pytest.fixture
def predictor_folder(tmp_path: Path, pipeline_folder: Path) -> Path:
    """The outline of a predictor trained for the pipeline, whose full step count is 50."""
    folder = tmp_path / "predictor"
    folder.mkdir()
    shutil.copy(pipeline_folder / "tokenizer" / "tokenizer.json", folder)
    (folder / "config.json").write_text(json.dumps({"max_tokens": 40, "steps": [1, 8, 50]}))
    (folder / "model.safetensors").write_bytes(b"weights")
    record_model(folder, pipeline_folder)
    return folder


def add_predictor(client: Client, folder: Path, **model: Any) -> str:
    form = {"name": "mine", "model": factories.make_model(**model).pk, "source": str(folder)}
    return client.post(reverse("admin:generation_predictor_add"), form).content.decode()


def test_predictor_is_registered_for_the_model_that_it_was_trained_for(
    admin_client: Client, predictor_folder: Path, pipeline_folder: Path
) -> None:
    add_predictor(admin_client, predictor_folder, source=str(pipeline_folder))
    assert Predictor.objects.get().model.source == str(pipeline_folder)


def test_predictor_for_another_text_encoder_is_refused_in_the_form(
    admin_client: Client, predictor_folder: Path
) -> None:
    page = add_predictor(admin_client, predictor_folder)  # For the embedded model.
    assert "was trained for another model: its text encoder is not the one in" in page
    assert not Predictor.objects.exists()


def test_predictor_for_another_full_step_count_is_refused_in_the_form(
    admin_client: Client, predictor_folder: Path, pipeline_folder: Path
) -> None:
    page = add_predictor(admin_client, predictor_folder, source=str(pipeline_folder),
                         reference_steps=30)
    assert "trained for a model of 50 steps in full, and this model has 30" in page
    assert not Predictor.objects.exists()


def test_predictor_that_does_not_say_what_it_was_trained_for_is_accepted(
    admin_client: Client, predictor_folder: Path
) -> None:
    (predictor_folder / "config.json").write_text(json.dumps({"max_tokens": 40}))
    add_predictor(admin_client, predictor_folder)
    assert Predictor.objects.exists()
