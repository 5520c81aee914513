"""A running mean of the weights, which is often a better model than the last weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from minigrad.optim.hyperparameters import number
from minigrad.optim.optimizer import Trainable


class ExponentialMovingAverage:
    """The exponential moving average of weights (EMA): average = decay average + (1 - decay) weights.

    The last weights jump about the minimum by the noise of the last 1 / (1 - decay) gradients; their mean does not.
    It starts at the weights as they are, so that it needs no correction for a start at 0.

        average = ExponentialMovingAverage(model.parameters(), decay=0.999)
        for batch in batches:
            ...
            optimizer.step()
            average.update()
        with average.applied():
            validate(model)

    Args:
        params: the parameters, each once.
        decay: share of the old average that is kept by an update, in [0, 1).

    Raises:
        ValueError: no parameters, or a decay outside [0, 1).

    Source: Polyak and Juditsky, Acceleration of stochastic approximation by averaging, 1992; in this form Tarvainen
        and Valpola, Mean teachers are better role models, 2017.
    """

    def __init__(self, params: Iterable[Trainable], decay: float = 0.999) -> None:
        if not number(0.0, 1.0)(decay):
            raise ValueError(f"decay={decay!r} must lie in [0, 1)")
        self.params = list(params)
        if not self.params:
            raise ValueError("the moving average got no parameters")
        self.decay = decay
        self.averages = [parameter.data.copy() for parameter in self.params]
        self._in_use = False

    def update(self) -> None:
        """Move the average towards the weights: once after each optimizer step.

        Raises:
            RuntimeError: inside `applied()`, where the weights are the average.
        """
        if self._in_use:
            raise RuntimeError("update() inside applied(): the model holds the averaged weights there")
        for average, parameter in zip(self.averages, self.params, strict=True):
            average += (1.0 - self.decay) * (parameter.data - average)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """A block in which the model has the averaged weights; afterwards it has its own again, bit for bit.

        The arrays of the parameters stay, only their contents change, so that views of them remain valid. What is
        written to the weights in the block is lost at its end.

        Raises:
            RuntimeError: such a block inside another.

        Cost: a copy of the weights.
        """
        if self._in_use:
            raise RuntimeError("applied() inside applied(): the model holds the averaged weights already")
        own = [parameter.data.copy() for parameter in self.params]
        self._in_use = True
        try:
            self._write(self.averages)
            yield
        finally:
            self._write(own)
            self._in_use = False

    def _write(self, arrays: list[Any]) -> None:
        for parameter, array in zip(self.params, arrays, strict=True):
            parameter.data[...] = array
            parameter.version[0] += 1  # a graph that needs the old contents must notice

    def state_dict(self) -> dict[str, Any]:
        """The decay, and the averages in the order of the parameters; the arrays are the object's own memory."""
        return {"decay": self.decay, "averages": list(self.averages)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave, as copies. Everything is checked before anything is changed.

        Raises:
            ValueError: another number of parameters, another shape or dtype, or a decay outside [0, 1).
        """
        decay, averages = state["decay"], state["averages"]
        if not number(0.0, 1.0)(decay):
            raise ValueError(f"decay={decay!r} must lie in [0, 1)")
        if len(averages) != len(self.averages):
            raise ValueError(f"state is for {len(averages)} parameters, the moving average has {len(self.averages)}")
        for position, (new, own) in enumerate(zip(averages, self.averages, strict=True)):
            if (new.shape, new.dtype) != (own.shape, own.dtype):
                raise ValueError(
                    f"average {position} is {new.dtype} of shape {new.shape}, not {own.dtype} of shape {own.shape}"
                )
        self.decay = decay
        for new, own in zip(averages, self.averages, strict=True):
            own[...] = new
