"""What the collectives cost: closed forms, in seconds, for uniform links without contention.

`p` is the number of ranks, `nbytes` the size of the whole array in bytes, `alpha` the latency of a message in s,
`beta` its time per byte in s/byte, `gamma` the time to add one byte in s/byte. `p` is taken to divide the number of
elements.
"""


def ring_reduce_scatter_time(p: int, nbytes: float, alpha: float, beta: float, gamma: float = 0.0) -> float:
    """Seconds of `ring_reduce_scatter`: (p-1) steps of one chunk each."""
    return (p - 1) * (alpha + nbytes / p * (beta + gamma))


def ring_all_gather_time(p: int, nbytes: float, alpha: float, beta: float) -> float:
    """Seconds of `ring_all_gather`: (p-1) steps of one chunk each."""
    return (p - 1) * (alpha + nbytes / p * beta)


def ring_all_reduce_time(p: int, nbytes: float, alpha: float, beta: float, gamma: float = 0.0) -> float:
    """Seconds of `ring_all_reduce`.

    >>> ring_all_reduce_time(4, 40, alpha=2.0, beta=0.5)
    42.0
    """
    reduce_scatter = ring_reduce_scatter_time(p, nbytes, alpha, beta, gamma)
    return reduce_scatter + ring_all_gather_time(p, nbytes, alpha, beta)
