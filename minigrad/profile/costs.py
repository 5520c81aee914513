"""What an operation must do at least: how many floating-point operations, how many bytes.

FLOPs of matrix products are exact: 2 m k n for (m, k) times (k, n), a multiplication and an addition each. Those of
element-wise work are nominal: each addition, multiplication, comparison, division, root, exp, log and tanh of the rule
as it is written counts 1, though an exp costs as much as ten additions. Against the products they hardly count.

Bytes are the compulsory traffic: every operand read once, every result written once, as if all temporaries stayed in
the cache. What returns a view of its operand moves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from minigrad.autograd import Function
from minigrad.device import Array, is_array

Shape = tuple[int, ...]

# (forward, backward) per element of the largest array that takes part.
PER_ELEMENT: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("Reshape", "Permute", "Expand", "Concatenate", "Pad", "Cast", "Unfold"), (0, 0)),
    **dict.fromkeys(("Index", "Gather", "Embedding"), (0, 1)),
    **dict.fromkeys(("AddAt", "AddAlong", "Fold"), (1, 0)),
    "Add": (1, 0),
    "Sub": (1, 1),
    "Mul": (1, 2),
    "Div": (1, 4),
    "Neg": (1, 1),
    "Pow": (1, 3),
    "Power": (1, 4),
    "Exp": (1, 1),
    "Log": (1, 1),
    "Sqrt": (1, 2),
    "Tanh": (1, 3),
    "Sigmoid": (4, 3),
    "Relu": (1, 2),
    "LeakyRelu": (2, 2),
    "Softplus": (5, 5),
    "Erf": (31, 5),
    "Abs": (1, 2),
    "Where": (0, 2),
    "Maximum": (1, 4),
    "Clip": (2, 3),
    "Sum": (1, 0),
    "Mean": (1, 0),
    "Amax": (1, 4),
    "LogSumExp": (4, 3),
    "Norm": (2, 2),
    "CumSum": (1, 1),
    "Gelu": (18, 6),  # the exact form in float32; the tanh form is below
    "NormalCdf": (32, 6),
    "Softmax": (5, 4),
    "LogSoftmax": (5, 4),
    "CrossEntropy": (4, 3),
    "LayerNorm": (7, 12),
    "RMSNorm": (5, 9),
}
GELU_TANH = (8, 7)
SOFTMAX_OF_SCORES = 6  # scaling and softmax
SOFTMAX_OF_SCORES_BACKWARD = 5


def forward_flops(name: str, shapes: Sequence[Shape], out: Shape, params: dict[str, Any]) -> int | None:
    """FLOPs of an operation's forward.

    Args:
        name: of its class.
        shapes: of the inputs.
        out: of the output.
        params: what `forward` was given besides arrays.

    Returns:
        FLOPs, or None for an operation that this file does not know.

    >>> forward_flops("MatMul", [(2, 3), (3, 4)], (2, 4), {})
    48
    """
    if name == "MatMul":
        return 2 * math.prod(out) * shapes[0][-1]
    if name == "Linear":
        return 2 * math.prod(out) * shapes[0][-1] + math.prod(out)
    if name == "Einsum":
        return _einsum(shapes, params["equation"])
    if name in ("Attention", "PackedAttention", "BlockwiseAttention"):
        scores, width = _scores(name, shapes, params)
        return scores * (2 * 2 * width + SOFTMAX_OF_SCORES)
    return _per_element(name, shapes, out, params, which=0)


def backward_flops(
    name: str, shapes: Sequence[Shape], out: Shape, params: dict[str, Any], needs: Sequence[bool]
) -> int | None:
    """FLOPs of an operation's backward; a product computes only the gradients that are needed.

    Args:
        name, shapes, out, params: as for the forward.
        needs: which inputs need a gradient.

    Returns:
        FLOPs, or None for an operation that this file does not know.

    >>> backward_flops("MatMul", [(2, 3), (3, 4)], (2, 4), {}, (False, True))
    48
    """
    if name == "MatMul":
        return 2 * math.prod(out) * shapes[0][-1] * sum(needs)
    if name == "Linear":
        return 2 * math.prod(out) * (shapes[0][-1] * sum(needs[:2]) + needs[2])
    if name == "Einsum":
        return _einsum(shapes, params["equation"]) * sum(needs)
    if name in ("Attention", "PackedAttention", "BlockwiseAttention"):
        scores, width = _scores(name, shapes, params)
        again = 1 if name == "BlockwiseAttention" else 0  # it computes the scores a second time
        return scores * ((4 + again) * 2 * width + SOFTMAX_OF_SCORES_BACKWARD + again * SOFTMAX_OF_SCORES)
    return _per_element(name, shapes, out, params, which=1)


def _per_element(
    name: str, shapes: Sequence[Shape], out: Shape, params: dict[str, Any], which: int
) -> int | None:
    if name not in PER_ELEMENT:
        return None
    per_element = GELU_TANH if name == "Gelu" and params.get("approximate") == "tanh" else PER_ELEMENT[name]
    if name == "Embedding":  # the table is large and only the rows that are read take part
        return per_element[which] * math.prod(out)
    return per_element[which] * max(math.prod(shape) for shape in (*shapes, out))


def _einsum(shapes: Sequence[Shape], equation: str) -> int:
    """Two FLOPs for every combination of letters; exact for two operands."""
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        sizes.update(zip(term, shape, strict=True))
    return 2 * math.prod(sizes.values())


def _scores(name: str, shapes: Sequence[Shape], params: dict[str, Any]) -> tuple[int, int]:
    """(number of scores, channels of a head). A causal mask hides half of them; they are computed all the same."""
    if name == "PackedAttention":
        batch, length, packed = shapes[0]
        heads: int = params["heads"]
        return batch * heads * length * length, packed // (3 * heads)
    query, key = shapes[0], shapes[1]
    return math.prod(query[:-1]) * key[-2], query[-1]


# Of the inputs that these keep, the ones (by position) that their rule never reads: they serve higher derivatives.
UNREAD = {"LayerNorm": (0, 2), "RMSNorm": (0,), "Embedding": (0,)}
SELECTING = ("Index", "Gather", "Embedding")  # they read as much as they write, whatever the size of their operand


def forward_bytes(name: str, operands: Sequence[Array], output: Array) -> int:
    """Bytes that a forward reads and writes."""
    moved = moved_bytes(operands, [output])
    return 2 * touched_bytes(output) if moved and name in SELECTING else moved


def backward_bytes(node: Function, gradient: Array, results: Sequence[Any]) -> int:
    """Bytes that a node's rule reads and writes: the gradient, what it kept and needs, the gradients it made."""
    name = type(node).__name__
    kept = [tensor.data for tensor in getattr(node, "kept_inputs", ())]
    if name in ("MatMul", "Linear"):  # each factor is read for the gradient of the other; a bias never
        kept = [factor for factor, needed in zip(kept[:2], (node.needs[1], node.needs[0]), strict=True) if needed]
    else:
        kept = [array for position, array in enumerate(kept) if position not in UNREAD.get(name, ())]
    stored = [value for value in vars(node).values() if is_array(value)]  # the kept output, and the rule's own
    return moved_bytes([gradient, *kept, *stored], results)


def moved_bytes(operands: Iterable[Any], results: Iterable[Any]) -> int:
    """Bytes read and written: operands once, results once, and nothing if every result is a view of an operand.

    Args:
        operands: arrays, or what is not one (ignored).
        results: arrays; None and views of operands are ignored.
    """
    read = [array for array in operands if is_array(array)]
    owners = {id(memory_block(array)) for array in read}
    written = [array for array in results if is_array(array) and id(memory_block(array)) not in owners]
    if not written:
        return 0
    return sum(touched_bytes(array) for array in (*read, *written))


def memory_block(array: Array) -> Array:
    """The array that owns the memory."""
    while is_array(array.base):
        array = array.base  # type: ignore[assignment]
    return array


def touched_bytes(array: Array) -> int:
    """Bytes of distinct memory behind an array: an axis that is only repeated (stride 0) counts once."""
    return array.itemsize * math.prod(n for n, stride in zip(array.shape, array.strides, strict=True) if stride)

