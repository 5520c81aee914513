"""Prove that the gradient battery can fail: plant faults in every operation's backward and see it turn red.

    python tests/kill_table.py [--write docs/kill-table.md]

Three faults are planted in each operation, one at a time: a backward that returns zeros, one that returns twice the
gradient, and one that returns the negative. A fault that no row of tests/op_table.py notices is a survivor, and the
script then ends with status 1. The first derivative is what is checked here; second order has a test of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np  # noqa: E402
import op_table  # noqa: E402

from minigrad.gradcheck import gradcheck  # noqa: E402
from minigrad.ops import OPS  # noqa: E402

FAULTS: dict[str, float] = {"zeros": 0.0, "doubled": 2.0, "negated": -1.0}


def planted(op: str, factor: float) -> Callable[..., tuple[Any, ...]]:
    """The backward of `op` with every gradient multiplied by `factor`."""
    original = OPS[op].backward

    def backward(self: Any, grad: Any, *operands: Any) -> tuple[Any, ...]:
        return tuple(None if g is None else g * factor for g in original(self, grad, *operands))

    return backward


def first_red_row(op: str) -> str | None:
    """Name of the first row of `op` that fails; None if all pass."""
    for row in op_table.OPS_TABLE:
        if row.op == op:
            try:
                gradcheck(row.function, op_table.inputs_for(row, 0), rng=np.random.default_rng(0), rtol=1e-6)
            except AssertionError:
                return row.name
    return None


def killed_by(op: str, factor: float) -> str | None:
    """Plant one fault, look for a red row, take the fault out again."""
    original = OPS[op].backward
    OPS[op].backward = planted(op, factor)  # type: ignore[method-assign]
    try:
        return first_red_row(op)
    finally:
        OPS[op].backward = original  # type: ignore[method-assign]


def main() -> int:
    """Print the table; the status says whether a fault survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", metavar="FILE", help="write the table there as well")
    args = parser.parse_args()
    lines = ["| operation | rows | " + " | ".join(FAULTS) + " |", "|---|---|" + "---|" * len(FAULTS)]
    survivors = 0
    for op in sorted(OPS):
        rows = sum(row.op == op for row in op_table.OPS_TABLE)
        killers = [killed_by(op, factor) for factor in FAULTS.values()]
        survivors += killers.count(None)
        cells = " | ".join("SURVIVED" if killer is None else f"red: {killer}" for killer in killers)
        lines.append(f"| {op} | {rows} | {cells} |")
        print(lines[-1], flush=True)
    print(f"{len(OPS)} operations, {len(OPS) * len(FAULTS)} faults, {survivors} survivors")
    if args.write:
        head = (
            "# Kill table\n\nEach operation's backward is broken in three ways, one at a time; the cell names the "
            "first row of the gradient\nbattery that turned red. Made by `python tests/kill_table.py --write "
            "docs/kill-table.md`.\n\n"
        )
        Path(args.write).write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
