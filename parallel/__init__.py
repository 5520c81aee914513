"""parallel: distributed training written once, run under mpirun or in a simulated world."""
