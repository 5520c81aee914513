"""Studies: each one a question about training at scale, with a function, a picture and a command."""
