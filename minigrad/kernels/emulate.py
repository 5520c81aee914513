"""Run CUDA kernels on the CPU: the same .cu files, no GPU, and two sanitizers that no GPU has.

A .cu file is compiled by a C++20 compiler behind `cuda/emulation.h`, which gives CUDA's words a meaning: a
thread per CUDA thread, a barrier for `__syncthreads`. It runs slowly and exactly. AddressSanitizer then finds a
read or write outside an array, ThreadSanitizer two threads that touch one place without a barrier between, also
where the numbers came out right.

    kernels = EmulatedModule(CUDA_SOURCES / "gelu.cu")
    kernels.launch("gelu_forward_exact_float32", grid=2, block=64, args=(x, y, x.size))
    print(kernels.check("gelu_forward_exact_float32", grid=2, block=64, args=(x, y, x.size)).clean)
"""

from __future__ import annotations

import ctypes
import hashlib
import math
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

CUDA_SOURCES = Path(__file__).parent / "cuda"
"""Where the project's .cu files and the emulation header live."""

MAX_THREADS_PER_BLOCK = 1024  # of every CUDA device so far
MAX_SHARED_BYTES = 227 * 1024  # of the largest (sm_90, sm_100)

COMMON_FLAGS = ("-std=c++20", "-g", "-pthread")
# Hidden: two loaded modules must not share a variable of the header because it has the same name in both.
LIBRARY_FLAGS: tuple[str, ...] = (*COMMON_FLAGS, "-O2", "-shared", "-fPIC", "-fvisibility=hidden")
SANITIZER_FLAGS: tuple[str, ...] = (*COMMON_FLAGS, "-O1", "-fno-omit-frame-pointer", "-DEMULATION_MAIN")
SANITIZER_EXIT_CODE = 66

KERNEL_DEFINITION = re.compile(r"__global__\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?void\s+(\w+)\s*\(")
DYNAMIC_SHARED = re.compile(r"extern\s+__shared__\s+([\w ]+?)\s+(\w+)\s*\[\s*\]\s*;")

Extent = int | Sequence[int]
Sanitizer = Literal["address", "thread"]
Order = Literal["together", "first", "last"]
ORDERS: tuple[Order, ...] = ("together", "first", "last")  # by the numbers they have in cuda/emulation_turns.h


class SanitizerReport(NamedTuple):
    """What a sanitizer said about one launch.

    Attributes:
        clean: no fault was found.
        text: the whole report: where it happened, who else was there, who made the memory. Empty if clean.
    """

    clean: bool
    text: str

    @property
    def summary(self) -> str:
        """The report in a line: the kind of fault, the source line and the kernel. Empty if clean."""
        return next((line for line in self.text.splitlines() if line.startswith("SUMMARY: ")), "")


