"""Exercise 22: softmax and its gradient a block of columns at a time, with every read counted."""

from typing import Any

import numpy as np

Case = dict[str, Any]

JOIN, FORWARD, BACKWARD = "join_block", "online_softmax_forward", "online_softmax_backward"
NOWHERE, START, MIDDLE, HIGH = "no entry", "columns 0 and 1", "columns 2 and 3", "a large entry at the end"


def case(
    function: str, shape: tuple[int, int], block: int = 2, special: str = "none", seed: int = 0, **more: Any
) -> Case:
    """One call; `special` says where entries are -inf, or large."""
    return {
        "function": function,
        "shape": shape,
        "block": block,
        "special": special,
        "seed": seed,
        "dtype": "float64",
    } | more


CUTS = (((1, 1), 1), ((1, 2), 1), ((2, 4), 2), ((1, 3), 2), ((3, 7), 3), ((2, 3), 8))  # shape, block
CASES: list[Case] = [
    *(case(JOIN, shape) for shape in ((1, 1), (1, 2), (2, 3))),
    case(JOIN, (2, 2), fresh=True),
    case(JOIN, (2, 2), special=START),
    case(JOIN, (2, 2), special=START, fresh=True),
    case(JOIN, (2, 3), special=HIGH),
    case(JOIN, (2, 3), dtype="float32"),
    *(case(FORWARD, shape, block) for shape, block in CUTS),
    *(case(FORWARD, (2, 6), 2, special) for special in (START, MIDDLE, HIGH)),
    case(FORWARD, (2, 5), 2, dtype="float32"),
    *(case(BACKWARD, shape, block) for shape, block in CUTS),
    case(BACKWARD, (2, 5), 2, dtype="float32"),
]  # fmt: skip


def strategies(st: Any) -> dict[str, Any]:
    """Hypothesis strategies for more cases of each function."""
    shapes, blocks, seeds = st.tuples(st.integers(1, 3), st.integers(1, 9)), st.integers(1, 5), st.integers(0, 1000)
    special = st.sampled_from(["none", START, MIDDLE, HIGH])
    makers = {
        function: st.builds(case, st.just(function), shapes, blocks, special, seeds) for function in (JOIN, FORWARD)
    }
    return makers | {BACKWARD: st.builds(case, st.just(BACKWARD), shapes, blocks, st.just("none"), seeds)}


class Counted(np.ndarray[Any, Any]):
    """An array that notes how much of it is read, and how many columns at a time.

    Slices and whole-array arithmetic are reads; a slice is an ordinary array, which may be used as often as one likes.
    """

    elements = 0
    widest = 0

    def note(self, columns: int, elements: int) -> None:
        """Count a read."""
        self.elements += elements
        self.widest = max(self.widest, columns)

    def __getitem__(self, place: Any) -> Any:
        """A part, as an ordinary array."""
        part = self.view(np.ndarray)[place]
        self.note(part.shape[-1] if part.ndim else 1, part.size)
        return part

    def __iter__(self) -> Any:
        """Row by row."""
        return (self[i] for i in range(len(self)))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **named: Any) -> Any:
        """Arithmetic on all of it at once."""
        for one in inputs:
            if isinstance(one, Counted):
                one.note(one.shape[-1], one.size)
        return getattr(ufunc, method)(*(plain(one) for one in inputs), **{key: plain(v) for key, v in named.items()})

    def said(self, block: int) -> str:
        """What was read, in words."""
        times = f"{self.elements / max(1, self.size):.3g} times"
        width = "in blocks" if self.widest <= block else f"{self.widest} columns at a time, where block is {block}"
        return f"read {times}, {width}"


def plain(value: Any) -> Any:
    """The array without its counters."""
    if isinstance(value, tuple):
        return tuple(plain(one) for one in value)
    return value.view(np.ndarray) if isinstance(value, Counted) else value


