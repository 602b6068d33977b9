"""The results page, its figure and its CSV, from rows to what a reader sees."""

import io
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import connection
from django.http import StreamingHttpResponse
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now

from generation.models import Prompt
from studies.analysis import figures
from studies.analysis.figures import Panel, draw_figure
from studies.models import (
    Contrast,
    InputMethod,
    Pair,
    Participant,
    ParticipantState,
    Side,
    Study,
    StudyPrompt,
    StudySession,
    TrialKind,
)
from studies.results.longtable import COLUMNS, long_rows
from tests import factories

pytestmark = pytest.mark.django_db

# Participants in rows, prompts in columns: 8 of 12 chose the candidate.
CHOICES = ["1101", "0101", "1110"]
METHOD_COLUMNS = [
    "row_id", "study", "study_version", "study_session", "participant", "trial_index",
    "trial_kind", "repeat_of", "contrast", "task", "chance_level", "prompt_id", "prompt",
    "category", "seed", "model", "model_revision", "scheduler", "guidance", "reference_steps",
    "candidate_arm", "baseline_arm", "candidate_steps", "baseline_steps", "candidate_sha256",
    "baseline_sha256", "candidate_side", "response", "chosen_arm", "is_candidate_chosen",
    "response_ms", "input_method", "shown_at", "responded_at", "image_load_ms", "viewport_width",
    "viewport_height", "device_pixel_ratio", "displayed_px", "focus_lost", "catch_correct",
    "plan_seed", "app_version",
]


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("staff"))
    return client


def make_contrast_with_pairs(study: Study, num_pairs: int, **arms: str) -> Contrast:
    contrast = factories.make_contrast(study=study, **arms)
    for steps in range(num_pairs):
        factories.make_ready_pair(contrast=contrast, num_steps=10 + steps)
    return contrast


def make_session(study: Study) -> StudySession:
    return StudySession.objects.create(study=study, name="wave 1", state="open", opened_at=now())


def answer(participant: Participant, pairs: list[Pair], *, choices: str) -> None:
    """Answer the pairs in order, on alternating sides: 1 chooses the candidate, - nothing."""
    for index, (pair, choice) in enumerate(zip(pairs, choices, strict=True), start=1):
        side, other = (Side.LEFT, Side.RIGHT)[:: 1 if index % 2 else -1]
        trial = factories.make_trial(participant=participant, pair=pair, index=index,
                                     candidate_side=side)
        if choice != "-":
            factories.make_response(trial=trial, chosen_side=side if choice == "1" else other)


def finish(participant: Participant) -> None:
    participant.state, participant.finished_at = ParticipantState.FINISHED, now()
    participant.completion_code = "DONE"
    participant.save()


def make_answered_study(choices: list[str], **values: Any) -> Study:
    """Finished participants, one a string, over as many pairs as its characters."""
    study = factories.make_study(**values)
    pairs = list(make_contrast_with_pairs(study, len(choices[0])).pairs.order_by("pk"))
    session = make_session(study)
    for row in choices:
        participant = factories.make_participant(session=session)
        answer(participant, pairs, choices=row)
        finish(participant)
    return study


def page(client: Client, study: Study) -> str:
    response = client.get(reverse("results", args=[study.public_id]))
    assert response.status_code == 200
    return re.sub(r"\s+", " ", response.content.decode())


def read_csv(study: Study) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(csv_bytes(study)))


def csv_bytes(study: Study) -> bytes:
    """Download as an ASGI server does, which is the only one that streams."""
    client = AsyncClient()
    client.force_login(User.objects.get_or_create(username="analyst", is_staff=True)[0])

    async def download() -> bytes:
        response = await client.get(reverse("results_csv", args=[study.public_id]))
        assert isinstance(response, StreamingHttpResponse)
        assert response["Content-Type"] == "text/csv; charset=utf-8"
        return b"".join([part async for part in response])

    return async_to_sync(download)()


