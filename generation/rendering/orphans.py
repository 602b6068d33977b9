"""Removing files that no render names: what a crash leaves between a file and its row."""

import re
from collections.abc import Iterator

from django.core.files.storage import default_storage
from django.db import transaction

from generation.models import Render
from generation.rendering.files import FOLDER

# An image, or one that was being written when its worker died.
_FILE = re.compile(r"(?P<public_id>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\.webp"
                   r"(\.[0-9a-f]{32}\.partial)?")


def remove_orphans() -> int:
    """Remove the files of renders that do not name them; return how many there were.

    Without a row there is no telling whose a file is: it is left alone. The database may be
    another one, or older than the folder.
    """
    return sum(_remove(name, public_id=public_id) for name, public_id in _unknown_files())


def _unknown_files() -> Iterator[tuple[str, str]]:
    """Yield the name and the render's id of files that no row named a moment ago."""
    try:
        _, files = default_storage.listdir(FOLDER)
    except FileNotFoundError:  # Nothing was rendered yet.
        return
    known = set(Render.objects.ready().values_list("image", flat=True))
    for file in files:
        name, match = f"{FOLDER}/{file}", _FILE.fullmatch(file)
        if match and name not in known:
            yield name, match["public_id"]


@transaction.atomic
def _remove(name: str, *, public_id: str) -> bool:
    """Remove a file, if its row still does not name it; return whether it was removed."""
    # Whoever writes the file holds the row, and is waited for here.
    render = Render.objects.select_for_update().filter(public_id=public_id).first()
    if render is None or render.image.name == name:
        return False
    default_storage.delete(name)
    return True
