"""minigrad: a small reverse-mode autograd engine with hand-written kernels."""

__version__ = "0.1.0"
