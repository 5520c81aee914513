"""The checker's end of a CUDA exercise: the kernel is compiled once, and each case is a launch in a process of its own.

What a student writes here is no Python. So the process is not Python either: a small program of the kernel and the
emulator, built with AddressSanitizer where the compiler has it. The threads of a block run in turn, from the first or
from the last as the case says (kernels/cuda/emulation_turns.h). That makes every answer repeatable, and a missing
barrier a wrong number.

The face is that of StudentProcess in process.py.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property, lru_cache
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import numpy as np

from minigrad.course import cuda_source
from minigrad.course.exercise import Exercise
from minigrad.course.process import REFERENCE, Answer, Ended, Raised
from minigrad.course.source import MissingFunctionError
from minigrad.course.workspace import place
from minigrad.kernels import emulate

PATIENCE = 10.0  # s for a launch; one takes some hundredths of a second
# What is waited for is the compiler, not the kernel: no optimisation.
FLAGS = ("-std=c++20", "-g1", "-O0", "-pthread", "-fno-omit-frame-pointer", "-DEMULATION_MAIN")
YOURS = "yours"
INCLUDED = re.compile(r"^\s*#\s*(?!pragma\b)\w+", re.MULTILINE)
ACCESS = re.compile(r"(READ|WRITE) of size (\d+)")


class NoCompilerError(RuntimeError):
    """This machine cannot compile a kernel."""


class CompilerError(ValueError):
    """The compiler refuses a kernel; the message has a line for each of its complaints."""


class LaunchError(RuntimeError):
    """A launch ended without a result."""


class ReadOutsideError(LaunchError):
    """A thread read outside an array."""


class WriteOutsideError(LaunchError):
    """A thread wrote outside an array."""


class DeadlockError(LaunchError):
    """Threads wait at a barrier for others that have returned."""


class BarrierError(LaunchError):
    """Threads of a block wait at different barriers."""


class CrashError(LaunchError):
    """The process of the launch was ended by a signal."""


class Program:
    """Kernels built to a program.

    Args:
        variants: name -> CUDA source; kernel k of variant v is launched as "v/k".
        origin: the file that they are versions of.

    Raises:
        NoCompilerError: there is no C++ compiler.
        CompilerError: it refuses the source.
    """

    def __init__(self, variants: Mapping[str, str], origin: Path) -> None:
        try:
            emulate.find_compiler()
        except RuntimeError as error:
            raise NoCompilerError(str(error)) from None
        text = translation_unit(variants)
        self.watched = True
        try:
            self.file = emulate.build(text, (*FLAGS, "-fsanitize=address"), origin)
        except RuntimeError as error:
            complaints = [line for line in str(error).splitlines() if re.search(r": (fatal )?error: ", line)]
            if complaints:
                raise CompilerError("\n".join(complaints[:3])) from None
            self.watched = False  # no line of the source is at fault: the sanitizer's library is missing
            self.file = emulate.build(text, FLAGS, origin)

    def launch(self, kernel: str, order: str, grid: Any, block: Any, args: Mapping[str, Any]) -> dict[str, Any]:
        """Run a kernel, and return all its array arguments as they are afterwards.

        Raises:
            LaunchError: there is no result, and why.
            TimeoutError: it took too long.
        """
        numbers = (*emulate.extent("grid", grid), *emulate.extent("block", block), 0, emulate.ORDERS.index(order))
        with tempfile.TemporaryDirectory(prefix="minigrad-launch-") as folder:
            files = {name: Path(folder, f"{name}.bin") for name in args}
            for name, value in args.items():
                files[name].write_bytes(np.asarray(value).tobytes())
            command = [str(self.file), kernel, *map(str, numbers), *map(str, files.values())]
            try:
                status, said = emulate.run_sanitized(command, PATIENCE)
            except RuntimeError as error:
                raise TimeoutError(str(error)) from None
            if status != 0:
                raise explained(status, said)
            arrays = {name: value for name, value in args.items() if isinstance(value, np.ndarray)}
            return {
                name: np.frombuffer(files[name].read_bytes(), value.dtype).reshape(value.shape).copy()
                for name, value in arrays.items()
            }


def translation_unit(variants: Mapping[str, str]) -> str:
    """The C++ text to compile: each variant in a namespace of its own, and the table of all their kernels."""
    parts = ['#include "emulation.h"']
    for number, (name, source) in enumerate(variants.items()):
        kernels = emulate.KERNEL_DEFINITION.findall(source)
        # Functions that are extern "C" would be one and the same in all namespaces.
        parts += [f"namespace variant_{number} {{", source.replace('extern "C" ', ""), "}"]
        parts += [
            f'static const emulation::Register register_{number}_{kernel}("{name}/{kernel}", '
            f"variant_{number}::{kernel});"
            for kernel in kernels
        ]
    return "\n".join(parts) + "\n"


def explained(status: int, said: str) -> LaunchError:
    """What ended a launch, by what it wrote to stderr."""
    if access := ACCESS.search(said):
        reads = access[1] == "READ"
        where = re.search(r"\.cu:(\d+)", said)
        line = f", in line {where[1]}" if where else ""
        outside = "of shared memory" if "global-buffer-overflow" in said else "of an array"
        text = f"a thread {'reads' if reads else 'writes'} {access[2]} bytes outside {outside}{line}"
        return ReadOutsideError(text) if reads else WriteOutsideError(text)
    if status < 0 or status == emulate.SANITIZER_EXIT_CODE:
        first = next((line for line in said.splitlines() if "ERROR" in line), f"status {status}")
        return CrashError(f"the launch crashed: {first.strip()}")
    kind = DeadlockError if "nobody is left" in said else BarrierError
    return kind(said.strip().replace("; ", ";\n"))


class EmulatedProcess:
    """Launches a student's kernels; use it in a `with` block, as a StudentProcess.

    Args:
        exercise: a CUDA exercise.
        root: the folder that holds the student's packages.
        check: a module with `launch(case)`: the exercise's check, or its picture.
    """

    def __init__(self, exercise: Exercise, root: Path, check: ModuleType) -> None:
        self.exercise, self.check = exercise, check
        places = [place(path) for path in exercise.paths]
        self.texts = {name: (root / file).read_text(encoding="utf-8") for file, name in places}
        self.answers: dict[str, Answer] = {}  # launches in turn always give the same

    @cached_property
    def built(self) -> tuple[Program, str]:
        """The program, and the name of the student's kernels in it.

        A kernel that is a known mistake to the letter is not compiled again: the proof of the checks has dozens.
        """
        bodies = {name: cuda_source.text_of(text, name) for name, text in self.texts.items()}
        for mutant, wrong in mutant_bodies(self.exercise).items():
            if wrong == bodies:
                return mutants_program(self.exercise), mutant
        return Program({YOURS: planted_source(self.exercise, self.texts)}, origin(self.exercise)), YOURS

    def __enter__(self) -> EmulatedProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def ask(self, case: dict[str, Any]) -> Answer:
        """Launch the kernel of a case, compiled at the first one.

        Raises:
            NoCompilerError, CompilerError: it cannot be compiled.
        """
        key = repr(case)
        if key not in self.answers:
            self.answers[key] = self._asked(case)
        return self.answers[key]

    def _asked(self, case: dict[str, Any]) -> Answer:
        name = case["function"]
        file, text = place(self.exercise.paths[0]).file, self.texts[name]
        where = f"{file}:{cuda_source.line_of(text, name)}"
        if cuda_source.is_hollow(text, name):
            message = f"exercise {self.exercise.number:02}: {name}"
            return Answer(problem=Raised("NotImplementedError", message, where))
        program, variant = self.built
        try:
            return Answer(launched(self.check, program, variant, case, cuda_source.text_of(text, name)))
        except LaunchError as error:
            line = re.search(r"line (\d+)", str(error))
            return Answer(problem=Raised(type(error).__name__, str(error), f"{file}:{line[1]}" if line else where))
        except TimeoutError:
            return Answer(problem=Ended(f"had not returned after {PATIENCE:g} s", where))

    def foreign_modules(self) -> list[str]:
        """None: no Python of the student's takes part."""
        return []

    def printed(self) -> str:
        """Nothing: what a kernel prints is not kept."""
        return ""