def run(case: Case) -> Any:
    """Call the function under check."""
    from minigrad.kernels import online_softmax

    call = getattr(online_softmax, case["function"])
    arrays = arguments(case)
    before = [array.copy() for array in arrays]
    if case["function"] == JOIN:
        with np.errstate(invalid="ignore"):
            peak, total = call(*arrays)
        results: dict[str, Any] = {"peak": peak, "total": total}
    else:
        given = [array.view(Counted) for array in arrays]
        with np.errstate(invalid="ignore"):
            found = call(*given, case["block"])
        names = ("x",) if case["function"] == FORWARD else ("grad", "y")
        counts = {name: one.said(case["block"]) for name, one in zip(names, given, strict=True)}
        results = {"y" if case["function"] == FORWARD else "dx": plain(found), **counts}
    same = all(np.array_equal(one, other) for one, other in zip(before, arrays, strict=True))
    return results | {"afterwards": "the arguments are as they were" if same else "an argument was written to"}


def arguments(case: Case) -> list[Any]:
    """The arrays of a case."""
    rng, shape = np.random.default_rng(case["seed"]), case["shape"]
    x: Any = rng.standard_normal(shape)
    if case["special"] == START:
        x[:, :2] = -np.inf
    elif case["special"] == MIDDLE:
        x[:, 2:4] = -np.inf
    elif case["special"] == HIGH:
        x[0, -1] = 900.0  # exp of it overflows
    if case["special"] in (START, MIDDLE):
        x[0, -1] = 1.0  # no row of these is -inf throughout, unless it has to be
    arrays: list[Any] = [x]
    if case["function"] == JOIN:
        rows = (shape[0], 1)
        fresh = case.get("fresh", False)
        peak = np.full(rows, -np.inf) if fresh else rng.standard_normal(rows)
        arrays = [peak, np.zeros(rows) if fresh else 1.0 + rng.random(rows), x]
    elif case["function"] == BACKWARD:
        y = np.exp(x)
        arrays = [rng.standard_normal(shape), y / y.sum(axis=1, keepdims=True)]
    return [array.astype(case["dtype"]) for array in arrays]


def numeric(case: Case) -> Any:
    """The definitions, on whole rows in float64; central differences for the gradient."""
    arrays = [array.astype(np.float64) for array in arguments(case)]
    if case["function"] == FORWARD and case["special"] == "none":
        return {"y": softmax(arrays[0])}
    if case["function"] == BACKWARD:
        grad, y = arrays
        x, dx = np.log(y), np.empty_like(y)
        for at in np.ndindex(*x.shape):
            step = np.zeros_like(x)
            step[at] = 1e-5
            dx[at] = (grad * (softmax(x + step) - softmax(x - step))).sum() / 2e-5
        return {"dx": dx}
    return None


def softmax(x: Any) -> Any:
    """The plain form."""
    y = np.exp(x - x.max(axis=1, keepdims=True))
    return y / y.sum(axis=1, keepdims=True)


def call(case: Case) -> str:
    """What was called."""
    arguments = {JOIN: "peak, total, block", FORWARD: "x, ", BACKWARD: "grad, y, "}[case["function"]]
    block = "" if case["function"] == JOIN else f"block={case['block']}"
    return f"{case['function']}({arguments}{block}), {case['dtype']}"


def inputs(case: Case) -> str:
    """With what."""
    names = {JOIN: ("peak", "total", "block"), FORWARD: ("x",), BACKWARD: ("grad", "y")}[case["function"]]
    shown = []
    for name, array in zip(names, arguments(case), strict=True):
        text = (
            np.array2string(array, precision=4, separator=", ").replace("\n", "")
            if array.size <= 8
            else f"of shape {array.shape}"
        )
        shown.append(f"{name} = {text}" if array.size <= 8 else f"{name} {text}")
    return ", ".join(shown) + (
        "" if case["special"] == "none" else f" ({case['special']} {'is' if case['special'] == HIGH else 'are -inf'})"
    )
