"""The gradient of an embedding on NumPy arrays."""

from __future__ import annotations

import numpy as np

from minigrad.device import Array


def embedding_backward(grad: Array, indices: Array, rows: int) -> Array:
    """Add each row of grad to the row of the table it was read from.

    An index that occurs twice must receive both rows, which plain `table[indices] += grad` loses. Sorting by
    index puts equal ones side by side, and `add.reduceat` sums each run in a fixed order.

    Args:
        grad: (..., C).
        indices: (...) integers in [0, rows).
        rows: height of the table.

    Returns:
        (rows, C) array of grad's dtype.

    Cost: O(N log N + N C) for N indices.
    """
    flat = indices.reshape(-1)
    dtable = np.zeros((rows, grad.shape[-1]), dtype=grad.dtype)
    if flat.size == 0:
        return dtable
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    dtable[ordered[starts]] = np.add.reduceat(grad.reshape(flat.size, -1)[order], starts, axis=0)
    return dtable