def launched(check: ModuleType, program: Program, variant: str, case: dict[str, Any], body: str) -> dict[str, Any]:
    """The arrays that a launch leaves, those that the check names; and what it says of the kernel's text."""
    grid, block, args = check.launch(case)
    arrays = program.launch(f"{variant}/{case['function']}", case["order"], grid, block, args)
    said: dict[str, Any] = check.said(body) if hasattr(check, "said") else {}
    return {name: arrays[name] for name in check.OUTPUTS} | said


def origin(exercise: Exercise) -> Path:
    """The reference's file that the exercise's kernels are in: one, for all of them."""
    (file,) = {place(path).file for path in exercise.paths}
    return REFERENCE / file


def planted_source(exercise: Exercise, donors: Mapping[str, str]) -> str:
    """The reference's file with the exercise's kernels from `donors` (name -> text of a file that has it).

    So nothing else in a student's file can break this exercise, and no other line of it is compiled.

    Raises:
        CompilerError: a kernel includes a file, or its braces do not close.
    """
    file = origin(exercise)
    text = file.read_text(encoding="utf-8")
    for name, donor in donors.items():
        try:
            body = cuda_source.text_of(donor, name)
            text = cuda_source.graft(text, donor, name, called=file.name)
        except MissingFunctionError as error:
            raise CompilerError(str(error)) from None
        if found := INCLUDED.search(body):
            raise CompilerError(f"{name}: `{found[0].strip()}` is not for a kernel of this exercise; only #pragma is")
    return text


