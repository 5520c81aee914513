"""Exercise 02: a gradient summed back to the shape before broadcasting."""

from typing import Any

import numpy as np

Case = dict[str, Any]


def case(shape: tuple[int, ...], result: tuple[int, ...], tensor: bool = False) -> Case:
    """One call: an operand of `shape` was broadcast to `result`."""
    return {"function": "unbroadcast", "shape": shape, "result": result, "seed": len(result), "tensor": tensor}


CASES: list[Case] = [
    case((), ()),
    case((2,), (2,)),
    case((), (2,)),
    case((1,), (2,)),
    case((2,), (2, 2)),
    case((3,), (2, 3)),
    case((1, 3), (2, 3)),
    case((2, 1), (2, 3)),
    case((1, 1), (1, 2)),
    case((2, 1), (3, 2, 4)),
    case((3, 1, 2), (2, 3, 4, 2)),
    case((1,), (0,)),
    case((3,), (0, 3)),
    case((2, 1), (2, 3), tensor=True),
]


def strategies(st: Any) -> dict[str, Any]:
    """Hypothesis strategies for more cases."""

    @st.composite  # type: ignore[untyped-decorator]
    def cases(draw: Any) -> Case:
        shape = tuple(draw(st.lists(st.integers(1, 3), max_size=3)))
        lengths = [draw(st.integers(1, 3)) for _ in shape]  # always drawn: Hypothesis calls fewer draws smaller
        stretched = [new if old == 1 else old for old, new in zip(shape, lengths, strict=True)]
        result = draw(st.lists(st.integers(1, 3), max_size=2)) + stretched
        return case(shape, tuple(result)) | {"seed": draw(st.integers(0, 1000))}

    return {"unbroadcast": cases()}


def run(case: Case) -> Any:
    """Call the function under check."""
    from minigrad.ops.shape import unbroadcast
    from minigrad.tensor import Tensor

    grad = gradient(case)
    before = grad.copy()
    result = unbroadcast(Tensor(grad) if case["tensor"] else grad, case["shape"])
    kind = type(result).__name__
    array = result.data if isinstance(result, Tensor) else result
    if isinstance(array, np.generic):
        array, kind = np.asarray(array), "ndarray"
    return {
        "type of the result": kind,
        "result": array,
        "grad afterwards": "as before" if (grad == before).all() else grad,
    }


def numeric(case: Case) -> Any:
    """Central differences of sum(grad * broadcast(x)), which is linear: any step is exact."""
    grad, shape = gradient(case), case["shape"]
    result = np.zeros(shape)
    for index in np.ndindex(shape):
        step = np.zeros(shape)
        step[index] = 0.5
        result[index] = (grad * np.broadcast_to(step, grad.shape)).sum() - (
            grad * np.broadcast_to(-step, grad.shape)
        ).sum()
    return {"result": result}


def gradient(case: Case) -> Any:
    return np.random.default_rng(case["seed"]).standard_normal(case["result"])


def call(case: Case) -> str:
    """What was called."""
    kind = "a tensor" if case["tensor"] else "an array"
    return f"unbroadcast(grad, shape={case['shape']}), grad {kind} of shape {case['result']}"


def inputs(case: Case) -> str:
    """With what."""
    return "grad = " + " ".join(np.array2string(gradient(case), precision=6, threshold=12).split())
