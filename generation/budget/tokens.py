"""Count a prompt's tokens without torch, so that a form can refuse a prompt that is too long."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "config.json"


@dataclass(frozen=True)
class TokenCounter:
    """The tokenizer of a predictor's folder.

    Attributes
    ----------
    max_tokens : int
        The longest prompt that is read whole, in tokens, start and end tokens included.
    """

    tokenizer: Tokenizer
    max_tokens: int

    @classmethod
    def from_folder(cls, folder: Path) -> "TokenCounter":
        """Read the tokenizer; raise ValueError, naming the path, if it is not there."""
        for name in (TOKENIZER_FILE, CONFIG_FILE):
            if not os.path.isfile(folder / name):  # Path.is_file raises where a name is too long.
                raise ValueError(f"{folder} holds no {name}: it is not a predictor's folder")
        try:
            tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
            max_tokens = int(json.loads((folder / CONFIG_FILE).read_text())["max_tokens"])
        except Exception as error:  # The tokenizers package raises bare Exceptions.
            raise ValueError(f"{folder} is not a predictor's folder: {error!r}") from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return cls(tokenizer, max_tokens)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, start and end tokens included, never cut."""
        return [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]

    def count(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, start and end tokens included."""
        return [len(ids) for ids in self.ids(texts)]
