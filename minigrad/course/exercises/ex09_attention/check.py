"""Exercise 09: the causal mask, attention, and its gradients."""

from typing import Any

import numpy as np

Case = dict[str, Any]


def mask_case(queries: int, keys: int, first: int = 0, dtype: str = "float64") -> Case:
    """One call of causal_mask."""
    return {"function": "causal_mask", "queries": queries, "keys": keys, "first": first, "dtype": dtype}


def case(
    function: str, queries: int, keys: int, width: int, front: tuple[int, ...] = (), causal: bool = False,
    mask: str = "none", dtype: str = "float64", seed: int = 0,
) -> Case:  # fmt: skip
    """One call of attention_forward, or of attention_backward with the probabilities of that call."""
    return {
        "function": function, "queries": queries, "keys": keys, "width": width, "front": front, "causal": causal,
        "mask": mask, "dtype": dtype, "seed": seed,
    }  # fmt: skip


CASES: list[Case] = [
    mask_case(1, 1),
    mask_case(2, 2),
    mask_case(3, 3),
    mask_case(1, 4, first=3),
    mask_case(2, 5, first=3),
    mask_case(3, 2),
    mask_case(2, 2, dtype="float32"),
    case("attention_forward", 1, 2, 1),
    case("attention_forward", 2, 3, 4),
    case("attention_forward", 3, 3, 2, causal=True),
    case("attention_forward", 2, 3, 4, mask="bias"),
    case("attention_forward", 2, 3, 4, mask="hidden"),
    case("attention_forward", 3, 3, 4, causal=True, mask="bias"),
    case("attention_forward", 3, 3, 4, front=(2, 2), causal=True),
    case("attention_forward", 3, 3, 4, front=(2,), dtype="float32"),
    case("attention_backward", 1, 2, 1),
    case("attention_backward", 2, 3, 4),
    case("attention_backward", 3, 3, 2, causal=True),
    case("attention_backward", 2, 3, 4, front=(2, 2), mask="hidden"),
    case("attention_backward", 3, 3, 4, dtype="float32"),
]


def strategies(st: Any) -> dict[str, Any]:
    """Hypothesis strategies for more cases of each function."""
    sizes, seeds = st.integers(1, 4), st.integers(0, 1000)

    def attention(name: str) -> Any:
        return st.builds(
            lambda queries, keys, width, front, causal, mask, seed: case(
                name, queries, keys, width, tuple(front), causal, mask, seed=seed
            ),
            sizes, sizes, sizes, st.lists(st.integers(1, 2), max_size=2), st.booleans(),
            st.sampled_from(["none", "bias"]), seeds,
        )  # fmt: skip

    return {
        "causal_mask": st.builds(mask_case, sizes, sizes, st.integers(0, 2)),
        "attention_forward": attention("attention_forward"),
        "attention_backward": attention("attention_backward"),
    }


def run(case: Case) -> Any:
    """Call the function under check."""
    from minigrad.kernels import cpu

    if case["function"] == "causal_mask":
        return {"mask": cpu.causal_mask(case["queries"], case["keys"], np.dtype(case["dtype"]), first=case["first"])}
    given = numbers(case)
    mask = given.pop("mask")
    if case["function"] == "attention_forward":
        del given["grad"]
        names: tuple[str, ...] = ("output", "probabilities")
    else:
        given["probabilities"] = attend(given["query"], given["key"], given["value"], full_mask(case, mask))[1]
        names = ("dquery", "dkey", "dvalue")
    before = {name: array.copy() for name, array in given.items()}
    extra = (case["causal"], mask) if case["function"] == "attention_forward" else ()
    found = getattr(cpu, case["function"])(*given.values(), *extra)
    written = [name for name, array in given.items() if not np.array_equal(array, before[name])]
    if not isinstance(found, tuple) or len(found) != len(names):
        return found
    return dict(zip(names, found, strict=True)) | {
        "afterwards": f"{' and '.join(written)} was written to" if written else "the caller's arrays are as they were"
    }


def numbers(case: Case) -> dict[str, Any]:
    """grad, query, key and value, and the mask, which may be None."""
    rng = np.random.default_rng(case["seed"])
    queries, keys = (*case["front"], case["queries"], case["width"]), (*case["front"], case["keys"], case["width"])
    shapes = {"grad": queries, "query": queries, "key": keys, "value": keys}
    given: dict[str, Any] = {name: rng.standard_normal(shape).astype(case["dtype"]) for name, shape in shapes.items()}
    mask = rng.standard_normal((case["queries"], case["keys"])).astype(case["dtype"])
    if case["mask"] == "hidden":  # the last key, as where a sentence is shorter than the others
        mask = np.where(np.arange(case["keys"]) == case["keys"] - 1, -np.inf, 0.0).astype(case["dtype"])
    return given | {"mask": None if case["mask"] == "none" else mask}


def full_mask(case: Case, mask: Any) -> Any:
    """Both masks in one, by the plainest loop."""
    full = np.zeros((case["queries"], case["keys"])) if mask is None else mask.copy()
    for t in range(case["queries"]):
        for s in range(case["keys"]):
            if case["causal"] and s > t:
                full[t, s] = -np.inf
    return full.astype(case["dtype"])


def attend(query: Any, key: Any, value: Any, mask: Any) -> tuple[Any, Any]:
    """Attention by einsum."""
    scores = np.einsum("...td,...sd->...ts", query, key) / np.sqrt(np.asarray(query.shape[-1], query.dtype)) + mask
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.einsum("...ts,...sd->...td", weights, value), weights


def numeric(case: Case) -> Any:
    """The forward by einsum; the gradients by central differences of sum(grad * output)."""
    if case["function"] == "causal_mask":
        return None
    given = numbers(case)
    mask = full_mask(case, given.pop("mask")).astype(np.float64)
    grad, query, key, value = (array.astype(np.float64) for array in given.values())
    if case["function"] == "attention_forward":
        output, probabilities = attend(query, key, value, mask)
        return {"output": output, "probabilities": probabilities}
    found = {}
    for name, array in (("dquery", query), ("dkey", key), ("dvalue", value)):
        found[name] = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            middle = array[index]
            array[index] = middle + 1e-5
            ahead = (grad * attend(query, key, value, mask)[0]).sum()
            array[index] = middle - 1e-5
            found[name][index] = (ahead - (grad * attend(query, key, value, mask)[0]).sum()) / 2e-5
            array[index] = middle
    return found


def call(case: Case) -> str:
    """What was called."""
    if case["function"] == "causal_mask":
        return f"causal_mask({case['queries']}, {case['keys']}, {case['dtype']}, first={case['first']})"
    if case["function"] == "attention_backward":
        return "attention_backward(grad, query, key, value, probabilities)" + (", causal" if case["causal"] else "")
    mask = {"none": "None", "bias": "a bias", "hidden": "-inf for the last key"}[case["mask"]]
    return f"attention_forward(query, key, value, causal={case['causal']}, mask={mask})"


def inputs(case: Case) -> str:
    """With what."""
    if case["function"] == "causal_mask":
        return f"queries at positions {case['first']} to {case['first'] + case['queries'] - 1}, {case['keys']} keys"
    given = numbers(case)
    shapes = f"query of shape {given['query'].shape}, key and value {given['key'].shape}, {case['dtype']}"
    small = {name: given[name] for name in ("query", "key", "value")}
    if max(array.size for array in small.values()) > 6:
        return shapes
    shown = (
        f"{name} = {' '.join(np.array2string(array, precision=4, separator=', ').split())}"
        for name, array in small.items()
    )
    return f"{shapes}: {', '.join(shown)}"
