"""Function: one differentiable operation, and the node that it leaves in the graph.

Every operation on tensors that need a gradient leaves a node behind, an instance of a `Function` subclass.
The node knows its parents (the nodes, or leaf tensors, that made its inputs) and how to turn the gradient of
its output into gradients of its inputs. `autograd.py` walks from node to node.

The lines of a derivative rule run in two ways. In the usual walk they get NumPy arrays and compute numbers.
With `create_graph=True` they get tensors, so that the same lines leave a new graph behind, and gradients of
gradients follow without a second rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from minigrad.device import is_array, shares_memory
from minigrad.modes import current_mode


class Function:
    """One differentiable operation: how to compute it, and how to pull a gradient back through it.

    A subclass writes two methods. `forward(*arrays, **params)` computes an array from arrays; whatever the
    backward needs besides inputs and output it stores on `self`. `backward(grad, *operands)` returns one
    gradient per input, or None for an input that needs none (`self.needs[i]` tells). Its operands are what
    the class asks to keep: the inputs if `keeps_inputs`, then the output if `keeps_output`. Nothing else is
    kept alive: an `Add` costs no memory.

    A backward made of plain operators (`* + @`, `.sum`, `.reshape`, other Functions through `run`) serves
    arrays and tensors alike. One that is not belongs in a subclass of `Fused`.

    >>> import minigrad as mg
    >>> class Cube(mg.Function):
    ...     keeps_inputs = True
    ...     def forward(self, x): return x * x * x
    ...     def backward(self, grad, x): return (grad * 3 * x * x,)
    >>> x = mg.Tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad.item()
    12.0
    """

    keeps_inputs: ClassVar[bool] = False
    keeps_output: ClassVar[bool] = False
    is_view: ClassVar[bool] = False  # the output may share memory with the first input

    # Set by tensor.py when it defines the class: the one name that this layer needs from the one above it.
    tensor_type: ClassVar[Any] = None

    # Instances hold the graph in their __dict__; after `release` these class values show through again.
    parents: Sequence[Any] | None = None
    needs: Sequence[bool] = ()
    params: dict[str, Any] = {}  # noqa: RUF012
    hooks: list[Any] | None = None

    def forward(self, *arrays: Any, **params: Any) -> Any:
        """Compute the output array."""
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def backward(self, grad: Any, *operands: Any) -> tuple[Any, ...]:
        """Gradients of the inputs from the gradient of the output."""
        raise NotImplementedError(f"{type(self).__name__}.backward")

    def backward_with_graph(self, grad: Any, *operands: Any) -> tuple[Any, ...]:
        """The same on tensors, recording. A rule in plain operators needs no second version."""
        return self.backward(grad, *operands)

    @classmethod
    def apply(cls, *inputs: Any, **params: Any) -> Any:
        """Compute on tensors, and leave a node behind if any input needs a gradient.

        Args:
            inputs: tensors.
            params: whatever `forward` takes besides arrays (axes, shapes, flags); not differentiated.

        Returns:
            A Tensor.

        Raises:
            ValueError: shapes that do not fit, with the operation and the shapes.
        """
        recording, watcher = current_mode.get()
        if watcher is not None:
            return watcher.forward(cls, inputs, params)
        return cls.compute(inputs, params, recording)

    @classmethod
    def compute(cls, inputs: tuple[Any, ...], params: dict[str, Any], recording: bool) -> Any:
        """What `apply` does, unwatched.

        This runs for every operation. Where arrays are small it is what an operation costs, so it goes through the
        inputs once, in a plain loop: a list comprehension is a function call.
        """
        tensor_type = Function.tensor_type
        arrays: list[Any] = []
        needs: list[bool] = []
        for tensor in inputs:
            if not isinstance(tensor, tensor_type):
                raise TypeError(f"{cls.__name__} needs tensors, got {type(tensor).__name__}; wrap it: mg.Tensor(x)")
            arrays.append(tensor.data)
            needs.append(tensor.requires_grad)
        node = cls()
        try:
            data = node.forward(*arrays, **params)
        except ValueError as error:
            shapes = " and ".join(str(tensor.shape) for tensor in inputs)
            raise ValueError(f"{cls.__name__} does not fit shapes {shapes}: {error}") from None
        except TypeError:
            devices = sorted({tensor.device for tensor in inputs})
            if len(devices) < 2:
                raise
            where = " and ".join(devices)
            raise TypeError(f"{cls.__name__} has inputs on {where}: move them to one, with x.to('cuda')") from None
        except MemoryError as error:
            what = "GPU" if inputs[0].device == "cuda" else "machine"
            raise MemoryError(
                f"{cls.__name__}: the {what} is out of memory ({error}); use a smaller batch, accumulate gradients, "
                "or recompute activations"
            ) from error
        # A plain array nearly always: that is asked first, here and in `wrap`.
        if type(data) is not np.ndarray and not (is_array(data) or isinstance(data, np.generic)):
            raise TypeError(f"{cls.__name__}.forward must return an array, got {type(data).__name__}")
        output = tensor_type.wrap(data)
        if cls.is_view and shares_memory(output.data, arrays[0]):  # an index or a reshape may copy
            output.version = inputs[0].version
        if recording and True in needs:
            node.record(inputs, needs, output, params)
        return output

    @classmethod
    def run(cls, *operands: Any, **params: Any) -> Any:
        """Use this operation inside another's backward: compute on arrays, record on tensors."""
        if is_array(operands[0]) or isinstance(operands[0], np.generic):
            return cls().forward(*operands, **params)
        return cls.apply(*operands, **params)

    def record(self, inputs: tuple[Any, ...], needs: list[bool], output: Any, params: dict[str, Any]) -> None:
        """Become a node of the graph: remember parents and what the backward wants kept."""
        parents: list[Any] = []
        versions: list[int] = []
        for tensor in inputs:
            parents.append((tensor.grad_fn or tensor) if tensor.requires_grad else None)
            versions.append(tensor.version[0])
        self.needs = needs
        self.parents = parents
        self.params = params
        if self.keeps_inputs:
            self.kept_inputs = inputs
            self.kept_versions = versions
        if self.keeps_output:
            # The array and not the tensor: the tensor owns this node, and a cycle would outlive its use.
            self.kept_output = output.data
            self.output_version = output.version
            self.kept_output_version = output.version[0]
        output.grad_fn = self
        output.requires_grad = True

    def operands(self, as_tensors: bool) -> list[Any]:
        """What the class asked to keep, as arrays or as tensors, checked against writes since."""
        found: list[Any] = []
        if self.keeps_inputs:
            for tensor, version in zip(self.kept_inputs, self.kept_versions):  # noqa: B905 (strict= takes time)
                if tensor.version[0] != version:
                    self._refuse_overwritten(f"input {len(found)} (shape {tensor.shape})")
                found.append(tensor if as_tensors else tensor.data)
        if self.keeps_output:
            if self.output_version[0] != self.kept_output_version:
                self._refuse_overwritten(f"its output (shape {self.kept_output.shape})")
            found.append(self._output_tensor() if as_tensors else self.kept_output)
        return found

    def _output_tensor(self) -> Any:
        tensor = Function.tensor_type.wrap(self.kept_output)
        tensor.version = self.output_version
        tensor.grad_fn = self
        tensor.requires_grad = True
        return tensor

    def _refuse_overwritten(self, what: str) -> None:
        raise RuntimeError(
            f"the backward of {type(self).__name__} needs {what} as it was in the forward, but it was written "
            "in place since; write to a copy (x.clone()) or call backward() first"
        )

    def pull(self, gradient: Any, create_graph: bool) -> tuple[Any, ...]:
        """Gradients of the inputs, checked operands and all: one step of the walk."""
        rule = self.backward_with_graph if create_graph else self.backward
        return rule(gradient, *self.operands(as_tensors=create_graph))

    def release(self) -> None:
        """Forget everything: the activations this node kept alive are free at once."""
        self.__dict__.clear()
