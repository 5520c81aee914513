"""Where the time and the memory of a forward and backward go: by operation, by layer, against the machine's limits.

`minigrad profile` runs all of it on a model and writes the pictures; docs/profiling.md explains them.

>>> import numpy as np
>>> import minigrad as mg
>>> x = mg.Tensor(np.ones((2, 3), np.float32), requires_grad=True)
>>> with profile() as found:
...     (x @ mg.Tensor(np.ones((3, 4), np.float32))).backward(np.ones((2, 4)))
>>> sorted((row.name, row.flops, row.bytes) for row in found.by_op())
[('MatMul', 48, 104), ('MatMul backward', 48, 104)]
"""

from minigrad.profile.activations import ActivationTime, activation_times
from minigrad.profile.batch_size import BatchSizeRow, linear_cost, sweep_batch_sizes
from minigrad.profile.bottleneck import Bottleneck, find_bottleneck
from minigrad.profile.machine import Machine, measure_machine
from minigrad.profile.recorder import OpCall, Row, profile

__all__ = [
    "ActivationTime",
    "BatchSizeRow",
    "Bottleneck",
    "Machine",
    "OpCall",
    "Row",
    "activation_times",
    "find_bottleneck",
    "linear_cost",
    "measure_machine",
    "profile",
    "sweep_batch_sizes",
]
