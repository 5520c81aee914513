"""Where arrays live, and what is said when they cannot: no CuPy, no driver, another CUDA, mixed devices, no memory."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from stand_in_cupy import ndarray, stand_in

import minigrad as mg
from minigrad import nn
from minigrad.commands import doctor
from minigrad.device import gpu_module, moved
from minigrad.kernels import launch_cuda

MACHINES = {
    "no GPU": ({"count": 0}, "CuPy finds no GPU here; install NVIDIA's driver"),
    "no driver": ({"error": "cudaErrorNoDevice", "driver_version": 0}, "cannot use a GPU here .cudaErrorNoDevice."),
    "an older driver": (
        {"error": "cudaErrorInsufficientDriver", "driver_version": 12040},
        r"built for CUDA 13 and the driver is for CUDA 12: pip uninstall cupy-cuda13x, .* 'cupy-cuda12x\[ctk\]'",
    ),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_a_gpu_that_cannot_be_used_is_explained(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, message = MACHINES[machine]
    monkeypatch.setitem(sys.modules, "cupy", stand_in(**settings))  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match=message) as caught:
        gpu_module()
    assert "\n" not in str(caught.value)
    finding = doctor.check_gpu()
    assert finding.status == "missing"
    assert "CuPy 14.0" in finding.found
    assert finding.advice


def test_no_cupy_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(RuntimeError, match=r"need CuPy: pip install 'cupy-cuda13x\[ctk\]'"):
        mg.Tensor([1.0]).to("cuda")
    finding = doctor.check_gpu()
    assert finding[:2] == ("missing", "no CuPy")
    assert finding.advice == "only for an NVIDIA GPU: pip install 'cupy-cuda13x[ctk]'"


def test_a_cupy_that_cannot_be_imported_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cupy.py").write_text("raise ImportError('libnvrtc.so.12: cannot open shared object file')\n")
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match=r"cannot be imported \(libnvrtc.so.12: .*\): reinstall it, pip install"):
        gpu_module()
    assert "cannot be imported" in doctor.check_gpu().found


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a GPU, of which nothing is real but the decisions."""
    launch_cuda.require_gpu.cache_clear()
    monkeypatch.setitem(sys.modules, "cupy", stand_in())


@pytest.mark.usefixtures("gpu")
def test_the_doctor_names_the_gpu_and_its_memory() -> None:
    assert doctor.check_gpu() == ("ok", "CuPy 14.0; NVIDIA H100; 40.0 of 80.0 GiB free", "")


@pytest.mark.usefixtures("gpu")
def test_tensors_and_models_move_and_their_gradients_come_back() -> None:
    x = mg.Tensor(np.arange(3.0), requires_grad=True)
    there = x.to("cuda")
    assert (there.device, x.device, x.to("cpu")) == ("cuda", "cpu", x)
    (there * 2.0).to("cpu").sum().backward()
    assert x.grad is not None
    assert x.grad.device == "cpu"
    np.testing.assert_array_equal(x.grad.data, 2.0)
    assert mg.Tensor([1, 2]).to("cuda").device == "cuda"
    model = nn.Linear(2, 3, rng=np.random.default_rng(0))
    weight = model.weight.data
    assert {p.device for p in model.to("cuda").parameters()} == {"cuda"}
    assert {p.device for p in model.to("cpu").parameters()} == {"cpu"}
    np.testing.assert_array_equal(model.weight.data, weight)
    with pytest.raises(ValueError, match="device='gpu' is not known; use 'cpu' or 'cuda'"):
        moved(np.zeros(1), "gpu")


@pytest.mark.usefixtures("gpu")
def test_mixed_devices_are_refused_by_name() -> None:
    a, b = mg.Tensor([1.0]), mg.Tensor([2.0]).to("cuda")
    with pytest.raises(TypeError, match=r"Mul has inputs on cpu and cuda: move them to one, with x.to\('cuda'\)"):
        a * b
    assert isinstance((b * b).data, ndarray)


def test_another_type_error_stays_as_it_is() -> None:
    class Broken(mg.autograd.Function):
        def forward(self, x: object) -> object:
            raise TypeError("as it was")

    with pytest.raises(TypeError, match=r"^as it was$"):
        Broken.apply(mg.Tensor([1.0]))


@pytest.mark.parametrize(("device", "what"), [("cpu", "machine"), ("cuda", "GPU")])
@pytest.mark.usefixtures("gpu")
def test_out_of_memory_names_the_operation_and_the_remedies(device: str, what: str) -> None:
    class Large(mg.autograd.Function):
        def forward(self, x: object) -> object:
            raise MemoryError("40 GiB wanted")

    message = rf"Large: the {what} is out of memory \(40 GiB wanted\); use a smaller batch"
    with pytest.raises(MemoryError, match=message):
        Large.apply(mg.Tensor([1.0]).to(device))


def test_the_doctor_misses_compiler_and_sanitizers(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> tuple[str, str]:
        raise RuntimeError("running CUDA kernels on the CPU needs a C++20 compiler and found none; install g++")

    monkeypatch.setattr("minigrad.kernels.emulate.find_compiler", lambda: ("/usr/bin/c++", "c++ 14.0"))
    monkeypatch.setattr("minigrad.kernels.emulate.sanitizers_work", lambda: False)
    assert doctor.check_compiler().status == "missing"
    assert "install libasan and libtsan" in doctor.check_compiler().advice
    monkeypatch.setattr("minigrad.kernels.emulate.find_compiler", none)
    assert "install g++" in doctor.check_compiler().advice
