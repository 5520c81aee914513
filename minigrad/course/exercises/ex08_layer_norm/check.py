"""Exercise 08: the gradients of layer norm and of RMS norm."""

from typing import Any

import numpy as np

Case = dict[str, Any]
EPS = 0.1  # large, so that it counts: without it two channels would have a gradient of zero


def case(function: str, shape: tuple[int, ...], seed: int = 0, dtype: str = "float64", scale: float = 1.0) -> Case:
    """One call: x of that shape, `scale` times its usual size."""
    return {"function": function, "shape": shape, "seed": seed, "dtype": dtype, "scale": scale}


CASES: list[Case] = [
    case("layer_norm_backward", (1, 2)),
    case("layer_norm_backward", (1, 3)),
    case("layer_norm_backward", (3, 4)),
    case("layer_norm_backward", (2, 3), scale=5.0),
    case("layer_norm_backward", (5,)),
    case("layer_norm_backward", (2, 3, 4)),
    case("layer_norm_backward", (4, 5), dtype="float32"),
    case("rms_norm_backward", (1, 2)),
    case("rms_norm_backward", (3, 4), scale=5.0),
    case("rms_norm_backward", (2, 3, 4)),
    case("rms_norm_backward", (4, 5), dtype="float32"),
]


def strategies(st: Any) -> dict[str, Any]:
    """Hypothesis strategies for more cases of each function."""
    shapes = st.builds(lambda rows, channels: (*rows, channels), st.lists(st.integers(1, 3), max_size=2),
                       st.integers(2, 5))  # fmt: skip
    return {
        name: st.builds(case, st.just(name), shapes, st.integers(0, 1000))
        for name in ("layer_norm_backward", "rms_norm_backward")
    }


def run(case: Case) -> Any:
    """Call the function under check on what the forward would have kept."""
    from minigrad.kernels import naive_cpu

    grad, x, weight = numbers(case)
    x_hat, inverse = normalised(case["function"], x)
    given = {"grad": grad, "x_hat": x_hat, "the inverse deviation": inverse, "weight": weight}
    before = {name: array.copy() for name, array in given.items()}
    found = getattr(naive_cpu, case["function"])(*given.values())
    written = [name for name, array in given.items() if not np.array_equal(array, before[name])]
    names = ("dx", "dweight", "dbias")[: 3 if case["function"] == "layer_norm_backward" else 2]
    if not isinstance(found, tuple) or len(found) != len(names):
        return found
    return dict(zip(names, found, strict=True)) | {
        "afterwards": f"{' and '.join(written)} was written to" if written else "the caller's arrays are as they were"
    }


def numbers(case: Case) -> tuple[Any, Any, Any]:
    """grad, x and weight."""
    rng = np.random.default_rng(case["seed"])
    shape, dtype = case["shape"], case["dtype"]
    grad, x = np.asarray(rng.standard_normal(shape)), np.asarray(case["scale"] * rng.standard_normal(shape)) + 0.5
    return grad.astype(dtype), x.astype(dtype), np.asarray(rng.standard_normal(shape[-1]) + 1.0).astype(dtype)


def normalised(function: str, x: Any) -> tuple[Any, Any]:
    """x_hat, and one over the deviation or over the root mean square."""
    centred = x - x.mean(axis=-1, keepdims=True) if function == "layer_norm_backward" else x
    inverse = 1.0 / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.asarray(EPS, x.dtype))
    return centred * inverse, inverse


def numeric(case: Case) -> Any:
    """Central differences of sum(grad * y)."""
    grad, x, weight = (np.asarray(array, np.float64).copy() for array in numbers(case))
    bias = np.zeros_like(weight)

    def loss() -> Any:
        return (grad * (normalised(case["function"], x)[0] * weight + bias)).sum()

    found = {}
    parts: dict[str, Any] = {"dx": x, "dweight": weight, "dbias": bias}
    for name, array in parts.items():
        found[name] = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            middle, step = array[index], 1e-5 * case["scale"]
            array[index] = middle + step
            ahead = loss()
            array[index] = middle - step
            found[name][index] = (ahead - loss()) / (2 * step)
            array[index] = middle
    if case["function"] == "rms_norm_backward":
        del found["dbias"]
    return found


def call(case: Case) -> str:
    """What was called."""
    kept = "inverse_deviation" if case["function"] == "layer_norm_backward" else "inverse_rms"
    return f"{case['function']}(grad, x_hat, {kept}, weight), grad of shape {case['shape']}, {case['dtype']}"


def inputs(case: Case) -> str:
    """With what."""
    grad, x, weight = numbers(case)
    shown = {"grad": grad, "x_hat": normalised(case["function"], x)[0], "weight": weight}
    return ", ".join(
        f"{name} = {' '.join(np.array2string(array, precision=4, threshold=12).split())}"
        for name, array in shown.items()
    )