def answer_extra(study: Study) -> None:
    """Let a first participant also answer practice, two catch trials, and a repeat."""
    pair = factories.make_catch_pairs(study, 1)[0]
    participant = Participant.objects.filter(session__study=study).order_by("pk")[0]
    rows: list[dict[str, Any]] = [
        {"kind": TrialKind.PRACTICE, "pair": pair}, {"kind": TrialKind.CATCH, "pair": pair},
        {"kind": TrialKind.CATCH, "pair": pair},
    ]
    original = participant.trials.get(index=1)
    rows.append({"kind": TrialKind.REPEAT, "pair": original.pair, "repeat_of": original,
                 "candidate_side": Side.RIGHT})
    for number, row in enumerate(rows):
        trial = factories.make_trial(participant=participant, index=100 + number, **row)
        factories.make_response(trial=trial, chosen_side=(Side.LEFT, Side.RIGHT)[number % 2])


def test_catch_trials_repeats_and_practice_are_in_no_rate_and_no_saving(staff: Client) -> None:
    study = make_answered_study(CHOICES)
    before = page(staff, study)
    answer_extra(study)
    after = page(staff, study)
    assert after == before
    assert "12 trials" in after


def test_long_table_says_which_catch_trials_were_right_and_what_a_repeat_repeats() -> None:
    study = make_answered_study(CHOICES)
    answer_extra(study)
    table = read_csv(study)
    extra = table[table.trial_index >= 100].set_index("trial_index")
    assert list(extra.trial_kind) == ["practice", "catch", "catch", "repeat"]
    # Candidates on the left: who chose the right saw which image is good.
    assert list(extra.catch_correct.fillna(-1)) == [-1, 1, 0, -1]
    assert table[table.trial_kind == "main"].catch_correct.isna().all()
    original = table[table.row_id == extra.repeat_of[103]]
    assert (original.trial_index.item(), original.trial_kind.item()) == (1, "main")
    assert table.repeat_of.notna().sum() == 1


def test_page_shows_numbers_computed_by_hand(staff: Client) -> None:
    found = page(staff, make_answered_study(CHOICES))
    assert "3 participants, 4 prompts, 12 trials; chance 50%" in found
    # Pooled 8 of 12. Wilson, z² = 3.8415: .62625 ± .23563. Clopper-Pearson: beta quantiles.
    assert "66.7%" in found
    assert "39.1 to 86.2%" in found
    assert "34.9 to 90.1%" in found
    # Participants 3/4, 2/4, 3/4: mean 66.7, SD 14.4; t(2) = 4.303: ± 35.9, cut at 100.
    assert "66.7% ± 14.4%" in found
    assert "30.8 to 100.0%" in found
    # Steps 10, 11, 12, 13 of 50: 38.5 ± 1.3 saved, 154 of 200.
    assert "38.5 ± 1.3" in found
    assert "77.0%" in found


def test_headline_is_the_two_way_clustered_interval(staff: Client) -> None:
    # Residual sums: participants 1/3 -2/3 1/3 (squares 2/3), prompts 0 1 -1 0 (squares 2), cells
    # 12 times 2/9. V = (2/3 * 3/2 + 2 * 4/3 - 8/3) / 144 lies below the prompts' (8/3) / 144,
    # which stands: SE .1361, t(2) = 4.3027: 66.7 ± 58.6, cut at 100.
    found = page(staff, make_answered_study(CHOICES))
    assert "95% CI 8.1 to 100.0%" in found
    assert "The interval includes chance" in found
    assert "no evidence that the two look the same" in found


def test_csv_read_with_pandas_has_the_rate_of_the_page(staff: Client) -> None:
    study = make_answered_study(CHOICES)
    main = read_csv(study).query("trial_kind == 'main'")
    shown = re.search(r'data-estimate="wilson" data-rate="([0-9.]+)"', page(staff, study))
    assert shown is not None
    assert main.is_candidate_chosen.mean() == pytest.approx(float(shown[1]), abs=1e-6)
    assert len(main) == 12
    assert main.groupby("participant").is_candidate_chosen.mean().std() == pytest.approx(0.1443376)


