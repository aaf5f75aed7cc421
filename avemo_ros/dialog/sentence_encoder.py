"""What a sentence means, as a point on a sphere: sentences of one meaning are close together.

The network is all-MiniLM-L6-v2 (Reimers and Gurevych 2019, arXiv:1908.10084; Wang et al.
2020, arXiv:2002.10957), which reads English; models/networks.md says where its weights come
from.  Its file also holds the vocabulary.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.onnx_session import open_shipped

SIZE: Final = 384
"""Numbers of an embedding."""
VOCABULARY: Final = "vocabulary"
"""Key of the file's metadata: the pieces of words, one to a line."""
FILE: Final = "sentence-encoder.onnx"

_PAD, _UNKNOWN, _BEGIN, _END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
_INSIDE: Final = "##"
"""Begins a piece that stands inside a word."""
_LONGEST_WORD: Final = 100
"""Letters, beyond which a word is unknown as a whole."""
_MOST: Final = 64
"""Pieces of a sentence that count."""


class WordPieces:
    """Takes texts apart into pieces of words (WordPiece; Devlin et al. 2019, arXiv:1810.04805).

    Args:
        vocabulary: the pieces in the order of their numbers.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._numbers: Mapping[str, int] = {piece: n for n, piece in enumerate(vocabulary)}
        self._unknown = self._numbers[_UNKNOWN]

    def numbers(self, text: str) -> list[int]:
        """The pieces of a text between the signs for its begin and end, 64 at most."""
        found = [self._numbers[_BEGIN]]
        for word in _words(text):
            found += self._pieces(word)
            if len(found) >= _MOST:
                break
        return [*found[: _MOST - 1], self._numbers[_END]]

    def _pieces(self, word: str) -> list[int]:
        """The longest piece that fits first, then the same for the rest."""
        if len(word) > _LONGEST_WORD:
            return [self._unknown]
        found: list[int] = []
        start = 0
        while start < len(word):
            before = _INSIDE if start else ""
            for end in range(len(word), start, -1):
                number = self._numbers.get(before + word[start:end])
                if number is not None:
                    found.append(number)
                    start = end
                    break
            else:
                return [self._unknown]
        return found


def _words(text: str) -> Iterator[str]:
    """Words and signs in lower case, without accents."""
    word = ""
    for sign in unicodedata.normalize("NFD", text.lower()):
        kind = unicodedata.category(sign)
        if kind == "Mn" or (kind[0] == "C" and not sign.isspace()):
            continue
        if sign.isalnum():
            word += sign
            continue
        if word:
            yield word
            word = ""
        if not sign.isspace():
            yield sign
    if word:
        yield word


class SentenceEncoder:
    """Makes embeddings of sentences; for any thread.

    Raises:
        WeightsError: the network's file is missing or damaged.
    """

    def __init__(self) -> None:
        self._session: Any = open_shipped(FILE)
        stored = self._session.get_modelmeta().custom_metadata_map[VOCABULARY]
        self._pieces = WordPieces(stored.split("\n"))

    def embed(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """The embeddings of sentences.

        Returns:
            (N, 384), each of length 1: the scalar product of two is 1 for the same words, and
            near 0 for two subjects that have nothing to do with each other.
        """
        result = np.zeros((len(sentences), SIZE), np.float32)
        # One by one: the 8-bit scales are those of all that is read at once.
        for row, sentence in zip(result, sentences, strict=True):
            tokens = np.array([self._pieces.numbers(sentence)], np.int64)
            (row[:],) = self._session.run(("vector",), {"tokens": tokens})[0]
        return result
