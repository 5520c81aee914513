"""Byte-pair encoding: tokens that are learnt from a text, between single bytes and whole words.

Begin with the 256 bytes. Find the pair of neighbours that is most frequent in the text, make it a token of its own,
and replace the pair by it everywhere. Repeat. What is frequent becomes short, and since every byte is a token,
every text can be written.

Pairs are counted within *chunks* only (a word with the space before it, a run of signs, a run of spaces), so no
token reaches over the end of a word. Equal chunks are counted once, with their number.

Source: Sennrich, Haddow and Birch, Neural Machine Translation of Rare Words with Subword Units, 2016; on bytes as
in Radford and others, Language Models are Unsupervised Multitask Learners, 2019, section 2.2.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from minigrad.device import Array
from minigrad.serialize import write_atomically

Pair = tuple[int, int]
BYTES = 256
CHUNK = re.compile(r" ?\w+| ?[^\w\s]+|\s+(?!\S)|\s")
FORMAT = "minigrad byte pairs 1"


class BytePairTokenizer:
    """Between text and the tokens that a list of merges defines.

    Args:
        merges: pairs of tokens; the first makes token 256, the next 257, and so on.

    Raises:
        ValueError: a pair that refers to a later token, or that stands there twice.

    >>> tokenizer = BytePairTokenizer.train("low lower lowest", vocab_size=258)
    >>> [tokenizer.decode([token]) for token in tokenizer.encode("lowest")]
    ['low', 'e', 's', 't']
    """

    def __init__(self, merges: Sequence[Pair]) -> None:
        self.merges = [(int(left), int(right)) for left, right in merges]
        self.spelling = [bytes([value]) for value in range(BYTES)]  # the bytes of each token
        self._rank: dict[Pair, int] = {}
        for token, (left, right) in enumerate(self.merges, BYTES):
            if not (0 <= left < token and 0 <= right < token):
                raise ValueError(f"merge {token - BYTES} is ({left}, {right}); both must lie in [0, {token})")
            if (left, right) in self._rank:
                raise ValueError(f"merge {token - BYTES}, ({left}, {right}), stands there twice")
            self._rank[left, right] = token
            self.spelling.append(self.spelling[left] + self.spelling[right])
        self._known: dict[str, list[int]] = {}  # chunks that were encoded before

    @property
    def vocab_size(self) -> int:
        """Number of tokens."""
        return len(self.spelling)

    @classmethod
    def train(cls, text: str, vocab_size: int) -> BytePairTokenizer:
        """Learn merges from a text.

        Args:
            text: what to learn from.
            vocab_size: number of tokens wanted, at least 256; fewer come out if the text has no more pairs.

        Raises:
            ValueError: vocab_size below 256, or an empty text.

        Cost: each merge visits only the chunks that hold the pair.
        """
        if vocab_size < BYTES:
            raise ValueError(f"vocab_size={vocab_size} must be at least {BYTES}: every byte is a token")
        if not text:
            raise ValueError("a tokenizer needs a text with at least one character, got an empty one")
        return cls(learn_merges(Counter(CHUNK.findall(text)), vocab_size - BYTES))

    def encode(self, text: str) -> Array:
        """Text to (N,) int64."""
        tokens: list[int] = []
        for chunk in CHUNK.findall(text):
            if chunk not in self._known:
                self._known[chunk] = self._encode_chunk(chunk)
            tokens += self._known[chunk]
        return np.array(tokens, dtype=np.int64)

    def _encode_chunk(self, chunk: str) -> list[int]:
        """Apply the merges in the order in which they were learnt."""
        tokens = list(chunk.encode("utf-8"))
        while len(tokens) > 1:
            first = min((self._rank.get(pair, self.vocab_size), pair) for pair in pairwise(tokens))
            if first[0] == self.vocab_size:
                break
            tokens = merge(tokens, first[1], first[0])
        return tokens

    def decode(self, tokens: Array | Sequence[int]) -> str:
        """Integers to text; bytes that are no UTF-8 (half a character at an end) become U+FFFD."""
        return b"".join(self.spelling[int(token)] for token in tokens).decode("utf-8", errors="replace")

    def save(self, path: str | Path) -> None:
        """Write the merges as JSON."""
        write_atomically(path, json.dumps({"format": FORMAT, "merges": self.merges}).encode())

    @classmethod
    def load(cls, path: str | Path) -> BytePairTokenizer:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: no such file.
            ValueError: it is not a tokenizer, or its merges make no sense.
        """
        try:
            content = json.loads(Path(path).read_bytes())
            if not isinstance(content, dict) or content.get("format") != FORMAT:
                raise ValueError(f"it does not say {FORMAT!r}")
            if not all(isinstance(token, int) for pair in content["merges"] for token in pair):
                raise ValueError("merges must be pairs of integers")
            return cls(content["merges"])
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{str(path)!r} is not a saved tokenizer: {error}") from None


def learn_merges(chunks: Counter[str], wanted: int) -> list[Pair]:
    """The `wanted` merges that byte-pair encoding finds in chunks that occur so and so often.

    The most frequent pair first; of equally frequent ones the one with the smallest tokens.
    """
    words = [list(chunk.encode("utf-8")) for chunk in chunks]
    numbers = list(chunks.values())
    counts: Counter[Pair] = Counter()
    places: defaultdict[Pair, set[int]] = defaultdict(set)  # in which words a pair occurs
    for place, word in enumerate(words):
        for pair in pairwise(word):
            counts[pair] += numbers[place]
            places[pair].add(place)
    merges: list[Pair] = []
    while len(merges) < wanted and counts:
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        for place in places.pop(best):
            for pair in pairwise(words[place]):
                counts[pair] -= numbers[place]
                places[pair].discard(place)
            words[place] = merge(words[place], best, BYTES + len(merges))
            for pair in pairwise(words[place]):
                counts[pair] += numbers[place]
                places[pair].add(place)
        del counts[best]
        merges.append(best)
        counts = +counts  # drops the pairs that are gone
    return merges


def merge(tokens: list[int], pair: Pair, token: int) -> list[int]:
    """Replace every occurrence of the pair, from the left.

    >>> merge([1, 1, 1, 2], (1, 1), 9)
    [9, 1, 2]
    """
    merged: list[int] = []
    position = 0
    while position < len(tokens):
        if tuple(tokens[position : position + 2]) == pair:
            merged.append(token)
            position += 2
        else:
            merged.append(tokens[position])
            position += 1
    return merged