def test_csv_columns_are_those_of_the_method_and_their_values_those_of_the_rows() -> None:
    study = make_answered_study(["10"], name="A study")
    assert list(COLUMNS) == METHOD_COLUMNS
    frame = read_csv(study)
    assert list(frame.columns) == METHOD_COLUMNS
    first, second = frame.to_dict("records")
    pair = Pair.objects.select_related("candidate", "prompt").order_by("pk")[0]
    assert first["study"] == "A study"
    assert first["contrast"] == "budgeted against reference"
    assert first["prompt"] == pair.prompt.text
    assert first["candidate_sha256"] == pair.candidate.sha256
    assert (first["candidate_steps"], first["baseline_steps"]) == (10, 50)
    assert (first["candidate_side"], first["response"]) == ("left", "left")
    assert (second["candidate_side"], second["response"]) == ("right", "left")
    assert (first["chosen_arm"], second["chosen_arm"]) == ("budgeted", "reference")
    assert (first["is_candidate_chosen"], second["is_candidate_chosen"]) == (1, 0)
    assert first["input_method"] == InputMethod.KEYBOARD
    assert pd.to_datetime(first["responded_at"]).tzinfo is not None
    assert pd.isna(first["image_load_ms"])
    assert frame.row_id.is_unique


def test_category_is_that_of_the_study() -> None:
    study = make_answered_study(["1"])
    StudyPrompt.objects.create(study=study, prompt=Pair.objects.get().prompt, position=1,
                               category="plain")
    assert list(read_csv(study).category) == ["plain"]


def test_practice_is_in_the_csv_and_never_analysed(staff: Client) -> None:
    study = make_answered_study(CHOICES)
    trial = factories.make_trial(participant=Participant.objects.earliest("pk"), index=99,
                                 pair=Pair.objects.earliest("pk"), kind=TrialKind.PRACTICE)
    factories.make_response(trial=trial)
    assert list(read_csv(study).trial_kind).count("practice") == 1
    assert "12 trials" in page(staff, study)


def test_answers_of_the_unfinished_count_and_are_said(staff: Client) -> None:
    study = make_answered_study(CHOICES)
    late = factories.make_participant(session=study.sessions.get())
    answer(late, list(Pair.objects.order_by("pk")), choices="10--")
    found = page(staff, study)
    assert "4 participants, 4 prompts, 14 trials" in found
    assert "Includes 2 answers of 1 participant who did not finish" in found
    assert read_csv(study).response.isna().sum() == 2


def test_cells_that_a_spreadsheet_would_run_are_made_text() -> None:
    study = make_answered_study(["1"], name="=1+1")
    Prompt.objects.update(text='@SUM(A1), "quoted"\nand é')
    row = read_csv(study).iloc[0]
    assert row.study == "'=1+1"
    assert row.prompt == "'@SUM(A1), \"quoted\"\nand é"


def test_queries_do_not_grow_with_rows_or_contrasts(staff: Client) -> None:
    small, large = make_answered_study(["10", "01"]), make_answered_study(["1010"] * 5)
    make_contrast_with_pairs(large, 3, candidate_arm="uniform")

    def queries(visit: Any) -> int:
        with CaptureQueriesContext(connection) as captured:
            visit()
        return len(captured)

    page(staff, small)  # The first visit of a session reads more.
    assert queries(lambda: page(staff, small)) == queries(lambda: page(staff, large))
    assert queries(lambda: list(long_rows(large))) == 1
    before = queries(lambda: staff.get(reverse("results_list")))
    make_answered_study(["11"])
    assert queries(lambda: staff.get(reverse("results_list"))) == before


def test_one_participant_gets_reasons_instead_of_intervals(staff: Client) -> None:
    found = page(staff, make_answered_study(["1101"]))
    assert "needs at least 2 of each, got participants: 1, prompts: 4" in found
    assert "needs at least 2 participants, got 1" in found
    assert not re.search(r"\bnan\b", found, re.IGNORECASE)


def test_equal_participants_get_reasons_instead_of_empty_intervals(staff: Client) -> None:
    found = page(staff, make_answered_study(["1111", "1111"]))
    assert "All 2 participants have the same rate, 100.0%" in found
    assert "100.0% of trials" in found


