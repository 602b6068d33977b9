"""A CLIP tokenizer whose vocabulary is the caption grammar's words, and bytes for all else."""

from collections import Counter
from itertools import pairwise

from transformers import CLIPTokenizer

from generation.scenes.captions import WORDS

MAX_TOKENS = 40  # The longest caption of the grammar, with its start and end tokens, has 38.
_END_OF_WORD = "</w>"
_START, _END = "<|startoftext|>", "<|endoftext|>"


def build_tokenizer() -> CLIPTokenizer:
    """Build the tokenizer: one token for each word of the grammar, several for any other word."""
    merges = _learn_merges(WORDS)
    letters = _byte_letters()
    pieces = letters + [letter + _END_OF_WORD for letter in letters]
    pieces += [first + second for first, second in merges]
    vocabulary = {piece: index for index, piece in enumerate([*pieces, _START, _END])}
    return CLIPTokenizer(
        vocab=vocabulary,
        merges=merges,
        unk_token=_END,
        bos_token=_START,
        eos_token=_END,
        pad_token=_END,
        model_max_length=MAX_TOKENS,
    )


def _learn_merges(words: list[str]) -> list[tuple[str, str]]:
    """Merge the most frequent pair, over and over, until every word is one token.

    References
    ----------
    Sennrich, Haddow, Birch (2016), ACL, algorithm 1: byte pair encoding.
    """
    spelled = [[*word[:-1], word[-1] + _END_OF_WORD] for word in words]
    merges = []
    while counts := Counter(pair for pieces in spelled for pair in pairwise(pieces)):
        best = max(counts, key=lambda pair: (counts[pair], pair))
        merges.append(best)
        spelled = [_merged(pieces, best) for pieces in spelled]
    return merges


def _merged(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    result: list[str] = []
    for piece in pieces:
        if result and (result[-1], piece) == pair:
            result[-1] += piece
        else:
            result.append(piece)
    return result


def _byte_letters() -> list[str]:
    """Name each byte by one printable character, as byte-level BPE vocabularies do.

    Printable Latin-1 bytes stand for themselves; the others take the code points from 256 on.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]
