"""Read a prompt file: one prompt a line, or CSV with a `prompt` column."""

import csv
import io
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

MAX_FILE_BYTES = 5 * 1024 * 1024
# PostgreSQL indexes prompts by their text, and refuses index rows above 2,704 bytes.
MAX_PROMPT_BYTES = 2000
MAX_CATEGORY_CHARACTERS = 100


class PromptFileError(ValueError):
    """The file as a whole cannot be read; the message names it and says what to do."""


class TokenCounting(Protocol):
    """Counts tokens as the text encoder will, start and end tokens included."""

    @property
    def max_tokens(self) -> int: ...

    def count(self, texts: Sequence[str]) -> list[int]: ...


@dataclass(frozen=True)
class PromptRow:
    """One prompt as the file has it, whitespace normalised."""

    line: int
    text: str
    category: str = ""


@dataclass(frozen=True)
class RefusedRow:
    line: int
    reason: str


@dataclass(frozen=True)
class DuplicateRow:
    """A prompt that the file already had; the first one is kept."""

    line: int
    first_line: int


@dataclass(frozen=True)
class PromptList:
    """What a file held. Lines count from 1, as an editor shows them."""

    filename: str
    accepted: list[PromptRow] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)
    duplicates: list[DuplicateRow] = field(default_factory=list)

    def refusals(self) -> list[str]:
        """One sentence for each refused row."""
        return [f"{self.filename}, line {row.line}: {row.reason}" for row in self.refused]

    def duplicate_note(self) -> str:
        """Which lines repeat an earlier one, in a sentence; empty when none does."""
        if not self.duplicates:
            return ""
        shown = ", ".join(f"{row.line} (as {row.first_line})" for row in self.duplicates[:20])
        more = len(self.duplicates) - 20
        ending = f" and {more} more" if more > 0 else ""
        noun = "line repeats" if len(self.duplicates) == 1 else "lines repeat"
        return (f"{self.filename}: {len(self.duplicates)} {noun} an earlier prompt, which is kept "
                f"once: {shown}{ending}.")


def read_prompts(data: bytes, filename: str, counter: TokenCounting | None) -> PromptList:
    """Read a prompt file; a file that cannot be read at all raises PromptFileError.

    Parameters
    ----------
    data : bytes
        UTF-8, with or without a byte order mark.
    filename : str
        Named in every message; a name ending in .csv is read as CSV, any other as plain text.
    counter : TokenCounting or None
        Counts tokens; None leaves the length in tokens unchecked.

    Returns
    -------
    PromptList
        Accepted prompts in the file's order, refused rows with reasons, and duplicates.
    """
    text = _decoded(data, filename)
    rows = list(_csv_rows(text, filename) if filename.lower().endswith(".csv")
                else _plain_rows(text))
    if not rows:
        raise PromptFileError(f"{filename} holds no prompt: write one prompt on each line")
    return _sorted_out(rows, filename, counter=counter)