class EmulatedModule:
    """The kernels of one CUDA source file, to be run on the CPU.

    Compiling takes seconds, and happens at the first `launch` or `check`; the result is kept in a per-user cache
    under a hash of everything it was made from.

    Args:
        source_path: a .cu file whose kernels are declared `extern "C" __global__ void name(...)`.

    Raises:
        RuntimeError: no C++ compiler, or the compiler refuses the source; its message is included.
    """

    def __init__(self, source_path: str | os.PathLike[str]) -> None:
        self.source_path = Path(source_path)
        self.source = self.source_path.read_text(encoding="utf-8")
        self.kernels = tuple(KERNEL_DEFINITION.findall(self.source))
        self._library: ctypes.CDLL | None = None

    def signature(self, kernel_name: str) -> tuple[str, ...]:
        """The parameter types of a kernel by their NumPy names, such as ("const float32*", "int64")."""
        self._require(kernel_name)
        text: bytes = self._load().emulation_signature(kernel_name.encode())
        return tuple(text.decode().split(",")) if text else ()

    def launch(
        self,
        kernel_name: str,
        grid: Extent,
        block: Extent,
        args: Sequence[Any],
        shared_bytes: int = 0,
        order: Order = "together",
    ) -> None:
        """Run a kernel and wait for it. Arrays are used where they are, so its writes appear in them.

        Args:
            kernel_name: one of `kernels`.
            grid: number of blocks, or up to three numbers (x, y, z).
            block: number of threads in a block, or up to three numbers; their product is at most 1024.
            args: one for each parameter: a C-contiguous array of the parameter's dtype for a pointer, a number
                for a number.
            shared_bytes: size of the dynamic shared memory, in bytes.
            order: "together" lets the threads of a block run as they come; "first" and "last" let one run until it
                waits, then the next, from the first or from the last. A kernel that needs no luck gives the same in
                all three.

        Raises:
            ValueError: unknown kernel or order, or a grid, block or shared_bytes out of range.
            TypeError: the arguments do not fit the kernel's parameters.
            RuntimeError: the threads cannot all reach a barrier, or a lane is not in its own mask.

        Cost: a thread of the operating system per CUDA thread, some 50 us each with its barriers.
        """
        values = self._prepare(kernel_name, args)
        addresses = (ctypes.c_void_p * len(values))()
        pointers = []
        for i, value in enumerate(values):
            held = ctypes.c_void_p(value.ctypes.data)
            pointers.append(held)  # keeps what the address points to alive
            is_array = isinstance(args[i], np.ndarray)
            addresses[i] = ctypes.addressof(held) if is_array else value.ctypes.data
        error: bytes = self._load().emulation_launch(
            kernel_name.encode(),
            (ctypes.c_uint * 3)(*extent("grid", grid)),
            (ctypes.c_uint * 3)(*extent("block", block)),
            check_shared_bytes(shared_bytes),
            order_number(order),
            addresses,
        )
        if error:
            raise RuntimeError(f"kernel {kernel_name}: {error.decode()}")

    def check(
        self,
        kernel_name: str,
        grid: Extent,
        block: Extent,
        args: Sequence[Any],
        shared_bytes: int = 0,
        sanitizer: Sanitizer = "address",
        timeout: float = 60.0,
    ) -> SanitizerReport:
        """Run a kernel in a process of its own, watched by a sanitizer. The caller's arrays stay as they are.

        Args:
            kernel_name, grid, block, args, shared_bytes: as for `launch`.
            sanitizer: "address" finds accesses outside arrays and shared memory, "thread" finds data races.
            timeout: seconds to wait for the kernel.

        Returns:
            The report of the first fault found. Clean means clean for this grid, block and data.

        Raises:
            ValueError, TypeError: as for `launch`.
            RuntimeError: as for `launch`, or the kernel ran out of time, or the sanitizer cannot run here.
        """
        values = self._prepare(kernel_name, args)
        numbers = (*extent("grid", grid), *extent("block", block), check_shared_bytes(shared_bytes), 0)  # 0: together
        program = self._build(sanitizer)
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder, f"{i}.bin") for i in range(len(values))]
            for file, value in zip(files, values, strict=True):
                file.write_bytes(value.tobytes())
            command = [str(program), kernel_name, *map(str, numbers), *map(str, files)]
            status, text = run_sanitized(command, timeout)
        if status == SANITIZER_EXIT_CODE:
            return SanitizerReport(clean=False, text=text)
        if status != 0:
            raise RuntimeError(f"kernel {kernel_name}: {text.strip() or f'exit status {status}'}")
        return SanitizerReport(clean=True, text="")

    def _require(self, kernel_name: str) -> None:
        if kernel_name not in self.kernels:
            known = ", ".join(self.kernels) or "none"
            raise ValueError(f"kernel_name={kernel_name!r} is not in {self.source_path.name}, which has: {known}")

    def _prepare(self, kernel_name: str, args: Sequence[Any]) -> list[np.ndarray[Any, np.dtype[Any]]]:
        """The arguments as arrays of the kernel's parameter types, refused where they do not fit."""
        signature = self.signature(kernel_name)
        if len(args) != len(signature):
            raise TypeError(f"{kernel_name} takes {len(signature)} arguments ({', '.join(signature)}), got {len(args)}")
        return [
            check_argument(f"argument {i} of {kernel_name}", parameter, value)
            for i, (parameter, value) in enumerate(zip(signature, args, strict=True))
        ]

    def _load(self) -> ctypes.CDLL:
        if self._library is None:
            library = ctypes.CDLL(str(self._build(None)))
            library.emulation_signature.restype = ctypes.c_char_p
            library.emulation_launch.restype = ctypes.c_char_p
            library.emulation_launch.argtypes = [
                ctypes.c_char_p,
                ctypes.POINTER(ctypes.c_uint),
                ctypes.POINTER(ctypes.c_uint),
                ctypes.c_size_t,
                ctypes.c_int,
                ctypes.POINTER(ctypes.c_void_p),
            ]
            self._library = library
        return self._library

    def _build(self, sanitizer: Sanitizer | None) -> Path:
        if sanitizer not in (None, "address", "thread"):
            raise ValueError(f"sanitizer={sanitizer!r} is not known; use 'address' or 'thread'")
        flags = SANITIZER_FLAGS + (f"-fsanitize={sanitizer}",) if sanitizer else LIBRARY_FLAGS
        return build(translation_unit(self.source, self.source_path, self.kernels), flags, self.source_path)


