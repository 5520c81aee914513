"""Hand-written kernels on CuPy arrays: the same names and signatures as `cpu.py`, computed by `cuda/*.cu`.

CuPy is imported at the first call, so that this file can be read and imported on any machine. The CUDA source is
compiled by CuPy at first use for the GPU in hand, and kept in CuPy's own cache on disk.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.device import Array

CUDA_SOURCES = Path(__file__).parent / "cuda"
THREADS_PER_BLOCK = 256  # 8 warps: enough to hide latency, and a divisor of what a multiprocessor holds
MAX_BLOCKS = 4096  # some 4 rounds on the largest GPUs; the kernels' grid-stride loops do the rest

GELU_FORMS = {"none": "exact", "tanh": "tanh"}


def gelu_forward(x: Array, approximate: str = "none") -> Array:
    """Gaussian error linear unit: x Phi(x), or its tanh form.

    Args:
        x: CuPy array of any shape, float32 or float64.
        approximate: "none" for x Phi(x); "tanh" for x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).

    Returns:
        CuPy array of x's shape and dtype.

    Cost: 8 bytes of memory traffic per float32 element, one launch.

    Source: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016, section 2.
    """
    return launch_elementwise("gelu.cu", f"gelu_forward_{gelu_form(approximate)}", x=x)


def gelu_backward(grad: Array, x: Array, approximate: str = "none") -> Array:
    """Gradient of `gelu_forward` in the same form: grad times the slope at x.

    Args:
        grad: dL/dy, of x's shape and dtype.
        x: the input of the forward.
        approximate: the form that the forward computed.

    Returns:
        dL/dx, of x's shape and dtype.

    Cost: 12 bytes of memory traffic per float32 element, one launch.
    """
    return launch_elementwise("gelu.cu", f"gelu_backward_{gelu_form(approximate)}", grad=grad, x=x)


def gelu_form(approximate: str) -> str:
    """The word that names this form in the kernels' names."""
    if approximate not in GELU_FORMS:
        raise ValueError(f"approximate={approximate!r} is not known; use 'none' or 'tanh'")
    return GELU_FORMS[approximate]


def launch_elementwise(file_name: str, kernel_prefix: str, **inputs: Array) -> Array:
    """Run the kernel `<prefix>_<dtype>(inputs..., output, n)`, one element a thread; returns the output.

    Raises:
        RuntimeError: no CuPy or no GPU.
        TypeError: an input is no CuPy array, or its dtype has no kernel.
        ValueError: inputs of different shapes.
    """
    cupy = require_gpu()
    first = next(iter(inputs.values()))
    for name, array in inputs.items():
        if not isinstance(array, cupy.ndarray):
            raise TypeError(f"{name} must be a CuPy array on the GPU, got {type(array).__name__}")
        if array.dtype not in (np.float32, np.float64) or array.dtype != first.dtype:
            raise TypeError(f"{name} must be float32 or float64, the same as the other inputs, got {array.dtype}")
        if array.shape != first.shape:  # the kernel would read past the end
            raise ValueError(f"{name} has shape {array.shape}, which must be {first.shape} as the other input's")
    output: Array = cupy.empty(first.shape, first.dtype)
    if output.size == 0:  # a grid of no blocks is refused by CUDA
        return output
    kernel = load_source(file_name).get_function(f"{kernel_prefix}_{first.dtype}")
    blocks = min(-(-output.size // THREADS_PER_BLOCK), MAX_BLOCKS)
    contiguous = [cupy.ascontiguousarray(array) for array in inputs.values()]
    kernel((blocks,), (THREADS_PER_BLOCK,), (*contiguous, output, np.int64(output.size)))
    return output


@lru_cache
def load_source(file_name: str) -> Any:
    """The cupy.RawModule of one file in `cuda/`; CuPy compiles it once for each GPU."""
    source = (CUDA_SOURCES / file_name).read_text(encoding="utf-8")
    return require_gpu().RawModule(code=source, options=("--std=c++17",))


@lru_cache(maxsize=1)
def require_gpu() -> Any:
    """The cupy module, if it is installed and sees a GPU.

    Raises:
        RuntimeError: otherwise, with the remedy.
    """
    try:
        import cupy
    except ImportError as error:
        raise RuntimeError("kernels on the GPU need CuPy: pip install 'cupy-cuda13x[ctk]'") from error
    remedy = "install NVIDIA's driver for CUDA 13 (580 or newer; nvidia-smi shows it), or use device='cpu'"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except RuntimeError as error:  # CuPy's CUDARuntimeError is one
        raise RuntimeError(f"CuPy cannot use a GPU here ({error}); {remedy}") from error
    if count == 0:
        raise RuntimeError(f"CuPy finds no GPU here; {remedy}")
    return cupy
