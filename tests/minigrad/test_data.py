"""Corpus, tokenizer, windows, sampler."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.data import (
    CharTokenizer,
    DistributedSampler,
    TextData,
    conditional_entropy,
    read_text,
    standard_library_text,
)


def test_the_standard_library_is_the_same_text_twice_and_printable():
    text = standard_library_text(limit=50_000)
    assert text == standard_library_text(limit=50_000)
    assert len(text) == 50_000
    assert set(text) <= {chr(c) for c in range(32, 127)} | {"\n"}


def test_the_whole_corpus_has_the_alphabet_the_course_speaks_of():
    assert CharTokenizer(standard_library_text()).vocab_size == 96


@given(st.text(min_size=1))
def test_decode_undoes_encode(text):
    tokenizer = CharTokenizer(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_unknown_character():
    with pytest.raises(ValueError, match="'z' does not occur"):
        CharTokenizer("abc").encode("az")


def test_windows_make_every_token_a_target_once_and_never_touch_the_validation_text():
    data = TextData.from_text("".join(chr(97 + i % 26) for i in range(1000)), block_size=7)
    inputs, targets = data.batch(np.arange(len(data)))
    np.testing.assert_array_equal(targets.reshape(-1), data.train[1 : 1 + targets.size])
    np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
    assert len(data.train) == 900
    assert len(data.validation) == 100
    assert data.validation_batch(5)[0].shape == (5, 7)
    assert data.validation_batch(500)[0].shape == (14, 7)


def test_a_text_that_is_too_short():
    with pytest.raises(ValueError, match="text has 20 characters; block_size=128 needs at least 1290"):
        TextData.from_text("a" * 20, 128)


def test_reading_texts(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_text(tmp_path / "none.txt")
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    with pytest.raises(ValueError, match="is empty"):
        read_text(empty)
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not UTF-8"):
        read_text(binary)


def test_conditional_entropy_of_known_texts():
    coin = np.random.default_rng(0).integers(0, 2, 200_000)
    assert conditional_entropy(coin, 2, 0) == pytest.approx(math.log(2), abs=1e-4)
    assert conditional_entropy(coin, 2, 1) == pytest.approx(math.log(2), abs=1e-4)
    assert conditional_entropy(np.tile([0, 1, 2], 1000), 3, 1) == pytest.approx(0, abs=1e-12)


@given(
    examples=st.integers(1, 60),
    batch=st.integers(1, 20),
    size=st.integers(1, 8),
    epoch=st.integers(0, 3),
    seed=st.integers(0, 5),
)
def test_the_ranks_parts_are_disjoint_and_complete(examples, batch, size, epoch, seed):
    if size > batch or batch > examples:
        with pytest.raises(ValueError):
            DistributedSampler(examples, batch, 0, size, seed=seed)
        return
    samplers = [DistributedSampler(examples, batch, rank, size, seed=seed) for rank in range(size)]
    whole = list(DistributedSampler(examples, batch, seed=seed).epoch(epoch))
    parts = list(zip(*(s.epoch(epoch) for s in samplers), strict=True))
    assert len(whole) == examples // batch
    seen = []
    for expected, part in zip(whole, parts, strict=True):
        joined = np.concatenate(part)
        assert sorted(joined) == sorted(expected)
        assert max(map(len, part)) - min(map(len, part)) <= 1
        seen.extend(joined)
    assert len(set(seen)) == len(seen)


def test_epochs_are_reshuffled():
    sampler = DistributedSampler(100, 100, seed=0)
    first, second = next(sampler.epoch(0)), next(sampler.epoch(1))
    assert not np.array_equal(first, second)
    assert sorted(first) == sorted(second)