def translation_unit(source: str, path: Path, kernels: Sequence[str]) -> str:
    """The C++ text to compile: header, kernel source under its own line numbers, table of kernels.

    The kernels' text is kept but for one form that C++ cannot be taught by a macro: `extern __shared__ T name[];`.
    """
    body = DYNAMIC_SHARED.sub(r"EMULATION_DYNAMIC_SHARED(\1, \2);", source)
    table = "\n".join(f"EMULATE({name})" for name in kernels)
    line = f'#line 1 "{path.as_posix()}"'
    return f'#include "emulation.h"\n{line}\n{body}\n{table}\n'


def build(text: str, flags: Sequence[str], origin: Path) -> Path:
    """Compile `text`, or find what an earlier call made of the same text, headers, compiler and flags.

    The file appears in the cache by a rename, so that two processes that build it at once cannot see half of it.
    """
    compiler, version = find_compiler()
    headers = [path.read_text(encoding="utf-8") for path in sorted(CUDA_SOURCES.rglob("*.h"))]
    content = "\0".join((version, *flags, text, *headers))
    target = cache_folder() / f"{origin.stem}-{hashlib.sha256(content.encode()).hexdigest()[:24]}"
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        unit, output = Path(folder, "unit.cpp"), Path(folder, "output")
        unit.write_text(text, encoding="utf-8")
        # stand_in/ has the emulator's versions of NVIDIA's headers, for 16-bit numbers and tensor cores.
        include = (f"-I{CUDA_SOURCES}", f"-I{CUDA_SOURCES / 'stand_in'}", f"-I{origin.parent.resolve()}")
        command = [compiler, *flags, *include, str(unit), "-o", str(output)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise RuntimeError(f"{compiler} cannot compile {origin}:\n{result.stderr.strip()}")
        os.replace(output, target)
    return target


@lru_cache(maxsize=1)
def find_compiler() -> tuple[str, str]:
    """The C++ compiler to use and its version line: $CXX, else g++, else clang++.

    Raises:
        RuntimeError: there is none; the message says what to install.
    """
    for name in (os.environ.get("CXX"), "g++", "clang++"):
        path = shutil.which(name) if name else None
        if path:
            version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
            return path, f"{path} {version.splitlines()[0]}"
    raise RuntimeError(
        "running CUDA kernels on the CPU needs a C++20 compiler and found none; install g++ 11 or newer "
        "(Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++; macOS: xcode-select --install) "
        "or name one in the environment variable CXX"
    )


def sanitizers_work() -> bool:
    """Whether the compiler's sanitizer libraries are installed (some systems package them apart)."""
    compiler, _ = find_compiler()
    return all(
        subprocess.run(
            [compiler, f"-fsanitize={name}", "-x", "c++", "-", "-o", os.devnull],
            input=b"int main() {}", capture_output=True, check=False,
        ).returncode == 0
        for name in ("address", "thread")
    )  # fmt: skip


def cache_folder() -> Path:
    """The folder of compiled kernels: $MINIGRAD_CACHE, else minigrad/kernels in the user's cache folder."""
    chosen = os.environ.get("MINIGRAD_CACHE")
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(chosen) if chosen else user_cache / "minigrad" / "kernels"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot make the cache folder {folder} ({error}); name another in MINIGRAD_CACHE"
        raise RuntimeError(message) from error
    return folder


def run_sanitized(command: list[str], timeout: float) -> tuple[int, str]:
    """Run a sanitizer's program; returns its exit status and what it wrote to stderr.

    ThreadSanitizer wants its own places in the address space, and refuses to start where the kernel's address
    randomisation has taken them. Then it is started again with randomisation off.
    """
    options = f"exitcode={SANITIZER_EXIT_CODE}:halt_on_error=1"
    environment = os.environ | {"ASAN_OPTIONS": f"{options}:detect_leaks=0", "TSAN_OPTIONS": options}
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment, check=False)
        if "unexpected memory mapping" in result.stderr and shutil.which("setarch"):
            result = subprocess.run(
                ["setarch", "--addr-no-randomize", *command],
                capture_output=True, text=True, timeout=timeout, env=environment, check=False,
            )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"kernel {command[1]} did not end within timeout={timeout} s") from error
    if "unexpected memory mapping" in result.stderr:
        raise RuntimeError(
            "ThreadSanitizer cannot start under this system's address randomisation; "
            "lower it (as root: sysctl vm.mmap_rnd_bits=28)"
        )
    return result.returncode, result.stderr


