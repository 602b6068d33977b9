"""How long one image takes alone: which counts, in which order, and what is kept."""

import json
from collections.abc import Callable
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import IntegrityError
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from generation import tasks
from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import Sampled, SamplingError
from generation.models import DiffusionModel, Latency
from generation.rendering.latencies import (
    MOST_STEP_COUNTS,
    LoneSampler,
    choose_step_counts,
    measure_latency,
    measure_on_request,
    step_counts_for,
)
from generation.rendering.services import request_latency
from tests import factories
from tests.conftest import running_worker, wait_until

pytestmark = pytest.mark.django_db
IMAGE = Image.new("RGB", (8, 8))


class Easel:
    """Takes 0.1 s and 20 J a step, and a tenth more with every image: it warms up and slows."""

    def __init__(self) -> None:
        self.now, self.total, self.recipes = 0.0, 0.0, list[Recipe]()

    def paint(self, recipe: Recipe) -> Sampled:
        self.recipes.append(recipe)
        seconds = 0.1 * recipe.num_steps * (1 + len(self.recipes) / 10)
        self.now += seconds
        self.total += 20.0 * recipe.num_steps
        return Sampled(IMAGE, 2 * recipe.num_steps, seconds,
                       provenance={"device_name": "easel", "dtype": "float32"})

    def load(self, _model: DiffusionModel) -> LoneSampler:
        return LoneSampler(self.paint, lambda: self.total, clock=lambda: self.now)


def failing(error: Exception) -> Callable[[DiffusionModel], LoneSampler]:
    def load(_model: DiffusionModel) -> LoneSampler:
        raise error
    return load


def test_counts_are_the_full_one_the_smallest_and_the_percentiles_of_the_budgets() -> None:
    budgets = list(range(1, 102))  # By hand: the 11th, 51st and 91st smallest of 101.
    chosen = choose_step_counts(129, budgets)
    assert {129, 1, 11, 51, 91} < set(chosen)
    # Then whatever lies farthest from all of those: 31 and 71, and 110 were it a budget.
    assert {31, 71} < set(chosen)
    assert len(chosen) == MOST_STEP_COUNTS


def test_few_distinct_budgets_are_all_measured() -> None:
    assert choose_step_counts(50, [8] * 90 + [12, 20]) == [8, 12, 20, 50]


def test_the_smallest_count_rendered_is_measured_too() -> None:
    assert choose_step_counts(50, [8, 12], fewest=3) == [3, 8, 12, 50]
    assert choose_step_counts(50, [], fewest=3) == [3, 25, 50]
    model = factories.make_render(num_steps=4).model
    assert step_counts_for(model) == [4, 25, 50]


def test_without_budgets_the_full_count_and_half_of_it_are_measured() -> None:
    assert choose_step_counts(50, []) == [25, 50]
    assert choose_step_counts(1, []) == [1]


@given(st.integers(1, 1000).flatmap(
    lambda most: st.tuples(st.just(most), st.lists(st.integers(1, most), min_size=1))
))
def test_counts_cover_the_budgets_and_are_few(drawn: tuple[int, list[int]]) -> None:
    reference, budgets = drawn
    chosen = choose_step_counts(reference, budgets)
    assert len(chosen) <= MOST_STEP_COUNTS
    assert all(lower < higher for lower, higher in pairwise(chosen))
    assert (chosen[0], chosen[-1]) == (min(budgets), reference)
    assert set(chosen) <= {*budgets, reference}


def test_only_the_models_own_budgets_decide() -> None:
    predictor = factories.make_predictor()
    factories.make_budget(predictor=predictor, prompt=factories.make_prompt(), num_steps=9)
    factories.make_budget(predictor=factories.make_predictor(), prompt=factories.make_prompt(),
                          num_steps=33)
    assert step_counts_for(predictor.model) == [9, 50]


def test_one_image_is_not_counted_and_the_others_go_forwards_and_backwards() -> None:
    easel = Easel()
    measure_latency(factories.make_model(), step_counts=[10, 20, 20, 50], repeats=2,
                    load=easel.load)
    assert [recipe.num_steps for recipe in easel.recipes] == [50, 50, 20, 10, 10, 20, 50]


