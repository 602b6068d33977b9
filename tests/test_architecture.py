"""The rooms of the house: what each may import, and what the web process never loads."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PURE = ("generation.diffusion", "generation.budget", "generation.scenes",
        "studies.method", "studies.analysis")
BOUND_ONLY = ("django", "channels", "celery", "unfold", "redis", "psycopg")
SIBLINGS = ("studies.participation", "studies.desk", "studies.results")
SURFACES = {"views", "consumers", "admin", "urls", "forms", "routing"}
TORCH = ("torch", "diffusers", "transformers")
# Loaded by the web process, so nothing at their top level may import torch.
WEB = ("budgetstudy", "studies", "generation.models", "generation.rendering", "generation.admin",
       "generation.tasks", "generation.diffusion.recipes", "generation.budget.tokens",
       "generation.budget.matching")


def modules(*packages: str) -> list[str]:
    paths = [path for package in packages for path in _files(package)]
    return sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths)


def _files(package: str) -> Iterator[Path]:
    place = ROOT.joinpath(*package.split("."))
    yield from (p for p in place.rglob("*.py") if "migrations" not in p.parts)
    if place.with_suffix(".py").exists():
        yield place.with_suffix(".py")


def imports(module: str, *, top_level_only: bool = False) -> set[str]:
    """Names of the modules that a module imports, wherever in it the import stands."""
    tree = ast.parse((ROOT.joinpath(*module.split(".")).with_suffix(".py")).read_text())
    nodes = tree.body if top_level_only else ast.walk(tree)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{module} has a relative import"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def is_surface(module: str) -> bool:
    parts = module.split(".")
    return bool(SURFACES & set(parts)) or any(
        part.endswith(("_admin", "_views")) for part in parts
    )


def reaches(names: set[str], packages: tuple[str, ...]) -> set[str]:
    return {name for name in names for package in packages
            if name == package or name.startswith(f"{package}.")}


@pytest.mark.parametrize("module", modules(*PURE))
def test_pure_rooms_know_no_framework_and_no_bound_room(module: str) -> None:
    found = imports(module)
    ours = {name for name in reaches(found, ("generation", "studies", "budgetstudy"))
            if not reaches({name}, PURE)}
    assert not reaches(found, BOUND_ONLY) | ours


@pytest.mark.parametrize("module", modules("generation"))
def test_generation_never_imports_studies(module: str) -> None:
    assert not reaches(imports(module), ("studies",))


@pytest.mark.parametrize("module", modules(*SIBLINGS))
def test_rooms_beside_each_other_do_not_import_each_other(module: str) -> None:
    others = tuple(room for room in SIBLINGS if not module.startswith(room))
    assert not reaches(imports(module), others)


@pytest.mark.parametrize("module", modules("generation.models", "studies.models"))
def test_models_import_only_models_and_pure_rooms(module: str) -> None:
    ours = reaches(imports(module), ("generation", "studies", "budgetstudy"))
    allowed = (*PURE, "generation.models", "studies.models")
    assert not {name for name in ours if not reaches({name}, allowed)}


@pytest.mark.parametrize("module", modules("generation", "studies"))
def test_services_and_below_do_not_import_a_surface(module: str) -> None:
    if is_surface(module) or "management" in module:
        pytest.skip("is a surface itself")
    ours = reaches(imports(module), ("generation", "studies"))
    assert not {name for name in ours if is_surface(name)}


@pytest.mark.parametrize("module", modules(*WEB))
def test_what_the_web_loads_imports_torch_only_inside_functions(module: str) -> None:
    assert not reaches(imports(module, top_level_only=True), TORCH)


def test_web_process_never_loads_torch() -> None:
    check = ("import sys, budgetstudy.asgi; from django.urls import get_resolver; "
             "get_resolver().reverse_dict; "
             f"sys.exit(str(set({TORCH}) & set(sys.modules)) if set({TORCH}) & set(sys.modules) "
             "else 0)")
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT)


def test_nothing_but_the_settings_reads_the_environment() -> None:
    allowed = {"budgetstudy.settings", "budgetstudy.celery", "budgetstudy.asgi",
               "budgetstudy.supervisor"}
    for module in modules("budgetstudy", "generation", "studies"):
        source = (ROOT.joinpath(*module.split(".")).with_suffix(".py")).read_text()
        assert module in allowed or "os.environ" not in source, module
