"""A model cut into the stages of a pipeline."""

from collections.abc import Sequence
from itertools import pairwise

import minigrad as mg
from minigrad.randomness import generators_of, replayed, states_of
from parallel.pipeline.layers import Layers, Loss, layers_of
from parallel.pipeline.module_stage import ModuleStage
from parallel.pipeline.partition import equal_numbers, measured_costs, parameter_costs, partition
from parallel.pipeline.stage import Array, Sizes

BY = {
    "layers": "as many layers in each stage as in any other",
    "parameters": "the parameters of the largest stage as few as can be",
    "measured": "the seconds of the slowest stage as few as can be, timed here: the ranks will not agree by themselves",
}
"""What a cut goes by."""


def cut_model(
    model: mg.nn.Module | Layers,
    stages: int,
    micro_batch: Array,
    loss: Loss | None = None,
    *,
    by: str | Sequence[float] = "layers",
    recompute: bool = False,
) -> list[ModuleStage]:
    """Cut a Sequential or a GPT into stages of consecutive layers.

    Every rank calls this with the same model and keeps the stages that its schedule places there.

    Args:
        model: the whole model, or its layers.
        stages: number of stages, at most the number of layers. A GPT has the embeddings, its blocks, and the head.
        micro_batch: inputs of one micro-batch, the largest; they run forward once, in evaluation mode, to learn the
            shapes between stages.
        loss: function of (output, targets) that returns the mean loss; None for a GPT's own, or the cross-entropy.
        by: a key of `BY`, or the cost of each layer: then the dearest stage is as cheap as can be.
        recompute: keep only the input of every stage, and run its forward again when the backward has come.

    Raises:
        ValueError: more stages than layers, less than one, or `by` that is neither.
        TypeError: a model that is no list of layers.
    """
    layers, loss = model if isinstance(model, Layers) else layers_of(model, loss)
    bounds = _bounds(layers, stages, micro_batch, by)
    sizes = _sizes(layers, micro_batch)
    result = [
        ModuleStage(
            mg.nn.Sequential(*layers[first:end]),
            sizes[first],
            loss if end == len(layers) else None,
            is_first=first == 0,
            recompute=recompute,
            first_layer=first,
        )
        for first, end in pairwise(bounds)
    ]
    _note_shared(result)
    return result


def _note_shared(stages: Sequence[ModuleStage]) -> None:
    """Tell each stage which of its weights another one has too, as a tied embedding and head."""
    homes: dict[int, list[int]] = {}
    for number, stage in enumerate(stages):
        for weight in stage.module.parameters():
            homes.setdefault(id(weight), []).append(number)
    for number, stage in enumerate(stages):
        stage.shared_with = {
            name: other
            for name, weight in stage.module.named_parameters()
            if weight.requires_grad
            for other in homes[id(weight)]
            if other != number
        }


def _bounds(
    layers: Sequence[mg.nn.Module], stages: int, micro_batch: Array, by: str | Sequence[float]
) -> list[int]:
    if not isinstance(by, str):
        if len(by) != len(layers):
            raise ValueError(f"by has {len(by)} costs, must have one for each of the {len(layers)} layers")
        return partition(by, stages)
    if by not in BY:
        raise ValueError(f"by={by!r} must be one of {', '.join(BY)}, or the cost of each layer")
    if by == "layers":
        return equal_numbers(len(layers), stages)
    return partition(parameter_costs(layers) if by == "parameters" else measured_costs(layers, micro_batch), stages)


def _sizes(layers: Sequence[mg.nn.Module], micro_batch: Array) -> list[Sizes]:
    """What each layer is given, learned by running them."""
    whole = mg.nn.Sequential(*layers)
    generators = generators_of(whole)
    sizes = []
    with mg.no_grad(), whole.evaluating(), replayed(generators, states_of(generators)):
        x = mg.Tensor(micro_batch)
        for layer in layers:
            sizes.append(Sizes(x.shape, x.data.dtype))
            x = layer(x)
    return sizes
