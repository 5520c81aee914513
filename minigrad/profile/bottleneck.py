"""Name what a step spends its time on, and what helps against that."""

from __future__ import annotations

from dataclasses import dataclass

from minigrad.profile.machine import Machine
from minigrad.profile.recorder import profile

REMEDIES = {
    "loading": "prefetch: load the next batch while this one is computed, and a step takes the longer of the two "
    "times instead of their sum",
    "data movement": "move fewer bytes: fuse element-wise operations into one pass, store activations in half "
    "precision, and prefetch what can be fetched early",
    "compute": "lower precision (float16 or bfloat16, where the hardware multiplies them faster), or a faster device",
    "engine": "more work for each operation: a larger batch, or fused operations instead of many small ones",
    "memory": "gradient accumulation over smaller micro-batches, or recomputation of activations in the backward",
}
TIGHT = 0.8  # of the memory, from where on it is the bottleneck whatever the times are


@dataclass(frozen=True)
class Bottleneck:
    """What limits a step.

    Attributes:
        kind: "loading", "data movement", "compute", "engine" or "memory".
        share: of the step's time, or of the memory.
        shares: kind to part of the step's time, for the first four; they add up to 1.
        remedy: what helps.
    """

    kind: str
    share: float
    shares: dict[str, float]
    remedy: str

    def __str__(self) -> str:
        of_what = "memory" if self.kind == "memory" else "time"
        return f"bottleneck: {self.kind} ({self.share:.0%} of the {of_what}); remedy: {self.remedy}"


def find_bottleneck(
    found: profile, machine: Machine, *, load_seconds: float = 0.0, memory: int = 0, memory_limit: int = 0
) -> Bottleneck:
    """Sort the time of a step into four kinds, and name the largest.

    An operation is bound by compute if it does more FLOPs per byte than the machine's ridge, else by data movement.
    What is neither inside an operation nor loading is the engine's own Python.

    Args:
        found: a profile of one or several steps.
        machine: the limits.
        load_seconds: spent waiting for data in those steps, in addition to the profile's time.
        memory: peak bytes of a step with its parameters, if known.
        memory_limit: bytes there are, if known.

    Returns:
        The bottleneck; "memory" if more than four fifths of it are in use.

    Raises:
        ValueError: a profile that recorded nothing, or negative load_seconds.
    """
    if not found.calls:
        raise ValueError("the profile has no operations; run a forward inside the `with profile()` block")
    if load_seconds < 0.0:
        raise ValueError(f"load_seconds={load_seconds} must not be negative")
    seconds = {"loading": load_seconds, "data movement": 0.0, "compute": 0.0, "engine": max(0.0, found.outside)}
    for call in found.calls:
        if call.bytes == 0:  # a view: nothing but the engine's work
            seconds["engine"] += call.seconds
        else:
            seconds["compute" if call.flops >= machine.ridge * call.bytes else "data movement"] += call.seconds
    total = sum(seconds.values())
    shares = {kind: spent / total for kind, spent in seconds.items()}
    if memory_limit and memory > TIGHT * memory_limit:
        return Bottleneck("memory", memory / memory_limit, shares, REMEDIES["memory"])
    kind = max(shares, key=lambda kind: shares[kind])
    return Bottleneck(kind, shares[kind], shares, REMEDIES[kind])
