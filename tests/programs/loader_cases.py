"""Data sets for test_loader.py, where the worker processes that a loader spawns can import them."""

import os
import time

import numpy as np


class Squares:
    """Example i is i squared; one number of choice fails, some take longer than others."""

    def __init__(self, fails_at=None, slow=False):
        self.fails_at, self.slow = fails_at, slow

    def batch(self, indices):
        """The squares, and who made them."""
        if self.slow:
            time.sleep(0.002 * (int(indices[0]) % 3))
        if self.fails_at is not None and self.fails_at in indices:
            return self.broken(indices)
        return np.asarray(indices) ** 2, os.getpid()

    def broken(self, indices):
        """What goes wrong."""
        raise KeyError(f"no example {self.fails_at}")


class Dying:
    """A worker that is killed, as by a system short of memory."""

    def batch(self, indices):
        """Never comes back."""
        os._exit(3)


def jitter(batch, generator):
    """A transform that draws."""
    squares, pid = batch
    return squares + generator.random(len(squares)), pid