def test_difference_is_said_in_words(staff: Client) -> None:
    found = page(staff, make_answered_study(["000010", "000000", "010000", "000001"]))
    assert "The interval excludes chance" in found
    assert "choose the reference image more often" in found


def test_similarity_is_worded_as_similarity(staff: Client) -> None:
    found = page(staff, make_answered_study(CHOICES, task="similarity"))
    assert "judged closer to the image above than the reference image in 66.7%" in found


def test_seconds_are_compared_only_within_one_place(staff: Client) -> None:
    study = make_answered_study(CHOICES)
    assert "0.39 ± 0.01" in page(staff, study)
    pair = Pair.objects.order_by("pk")[0]
    pair.candidate.provenance = {"device_name": "another", "batch_size": 4}
    pair.candidate.save(update_fields=["provenance"])
    assert "leaves out 1 image not timed so" in page(staff, study)


def test_seconds_measured_alone_are_interpolated_between_measured_counts(staff: Client) -> None:
    study = make_answered_study(CHOICES)
    factories.make_latencies(study.model, {10: 0.5, 30: 1.46, 50: 2.6})
    found = page(staff, study)
    # Steps 10 to 13 take 0.5 to 0.644 s, on average 0.572; the full 50 take 2.6: 2.028 ± 0.062.
    # R²: 42^2 / (800 * 2.2104) = 0.99756, which is not rounded up.
    assert '<td data-label="Saved">2.03 ± 0.06</td>' in found
    assert ("Measured alone, interpolated linearly between 3 measured step counts, 10 to 50; a "
            "straight line through them has R² = 0.9975. One image at a time on a device, float32; "
            "median of 5 images at each count. 4 prompts.") in found
    assert "Seconds, attributed" in found
    assert "Attributed while rendering" in found


def test_without_latencies_the_page_says_how_to_get_them(staff: Client) -> None:
    study = make_answered_study(CHOICES)
    found = page(staff, study)
    assert "Seconds per prompt, measured alone" not in found
    assert ("No seconds measured alone: how long one image of this model takes alone was not "
            "measured yet. Choose “Measure latency” for") in found
    factories.make_latencies(study.model, {25: 1.0})
    assert "needs at least 2 measured step counts, got 1" in page(staff, study)


def test_nothing_is_extrapolated_beyond_the_measured_counts(staff: Client) -> None:
    study = make_answered_study(CHOICES)
    factories.make_latencies(study.model, {12: 0.5, 50: 2.6})
    found = page(staff, study)
    assert "10 steps lie outside the measured 12 to 50 steps" in found
    assert "Seconds per prompt, measured alone" not in found


def test_only_the_newest_latencies_of_the_models_own_settings_count(staff: Client) -> None:
    study = make_answered_study(CHOICES)
    factories.make_latencies(study.model, {10: 5.0, 50: 26.0})
    factories.make_latencies(study.model, {10: 0.5, 50: 2.6}, device_name="a newer device")
    found = page(staff, study)
    assert "a newer device" in found
    assert "26.00" not in found
    factories.make_latencies(study.model, {10: 0.5, 50: 2.6}, settings={"width": 8})
    assert "was not measured yet" in page(staff, study)


def add_cheaper_contrast(study: Study, *, num_steps: int) -> None:
    """Against a uniform count, for the study's first contrast's prompts and candidates."""
    pairs = list(study.contrasts.get().pairs.order_by("pk"))
    contrast = factories.make_contrast(study=study, baseline_arm="uniform")
    for pair in pairs:
        uniform = factories.make_ready_render(model=study.model, prompt=pair.prompt,
                                              num_steps=num_steps)
        Pair.objects.create(contrast=contrast, prompt=pair.prompt, seed=pair.seed,
                            candidate=pair.candidate, baseline=uniform)


def test_full_step_image_of_another_contrast_gives_a_contrast_its_seconds(staff: Client) -> None:
    study = make_answered_study(CHOICES)
    add_cheaper_contrast(study, num_steps=20)
    found = page(staff, study)
    assert "No seconds attributed" not in found
    assert found.count("0.39 ± 0.01") == 2  # Against the same full-step images, so the same.


