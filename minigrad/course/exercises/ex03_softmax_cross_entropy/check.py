"""Exercise 03: the gradients of softmax and of cross-entropy."""

from typing import Any

import numpy as np

Case = dict[str, Any]


def softmax_case(shape: tuple[int, ...], axis: int = -1, dtype: str = "float64", scale: float = 1.0) -> Case:
    """One call of softmax_backward."""
    return {"function": "softmax_backward", "shape": shape, "axis": axis, "dtype": dtype, "seed": 1, "scale": scale}


def cross_entropy_case(rows: int, classes: int, dtype: str = "float64", scale: float = 1.0) -> Case:
    """One call of cross_entropy_backward."""
    shape = (rows, classes)
    return {"function": "cross_entropy_backward", "shape": shape, "dtype": dtype, "seed": 2, "scale": scale}


CASES: list[Case] = [
    softmax_case((2,)),
    softmax_case((1, 3)),
    softmax_case((2, 3)),
    softmax_case((2, 3), axis=0),
    softmax_case((2, 3, 4), axis=1),
    softmax_case((4, 5), dtype="float32"),
    softmax_case((0, 3)),
    cross_entropy_case(1, 2),
    cross_entropy_case(2, 2),
    cross_entropy_case(3, 4),
    cross_entropy_case(2, 3, scale=800.0),
    cross_entropy_case(4, 5, dtype="float32"),
]


def strategies(st: Any) -> dict[str, Any]:
    """Hypothesis strategies for more cases of each function."""
    seeds = st.integers(0, 1000)

    @st.composite  # type: ignore[untyped-decorator]
    def softmax(draw: Any) -> Case:
        shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
        return softmax_case(shape, draw(st.integers(-len(shape), len(shape) - 1))) | {"seed": draw(seeds)}

    cross_entropy = st.builds(cross_entropy_case, st.integers(1, 4), st.integers(1, 4))
    with_seed = st.builds(lambda case, seed: case | {"seed": seed}, cross_entropy, seeds)
    return {"softmax_backward": softmax(), "cross_entropy_backward": with_seed}


def run(case: Case) -> Any:
    """Call the function under check."""
    from minigrad.kernels.naive_cpu import cross_entropy_backward, softmax_backward

    grad, logits, targets = numbers(case)
    if case["function"] == "softmax_backward":
        y = softmax(logits, case["axis"])
        given = {"grad": grad.copy(), "y": y.copy()}
        result = softmax_backward(grad, y, case["axis"])
        return {"dx": result, "afterwards": changes(given, {"grad": grad, "y": y})}
    log_sum = log_sum_exp(logits)
    given = {"grad": grad.copy(), "logits": logits.copy(), "log_sum": log_sum.copy()}
    result = cross_entropy_backward(grad, logits, targets, log_sum)
    return {"dlogits": result, "afterwards": changes(given, {"grad": grad, "logits": logits, "log_sum": log_sum})}


def changes(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Which of the caller's arrays were written to."""
    written = [name for name, array in after.items() if not np.array_equal(array, before[name])]
    return f"the caller's {' and '.join(written)} was written to" if written else "the caller's arrays are as they were"


def numbers(case: Case) -> tuple[Any, Any, Any]:
    """grad, logits and targets."""
    rng = np.random.default_rng(case["seed"])
    shape, dtype = case["shape"], case["dtype"]
    logits = np.asarray(case["scale"] * rng.standard_normal(shape)).astype(dtype)
    if case["function"] == "softmax_backward":
        return np.asarray(rng.standard_normal(shape)).astype(dtype), logits, None
    return rng.standard_normal(shape[0]).astype(dtype), logits, rng.integers(0, shape[1], shape[0])


def softmax(x: Any, axis: int) -> Any:
    y = np.exp(x - x.max(axis=axis, keepdims=True)) if x.size else x.copy()
    return y / y.sum(axis=axis, keepdims=True) if x.size else y


def log_sum_exp(logits: Any) -> Any:
    peak = logits.max(axis=1)
    return peak + np.log(np.exp(logits - peak[:, None]).sum(axis=1))


def numeric(case: Case) -> Any:
    """Central differences of sum(grad * output)."""
    grad, logits, targets = numbers(case)
    grad, logits = grad.astype(np.float64), logits.astype(np.float64)

    def loss(x: Any) -> Any:
        if case["function"] == "softmax_backward":
            return (grad * softmax(x, case["axis"])).sum()
        return (grad * (log_sum_exp(x) - x[np.arange(len(targets)), targets])).sum()

    result = np.zeros(case["shape"])
    for index in np.ndindex(case["shape"]):
        step = np.zeros(case["shape"])
        step[index] = 1e-6 * case["scale"]
        result[index] = (loss(logits + step) - loss(logits - step)) / (2 * step[index])
    return {"dx" if case["function"] == "softmax_backward" else "dlogits": result}


def call(case: Case) -> str:
    """What was called."""
    if case["function"] == "softmax_backward":
        return f"softmax_backward(grad, y, axis={case['axis']}), both of shape {case['shape']}, {case['dtype']}"
    return f"cross_entropy_backward(grad, logits, targets, log_sum), logits of shape {case['shape']}, {case['dtype']}"


def inputs(case: Case) -> str:
    """With what."""
    grad, logits, targets = numbers(case)
    names = {"grad": grad} | (
        {"y": softmax(logits, case["axis"])} if targets is None else {"logits": logits, "targets": targets}
    )
    shown = {name: " ".join(np.array2string(array, precision=4, threshold=12).split()) for name, array in names.items()}
    return ", ".join(f"{name} = {text}" for name, text in shown.items())
