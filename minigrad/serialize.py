"""Arrays to disk and back, in the safetensors format: no code is ever loaded from a file."""

from __future__ import annotations

import os
from pathlib import Path

from minigrad.device import Array


def save_arrays(path: str | Path, arrays: dict[str, Array]) -> None:
    """Write named arrays to a safetensors file; the old file stays whole until the new one is.

    Args:
        path: the file; its folder must exist.
        arrays: name to array.

    Raises:
        OSError: the file cannot be written. A file that was there before is then unchanged.
    """
    import numpy as np
    from safetensors.numpy import save

    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)  # atomic: a reader sees the old file or the new one
    finally:
        partial.unlink(missing_ok=True)


def load_arrays(path: str | Path) -> dict[str, Array]:
    """Read a safetensors file.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is not a whole safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return dict(load(Path(path).read_bytes()))
    except SafetensorError as error:
        raise ValueError(f"{str(path)!r} is not a whole safetensors file: {error}") from None