def test_median_range_and_joules_are_those_computed_by_hand() -> None:
    model = factories.make_model()
    measure_latency(model, step_counts=[10, 50], repeats=3, load=Easel().load)
    # Images 2 to 7 take 50, 10, 10, 50, 50, 10 steps: 10 steps as images 3, 4 and 7.
    few, full = Latency.objects.order_by("num_steps")
    assert (few.num_steps, few.repeats) == (10, 3)
    assert (few.fastest_seconds, few.seconds, few.slowest_seconds) == pytest.approx(
        (1.3, 1.4, 1.7))
    assert (full.fastest_seconds, full.seconds, full.slowest_seconds) == pytest.approx(
        (6.0, 7.5, 8.0))
    assert (few.joules, full.joules) == pytest.approx((200, 1000))


def test_where_and_how_it_was_measured_is_kept() -> None:
    model = factories.make_model()
    few, full = measure_latency(model, step_counts=[5, 50], repeats=1, load=Easel().load)
    kept = Latency.objects.get(pk=full.pk).provenance
    assert kept["device_name"] == "easel"
    assert kept["settings"] == model.sampling_settings()
    assert "one image at a time" in kept["cost"]["seconds"]
    assert "NVML" in kept["cost"]["joules"]
    assert few.joules is None  # 5 steps took under two seconds.
    assert "too slow" in few.provenance["cost"]["joules"]
    assert few.provenance["run"] == kept["run"]


def test_the_newest_run_of_each_model_is_found() -> None:
    model, other = factories.make_model(), factories.make_model()
    measure_latency(model, step_counts=[10, 30, 50], load=Easel().load)
    newest = measure_latency(model, step_counts=[20, 50], load=Easel().load)
    others = measure_latency(other, step_counts=[50], load=Easel().load)
    assert set(Latency.objects.newest_run()) == {*newest, *others}
    assert set(model.latencies.newest_run()) == set(newest)


