"""One row per operation: what the gradient battery runs.

A row names the operation class, a function on tensors that uses it, and the inputs' shapes. Inputs are standard
normal unless `positive` (for log, sqrt, division). An operation without a row fails `test_every_op_has_a_row`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.nn import functional as F
from minigrad.nn.image import avg_pool2d, conv1d, conv2d, max_pool2d
from minigrad.ops.convolution import Fold, Unfold
from minigrad.ops.fused import NormalCdf
from minigrad.ops.linear import MatMul
from minigrad.ops.shape import AddAlong, AddAt, Cast
from minigrad.tensor import Tensor, cat, einsum, where

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """One operation under the battery."""

    op: str
    name: str
    function: Callable[..., Any]
    shapes: tuple[Shape, ...]
    positive: bool = False

    @property
    def id(self) -> str:
        """Name of the test."""
        return f"{self.op}-{self.name}"


def normal(*shape: int) -> np.ndarray:
    """Fixed numbers for operands that are not differentiated."""
    return np.random.default_rng(7).standard_normal(shape)


LABELS = np.array([2, 0, 1, 2, 2])
VISIBLE = np.array([[1, 0, 1, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]], dtype=bool)
REPEATED = np.array([[0, 2, 0], [3, 0, 2]])  # an index that occurs more than once must collect every gradient

OPS_TABLE = [
    # element by element; (3, 1) with (4,) and () with (2, 3) broadcast; empty and size-1 inputs
    *(
        Row(op, f"{a}{b}", function, (a, b), positive=op == "Div")
        for op, function in {
            "Add": lambda a, b: a + b,
            "Sub": lambda a, b: a - b,
            "Mul": lambda a, b: a * b,
            "Div": lambda a, b: a / b,
        }.items()
        for a, b in [
            ((3, 4), (3, 4)),
            ((3, 1), (4,)),
            ((), (2, 3)),
            ((0, 3), (3,)),
            ((1,), (1, 1)),
            ((2, 1, 3), (4, 1)),
        ]
    ),
    Row("Mul", "diamond", lambda x: (x * x) * (x + x), ((3, 2),)),
    *(
        Row(op, str(shape), function, (shape,), positive=op in ("Log", "Sqrt"))
        for op, function in {
            "Neg": lambda x: -x,
            "Exp": lambda x: x.exp(),
            "Log": lambda x: x.log(),
            "Sqrt": lambda x: x.sqrt(),
            "Tanh": lambda x: x.tanh(),
            "Sigmoid": lambda x: x.sigmoid(),
            "Relu": lambda x: x.relu(),
            "Abs": lambda x: x.abs(),
            "NormalCdf": NormalCdf.apply,
        }.items()
        for shape in [(3, 4), (), (0,), (1, 1)]
    ),
    Row("Pow", "cube", lambda x: x**3, ((3, 4),)),
    Row("Pow", "one", lambda x: x**1, ((3,),)),
    Row("Pow", "zero", lambda x: x**0 * x, ((3,),)),
    Row("Pow", "half", lambda x: x**0.5, ((3, 4),), positive=True),
    Row("Power", "tensors", lambda a, b: a**b, ((3, 4), (4,)), positive=True),
    Row("Power", "one exponent", lambda a, b: a**b, ((3, 4), ()), positive=True),
    # reductions
    *(
        Row(op, f"{dim}{keepdim}", lambda x, f=function, d=dim, k=keepdim: f(x, d, k), ((2, 3, 4),))
        for op, function in {
            "Sum": lambda x, d, k: x.sum(d, k),
            "Mean": lambda x, d, k: x.mean(d, k),
            "Amax": lambda x, d, k: x.amax(d, k),
        }.items()
        for dim, keepdim in [(None, False), (1, False), (-1, True), ((0, 2), False), ((0, 2), True)]
    ),
    Row("Sum", "scalar", lambda x: x.sum(), ((),)),
    Row("Sum", "empty", lambda x: x.sum(0), ((0, 3),)),
    Row("Mean", "variance", lambda x: x.var(1), ((3, 4),)),
    # shapes
    Row("Reshape", "flatten", lambda x: x.reshape(3, -1), ((3, 2, 2),)),
    Row("Permute", "three", lambda x: x.permute(2, 0, 1), ((2, 3, 4),)),
    Row("Permute", "swap", lambda x: x.transpose(0, -1), ((2, 3, 4),)),
    Row("Expand", "front", lambda x: x.expand(5, 2, 3), ((2, 1),)),
    Row("Concatenate", "axis 1", lambda a, b, c: cat([a, b, c], 1), ((2, 3), (2, 0), (2, 1))),
    Row("Index", "slice", lambda x: x[1:, ::2], ((3, 4),)),
    Row("Index", "integer", lambda x: x[-1], ((3, 4),)),
    Row("Index", "repeated", lambda x: x[REPEATED], ((4, 2),)),
    Row("Index", "pairs", lambda x: x[[0, 1, 0], [2, 2, 2]], ((3, 4),)),
    Row("Index", "mask", lambda x: x[normal(3, 4) > 0], ((3, 4),)),
    Row("AddAt", "repeated", lambda x: AddAt.apply(x, index=REPEATED, shape=(4, 2)), ((2, 3, 2),)),
    Row("Cast", "round trip", lambda x: Cast.apply(x, dtype=np.dtype(np.float64)), ((3,),)),
    # products
    Row("MatMul", "matrix", lambda a, b: a @ b, ((3, 4), (4, 2))),
    Row("MatMul", "vectors", lambda a, b: a @ b, ((4,), (4,))),
    Row("MatMul", "matrix-vector", lambda a, b: a @ b, ((3, 4), (4,))),
    Row("MatMul", "vector-batch", lambda a, b: a @ b, ((4,), (2, 4, 3))),
    Row("MatMul", "batch of rows", lambda a, b: a @ b, ((2, 5, 3, 4), (4, 2))),
    Row("MatMul", "batches broadcast", lambda a, b: a @ b, ((2, 1, 3, 4), (5, 4, 2))),
    Row("MatMul", "empty", MatMul.apply, ((0, 4), (4, 2))),
    Row("Linear", "rows", F.linear, ((5, 3), (4, 3), (4,))),
    Row("Linear", "batch", F.linear, ((2, 5, 3), (4, 3), (4,))),
    Row("Einsum", "matrices", lambda a, b: einsum("ij,jk->ik", a, b), ((3, 4), (4, 2))),
    Row("Einsum", "batch", lambda a, b: einsum("bij,bjk->bki", a, b), ((2, 3, 4), (2, 4, 2))),
    Row("Einsum", "summed out", lambda a, b: einsum("ij,k->k", a, b), ((3, 4), (2,))),
    Row("Einsum", "three", lambda a, b, c: einsum("i,ij,j->", a, b, c), ((3,), (3, 4), (4,))),
    # two operands and shapes that NumPy has
    Row("Where", "broadcast", lambda a, b: where(normal(3, 4) > 0, a, b), ((3, 1), (4,))),
    Row("Maximum", "broadcast", lambda a, b: a.maximum(b), ((3, 4), (4,))),
    Row("Maximum", "minimum", lambda a, b: a.minimum(b), ((3, 4), ())),
    Row("Clip", "both ends", lambda x: x.clip(-0.5, 0.7), ((3, 4),)),
    Row("LeakyRelu", "0.1", lambda x: F.leaky_relu(x, 0.1), ((3, 4),)),
    Row("Softplus", "plain", F.softplus, ((3, 4),)),
    Row("Sigmoid", "silu", F.silu, ((3, 4),)),
    Row("Erf", "plain", lambda x: x.erf(), ((3, 4),)),
    *(
        Row(op, str(dim), lambda x, f=function, d=dim: f(x, d), ((2, 3, 4),))
        for op, function in {"LogSumExp": lambda x, d: x.logsumexp(d), "Norm": lambda x, d: x.norm(d)}.items()
        for dim in (None, 1, (0, 2))
    ),
    Row("CumSum", "first", lambda x: x.cumsum(0), ((3, 4),)),
    Row("CumSum", "last", lambda x: x.cumsum(-1), ((3, 4),)),
    Row("Pad", "uneven", lambda x: x.pad(((1, 0), (0, 2)), 3.0), ((2, 3),)),
    Row("Index", "flip", lambda x: x.flip(0, 2), ((2, 3, 2),)),
    Row("Index", "split", lambda x: x.split([1, 2], 1)[1] * 2, ((2, 3),)),
    Row("Gather", "repeated", lambda x: x.gather(1, np.array([[0, 0], [2, 1], [1, 1]])), ((3, 4),)),
    Row("Gather", "shorter", lambda x: x.gather(0, np.array([[1, 0]])), ((3, 4),)),
    Row("Gather", "maximum", lambda x: x.max(1).values, ((3, 4),)),
    Row("AddAlong", "repeated", lambda x: AddAlong.apply(x, index=np.array([[0, 0], [2, 1]]), axis=1, shape=(2, 3)),
        ((2, 2),)),
    # convolution
    Row("Unfold", "strided", lambda x: Unfold.apply(x, kernel=(2, 3), stride=(2, 1), dilation=(1, 1)), ((2, 2, 4, 5),)),
    Row("Fold", "overlap", lambda c: Fold.apply(c, size=(3, 4), kernel=(2, 2), stride=(1, 1), dilation=(1, 2)),
        ((1, 8, 4),)),
    Row("Unfold", "conv2d", lambda x, w, b: conv2d(x, w, b, stride=(2, 1), padding=1, dilation=(1, 2)),
        ((2, 3, 5, 6), (4, 3, 3, 2), (4,))),
    Row("Unfold", "conv1d", lambda x, w: conv1d(x, w, stride=2, padding=1), ((2, 3, 7), (4, 3, 3))),
    Row("Unfold", "max_pool", lambda x: max_pool2d(x, 2, stride=1, padding=1), ((1, 2, 3, 4),)),
    Row("Unfold", "avg_pool", lambda x: avg_pool2d(x, (2, 1)), ((1, 2, 4, 3),)),
    # fused
    Row("Gelu", "exact", lambda x: F.gelu(x), ((3, 4),)),
    Row("Gelu", "tanh", lambda x: F.gelu(x, "tanh"), ((3, 4),)),
    Row("Gelu", "scalar", lambda x: F.gelu(x, "tanh"), ((),)),
    Row("Softmax", "last", lambda x: F.softmax(x), ((3, 4),)),
    Row("Softmax", "first", lambda x: F.softmax(x, 0), ((3, 4),)),
    Row("LogSoftmax", "last", lambda x: F.log_softmax(x), ((3, 4),)),
    Row("LogSoftmax", "middle", lambda x: F.log_softmax(x, 1), ((2, 3, 2),)),
    Row("CrossEntropy", "rows", lambda x: F.cross_entropy(x, LABELS), ((5, 3),)),
    Row("LayerNorm", "rows", F.layer_norm, ((5, 4), (4,), (4,))),
    Row("LayerNorm", "batch", F.layer_norm, ((2, 3, 4), (4,), (4,))),
    Row("RMSNorm", "rows", F.rms_norm, ((2, 3, 4), (4,))),
    Row("CrossEntropy", "smoothed", lambda x: F.cross_entropy(x, LABELS, label_smoothing=0.2), ((5, 3),)),
    Row("CrossEntropy", "ignored", lambda x: F.cross_entropy(x, LABELS, ignore_index=2), ((5, 3),)),
    Row("Embedding", "repeated", lambda table: F.embedding(REPEATED, table), ((4, 3),)),
    Row("Embedding", "none", lambda table: F.embedding(np.zeros((0,), int), table), ((4, 3),)),
    Row("Attention", "full", F.scaled_dot_product_attention, ((2, 3, 4),) * 3),
    Row("Attention", "causal", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        ((2, 3, 4),) * 3),
    Row("Attention", "one tensor three times", lambda x: F.scaled_dot_product_attention(x, x, x), ((2, 3, 4),)),
    Row("Attention", "masked", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=VISIBLE),
        ((2, 3, 4), (2, 5, 4), (2, 5, 4))),
    Row("BlockwiseAttention", "full", lambda q, k, v: F.blockwise_attention(q, k, v, block=2),
        ((2, 3, 4), (2, 5, 4), (2, 5, 3))),
    Row("BlockwiseAttention", "causal", lambda q, k, v: F.blockwise_attention(q, k, v, True, block=3), ((7, 4),) * 3),
    Row("PackedAttention", "causal", lambda x: F.packed_attention(x, 2), ((2, 3, 12),)),
    Row("PackedAttention", "full", lambda x: F.packed_attention(x, 1, False), ((1, 4, 6),)),
]


def inputs_for(row: Row, seed: int, contiguous: bool = True) -> list[Tensor]:
    """Random float64 inputs of the row's shapes; `contiguous=False` gives views with strides."""
    rng = np.random.default_rng(seed)
    tensors = []
    for shape in row.shapes:
        numbers = rng.standard_normal(shape)
        if row.positive:
            numbers = np.abs(numbers) + 0.5
        if not contiguous and numbers.ndim:
            numbers = np.repeat(numbers, 2, axis=-1)[..., ::2]
        tensors.append(Tensor(numbers, requires_grad=True))
    return tensors
