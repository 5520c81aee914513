"""The benchmark of the CUDA kernels runs from end to end, with the emulator for a GPU; its times mean nothing here."""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from minigrad.kernels import emulate, launch_cuda
from minigrad.kernels.emulate import CUDA_SOURCES, EmulatedModule

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu_kernels" / "run.py"


class Event:
    def record(self) -> None:
        self.time = time.perf_counter()

    def synchronize(self) -> None:
        pass


class RawModule:
    """What CuPy makes of a source; here the emulator's module of the same text."""

    def __init__(self, code: str, options: tuple[str, ...]) -> None:
        modules = {module.source: module for module in map(EmulatedModule, sorted(CUDA_SOURCES.glob("*.cu")))}
        self.module = modules[code]

    def get_function(self, name: str) -> Any:
        return lambda grid, block, args, shared_mem: self.module.launch(name, grid, block, args, shared_mem)


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_kernels_run", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_kernels_run"] = module
    spec.loader.exec_module(module)
    return module


def clear_caches() -> None:
    launch_cuda.load_source.cache_clear()
    launch_cuda.require_gpu.cache_clear()


def test_every_row_is_measured(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    try:
        emulate.find_compiler()
    except RuntimeError as error:
        pytest.skip(str(error))
    runtime = SimpleNamespace(
        getDeviceCount=lambda: 1,
        runtimeGetVersion=lambda: 13000,
        getDeviceProperties=lambda number: {"name": b"an emulator"},
    )
    cuda = SimpleNamespace(
        runtime=runtime, Event=Event, get_elapsed_time=lambda start, end: 1e3 * (end.time - start.time)
    )
    cupy = ModuleType("cupy")
    cupy.__dict__.update(vars(np) | {"RawModule": RawModule, "cuda": cuda})
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    clear_caches()
    try:
        load().main(["--rows=2", "--columns=3", "--size=4", "--repeats=1"])
    finally:
        clear_caches()
    printed = capsys.readouterr().out
    assert "an emulator" in printed
    rows = [line.split(" | ")[0].strip("| ") for line in printed.splitlines() if line.startswith("| ")]
    assert {"gelu tanh, backward", "layer norm, backward", "AdamW", "registers", "tensor cores, float16"} <= set(rows)
    assert "nan" not in printed


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    load().main([])
    assert capsys.readouterr().out.startswith("nothing measured: ")