@pytest.mark.parametrize(("step_counts", "repeats", "sentence"), [
    ([10], 0, "at least 1 repeat, got 0"),
    ([], 5, "at least one step count"),
    ([0, 10], 5, "takes 1 to 50 steps, got 0"),
    ([10, 51], 5, "takes 1 to 50 steps, got 51"),
])
def test_what_cannot_be_measured_is_quoted(
    step_counts: list[int], repeats: int, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        measure_latency(factories.make_model(), step_counts=step_counts, repeats=repeats,
                        load=Easel().load)
    assert not Latency.objects.exists()


def test_times_out_of_order_are_refused_by_the_database() -> None:
    with pytest.raises(IntegrityError, match="generation_latency_is_measured"):
        Latency.objects.create(model=factories.make_model(), num_steps=5, repeats=1, seconds=1.0,
                               fastest_seconds=1.1, slowest_seconds=1.2)


def test_a_request_is_measured_once_however_often_its_message_arrives() -> None:
    model = factories.make_model()
    request_latency(model)
    request_latency(model)
    assert measure_on_request(model.pk, load=Easel().load)
    assert not measure_on_request(model.pk, load=Easel().load)
    assert Latency.objects.count() == 2
    model.refresh_from_db()
    assert (model.latency_requested_at, model.latency_problem) == (None, "")


@pytest.mark.parametrize(("error", "sentence"), [
    (SamplingError("there is no folder /gone"), "there is no folder /gone"),
    (RuntimeError("out of memory"), "RuntimeError: out of memory"),
])
def test_what_went_wrong_is_kept_until_it_is_asked_for_again(
    error: Exception, sentence: str
) -> None:
    model = factories.make_model()
    request_latency(model)
    measure_on_request(model.pk, load=failing(error))
    model.refresh_from_db()
    assert model.latency_problem == sentence
    request_latency(model)
    model.refresh_from_db()
    assert model.latency_problem == ""


def test_a_worker_that_dies_leaves_word_and_is_not_followed_by_another() -> None:
    model = factories.make_model()
    request_latency(model)
    with pytest.raises(KeyboardInterrupt):
        measure_on_request(model.pk, load=failing(KeyboardInterrupt()))  # type: ignore[arg-type]
    model.refresh_from_db()
    assert "ask again" in model.latency_problem
    assert not measure_on_request(model.pk, load=Easel().load)


def test_a_model_that_is_gone_is_no_error() -> None:
    tasks.measure_latency(0)


def test_command_measures_the_real_pipeline_and_prints_a_table_or_json(
    pipeline_folder: Path, settings: Any
) -> None:
    settings.RENDER_DEVICE = "cpu"
    factories.make_model(name="Mine", source=str(pipeline_folder), reference_steps=2)
    printed = StringIO()
    call_command("measure_latency", "Mine", "--repeats", "1", "--json", stdout=printed)
    figures = json.loads(printed.getvalue())
    assert list(figures["latencies"]) == ["1 steps", "2 steps"]
    assert figures["latencies"]["2 steps"]["seconds"] > 0
    assert figures["cost"]["joules"] == "not readable on cpu"
    assert Latency.objects.filter(repeats=1, joules=None).count() == 2
    printed = StringIO()
    call_command("measure_latency", "Mine", "--repeats", "1", "--steps", "2", stdout=printed)
    assert "latencies.2 steps.seconds" in printed.getvalue()


def test_command_names_the_models_there_are() -> None:
    factories.make_model(name="Mine")
    with pytest.raises(CommandError, match="there is no model 'Yours'; expected one of: Mine"):
        call_command("measure_latency", "Yours")


@pytest.mark.django_db(transaction=True)
def test_a_real_worker_measures_what_the_admin_asked_for(
    pipeline_folder: Path, admin_client: Client, tmp_path: Path
) -> None:
    model = factories.make_model(source=str(pipeline_folder), reference_steps=1)
    broken = factories.make_model(source=str(tmp_path / "gone"))
    page = ask(admin_client, model, broken)
    assert "Latency will be measured for 2 models" in page
    told = DiffusionModel.objects.filter(latency_problem__contains="there is no folder")
    with running_worker():
        wait_until(model.latencies.exists, seconds=90)
        wait_until(told.exists, seconds=30)
    assert f"there is no folder {tmp_path / 'gone'}" in model_page(admin_client, broken)
    shown = model_page(admin_client, model)
    latency = model.latencies.earliest("num_steps")
    assert f"{latency.seconds:.3f}" in shown
    assert latency.provenance["device_name"] in shown


def ask(client: Client, *models: DiffusionModel) -> str:
    data: dict[str, Any] = {"action": "measure_latency",
                            "_selected_action": [model.pk for model in models]}
    address = reverse("admin:generation_diffusionmodel_changelist")
    return client.post(address, data, follow=True).content.decode()


def model_page(client: Client, model: DiffusionModel) -> str:
    address = reverse("admin:generation_diffusionmodel_change", args=[model.pk])
    return client.get(address).content.decode()


def test_model_page_says_how_its_latency_stands(admin_client: Client) -> None:
    model = factories.make_model()
    assert "Never measured" in model_page(admin_client, model)
    request_latency(model)
    assert "Waiting for a worker since" in model_page(admin_client, model)
    measure_on_request(model.pk, load=failing(SamplingError("no such <folder>")))
    assert "Not measured: no such &lt;folder&gt;" in model_page(admin_client, model)


def test_model_page_lists_the_newest_run_only(admin_client: Client) -> None:
    model = factories.make_model()
    measure_latency(model, step_counts=[10], load=Easel().load)
    assert "1.600" in model_page(admin_client, model)
    measure_latency(model, step_counts=[20], load=Easel().load)
    shown = model_page(admin_client, model)
    assert "1.600" not in shown
    assert "easel" in shown
    assert "2.400 to 3.200" in shown


def test_a_model_can_be_renamed_though_its_latency_came_meanwhile(admin_client: Client) -> None:
    model = factories.make_render().model
    address = reverse("admin:generation_diffusionmodel_change", args=[model.pk])
    measure_latency(model, step_counts=[10], load=Easel().load)
    admin_client.post(address, {"name": "Renamed"})
    model.refresh_from_db()
    assert model.name == "Renamed"


def test_viewer_cannot_ask_for_latency(client: Client, django_user_model: Any) -> None:
    from django.contrib.auth.models import Permission

    user = django_user_model.objects.create_user("someone", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_diffusionmodel"))
    client.force_login(user)
    model = factories.make_model()
    ask(client, model)
    model.refresh_from_db()
    assert model.latency_requested_at is None