def _decoded(data: bytes, filename: str) -> str:
    """The file's text, or an error that says where it stops being UTF-8."""
    if not data.strip():
        raise PromptFileError(f"{filename} is empty: write one prompt on each line")
    if len(data) > MAX_FILE_BYTES:
        raise PromptFileError(
            f"{filename} has {len(data):,} bytes; a prompt file has at most {MAX_FILE_BYTES:,}: "
            "split it"
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise PromptFileError(f"{filename} is UTF-16 (its first bytes say so): save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # A byte order mark is cut before decoding, so positions are counted from after it.
        start = error.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
        line = len(data[:start].decode("utf-8-sig").splitlines(keepends=False) or [""])
        line += data[:start].endswith((b"\n", b"\r"))
        raise PromptFileError(
            f"{filename} is not UTF-8: byte {start + 1}, on line {line}, is "
            f"0x{data[start]:02X}. Save the file as UTF-8 and upload it again"
        ) from None


def _plain_rows(text: str) -> Iterator[PromptRow | RefusedRow]:
    # Not splitlines(): it also breaks at form feeds and Unicode separators, and then line numbers
    # differ from those of an editor.
    for line, content in enumerate(io.StringIO(text, newline=None), start=1):
        if content.strip():
            yield PromptRow(line, content)


def _csv_rows(text: str, filename: str) -> Iterator[PromptRow | RefusedRow]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: list[str] | None = None
    while True:
        line = reader.line_num + 1  # A quoted cell may span lines: a row is where it starts.
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise PromptFileError(f"{filename}, line {line}: {error}: check its quotes") from None
        if not any(cell.strip() for cell in cells):
            continue
        if columns is None:
            columns = _header(cells, filename)
        else:
            yield _csv_row(dict(enumerate(cells)), line, columns=columns)


def _header(cells: Iterable[str], filename: str) -> list[str]:
    columns = [" ".join(cell.split()).lower() for cell in cells]
    if columns.count("prompt") == 1 and columns.count("category") <= 1:
        return columns
    found = ", ".join(f"“{column}”" for column in columns)
    if columns.count("prompt") > 1 or columns.count("category") > 1:
        raise PromptFileError(f"{filename} names a column twice in its first line: {found}")
    hint = "separate columns by commas" if any(mark in found for mark in ";\t") else (
        "name the column of prompts in the first line")
    raise PromptFileError(f"{filename} has no column “prompt”, only {found}: {hint}")


def _csv_row(cells: dict[int, str], line: int, *, columns: list[str]) -> PromptRow | RefusedRow:
    if len(cells) > len(columns):
        # Taking the first cells would cut a prompt at its first comma.
        return RefusedRow(line, f"has {len(cells)} cells where the first line has {len(columns)}: "
                                "put quotes around a prompt that contains a comma")
    text = cells.get(columns.index("prompt"), "")
    category = cells.get(columns.index("category"), "") if "category" in columns else ""
    return PromptRow(line, text, category)


def _sorted_out(rows: Sequence[PromptRow | RefusedRow], filename: str, *,
                counter: TokenCounting | None) -> PromptList:
    """Refuse what cannot be used, keep each prompt once, and say so."""
    result = PromptList(filename, refused=[row for row in rows if isinstance(row, RefusedRow)])
    usable: list[PromptRow] = []
    for row in (_normalised(row) for row in rows if isinstance(row, PromptRow)):
        if reason := _fault(row):
            result.refused.append(RefusedRow(row.line, reason))
        else:
            usable.append(row)
    kept: dict[str, PromptRow] = {}
    for row, num_tokens in zip(usable, _token_counts(usable, counter), strict=True):
        if counter is not None and num_tokens > counter.max_tokens:
            result.refused.append(RefusedRow(
                row.line, f"{num_tokens} tokens long, the model reads at most "
                          f"{counter.max_tokens}: shorten “{_shortened(row.text)}”"))
        elif row.text in kept:
            result.duplicates.append(DuplicateRow(row.line, kept[row.text].line))
        else:
            kept[row.text] = row
    result.accepted.extend(kept.values())
    result.refused.sort(key=lambda row: row.line)
    return result


def _token_counts(rows: Sequence[PromptRow], counter: TokenCounting | None) -> list[int]:
    if counter is None or not rows:
        return [0] * len(rows)
    return counter.count([row.text for row in rows])


def _normalised(row: PromptRow) -> PromptRow:
    return PromptRow(row.line, " ".join(row.text.split()), " ".join(row.category.split()))


def _fault(row: PromptRow) -> str:
    """Why a row cannot be used; empty when it can."""
    for character in row.text + row.category:
        if character == "\0":
            return "contains a NUL character: is this a text file?"
        if unicodedata.category(character) == "Cc":
            return f"contains the control character U+{ord(character):04X}: remove it"
    if not row.text:
        return "the prompt is empty"
    num_bytes = len(row.text.encode())
    if num_bytes > MAX_PROMPT_BYTES:
        return (f"{num_bytes:,} bytes long, a prompt has at most {MAX_PROMPT_BYTES:,}: shorten "
                f"“{_shortened(row.text)}”")
    if len(row.category) > MAX_CATEGORY_CHARACTERS:
        return (f"the category has {len(row.category)} characters, at most "
                f"{MAX_CATEGORY_CHARACTERS} are kept: shorten it")
    return ""


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
