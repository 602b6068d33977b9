"""The demo study: made from a prompt file, rendered, and opened as soon as it can run."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth import get_user_model

from generation.models import Predictor, RenderState
from generation.rendering.shipped import MODEL_NAME, register_shipped_model
from studies.desk.imports import read_prompts
from studies.desk.progress import study_renders
from studies.desk.readiness import missing_for_launch
from studies.desk.services import create_study, open_session, prepare
from studies.models import Pair, SessionState, Study, StudySession

PROMPTS_FILE = Path(__file__).with_name("demo_prompts.csv")
STUDY_NAME = "Demo: predicted budget or every step?"
USER_NAME = "experimenter"
_MAIN_TRIALS = 16


@dataclass(frozen=True)
class DemoProgress:
    """Pairs that can be shown, pairs in all, renders done, renders in all."""

    ready_pairs: int
    pairs: int
    ready_renders: int
    renders: int

    def is_complete(self) -> bool:
        return 0 < self.pairs == self.ready_pairs


def make_user(password_file: Path) -> str:
    """Make the demo's administrator if missing; return the password kept in `password_file`."""
    users = get_user_model().objects
    if not password_file.exists():
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_urlsafe(9))
    password = password_file.read_text()
    if not users.filter(username=USER_NAME).exists():
        users.create_superuser(USER_NAME, password=password)
    return password


def make_session() -> StudySession:
    """Make the demo study with one session if missing, and ask for what it lacks."""
    predictor = register_shipped_model()
    # Weights that were shipped later have a study of their own.
    name = STUDY_NAME + predictor.model.name.removeprefix(MODEL_NAME)
    study = Study.objects.filter(name=name).first() or _make_study(name, predictor)
    session, _ = StudySession.objects.get_or_create(
        study=study, name="First wave", defaults={"quota": 100}
    )
    if not study.is_frozen():
        prepare(study)
    return session


def advance(session: StudySession) -> DemoProgress:
    """Open the session once enough pairs are ready, and say how far the images are."""
    if session.state == SessionState.DRAFT and not missing_for_launch(session.study):
        open_session(session)
    pairs = Pair.objects.filter(contrast__study=session.study)
    renders = study_renders(session.study)
    return DemoProgress(
        ready_pairs=pairs.ready().count(),
        pairs=pairs.count(),
        ready_renders=renders.filter(state=RenderState.READY).count(),
        renders=renders.count(),
    )


def _make_study(name: str, predictor: Predictor) -> Study:
    prompts = read_prompts(PROMPTS_FILE.read_bytes(), PROMPTS_FILE.name, None)
    return create_study(name, prompts.accepted, predictor=predictor, main_trials=_MAIN_TRIALS)
