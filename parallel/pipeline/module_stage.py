"""A stage that is part of a real network."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

import minigrad as mg
from minigrad.randomness import State, generators_of, replayed, states_of
from minigrad.split_backward import WeightGradients, split_backward
from parallel.pipeline.layers import Loss, count_targets, drawing_from
from parallel.pipeline.stage import Array, Sizes, Stage


class Kept(NamedTuple):
    """What a stage keeps of a micro-batch between its forward and its backward.

    Args:
        x: the input.
        output: with the graph behind it; None if that is to be computed again.
        targets: in the last stage.
        states: of the generators, before the forward.
    """

    x: mg.Tensor
    output: mg.Tensor | None
    targets: Array | None
    states: list[State]


class ModuleStage(Stage):
    """A module as a pipeline stage; the graph of every micro-batch is kept until its backward.

    B goes back to the input and puts aside the gradients at the nodes where weights enter; W takes them from there.

    Args:
        module: the layers of this stage.
        sizes: shape and dtype of one micro-batch of its input, the largest.
        loss: in the last stage, a function of (output, targets) that returns the mean loss; otherwise None.
        is_first: whether this is the first stage, whose input needs no gradient.
        recompute: keep only the input of a micro-batch, and run the forward again when its backward has come.
        first_layer: number of its first layer in the model.
        count: in the last stage, over how many targets the loss is the mean.

    Attributes:
        draw: whole numbers of at least 0 that tell one step from another, if the module draws random numbers: its
            masks then follow from these, the micro-batch and the number of the layer. None lets the layers draw as
            they come; the stages of copies of one model would then all draw the same.
        shared_with: of its weights that another stage of the model has too, their names, and that stage.
    """

    draw: Sequence[int] | None = None
    shared_with: Mapping[str, int] = MappingProxyType({})

    def __init__(
        self,
        module: mg.nn.Module,
        sizes: Sizes,
        loss: Loss | None = None,
        is_first: bool = False,
        *,
        recompute: bool = False,
        first_layer: int = 0,
        count: Callable[[Array], int] = count_targets,
    ) -> None:
        self.module = module
        self.loss = loss
        self.is_first = is_first
        self.recompute = recompute
        self.first_layer = first_layer
        self._count = count
        self._sizes = sizes
        self._kept: dict[int, Kept] = {}
        self._later: dict[int, WeightGradients | None] = {}

    def forward(self, micro_batch: int, x: Array, targets: Array | None) -> Array:
        """Run the module, and in the last stage the loss; keep the graph, or the input alone."""
        longest, *shape = self._sizes.shape
        if x.ndim == 0 or x.shape[1:] != tuple(shape) or len(x) > longest:
            raise ValueError(f"x has shape {x.shape}, the stage was made for micro-batches of {self._sizes.shape}")
        tensor = mg.Tensor(x, requires_grad=not self.is_first)
        states = states_of(generators_of(self.module))
        if self.recompute:
            with mg.no_grad():
                output = self._compute(micro_batch, tensor, targets)
        else:
            output = self._compute(micro_batch, tensor, targets)
        self._kept[micro_batch] = Kept(tensor, None if self.recompute else output, targets, states)
        return np.asarray(output.data)

    def backward_input(self, micro_batch: int, grad: Array) -> Array | None:
        """Go back to the input only; the first stage has nothing to do yet."""
        x, output = self._graph(micro_batch)
        self._later[micro_batch] = None
        if not output.requires_grad:  # nothing is learned: a first stage without weights, or with frozen ones
            return None if self.is_first else np.zeros_like(x.data)
        wanted = [] if self.is_first else [x]
        found, self._later[micro_batch] = split_backward(output, wanted, grad)
        if self.is_first:
            return None
        return np.zeros_like(x.data) if found[0] is None else np.asarray(found[0])

    def backward_weight(self, micro_batch: int) -> None:
        """Add the micro-batch's gradients to `.grad` of every weight; an unused weight gets nothing."""
        later = self._later.pop(micro_batch)
        if later is not None:
            later.run()

    def backward(self, micro_batch: int, grad: Array) -> Array | None:
        """Go back through the graph once, to the input and to the weights."""
        x, output = self._graph(micro_batch)
        if output.requires_grad:
            output.backward(mg.Tensor(grad))
        if self.is_first:
            return None
        return np.zeros_like(x.data) if x.grad is None else np.asarray(x.grad.data)

    def sizes(self) -> Sizes:
        """Return what the stage was made for."""
        return self._sizes

    def count(self, targets: Array) -> int:
        """Return over how many of these targets the loss is the mean."""
        return self._count(targets)

    def _graph(self, micro_batch: int) -> tuple[mg.Tensor, mg.Tensor]:
        """Input and output of a micro-batch with the graph between them, and forget them."""
        kept = self._kept.pop(micro_batch)
        if kept.output is not None:
            return kept.x, kept.output
        with replayed(generators_of(self.module), kept.states):
            return kept.x, self._compute(micro_batch, kept.x, kept.targets)

    def _compute(self, micro_batch: int, x: mg.Tensor, targets: Array | None) -> mg.Tensor:
        output = self._run_layers(micro_batch, x)
        if self.loss is None:
            return output
        assert targets is not None
        if self.count(targets) == 0:  # such a mean would be 0 / 0; its share in the batch's loss is 0
            return (output * 0.0).sum()
        return self.loss(output, mg.Tensor(targets))

    def _run_layers(self, micro_batch: int, x: mg.Tensor) -> mg.Tensor:
        if self.draw is None:
            output: mg.Tensor = self.module(x)
            return output
        assert isinstance(self.module, mg.nn.Sequential)
        for number, layer in enumerate(self.module.layers, self.first_layer):
            with drawing_from(layer, [*self.draw, micro_batch, number]):
                x = layer(x)
        return x