# ---------------------------------------------------------------------------------------------- known mistakes

PLANTED: ContextVar[tuple[Exercise, str] | None] = ContextVar("PLANTED", default=None)
"""The exercise and the mutant that `run` launches; None for the right answer."""


@contextmanager
def planted(exercise: Exercise, mutant: str) -> Iterator[None]:
    """Let `run` launch a mutant's kernel, for the block."""
    token = PLANTED.set((exercise, mutant))
    try:
        yield
    finally:
        PLANTED.reset(token)


def run(check: ModuleType, case: dict[str, Any]) -> Any:
    """The right answer to a case, by NumPy; or a mutant's, by the emulator, inside `planted`.

    Raises:
        LaunchError: the mutant's launch ended without a result.
    """
    chosen = PLANTED.get()
    if chosen is None:
        return check.expected(case)
    exercise, mutant = chosen
    key = (exercise.key, mutant, repr(case))
    if key not in GIVEN:
        body = mutant_bodies(exercise)[mutant][case["function"]]
        try:
            GIVEN[key] = launched(check, mutants_program(exercise), mutant, case, body)
        except LaunchError as error:
            GIVEN[key] = error
    if isinstance(GIVEN[key], LaunchError):
        raise GIVEN[key]
    return GIVEN[key]


GIVEN: dict[tuple[str, str, str], Any] = {}
"""What mutants gave to cases, or raised: launches in turn always give the same."""


@lru_cache
def mutants_program(exercise: Exercise) -> Program:
    """All mutants of an exercise in one program: compiled at the first mistake, and kept in the cache."""
    files = mutant_files(exercise)
    names = {place(path).name for path in exercise.paths}
    variants = {}
    for mutant, text in files.items():
        present = {name: text for name in names if name in mutant_bodies(exercise)[mutant]}
        variants[mutant] = planted_source(exercise, present)
    return Program(variants, origin(exercise))


@lru_cache
def mutant_bodies(exercise: Exercise) -> dict[str, dict[str, str]]:
    """mutant -> kernel -> its body."""
    names = [place(path).name for path in exercise.paths]
    return {
        mutant: {name: cuda_source.text_of(text, name) for name in names if re.search(rf"\b{name}\s*\(", text)}
        for mutant, text in mutant_files(exercise).items()
    }


def mutant_files(exercise: Exercise) -> dict[str, str]:
    """mutant -> its file's text."""
    files = sorted((exercise.folder / "mutants").glob("*.cu"))
    return {file.stem: file.read_text(encoding="utf-8") for file in files}
