"""Exercise 23: the tiled product on the CPU, for ragged sizes, with the threads of a block in two orders."""

import re
from typing import Any

import numpy as np

Case = dict[str, Any]

NAME, TILE = "tiled_matmul", 8  # as in first_kernels.cu
OUTPUTS = ("c",)
SEARCHED = 6  # each is a process with some hundred threads
ONCE, EACH = "from memory once a block", "by each thread for itself: nothing is __shared__"


def case(sizes: tuple[int, int, int], order: str, seed: int = 0) -> Case:
    """One launch: sizes are M, N and K."""
    return {"function": NAME, "sizes": sizes, "order": order, "seed": seed}


SIZES = ((1, 1, 1), (8, 8, 8), (8, 8, 16), (3, 2, 5), (2, 3, 11), (9, 8, 8), (8, 9, 8), (8, 8, 17), (10, 19, 13))
CASES: list[Case] = [case(sizes, order) for sizes in SIZES for order in ("first", "last")]


def strategies(st: Any) -> dict[str, Any]:
    """Hypothesis strategies for more cases."""
    size, seeds = st.integers(1, 20), st.integers(0, 1000)
    return {NAME: st.builds(case, st.tuples(size, size, size), st.sampled_from(["first", "last"]), seeds)}


def launch(case: Case) -> tuple[Any, Any, dict[str, Any]]:
    """Grid, block and arguments."""
    M, N, K = (np.int32(n) for n in case["sizes"])
    a, b = matrices(case)
    unwritten = np.full((M, N), np.nan, np.float32)
    arguments = {"a": a, "b": b, "c": unwritten, "M": M, "N": N, "K": K}
    return (-(-int(N) // TILE), -(-int(M) // TILE)), (TILE, TILE), arguments


def matrices(case: Case) -> tuple[Any, Any]:
    """Whole numbers, so that a sum tells what is in it."""
    M, N, K = case["sizes"]
    rng = np.random.default_rng(case["seed"])
    return tuple(rng.integers(-9, 10, shape).astype(np.float32) for shape in ((M, K), (K, N)))  # type: ignore[return-value]


def expected(case: Case) -> dict[str, Any]:
    """The same by NumPy."""
    a, b = matrices(case)
    return {"c": a @ b, "A and B are read": ONCE}


def said(body: str) -> dict[str, Any]:
    """What the kernel's text shows of its cost."""
    code = re.sub(r"//[^\n]*|/\*.*?\*/", "", body, flags=re.DOTALL)
    return {"A and B are read": ONCE if "__shared__" in code else EACH}


def call(case: Case) -> str:
    """What was launched."""
    grid, block, _ = launch(case)
    M, N, K = case["sizes"]
    return f"{NAME} on {grid[0]} x {grid[1]} blocks of {block[0]} x {block[1]} threads, M = {M}, N = {N}, K = {K}"


def inputs(case: Case) -> str:
    """With what, and in which order."""
    a, b = matrices(case)
    shown = [
        np.array2string(x, separator=", ").replace("\n", "") if x.size <= 6 else f"of shape {x.shape}" for x in (a, b)
    ]
    return f"a {shown[0]}, b {shown[1]}; in each block the {case['order']} thread runs before the others"
