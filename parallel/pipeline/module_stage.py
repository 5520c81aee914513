"""A stage that is part of a real network."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

import minigrad as mg
from parallel.pipeline.stage import Array, Sizes, Stage

Loss = Callable[[mg.Tensor, mg.Tensor], mg.Tensor]


class ModuleStage(Stage):
    """A module as a pipeline stage; the graph of every micro-batch is kept until its backward.

    Its `backward_input` computes the weight gradients in the same sweep and puts them aside, and
    `backward_weight` only adds them: right in its numbers for any schedule, though splitting BW saves it
    no time.

    Args:
        module: the layers of this stage.
        sizes: shape and dtype of one micro-batch of its input.
        loss: in the last stage, a function of (output, targets) that returns the mean loss; otherwise None.
        is_first: whether this is the first stage, whose input needs no gradient.
    """

    def __init__(self, module: mg.nn.Module, sizes: Sizes, loss: Loss | None = None, is_first: bool = False) -> None:
        self.module = module
        self.loss = loss
        self.is_first = is_first
        self._sizes = sizes
        self._graphs: dict[int, tuple[mg.Tensor, mg.Tensor]] = {}  # micro-batch -> (input, output)
        self._weight_grads: dict[int, tuple[mg.Tensor | None, ...]] = {}

    def forward(self, micro_batch: int, x: Array, targets: Array | None) -> Array:
        """Run the module, and in the last stage the loss, and keep the graph."""
        if x.shape != self._sizes.shape:
            raise ValueError(f"x has shape {x.shape}, the stage was made for micro-batches of {self._sizes.shape}")
        tensor = mg.Tensor(x, requires_grad=not self.is_first)
        output = self.module(tensor)
        if self.loss is not None:
            output = self.loss(output, mg.Tensor(targets))
        self._graphs[micro_batch] = (tensor, output)
        return output.data

    def backward_input(self, micro_batch: int, grad: Array) -> Array | None:
        """Walk the graph once; return dL/d(input), and put dL/d(weights) aside."""
        x, output = self._graphs.pop(micro_batch)
        wanted = self._weights() + ([] if self.is_first else [x])
        grads: tuple[mg.Tensor | None, ...] = (None,) * len(wanted)
        if output.requires_grad:  # not where nothing is learned: a first stage without weights, or with frozen ones
            grads = mg.grad(output, wanted, mg.Tensor(grad), allow_unused=True)
        self._weight_grads[micro_batch] = grads[: len(self._weights())]
        if self.is_first:
            return None
        return np.zeros_like(x.data) if grads[-1] is None else grads[-1].data

    def backward_weight(self, micro_batch: int) -> None:
        """Add what was put aside to `.grad` of every weight; an unused weight gets nothing."""
        for weight, grad in zip(self._weights(), self._weight_grads.pop(micro_batch), strict=True):
            if grad is not None:
                weight.accumulate_grad(grad.data)

    def sizes(self) -> Sizes:
        """Return what the stage was made for."""
        return self._sizes

    def _weights(self) -> list[mg.Tensor]:
        return [weight for weight in self.module.parameters() if weight.requires_grad]


def cut_sequential(layers: mg.nn.Sequential, stages: int, micro_batch: Array, loss: Loss) -> list[ModuleStage]:
    """Cut a Sequential into stages of consecutive layers, as equal in number as can be.

    Every rank calls this with the same model and keeps the stages that its schedule places there.

    Args:
        layers: the whole model.
        stages: number of stages, at most the number of layers.
        micro_batch: inputs of one micro-batch; they run forward once, to learn the shapes between stages
            (a Dropout draws a mask for them).
        loss: function of (output, targets) that returns the mean loss, for the last stage.

    Raises:
        ValueError: more stages than layers, or less than one.
    """
    if not 1 <= stages <= len(layers):
        raise ValueError(f"stages={stages} must be at least 1 and at most the {len(layers)} layers")
    bounds = [stage * len(layers) // stages for stage in range(stages + 1)]
    result = []
    x = mg.Tensor(micro_batch)
    for stage, (first, end) in enumerate(pairwise(bounds)):
        module = layers[first:end]
        sizes = Sizes(x.shape, x.data.dtype)
        is_last = stage == stages - 1
        result.append(ModuleStage(module, sizes, loss if is_last else None, is_first=stage == 0))
        with mg.no_grad():
            x = module(x)
    return result
