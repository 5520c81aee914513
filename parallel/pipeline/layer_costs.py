"""What the layers of a model cost, and what stages of them cost: the numbers that `price` and `search` start from."""

from collections.abc import Sequence
from typing import NamedTuple

from minigrad.nn import GPTConfig
from parallel.cluster import Device
from parallel.pipeline.partition import stage_costs

HALF_PRECISION = ("bfloat16", "float16", "float32")  # the first of them that a device has
ADAM_BYTES = 16.0  # a parameter: weight and gradient in 16 bits, weight and two moments in 32


class LayerCosts(NamedTuple):
    """What each layer of a model costs for one example, and what passes between two of them.

    Args:
        forward: seconds of an example's F, of each layer.
        backward_input: seconds of its B.
        backward_weight: seconds of its W.
        activation_bytes: what is kept of an example until its W has ended.
        weight_bytes: of the weights, their gradients and the optimizer's state.
        message_bytes: of one example's output, the same after all layers.
    """

    forward: tuple[float, ...]
    backward_input: tuple[float, ...]
    backward_weight: tuple[float, ...]
    activation_bytes: tuple[float, ...]
    weight_bytes: tuple[float, ...]
    message_bytes: int

    @property
    def seconds(self) -> list[float]:
        """F, B and W of each layer together: what a partition should divide equally."""
        return [sum(each) for each in zip(self.forward, self.backward_input, self.backward_weight, strict=True)]


class StageCosts(NamedTuple):
    """What `price` is to be told of stages: `price(schedule, **costs._asdict())`."""

    forward: list[float]
    backward_input: list[float]
    backward_weight: list[float]
    activation_bytes: list[float]
    weight_bytes: list[float]
    message_bytes: int


def stages_of(layers: LayerCosts, bounds: Sequence[int], examples: float = 1.0, overhead: float = 0.0) -> StageCosts:
    """Add up the layers of each stage, for micro-batches of so many examples.

    Args:
        layers: what each layer costs.
        bounds: stage s has the layers from bounds[s] to bounds[s + 1], that one left out.
        examples: in one micro-batch.
        overhead: seconds that every F, B and W of a stage takes besides, whatever its size.

    >>> ones = LayerCosts((1.0,) * 3, (1.0,) * 3, (1.0,) * 3, (8.0,) * 3, (0.0,) * 3, 4)
    >>> stages_of(ones, [0, 1, 3], examples=2).forward
    [2.0, 4.0]
    """

    def add_up(costs: Sequence[float], scale: float, fixed: float = 0.0) -> list[float]:
        return [fixed + scale * cost for cost in stage_costs(costs, bounds)]

    return StageCosts(
        add_up(layers.forward, examples, overhead),
        add_up(layers.backward_input, examples, overhead),
        add_up(layers.backward_weight, examples, overhead),
        add_up(layers.activation_bytes, examples),
        add_up(layers.weight_bytes, 1.0),
        round(layers.message_bytes * examples),
    )


def gpt_layers(config: GPTConfig, device: Device, efficiency: float = 0.4) -> LayerCosts:
    """What the layers of a GPT cost on a device: the embedding, the blocks, and the head with the loss.

    Counted are the matrix products, in 16-bit precision if the device has a rate for it, and what they and the
    layers between them keep, without recomputation. The head has its own table here, not the embedding's.

    Args:
        config: shape of the model; an example is a sequence of `block_size` tokens.
        device: what a rank computes on.
        efficiency: the part of the device's peak that its matrix products reach, above 0 and at most 1.

    Raises:
        ValueError: `efficiency` is out of range.

    Source: Qi et al., Zero bubble pipeline parallelism (2023), table 1, for the FLOPs of F, B and W; Korthikanti et
    al., Reducing activation recomputation (2022), section 4.1, for the activations.
    """
    if not 0 < efficiency <= 1:
        raise ValueError(f"efficiency={efficiency} must be above 0 and at most 1")
    dtype = next((name for name in HALF_PRECISION if name in device.flops), next(iter(device.flops)))
    second = device.flops[dtype] * efficiency  # FLOPs in a second
    T, C, V, L = config.block_size, config.n_embd, config.vocab_size, config.n_layer
    products, attention, logits = 24 * T * C * C / second, 4 * T * T * C / second, 2 * T * C * V / second
    kept = T * C * (34 + 5 * config.n_head * T / C)
    return LayerCosts(
        forward=(0.0, *[products + attention] * L, logits),
        backward_input=(0.0, *[products + 2 * attention] * L, logits),
        backward_weight=(0.0, *[products] * L, logits),
        activation_bytes=(8.0 * T, *[kept] * L, 2.0 * T * C + 4.0 * T * V),
        weight_bytes=tuple(ADAM_BYTES * count for count in ((V + T) * C, *[12 * C * C + 13 * C] * L, V * C + 2 * C)),
        message_bytes=2 * T * C,
    )
