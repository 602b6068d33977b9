"""Which weights a pipeline's folder holds. Reads files only, so it needs no torch."""

import hashlib
from functools import lru_cache
from pathlib import Path

from generation.diffusion.folders import PipelineError, parts_with_weights


def weights_sha256(folder: Path) -> str:
    """Return one digest for all weights of a pipeline.

    Parameters
    ----------
    folder : pathlib.Path
        As `save_pretrained` of diffusers writes it. What lies there beside the pipeline's own
        parts does not count.

    Returns
    -------
    str
        64 hexadecimal digits: the sha256 of the list of files and their sha256s.

    Raises
    ------
    PipelineError
        If the folder is no pipeline's, or a file cannot be read.
    """
    whole = hashlib.sha256()
    try:
        for part in sorted(parts_with_weights(folder)):
            for file in sorted((folder / part).glob("*.safetensors")):
                whole.update(f"{file_sha256(file)}  {part}/{file.name}\n".encode())
    except OSError as error:
        raise PipelineError(f"the weights in {folder} cannot be read: {error}") from error
    return whole.hexdigest()


def file_sha256(path: Path) -> str:
    """Return a file's sha256; an unchanged file is read once a process.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    state = path.stat()
    return _file_sha256(path.resolve(), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=256)
def _file_sha256(path: Path, _mtime_ns: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
