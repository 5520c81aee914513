"""The text that models learn from: by default the source code of the running Python's standard library.

It is there on every machine, it is a few megabytes, and a model that has learnt something about it writes
things that look like Python. The order of the files is fixed, so two machines with one Python version train on
the same characters.
"""

from __future__ import annotations

import math
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minigrad.device import Array


def standard_library_text(limit: int = 4_000_000) -> str:
    """The top-level modules of the running Python's standard library, in alphabetical order, as one text.

    Files that hold anything but printable ASCII are left out, which keeps the alphabet at 96 characters.

    Args:
        limit: characters to stop after.

    Raises:
        FileNotFoundError: this Python came without its library's sources.
    """
    library = Path(sysconfig.get_paths()["stdlib"])
    parts: list[str] = []
    total = 0
    for path in sorted(library.glob("*.py")):
        try:
            text = path.read_text(encoding="ascii").replace("\r\n", "\n")
        except (UnicodeDecodeError, OSError):
            continue
        if any(not (character == "\n" or " " <= character <= "~") for character in set(text)):
            continue
        parts.append(text)
        total += len(text)
        if total >= limit:
            break
    if not parts:
        raise FileNotFoundError(f"no Python sources in {library}; give a text of your own with --text FILE")
    return "".join(parts)[:limit]


def read_text(path: str | Path) -> str:
    """A text file of the user's, as UTF-8.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is empty or not UTF-8.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileNotFoundError(f"text file {str(path)!r} does not exist") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"text file {str(path)!r} is not UTF-8: {error.reason} at byte {error.start}") from None
    if not text:
        raise ValueError(f"text file {str(path)!r} is empty")
    return text


class CharTokenizer:
    """One token per character; the alphabet is what occurs in the text, sorted.

    Args:
        text: at least one character.

    >>> tokenizer = CharTokenizer("abba")
    >>> tokenizer.encode("ab").tolist(), tokenizer.decode([1, 0])
    ([0, 1], 'ba')
    """

    def __init__(self, text: str) -> None:
        if not text:
            raise ValueError("a tokenizer needs a text with at least one character, got an empty one")
        self.alphabet = "".join(sorted(set(text)))
        self._index = {character: position for position, character in enumerate(self.alphabet)}

    @property
    def vocab_size(self) -> int:
        """Number of different characters."""
        return len(self.alphabet)

    def encode(self, text: str) -> Array:
        """Text to (N,) int64.

        Raises:
            ValueError: a character that the alphabet lacks.
        """
        try:
            return np.array([self._index[character] for character in text], dtype=np.int64)
        except KeyError as error:
            raise ValueError(f"character {error.args[0]!r} does not occur in the text this alphabet is from") from None

    def decode(self, tokens: Array | list[int]) -> str:
        """Integers to text."""
        return "".join(self.alphabet[int(token)] for token in tokens)


@dataclass(frozen=True)
class TextData:
    """A tokenised text cut into training and validation windows.

    A window is `block_size + 1` consecutive tokens: the inputs are all but the last, the targets all but the
    first. Windows start every `block_size` tokens, so each token is a target once. The last tenth of the text
    is for validation and never trained on.

    Attributes:
        tokenizer: between text and integers.
        train, validation: (N,) int64 tokens.
        block_size: tokens a window predicts.
    """

    tokenizer: CharTokenizer
    train: Array
    validation: Array
    block_size: int

    @classmethod
    def from_text(cls, text: str, block_size: int) -> TextData:
        """Tokenise and split.

        Raises:
            ValueError: a text too short for one window on each side of the split.
        """
        needed = 10 * (block_size + 1)
        if len(text) < needed:
            raise ValueError(
                f"text has {len(text)} characters; block_size={block_size} needs at least {needed} "
                "(a tenth is kept for validation)"
            )
        tokenizer = CharTokenizer(text)
        tokens = tokenizer.encode(text)
        cut = len(tokens) - len(tokens) // 10
        return cls(tokenizer, tokens[:cut], tokens[cut:], block_size)

    def __len__(self) -> int:
        """Number of training windows."""
        return (len(self.train) - 1) // self.block_size

    def batch(self, windows: Array) -> tuple[Array, Array]:
        """Inputs and targets (B, T) of the training windows with these numbers."""
        return self._cut(self.train, windows)

    def validation_batch(self, size: int) -> tuple[Array, Array]:
        """Inputs and targets of `size` windows spread evenly over the validation text."""
        available = (len(self.validation) - 1) // self.block_size
        windows = np.linspace(0, available - 1, min(size, available)).astype(np.int64)
        return self._cut(self.validation, windows)

    def _cut(self, tokens: Array, windows: Array) -> tuple[Array, Array]:
        positions = np.asarray(windows)[:, None] * self.block_size + np.arange(self.block_size + 1)
        chunk = tokens[positions]  # (B, T + 1)
        return chunk[:, :-1], chunk[:, 1:]


def conditional_entropy(tokens: Array, vocab_size: int, context: int) -> float:
    """Entropy of a character given the `context` characters before it, in nats, counted on the text itself.

    What a table of n-grams with perfect knowledge of this text's counts would reach: a line to hold a model's
    loss against. 0 gives the unigram entropy, 1 the bigram's, 2 the trigram's.

    >>> round(conditional_entropy(np.array([0, 1, 0, 1, 0]), 2, 1), 6)
    0.0
    """

    def block_entropy(width: int, ends: int) -> float:
        codes = np.zeros(ends, dtype=np.int64)
        for offset in range(width):
            codes = codes * vocab_size + tokens[offset : offset + ends]
        _, counts = np.unique(codes, return_counts=True)
        shares = counts / counts.sum()
        return -float((shares * np.log(shares)).sum())

    contexts = len(tokens) - context
    joint = block_entropy(context + 1, contexts)
    return joint - (block_entropy(context, contexts) if context else 0.0)


def uniform_entropy(vocab_size: int) -> float:
    """ln V: the loss of a model that knows nothing."""
    return math.log(vocab_size)
