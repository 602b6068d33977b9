import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "js"
# From here on, Node takes a .js file that imports for the module that it is.
OLDEST_NODE = (20, 19)


def node_version() -> tuple[int, ...]:
    if (node := shutil.which("node")) is None:
        return (0,)
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in said.strip().lstrip("v").split("."))


@pytest.mark.skipif(node_version() < OLDEST_NODE, reason="needs Node 20.19 or newer")
def test_modules_without_dom_pass_their_own_tests() -> None:
    files = sorted(str(path) for path in FOLDER.glob("*.test.mjs"))
    assert files
    done = subprocess.run(["node", "--test", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
