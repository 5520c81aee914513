"""One rank of an exercise under mpirun: run the check's program in each case, and write down what came out.

    mpirun -n 3 python mpi_worker.py ROOT CHECK FOLDER

The cases are in FOLDER/cases; rank r writes FOLDER/rank-r. Nothing of minigrad but the student's files is imported.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def main(root: Path, check_file: Path, folder: Path) -> None:
    """Run every case on this rank."""
    from mpi4py import MPI

    here = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location("_worker", here / "worker.py")
    assert spec is not None
    assert spec.loader is not None
    worker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(worker)
    wire, check = worker.load("_wire", here / "wire.py"), worker.load("_check", check_file)
    cases = wire.from_line((folder / "cases").read_bytes())
    sys.dont_write_bytecode = True
    sys.meta_path.insert(0, worker.StudentFiles(root))
    comm = MPI.COMM_WORLD
    results = []
    for case in cases:
        try:
            results.append({"returned": check.program(comm, case)})
        except Exception as error:
            # The others wait for this rank's messages: what is known is written, then the job ends.
            write(wire, folder, comm.Get_rank(), [*results, {"raised": worker.describe(error, root)}])
            raise
        comm.Barrier()
    write(wire, folder, comm.Get_rank(), results)


def write(wire: object, folder: Path, rank: int, results: object) -> None:
    """Write a rank's results."""
    (folder / f"rank-{rank}").write_bytes(wire.to_line(results))  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]
    main(*(Path(word) for word in sys.argv[1:4]))
