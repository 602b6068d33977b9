import re
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from studies.desk.imports import (
    MAX_FILE_BYTES,
    MAX_PROMPT_BYTES,
    PromptFileError,
    PromptList,
    read_prompts,
)


@dataclass(frozen=True)
class WordCounter:
    """Counts words, and a start and an end token."""

    max_tokens: int = 8

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) + 2 for text in texts]


def read(text: str | bytes, name: str = "prompts.txt") -> PromptList:
    return read_prompts(text if isinstance(text, bytes) else text.encode(), name, WordCounter())


def texts(result: PromptList) -> list[str]:
    return [row.text for row in result.accepted]


@pytest.mark.parametrize(("content", "expected"), [
    ("a red square\na blue circle\n", ["a red square", "a blue circle"]),
    ("a red square\r\na blue circle\r\n", ["a red square", "a blue circle"]),
    ("a red square\ra blue circle", ["a red square", "a blue circle"]),
    ("\n\n  a red   square\t\n\n\n", ["a red square"]),
    ("\ufeffa red square", ["a red square"]),
    ("a\u00a0red\u2003square", ["a red square"]),
    ("一个红色的正方形\nŽlutý kůň", ["一个红色的正方形", "Žlutý kůň"]),
    ("a red square, on blue", ["a red square, on blue"]),
])
def test_plain_text_is_read_line_by_line(content: str, expected: list[str]) -> None:
    result = read(content)
    assert texts(result) == expected
    assert not result.refused
    assert not result.duplicates


def test_a_line_keeps_its_number_past_blank_lines_and_odd_separators() -> None:
    result = read("one\n\ntwo\u2028still two\x0c\nthree")
    assert [(row.line, row.text) for row in result.accepted] == [
        (1, "one"), (3, "two still two"), (4, "three")]


@pytest.mark.parametrize(("content", "message"), [
    (b"", r"prompts\.txt is empty"),
    (b" \n\t\n", r"prompts\.txt is empty"),
    (b"\xef\xbb\xbf", "holds no prompt"),
    ("caf\u00e9\n".encode("latin-1"), r"not UTF-8: byte 4, on line 1, is 0xE9"),
    (b"one\ntwo\n\xff", r"byte 9, on line 3, is 0xFF"),
    (b"one\r\ntwo caf\xe9\r\n", r"byte 13, on line 2, is 0xE9"),
    (b"\xef\xbb\xbfone\n\xe9", r"byte 8, on line 2, is 0xE9"),
    ("one".encode("utf-16"), "is UTF-16.*save it as UTF-8"),
    (b"\x89PNG\r\n\x1a\n\0\0", r"not UTF-8: byte 1, on line 1, is 0x89"),
    (b"a" * (MAX_FILE_BYTES + 1), r"has 5,242,881 bytes.*at most 5,242,880"),
])
def test_a_file_that_cannot_be_read_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(PromptFileError, match=message):
        read(content)


@pytest.mark.parametrize(("content", "message"), [
    ("text,category\na,b\n", "no column “prompt”, only “text”, “category”"),
    ("a red square\na blue circle\n", "no column “prompt”, only “a red square”"),
    ("prompt;category\na;b\n", "separate columns by commas"),
    ("prompt,Prompt\na,b\n", "names a column twice"),
    ("prompt,category,category\na,b,c\n", "names a column twice"),
    ("prompt\n", "holds no prompt"),
    ("prompt\n\n , \n", "holds no prompt"),
    ('prompt\n"a red square\n', "line 2: unexpected end of data"),
    ('prompt\n"a" red square\n', "line 2:"),
])
def test_a_csv_that_cannot_be_read_is_refused(content: str, message: str) -> None:
    with pytest.raises(PromptFileError, match=message):
        read(content, "prompts.csv")


@pytest.mark.parametrize(("content", "line", "reason"), [
    ("good\none two three four five six seven", 2,
     "9 tokens long, the model reads at most 8: shorten “one two"),
    ("good\nbad\0prompt", 2, "NUL"),
    ("bad \x1b[0m escape", 1, r"control character U\+001B"),
    ("good\n" + "é" * (MAX_PROMPT_BYTES // 2 + 1), 2, "2,002 bytes long"),
])
def test_a_bad_line_is_refused_with_its_number(content: str, line: int, reason: str) -> None:
    result = read(content)
    assert [row.line for row in result.refused] == [line]
    assert re.search(reason, result.refused[0].reason)
    assert result.refusals()[0].startswith(f"prompts.txt, line {line}: ")


@pytest.mark.parametrize(("content", "line", "reason"), [
    ("prompt,category\na red square, on blue,shapes\n", 2, "3 cells where the first line has 2"),
    ("prompt\na,b\n", 2, "put quotes around"),
    ("prompt,category\n,shapes\n", 2, "the prompt is empty"),
    (f"prompt,category\na,{'x' * 101}\n", 2, "category has 101 characters"),
    ("prompt\nbad\0prompt\n", 2, "NUL"),
    ('prompt\n"two\nlines"\none two three four five six seven\n', 4, "9 tokens"),
])
def test_a_bad_csv_row_is_refused_with_its_line(content: str, line: int, reason: str) -> None:
    result = read(content, "prompts.csv")
    assert [row.line for row in result.refused] == [line]
    assert re.search(reason, result.refused[0].reason)


def test_csv_keeps_categories_quotes_and_any_column_order() -> None:
    content = 'id,Category, Prompt \n1,shapes,"a square, ""red"""\n2,,"two\nlines"\n3\n'
    result = read(content, "PROMPTS.CSV")
    assert [(row.line, row.text, row.category) for row in result.accepted] == [
        (2, 'a square, "red"', "shapes"), (3, "two lines", "")]
    assert [row.line for row in result.refused] == [5]


def test_duplicates_are_kept_once_and_named() -> None:
    result = read("a red square\nblue\n a  red square \n\nblue\na red square\n")
    assert texts(result) == ["a red square", "blue"]
    assert [(row.line, row.first_line) for row in result.duplicates] == [(3, 1), (5, 2), (6, 1)]
    assert result.duplicate_note() == (
        "prompts.txt: 3 lines repeat an earlier prompt, which is kept once: 3 (as 1), 5 (as 2), "
        "6 (as 1).")


def test_a_long_list_of_duplicates_is_cut_in_the_note_only() -> None:
    result = read("same\n" * 30)
    assert len(result.duplicates) == 29
    assert "and 9 more." in result.duplicate_note()


def test_every_refused_row_is_listed_in_the_order_of_the_file() -> None:
    result = read("ok\nbad\0\n1 2 3 4 5 6 7\nfine\nbad\x01\n")
    assert [row.line for row in result.refused] == [2, 3, 5]
    assert texts(result) == ["ok", "fine"]


def test_without_a_counter_the_length_in_tokens_is_not_checked() -> None:
    result = read_prompts(b"1 2 3 4 5 6 7 8 9", "prompts.txt", None)
    assert not result.refused