def check_argument(what: str, parameter: str, value: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """`value` as an array that can be handed to a kernel parameter of type `parameter`."""
    dtype = parameter.removeprefix("const ").removesuffix("*")
    if not parameter.endswith("*"):
        if isinstance(value, np.ndarray) or not np.isscalar(value):
            raise TypeError(f"{what} must be one {dtype}, got {type(value).__name__}")
        number = np.asarray(value, dtype=dtype)
        if number != value:
            raise TypeError(f"{what} must be one {dtype}, which cannot hold {value!r}")
        return number
    if not isinstance(value, np.ndarray) or value.dtype.name != dtype:
        got = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
        raise TypeError(f"{what} must be an array of {dtype}, got {got}")
    if not value.flags.c_contiguous:
        raise TypeError(f"{what} must be C-contiguous; a kernel sees memory, not strides")
    if not (value.flags.writeable or parameter.startswith("const ")):
        raise TypeError(f"{what} is written by the kernel, but the array is read-only")
    return value


def extent(name: str, value: Extent) -> tuple[int, int, int]:
    """A grid or block as three numbers.

    >>> extent("grid", 7)
    (7, 1, 1)
    """
    numbers = (value,) if isinstance(value, int) else tuple(int(number) for number in value)
    if not 1 <= len(numbers) <= 3 or min(numbers) < 1:
        raise ValueError(f"{name}={value!r} must be one to three numbers of at least 1")
    if name == "block" and math.prod(numbers) > MAX_THREADS_PER_BLOCK:
        raise ValueError(f"block={value!r} has {math.prod(numbers)} threads, at most {MAX_THREADS_PER_BLOCK} may be")
    return (*numbers, 1, 1)[:3]  # type: ignore[return-value]


def check_shared_bytes(shared_bytes: int) -> int:
    """`shared_bytes` if a GPU could have it."""
    if not 0 <= shared_bytes <= MAX_SHARED_BYTES:
        raise ValueError(f"shared_bytes={shared_bytes} must lie between 0 and {MAX_SHARED_BYTES}")
    return shared_bytes


def order_number(order: Order) -> int:
    """The number of an order of the threads.

    >>> order_number("last")
    2
    """
    if order not in ORDERS:
        raise ValueError(f"order={order!r} is not known; use one of {', '.join(ORDERS)}")
    return ORDERS.index(order)