def test_why_there_are_no_seconds_is_said_truly(staff: Client) -> None:
    study = factories.make_study()
    contrast = factories.make_contrast(study=study, baseline_arm="uniform")
    model, prompt = study.model, factories.make_prompt()
    Pair.objects.create(
        contrast=contrast, prompt=prompt, seed=1,
        candidate=factories.make_ready_render(model=model, prompt=prompt, num_steps=8),
        baseline=factories.make_ready_render(model=model, prompt=prompt, num_steps=12))
    assert "has been rendered and timed also at the full step count" in page(staff, study)
    factories.make_ready_render(model=model, prompt=prompt, num_steps=50,
                                provenance={"device_name": "another"})
    assert "timed on the same device and at the same batch size" in page(staff, study)


def test_median_seconds_stand_beside_a_mean_that_one_slow_image_moved(staff: Client) -> None:
    study = make_answered_study(CHOICES)
    slow = Pair.objects.order_by("pk")[0].candidate
    slow.seconds = 9.0
    slow.save(update_fields=["seconds"])
    found = page(staff, study)
    row = found[found.index("Seconds, attributed: median"):].split("</tr>")[0]
    # 0.11, 0.12, 0.13 and 9.0 against 0.5 each: medians by hand.
    assert re.findall(r">([-0-9.%]+)</td>", row) == ["0.12", "0.50", "0.38", "75.0%", "4"]


def add_prompts(study: Study, *, num_without_pair: int) -> None:
    prompts = [*Prompt.objects.filter(pairs__contrast__study=study).distinct(),
               *(factories.make_prompt() for _ in range(num_without_pair))]
    for position, prompt in enumerate(prompts, start=1):
        StudyPrompt.objects.create(study=study, prompt=prompt, position=position)


def test_prompts_left_out_are_said_and_counted_as_nothing_saved(staff: Client) -> None:
    study = make_answered_study(CHOICES)
    add_prompts(study, num_without_pair=1)
    found = page(staff, study)
    assert ("1 of 5 prompts got equal step counts from both arms and was not shown; rate and "
            "savings speak of the others.") in found
    # Steps 10, 11, 12, 13 of 50 and once all 50: saved 154 of 250, on average 30.8; SD 17.3.
    assert "all prompts: those not shown count as none saved" in found
    assert "30.8 ± 17.3" in found
    assert "61.6%" in found
    assert "38.5 ± 1.3" in found


def test_what_prompts_left_out_save_is_not_guessed_without_the_reference(staff: Client) -> None:
    study = factories.make_study()
    make_contrast_with_pairs(study, 2, candidate_arm="uniform", baseline_arm="budgeted")
    add_prompts(study, num_without_pair=2)
    found = page(staff, study)
    assert "2 of 4 prompts got equal step counts from both arms and were not shown" in found
    assert "none saved" not in found


def test_no_prompt_is_left_out_where_every_one_has_its_pair_or_none_is_prepared(
    staff: Client,
) -> None:
    study = make_answered_study(CHOICES)
    add_prompts(study, num_without_pair=0)
    assert "equal step counts" not in page(staff, study)
    unprepared = factories.make_study(num_prompts=2)
    factories.make_contrast(study=unprepared)
    assert "equal step counts" not in page(staff, unprepared)


def test_contrast_of_which_every_prompt_is_left_out_says_so(staff: Client) -> None:
    study = make_answered_study(CHOICES)
    add_prompts(study, num_without_pair=0)
    factories.make_contrast(study=study, candidate_arm="uniform", baseline_arm="fixed(8)")
    found = page(staff, study)
    assert "4 of 4 prompts got equal step counts from both arms and were not shown" in found
    assert "both arms give every prompt the same number of steps" in found


def test_results_lead_back_to_the_study_for_those_who_may_see_it(admin_client: Client) -> None:
    study = make_answered_study(["1"])
    address = reverse("admin:studies_study_change", args=[study.pk])
    assert f'href="{address}"' in page(admin_client, study)
    client = Client()
    client.force_login(User.objects.create_user("reader", is_staff=True))
    assert address not in page(client, study)


