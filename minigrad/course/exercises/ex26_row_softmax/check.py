"""Exercise 26: softmax of rows on the CPU, for rows longer and shorter than a block, threads in two orders."""

import re
from typing import Any

import numpy as np

Case = dict[str, Any]

NAME = "row_softmax"
OUTPUTS = ("y",)
SEARCHED = 6
SHARED, ALONE = "each by one thread, results through shared memory", "by every thread: nothing is __shared__"


def case(rows: int, columns: int, threads: int, order: str, level: float = 0.0, seed: int = 0) -> Case:
    """One launch; `level` is added to all entries."""
    return {
        "function": NAME, "rows": rows, "columns": columns, "threads": threads, "order": order, "level": level,
        "seed": seed,
    }  # fmt: skip


SIZES = ((1, 1, 1), (1, 2, 2), (1, 4, 4), (2, 3, 4), (1, 9, 4), (3, 5, 8), (2, 21, 16), (2, 70, 64))
CASES: list[Case] = [
    *(case(*sizes, order) for sizes in SIZES for order in ("first", "last")),
    *(case(2, 5, 4, "first", level) for level in (100.0, -200.0)),
]


def strategies(st: Any) -> dict[str, Any]:
    """Hypothesis strategies for more cases."""
    rows, columns, threads = st.integers(1, 3), st.integers(1, 40), st.integers(0, 5).map(lambda k: 2**k)
    order, level = st.sampled_from(["first", "last"]), st.sampled_from([0.0, 100.0, -200.0])
    return {NAME: st.builds(case, rows, columns, threads, order, level, st.integers(0, 1000))}


def launch(case: Case) -> tuple[Any, Any, dict[str, Any]]:
    """Grid, block and arguments."""
    x = matrix(case)
    return case["rows"], case["threads"], {"x": x, "y": np.full_like(x, np.nan), "columns": np.int32(case["columns"])}


def matrix(case: Case) -> Any:
    """The rows."""
    rng = np.random.default_rng(case["seed"])
    return (2 * rng.standard_normal((case["rows"], case["columns"])) + case["level"]).astype(np.float32)


def expected(case: Case) -> dict[str, Any]:
    """The same by NumPy."""
    x = matrix(case).astype(np.float64)
    y = np.exp(x - x.max(axis=1, keepdims=True))
    y /= y.sum(axis=1, keepdims=True)
    return {"y": y.astype(np.float32), "elements are read": SHARED}


def said(body: str) -> dict[str, Any]:
    """What the kernel's text shows of its cost."""
    code = re.sub(r"//[^\n]*|/\*.*?\*/", "", body, flags=re.DOTALL)
    return {"elements are read": SHARED if "__shared__" in code else ALONE}


def call(case: Case) -> str:
    """What was launched."""
    return f"{NAME} on {case['rows']} blocks of {case['threads']} threads, columns = {case['columns']}"


def inputs(case: Case) -> str:
    """With what, and in which order."""
    x = matrix(case)
    shown = np.array2string(x, precision=4, separator=", ").replace("\n", "")
    entries = f"= {shown}" if x.size <= 6 else f"of shape {x.shape}, entries around {case['level']:g}"
    return f"x {entries}; in each block the {case['order']} thread runs before the others"
