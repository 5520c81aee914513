"""Packed attention against the plain form, head by head. Tolerances: docs/conventions.md, rows `same-math`(`-32`)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.kernels import cpu, packed_attention_cpu
from minigrad.kernels.packed_attention_cpu import bands, cut_heads, sequences_at_a_time, split_heads

SAME_MATH = {"float32": 1e-5, "float64": 1e-12}


def assert_as_plain(qkv: np.ndarray, heads: int, causal: bool, seed: int = 1) -> None:
    B, T, width = qkv.shape
    grad = np.random.default_rng(seed).normal(size=(B, T, width // 3)).astype(qkv.dtype)
    out, kept = cpu.packed_attention_forward(qkv, heads, causal)
    dqkv = cpu.packed_attention_backward(grad, qkv, out, kept, heads)
    wide = qkv.astype(np.float64)
    plain, probabilities = cpu.attention_forward(*split_heads(wide, heads), causal)
    parts = cpu.attention_backward(cut_heads(grad, heads), *split_heads(wide, heads), probabilities)
    tolerance = SAME_MATH[str(qkv.dtype)]
    np.testing.assert_allclose(cut_heads(out, heads), plain, rtol=0, atol=tolerance * np.abs(plain).max())
    scale = max(np.abs(part).max() for part in parts)
    for ours, theirs in zip(split_heads(dqkv, heads), parts, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * scale)
    assert out.dtype == dqkv.dtype == qkv.dtype


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 5), length=st.integers(1, 9), heads=st.integers(1, 3), channels=st.integers(1, 4),
    causal=st.booleans(), band=st.sampled_from([1, 2, 4, 64]), at_a_time=st.sampled_from([1, 100, 1 << 18]),
)  # fmt: skip
def test_every_shape_cut_in_every_way(
    batch: int, length: int, heads: int, channels: int, causal: bool, band: int, at_a_time: int
) -> None:
    qkv = np.random.default_rng(length).normal(size=(batch, length, 3 * heads * channels))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed_attention_cpu, "BAND", band)
        patch.setattr(packed_attention_cpu, "AT_A_TIME", at_a_time)
        assert_as_plain(qkv, heads, causal)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("causal", [False, True])
def test_bands_of_the_real_size(causal: bool, dtype: str) -> None:
    assert_as_plain(np.random.default_rng(0).normal(size=(3, 150, 24)).astype(dtype), 2, causal)


@pytest.mark.parametrize("shift", [-1e4, -60.0, 60.0, 1e4])
@pytest.mark.parametrize("causal", [False, True])
def test_scores_beyond_the_range_of_exp(shift: float, causal: bool) -> None:
    """A query's scores are all around `shift`: without the shift of each row, exp is infinite or a row's sum is 0."""
    qkv = np.random.default_rng(0).normal(size=(2, 6, 3, 2, 4))
    qkv[:, :, 0, :, 0] = shift * 2.0  # times a key's 1, divided by sqrt(4)
    qkv[:, :, 1, :, 0] = 1.0
    with np.errstate(all="raise", under="ignore"):
        assert_as_plain(qkv.reshape(2, 6, 24), 2, causal)


def test_one_large_score_in_one_row_does_not_spoil_the_others() -> None:
    qkv = np.random.default_rng(0).normal(size=(1, 5, 6))
    qkv[0, 2, :2] = 500.0
    with np.errstate(all="raise", under="ignore"):
        assert_as_plain(qkv, 1, True)


@pytest.mark.parametrize("causal", [False, True])
def test_half_precision_scores_whose_exponentials_are_none(causal: bool) -> None:
    """exp(12) is beyond float16's 65504. Scores near 25 are rounded to 1/64 there, outputs near 6 to 1/256."""
    qkv = (np.random.default_rng(0).normal(size=(2, 16, 48)) * 3).astype(np.float16)
    out, _ = cpu.packed_attention_forward(qkv, 2, causal)
    plain, _ = cpu.attention_forward(*split_heads(qkv.astype(np.float64), 2), causal)
    assert out.dtype == np.float16
    np.testing.assert_allclose(cut_heads(out, 2), plain, rtol=0, atol=0.05)


def test_not_a_number_stays_visible() -> None:
    qkv = np.random.default_rng(0).normal(size=(1, 4, 6))
    qkv[0, 0, 0] = np.nan
    out, _ = cpu.packed_attention_forward(qkv, 1, True)
    assert np.isnan(out[0, 0]).all()


def test_no_sequences() -> None:
    out, kept = cpu.packed_attention_forward(np.empty((0, 3, 6)), 1, True)
    assert cpu.packed_attention_backward(out, np.empty((0, 3, 6)), out, kept, 1).shape == (0, 3, 6)


def test_bands_cover_the_rows_and_their_keys() -> None:
    for length in (1, 63, 64, 65, 200):
        cut = bands(length, causal=True)
        assert [row for rows, _ in cut for row in range(length)[rows]] == list(range(length))
        assert all(keys == rows.stop for rows, keys in cut)
    assert bands(200, causal=False) == [(slice(0, 200), 200)]
    assert sequences_at_a_time(3, 1 << 30) == [slice(0, 1), slice(1, 2), slice(2, 3)]
