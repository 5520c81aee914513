"""Dropout on NumPy arrays: the very numbers of cuda/dropout.cu, which says why they are made this way.

Number i of a call is a function of (seed, call, i) and of nothing else. So no mask is stored: the backward asks for
the same numbers again. A block of them can be made on any thread, and a run on a GPU can be repeated here.
"""

from __future__ import annotations

import numpy as np

from minigrad.device import Array
from minigrad.kernels.threads import for_row_blocks

MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
KEY_STEPS = 0x9E3779B9, 0xBB67AE85  # 2^32 times the golden ratio's fraction, and that of sqrt 3
ROUNDS = 10
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


def dropout(x: Array, p: float, seed: int, call: int) -> Array:
    """x / (1 - p) where a random number of (seed, call, place) keeps it, else 0.

    The backward is the same function on the gradient with the same seed and call: no mask is stored.

    Args:
        x: any shape, float.
        p: probability of dropping an element, 0 <= p < 1.
        seed, call: integers from 0 to 2^64 - 1; the call tells uses of one seed apart.

    Returns:
        Array of x's shape and dtype.

    Cost: about 25 integer operations per element, in the cache; 8 bytes of memory traffic in float32.
    """
    y = np.zeros(x.shape, x.dtype)
    flat, flat_y = x.reshape(-1), y.reshape(-1)
    threshold, scale = np.uint64(min(int(p * 2**32), 2**32 - 1)), x.dtype.type(1 / (1 - p))

    def work(quads: slice) -> None:  # one scrambled counter gives four numbers
        places = slice(4 * quads.start, min(4 * quads.stop, x.size))
        numbers = philox(np.arange(quads.start, quads.stop, dtype=np.uint64), seed, call)
        kept = np.empty((quads.stop - quads.start, 4), bool)
        for column, number in enumerate(numbers):
            np.greater_equal(number, threshold, out=kept[:, column])
        np.multiply(flat[places], scale, out=flat_y[places], where=kept.reshape(-1)[: places.stop - places.start])

    for_row_blocks(work, -(-x.size // 4), 4)
    return y


def philox(counter: Array, seed: int, call: int) -> tuple[Array, Array, Array, Array]:
    """Scramble the 128 bits (counter, call) with the key `seed`: four arrays of 32-bit numbers, held in uint64.

    Args:
        counter: (n,) uint64.
        seed, call: as for `dropout`.

    Source: Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy as 1, 2, 3, 2011 (philox4x32-10).
    """
    key0, key1 = seed & int(LOW), seed >> 32 & int(LOW)
    c0, c1 = counter & LOW, counter >> HALF
    c2, c3 = np.full_like(counter, call & int(LOW)), np.full_like(counter, call >> 32)
    for _ in range(ROUNDS):
        product0, product1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        np.right_shift(product1, HALF, out=c0)
        c0 ^= c1
        c0 ^= np.uint64(key0)
        np.right_shift(product0, HALF, out=c2)
        c2 ^= c3
        c2 ^= np.uint64(key1)
        c1, c3 = np.bitwise_and(product1, LOW, out=product1), np.bitwise_and(product0, LOW, out=product0)
        key0, key1 = (key0 + KEY_STEPS[0]) & int(LOW), (key1 + KEY_STEPS[1]) & int(LOW)
    return c0, c1, c2, c3
