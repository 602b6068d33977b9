"""The admin as a whole: its first page, its lists, who may do what."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils.timezone import now

from studies.desk.dashboard import add_next_steps
from studies.models import StudySession
from tests import factories
from tests.studies.desk_pages import (
    ADD_STUDY,
    make_ready_study,
    page,
)

pytestmark = pytest.mark.django_db


def test_the_first_page_says_what_to_do_next(desk: Client) -> None:
    content = desk.get("/admin/").content.decode()
    assert ADD_STUDY in content
    assert "Latest studies" not in content
    study = make_ready_study()
    content = desk.get("/admin/").content.decode()
    assert page(study) in content
    assert reverse("results", args=[study.public_id]) in content


def test_the_lists_are_read_in_a_bounded_number_of_queries(
    desk: Client, django_assert_max_num_queries: Any
) -> None:
    for _ in range(6):
        factories.make_open_session(num_pairs=1)
    for name in ("study", "studysession"):
        with django_assert_max_num_queries(10):
            desk.get(reverse(f"admin:studies_{name}_changelist"))


def test_the_first_page_counts_prompts_sessions_and_people_apart() -> None:
    session = factories.make_open_session(num_pairs=3)
    factories.make_open_session(num_pairs=0, study=factories.make_study())
    StudySession.objects.create(study=session.study, name="Another", state="open", opened_at=now())
    for _ in range(2):
        factories.make_participant(session=session, state="finished", finished_at=now(),
                                   completion_code="DONE")
    factories.make_participant(session=session)
    request = RequestFactory().get("/")
    request.user = User.objects.create_superuser("eva")
    rows = add_next_steps(request, {})["studies"]
    assert [(row.num_prompts, row.num_open, row.num_finished) for row in rows] == [
        (0, 1, 0), (3, 2, 2)]


def test_only_the_admin_may_evaluate_scripts(desk: Client) -> None:
    policy = desk.get("/admin/").headers["Content-Security-Policy"]
    assert "script-src 'self' 'unsafe-eval'" in policy
    assert "default-src 'none'" in policy
    for address in ("/healthz", f"/join/{factories.make_open_session(num_pairs=1).public_id}/"):
        assert "unsafe" not in desk.get(address).headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", ["progress", "prepare", "retry"])
def test_staff_without_permission_see_and_do_nothing(client: Client, name: str) -> None:
    study = make_ready_study()
    address = reverse(f"admin:studies_study_{name}", args=[study.pk])
    method = client.get if name == "progress" else client.post
    assert method(address).status_code == 302
    user = User.objects.create_user("ina", is_staff=True)
    client.force_login(user)
    assert method(address).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_study"))
    assert method(address).status_code == (200 if name == "progress" else 403)


def test_empty_lists_advise_only_what_can_be_done(desk: Client) -> None:
    recorded = desk.get(reverse("admin:studies_trial_changelist")).content.decode()
    assert "There are no trials yet." in recorded
    assert "Add trial" not in recorded
    assert "There are no studies yet." in desk.get(
        reverse("admin:studies_study_changelist")).content.decode()
    searched = desk.get(reverse("admin:studies_study_changelist"), {"q": "x"}).content.decode()
    assert "Nothing here matches." in searched


def test_breadcrumbs_begin_with_the_list(desk: Client) -> None:
    content = re.sub(r"\s+", " ", desk.get(page(make_ready_study())).content.decode())
    crumbs = re.findall(r'class="desk-crumb[^>]*> ([^<]*?) <', content)
    assert crumbs == ["Studies", "Colours"]
