"""Every .cu file is legal CUDA for every architecture that we name; needs NVIDIA's compiler wheel, no GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from minigrad.kernels import nvrtc
from minigrad.kernels.emulate import CUDA_SOURCES, EmulatedModule

TEST_SOURCES = Path(__file__).parents[1] / "cuda"
SOURCES = sorted(CUDA_SOURCES.glob("*.cu")) + sorted(TEST_SOURCES.glob("*.cu"))


@pytest.fixture(scope="module", autouse=True)
def _nvrtc_is_installed() -> None:
    try:
        nvrtc.version()
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("arch", nvrtc.ARCHITECTURES)
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_compiles_for(source: Path, arch: str) -> None:
    result = nvrtc.compile(source, arch)
    assert set(result.kernels) == set(EmulatedModule(source).kernels)
    assert result.cubin.startswith(b"\x7fELF")


@pytest.mark.parametrize("arch", nvrtc.ARCHITECTURES)
def test_gelu_fits_in_registers(arch: str) -> None:
    """At 40 registers a thread at most, six blocks of 256 threads share a multiprocessor's 65,536."""
    for name, resources in nvrtc.compile(CUDA_SOURCES / "gelu.cu", arch).kernels.items():
        assert 0 < resources.registers <= 40, name
        assert (resources.shared_bytes, resources.spilled_bytes) == (0, 0), name


def test_static_shared_memory_is_reported() -> None:
    kernels = nvrtc.compile(TEST_SOURCES / "blocks_and_warps.cu", "sm_80").kernels
    assert kernels["block_sum"].shared_bytes == 64 * 4
    assert kernels["block_reverse"].shared_bytes == 0  # dynamic: known at the launch


def test_illegal_cuda_is_refused_with_its_line(tmp_path: Path) -> None:
    source = tmp_path / "broken.cu"
    source.write_text('extern "C" __global__ void broken(float* y) {\n    y[0] = undeclared;\n}\n')
    with pytest.raises(RuntimeError, match=r"(?s)broken.cu.*sm_80.*broken.cu\(2\).*undeclared"):
        nvrtc.compile(source, "sm_80")


@pytest.mark.parametrize("arch", ["compute_80", "80", ""])
def test_virtual_architectures_are_refused(arch: str) -> None:
    with pytest.raises(ValueError, match="must name a real architecture"):
        nvrtc.compile(CUDA_SOURCES / "gelu.cu", arch)
