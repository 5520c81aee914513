"""Byte-pair encoding: against the slow definition, there and back, to disk and back."""

import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.data import BytePairTokenizer, standard_library_text
from minigrad.data.bpe import CHUNK, merge

TEXT = standard_library_text(limit=60_000)


def merges_by_definition(text, wanted):
    """Count all pairs of the whole text anew before each merge."""
    words = [list(chunk.encode()) for chunk in CHUNK.findall(text)]
    merges = []
    while len(merges) < wanted:
        counts = Counter(pair for word in words for pair in pairwise(word))
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        words = [merge(word, best, 256 + len(merges)) for word in words]
        merges.append(best)
    return merges


@given(st.text(alphabet="ab c", min_size=1, max_size=60), st.integers(0, 12))
def test_the_merges_are_those_of_the_definition(text, wanted):
    assert BytePairTokenizer.train(text, 256 + wanted).merges == merges_by_definition(text, wanted)


def test_the_merges_on_code():
    assert BytePairTokenizer.train(TEXT[:5000], 300).merges == merges_by_definition(TEXT[:5000], 44)


@pytest.fixture(scope="module")
def tokenizer():
    return BytePairTokenizer.train(TEXT, 512)


@given(st.text())
def test_any_text_comes_back(tokenizer, text):
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == text
    assert tokens.dtype == np.int64
    assert "".join(CHUNK.findall(text)) == text


def test_the_corpus_gets_shorter_and_words_become_tokens(tokenizer):
    tokens = tokenizer.encode(TEXT)
    assert tokenizer.decode(tokens) == TEXT
    assert len(tokens) < 0.6 * len(TEXT)
    assert tokens.max() < tokenizer.vocab_size == 512
    assert b" self" in tokenizer.spelling
    assert not any(b" " in spelling.strip(b" ") for spelling in tokenizer.spelling)  # none reaches over words


def test_encoding_applies_the_merges_in_their_order():
    tokenizer = BytePairTokenizer([(98, 99), (97, 98), (97, 256)])  # bc, ab, a+bc
    assert tokenizer.encode("abc").tolist() == [258]
    assert tokenizer.encode("ab").tolist() == [257]
    assert tokenizer.encode("abbc").tolist() == [257, 256]


def test_half_a_character_is_shown_as_such(tokenizer):
    assert tokenizer.decode([0xC3]) == "\ufffd"


def test_to_disk_and_back(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "bpe.json")
    again = BytePairTokenizer.load(tmp_path / "bpe.json")
    assert again.merges == tokenizer.merges
    np.testing.assert_array_equal(again.encode(TEXT[:999]), tokenizer.encode(TEXT[:999]))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is not a saved tokenizer"),
        ("[]", "does not say"),
        ('{"format": "other", "merges": []}', "does not say"),
        ({"merges": [[97, 256]]}, r"merge 0 is \(97, 256\); both must lie in \[0, 256\)"),
        ({"merges": [[97, -1]]}, "both must lie"),
        ({"merges": [[97, 98], [97, 98]]}, "stands there twice"),
        ({"merges": [[97, 98, 99]]}, "is not a saved tokenizer"),
        ({"merges": [["a", "b"]]}, "pairs of integers"),
        ({"merges": 7}, "is not a saved tokenizer"),
        ({}, "is not a saved tokenizer"),
    ],
)
def test_files_that_are_no_tokenizer(tmp_path, content, sentence):
    if isinstance(content, dict):
        content = json.dumps({"format": "minigrad byte pairs 1"} | content)
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(ValueError, match=sentence):
        BytePairTokenizer.load(tmp_path / "x.json")


def test_training_that_makes_no_sense():
    with pytest.raises(ValueError, match="vocab_size=255 must be at least 256"):
        BytePairTokenizer.train("a", 255)
    with pytest.raises(ValueError, match="empty"):
        BytePairTokenizer.train("", 300)
    assert BytePairTokenizer.train("ab", 300).vocab_size == 257  # there is one pair
