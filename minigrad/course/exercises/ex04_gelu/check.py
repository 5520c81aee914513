"""Exercise 04: GELU and its derivative, each in two forms."""

import math
from typing import Any

import numpy as np

Case = dict[str, Any]

EDGES = (-40.0, -6.0, -1.0, 0.0, 1.0, 6.0, 40.0)


def case(function: str, form: str, x: tuple[float, ...], dtype: str = "float64", seed: int = 0) -> Case:
    """One call."""
    return {"function": function, "approximate": form, "x": x, "dtype": dtype, "seed": seed}


CASES: list[Case] = [
    case(function, form, x, dtype)
    for function in ("gelu_forward", "gelu_backward")
    for form in ("none", "tanh")
    for x, dtype in (
        ((1.0,), "float64"),
        ((-0.5, 2.0), "float64"),
        (EDGES, "float64"),
        (EDGES, "float32"),
        ((), "float64"),
    )
]


def strategies(st: Any) -> dict[str, Any]:
    """Hypothesis strategies for more cases of each function."""
    numbers = st.lists(st.integers(-60, 60).map(lambda n: n / 10), min_size=1, max_size=4).map(tuple)
    forms = st.sampled_from(["none", "tanh"])
    return {
        function: st.builds(case, st.just(function), forms, numbers, st.just("float64"), st.integers(0, 1000))
        for function in ("gelu_forward", "gelu_backward")
    }


def run(case: Case) -> Any:
    """Call the function under check."""
    from minigrad.kernels.naive_cpu import gelu_backward, gelu_forward

    x, grad = numbers(case)
    before = x.copy(), grad.copy()
    if case["function"] == "gelu_forward":
        named = {"y": gelu_forward(x, case["approximate"])}
    else:
        named = {"dx": gelu_backward(grad, x, case["approximate"])}
    untouched = np.array_equal(x, before[0]) and np.array_equal(grad, before[1])
    return named | {"afterwards": "x and grad are as they were" if untouched else "x or grad was written to"}


def numbers(case: Case) -> tuple[Any, Any]:
    x = np.array(case["x"], case["dtype"])
    return x, np.random.default_rng(case["seed"]).standard_normal(x.shape).astype(case["dtype"])


def gelu(x: float, form: str) -> float:
    """The definition, a number at a time."""
    if form == "tanh":
        return 0.5 * x * (1.0 + math.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * math.erfc(-x / math.sqrt(2.0))


def numeric(case: Case) -> Any:
    """The definition, or its central difference."""
    x, grad = numbers(case)
    form = case["approximate"]
    if case["function"] == "gelu_forward":
        return {"y": np.array([gelu(float(value), form) for value in x])}
    slopes = [(gelu(float(v) + 1e-5, form) - gelu(float(v) - 1e-5, form)) / 2e-5 for v in x]
    return {"dx": grad * np.array(slopes)}


def call(case: Case) -> str:
    """What was called."""
    arguments = "x" if case["function"] == "gelu_forward" else "grad, x"
    return f'{case["function"]}({arguments}, approximate="{case["approximate"]}"), {case["dtype"]}'


def inputs(case: Case) -> str:
    """With what."""
    x, grad = numbers(case)
    text = f"x = {np.array2string(x, separator=', ')}"
    return (
        text
        if case["function"] == "gelu_forward"
        else f"{text}, grad = {np.array2string(grad, precision=6, separator=', ')}"
    )
