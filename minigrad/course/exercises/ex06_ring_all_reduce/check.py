"""Exercise 06: the ring's two phases and the whole, on simulated ranks; the same under mpirun."""

from typing import Any

import numpy as np

Case = dict[str, Any]

FUNCTIONS = ("ring_reduce_scatter", "ring_all_gather", "ring_all_reduce")
ITEM = 8  # bytes of a float64


def case(function: str, ranks: int, n: int, dtype: str = "float64") -> Case:
    """One call on every rank, with an array of n elements."""
    return {"function": function, "ranks": ranks, "n": n, "dtype": dtype}


CASES: list[Case] = [
    case(function, ranks, n)
    for function in FUNCTIONS
    for ranks, n in ((1, 2), (2, 2), (2, 4), (3, 3), (3, 7), (4, 8), (5, 3), (8, 17), (2, 0))
]


def strategies(st: Any) -> dict[str, Any]:
    """Hypothesis strategies for more cases of each function."""
    return {
        function: st.builds(case, st.just(function), st.integers(1, 6), st.integers(1, 20)) for function in FUNCTIONS
    }


def run(case: Case) -> Any:
    """Run the function on every rank of a simulated world; count its messages."""
    from parallel.cluster import Cluster
    from parallel.comm import simulate

    ranks, n = case["ranks"], case["n"]
    simulation = simulate(program, ranks=ranks, args=(case,), cluster=Cluster(alpha=1.0, beta=0.0))
    sends = [span for span in simulation.spans if span.kind == "send"]
    phases = 2 if case["function"] == "ring_all_reduce" else 1
    longest = max((span.bytes for span in sends), default=0) // np.dtype(case["dtype"]).itemsize
    counts = {f"messages sent by rank {r}": sum(span.rank == r for span in sends) for r in range(ranks)}
    return (
        {f"rank {rank}": result for rank, result in enumerate(simulation.results)}
        | counts
        | {
            "longest message": "at most ceil(n/p) elements" if longest <= -(-n // ranks) else f"{longest} elements",
            "time": f"{phases} (p - 1) messages long"
            if simulation.time <= phases * (ranks - 1) + 1e-9
            else f"{simulation.time:g} messages long",
        }
    )


def program(comm: Any, case: Case) -> Any:
    """What one rank does; the same under mpirun."""
    from parallel.collectives import ring

    rank, p, n = comm.Get_rank(), comm.Get_size(), case["n"]
    x, own = contribution(rank, case), ring.chunk(n, p, rank)
    if case["function"] == "ring_all_gather":
        others = np.ones(n, dtype=bool)
        others[own] = False
        x[others] = -1.0
        ring.ring_all_gather(comm, x)
        return {"x": x}
    if case["function"] == "ring_reduce_scatter":
        returned = ring.ring_reduce_scatter(comm, x)
        return {"own chunk of x": x[own].copy(), "returned": returned}
    ring.ring_all_reduce(comm, x)
    return {"x": x}


def contribution(rank: int, case: Case) -> Any:
    """Powers of four, so that the sum tells whose contributions are in it, how many times."""
    return (4.0 ** (rank % 8) * (1 + np.arange(case["n"]))).astype(case["dtype"])


def mpi_cases(ranks: int) -> list[Case]:
    """What is run under mpirun."""
    return [case(function, ranks, n) for function in FUNCTIONS for n in (0, 1, 8, 17)]


def mpi_expected(case: Case) -> Any:
    """What all ranks return there: the simulated ranks of the reference return the same."""
    output = run(case)
    return [output[f"rank {rank}"] for rank in range(case["ranks"])]


def call(case: Case) -> str:
    """What was called."""
    return f"{case['function']}(comm, x) on {case['ranks']} ranks"


def inputs(case: Case) -> str:
    """With what."""
    n, last = case["n"], case["ranks"] - 1
    if n == 0:
        return "x is empty on all ranks"
    first = np.array2string(contribution(0, case)[:4], separator=", ")
    shown = f"{first[:-1]}{', ...' * (n > 4)}]"
    return f"x of n = {n} elements: {shown} on rank 0, {4 ** (last % 8)} times that on rank {last}"
