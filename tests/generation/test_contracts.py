"""The pure rendering engine says in numpydoc what its functions take, give and refuse."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import generation.diffusion

ROOM = Path(generation.diffusion.__path__[0])
Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_functions() -> Iterator[tuple[str, Function]]:
    for path in sorted(ROOM.glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, Function) and not node.name.startswith("_"):
                yield f"{path.stem}.{node.name}", node


def has_section(docstring: str, name: str) -> bool:
    return bool(re.search(rf"^{name}\n-+$", docstring, re.MULTILINE))


FUNCTIONS = dict(public_functions())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_function_has_its_contract(name: str) -> None:
    function = FUNCTIONS[name]
    docstring = ast.get_docstring(function) or ""
    arguments = [*function.args.args, *function.args.kwonlyargs]
    if arguments:
        assert has_section(docstring, "Parameters")
    for argument in arguments:
        assert re.search(rf"^([\w, ]+, )?{argument.arg}(, [\w, ]+)? : |^{argument.arg}$",
                         docstring, re.MULTILINE), argument.arg
    gives = ast.unparse(function.returns) if function.returns else "None"
    if gives != "None":
        assert has_section(docstring, "Returns") or has_section(docstring, "Yields")
    if any(isinstance(node, ast.Raise) for node in ast.walk(function)):
        assert has_section(docstring, "Raises")
