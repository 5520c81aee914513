"""Collectives written by hand on point-to-point messages, for any communicator with mpi4py's names."""

from parallel.collectives.ring import ring_all_gather, ring_all_reduce, ring_reduce_scatter

__all__ = ["ring_all_gather", "ring_all_reduce", "ring_reduce_scatter"]