def test_participants_dots_stand_clear_of_the_axis() -> None:
    figure = figures._compose([Panel("t", "c", "a", [], [0.2, 0.4, 0.4, 0.4])])
    axes, = figure.axes
    dots: Any = axes.collections[0]
    lowest = axes.transData.transform(dots.get_offsets())[:, 1].min()
    radius = (dots.get_sizes()[0] / np.pi) ** 0.5 * figure.dpi / 72
    assert lowest - radius > axes.bbox.y0 + 4 * figure.dpi / 72  # Four points of air.
    highest = axes.transData.transform(dots.get_offsets())[:, 1].max()
    label: Any = next(text for text in axes.texts if text.get_text() == "Each participant")
    assert lowest <= axes.transData.transform((0, label.xy[1]))[1] <= highest


def test_study_without_answers_says_what_to_do(staff: Client) -> None:
    study = factories.make_study()
    assert "Add a contrast" in page(staff, study)
    make_contrast_with_pairs(study, 2)
    assert "No study session is open" in page(staff, study)
    make_session(study)
    assert "Send its link to participants" in page(staff, study)
    assert list(read_csv(study).columns) == METHOD_COLUMNS
    assert staff.get(reverse("results_figure", args=[study.public_id, "svg"])).status_code == 404


def test_list_shows_counts_and_its_empty_state(staff: Client) -> None:
    assert "There is no study yet" in staff.get(reverse("results_list")).content.decode()
    make_answered_study(CHOICES, name="Pilot")
    found = re.sub(r"\s+", " ", staff.get(reverse("results_list")).content.decode())
    assert "Pilot" in found
    assert '<td data-label="Participants finished">3</td>' in found
    assert '<td data-label="Answers">12</td>' in found


@pytest.mark.parametrize(("file_format", "content_type", "start"), [
    ("svg", "image/svg+xml", b"<?xml"), ("pdf", "application/pdf", b"%PDF"),
    ("png", "image/png", b"\x89PNG"),
])
def test_figure_is_a_file_of_its_format_and_the_same_twice(
    staff: Client, file_format: str, content_type: str, start: bytes
) -> None:
    study = make_answered_study(CHOICES)
    address = reverse("results_figure", args=[study.public_id, file_format])
    first, second = staff.get(address), staff.get(address)
    assert first["Content-Type"] == content_type
    assert first.content.startswith(start)
    assert first.content == second.content
    # Inline styles, which the site forbids, are matplotlib's; nothing else is let in.
    assert first["Content-Security-Policy"].startswith("default-src 'none'; style-src")


def test_figure_refuses_another_format_and_nothing_to_draw(staff: Client) -> None:
    study = make_answered_study(CHOICES)
    assert staff.get(reverse("results_figure", args=[study.public_id, "gif"])).status_code == 404
    with pytest.raises(ValueError, match="got none"):
        draw_figure([], "svg")
    with pytest.raises(ValueError, match="got 'gif'"):
        draw_figure([Panel("t", "c", "a", [], [0.5])], "gif")


def addresses(study: Study) -> Iterator[str]:
    yield reverse("results_list")
    yield reverse("results", args=[study.public_id])
    yield reverse("results_csv", args=[study.public_id])
    yield reverse("results_figure", args=[study.public_id, "svg"])


def test_only_staff_may_read_results(client: Client) -> None:
    study = make_answered_study(CHOICES)
    for user in (None, User.objects.create_user("someone")):
        if user:
            client.force_login(user)
        for address in addresses(study):
            response = client.get(address)
            assert response.status_code == 302
            assert response["Location"] == f"{reverse('admin:login')}?next={address}"


def test_unknown_study_is_not_found(staff: Client) -> None:
    unknown = factories.make_study()
    Study.objects.filter(pk=unknown.pk).delete()
    for address in list(addresses(unknown))[1:]:
        assert staff.get(address).status_code == 404


def test_results_are_not_kept_by_caches(staff: Client) -> None:
    response = staff.get(reverse("results_list"))
    assert "no-store" in response["Cache-Control"]
    assert "private" in response["Cache-Control"]
