"""Memory that a step frees and the next step asks for again, kept in between.

A training step makes and frees the same large arrays every time. By default the C library gives the memory of each of
them back to the kernel, and the next array's memory comes from there again: empty pages, each filled with zeros and
entered in the page table at its first touch. In a step of a small GPT that was a fifth of the time. Memory that stays
with the process costs nothing to use again.
"""

from __future__ import annotations

import ctypes
import sys

# Names of glibc's malloc.h, for mallopt.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8
LARGEST_IN_HEAP = 32 << 20  # glibc's limit: arrays above it always come from the kernel


def keep_freed_memory() -> bool:
    """Let the C library keep freed memory for the arrays to come, in this process, from now on.

    One heap for all threads, so that what one frees another can use. The peak of memory is the same (give or take
    what lies between used pieces); it is what the process has at rest that is larger.

    Returns:
        Whether it could be arranged: with glibc, so on most Linux systems, True.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has no mallopt
        return False
    wishes = {M_MMAP_THRESHOLD: LARGEST_IN_HEAP, M_TRIM_THRESHOLD: (1 << 31) - 1, M_ARENA_MAX: 1}
    done = [mallopt(name, value) for name, value in wishes.items()]
    return all(done)
