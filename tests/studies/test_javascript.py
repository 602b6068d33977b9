import subprocess
from pathlib import Path

from playwright._impl._driver import compute_driver_executable

FOLDER = Path(__file__).parent / "js"


def test_modules_without_dom_pass_their_own_tests() -> None:
    """Under the Node that Playwright brings, so that none has to be installed."""
    files = sorted(str(path) for path in FOLDER.glob("*.test.mjs"))
    assert files
    node = compute_driver_executable()[0]
    done = subprocess.run([node, "--test", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
