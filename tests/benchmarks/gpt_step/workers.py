"""One training step of the same GPT by three libraries: what a worker process of run.py runs.

A worker is told on its standard input how many steps to take and answers with a line of JSON: seconds, processor
seconds, the last loss, peak memory. Each library has a process of its own, so that neither the other's threads nor the
other's memory are in its figures.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

LR, BETAS, EPS, WEIGHT_DECAY = 1e-3, (0.9, 0.999), 1e-8, 0.01
Step = Callable[[], float]


def initial_state(args: argparse.Namespace) -> dict[str, np.ndarray]:
    """The weights that all libraries start with, by minigrad's names."""
    from minigrad.nn import GPT

    return {name: array.copy() for name, array in GPT(config(args), rng=np.random.default_rng(0)).state_dict().items()}


def config(args: argparse.Namespace) -> Any:
    """Shape of the model."""
    from minigrad.nn import GPTConfig

    return GPTConfig(args.vocabulary, args.length, n_layer=args.layers, n_head=args.heads, n_embd=args.width)


def batch(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and the tokens that follow them; the same at every step."""
    tokens = np.random.default_rng(1).integers(0, args.vocabulary, (args.batch, args.length + 1))
    return tokens[:, :-1].copy(), tokens[:, 1:].copy()


def minigrad_step(args: argparse.Namespace) -> Step:
    """The graph engine: each thread with its part of the batch, or plainly the whole batch."""
    from minigrad import optim
    from minigrad.nn import GPT

    model = GPT(config(args))
    model.load_state_dict(initial_state(args))
    optimizer = optim.AdamW(model.parameters(), lr=LR, betas=BETAS, eps=EPS, weight_decay=WEIGHT_DECAY)
    inputs, targets = batch(args)

    def plain_step() -> float:
        model.zero_grad()
        loss = model.loss(inputs, targets)
        loss.backward()
        optimizer.step()
        return float(loss.item())

    if args.plain:
        return plain_step
    from minigrad.allocation import keep_freed_memory
    from minigrad.train import BatchThreads

    keep_freed_memory()
    threads = BatchThreads(model, args.threads)

    def step() -> float:
        model.zero_grad()
        loss = threads.backward(model.loss, inputs, targets)
        optimizer.step()
        return loss

    return step


def torch_step(args: argparse.Namespace) -> Step:
    """PyTorch eager."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.set_num_threads(args.threads)

    class Block(nn.Module):
        def __init__(self, width: int, heads: int) -> None:
            super().__init__()
            self.heads = heads
            self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.expand, self.contract = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x: Any) -> Any:
            B, T, C = x.shape
            query, key, value = self.qkv(self.norm_1(x)).split(C, dim=2)
            query, key, value = (t.view(B, T, self.heads, -1).transpose(1, 2) for t in (query, key, value))
            mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
            x = x + self.projection(mixed.transpose(1, 2).reshape(B, T, C))
            return x + self.contract(F.gelu(self.expand(self.norm_2(x)), approximate="tanh"))

    class GPT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token_embedding = nn.Embedding(args.vocabulary, args.width)
            self.position_embedding = nn.Embedding(args.length, args.width)
            self.blocks = nn.ModuleList(Block(args.width, args.heads) for _ in range(args.layers))
            self.norm = nn.LayerNorm(args.width)

        def forward(self, indices: Any) -> Any:
            x = self.token_embedding(indices) + self.position_embedding.weight[: indices.shape[1]]
            for block in self.blocks:
                x = block(x)
            return F.linear(self.norm(x), self.token_embedding.weight)

    model = GPT()
    state = {name.replace("attention.", ""): torch.from_numpy(a) for name, a in initial_state(args).items()}
    model.load_state_dict(state)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LR, betas=BETAS, eps=EPS, weight_decay=WEIGHT_DECAY, fused=args.fused or None
    )
    inputs, targets = (torch.from_numpy(tokens) for tokens in batch(args))

    def step() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs).view(-1, args.vocabulary), targets.view(-1))
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step


def autograd_step(args: argparse.Namespace) -> Step:
    """HIPS/autograd: the model in its NumPy, and AdamW in plain NumPy on each parameter."""
    import autograd.numpy as anp
    from autograd import value_and_grad

    params = {name: np.array(array) for name, array in initial_state(args).items()}
    moments = {name: (np.zeros_like(p), np.zeros_like(p)) for name, p in params.items()}
    inputs, targets = batch(args)
    mask = np.where(np.triu(np.ones((args.length, args.length), bool), 1), -np.inf, 0.0).astype(np.float32)
    one = np.float32(1.0)

    def norm(x: Any, p: dict[str, Any], name: str) -> Any:
        centred = x - anp.mean(x, axis=-1, keepdims=True)
        deviation = anp.sqrt(anp.mean(centred * centred, axis=-1, keepdims=True) + np.float32(1e-5))
        return centred / deviation * p[f"{name}.weight"] + p[f"{name}.bias"]

    def linear(x: Any, p: dict[str, Any], name: str) -> Any:
        return anp.dot(x, p[f"{name}.weight"].T) + p[f"{name}.bias"]

    def gelu(x: Any) -> Any:
        inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)
        return np.float32(0.5) * x * (one + anp.tanh(inner))

    def attention(x: Any, p: dict[str, Any], name: str) -> Any:
        B, T, C = x.shape
        packed = anp.reshape(linear(x, p, f"{name}.qkv"), (B, T, 3, args.heads, C // args.heads))
        query, key, value = anp.transpose(packed, (2, 0, 3, 1, 4))
        scores = anp.matmul(query, anp.swapaxes(key, -1, -2)) * np.float32(1 / math.sqrt(C // args.heads)) + mask
        scores = anp.exp(scores - anp.max(scores, axis=-1, keepdims=True))
        mixed = anp.matmul(scores / anp.sum(scores, axis=-1, keepdims=True), value)
        return linear(anp.reshape(anp.swapaxes(mixed, 1, 2), (B, T, C)), p, f"{name}.projection")

    def loss_of(p: dict[str, Any]) -> Any:
        x = p["token_embedding.weight"][inputs] + p["position_embedding.weight"]
        for i in range(args.layers):
            x = x + attention(norm(x, p, f"blocks.{i}.norm_1"), p, f"blocks.{i}.attention")
            hidden = gelu(linear(norm(x, p, f"blocks.{i}.norm_2"), p, f"blocks.{i}.expand"))
            x = x + linear(hidden, p, f"blocks.{i}.contract")
        logits = anp.dot(norm(x, p, "norm"), p["token_embedding.weight"].T)
        rows = anp.reshape(logits, (-1, args.vocabulary))
        rows = rows - anp.max(rows, axis=1, keepdims=True)
        log_probabilities = rows - anp.log(anp.sum(anp.exp(rows), axis=1, keepdims=True))
        return -anp.mean(log_probabilities[np.arange(len(rows)), targets.reshape(-1)])

    differentiate = value_and_grad(loss_of)
    count = 0

    def step() -> float:
        nonlocal count
        count += 1
        loss, gradients = differentiate(params)
        for name, p in params.items():
            m, v = moments[name]
            m += (1 - BETAS[0]) * (gradients[name] - m)
            v += (1 - BETAS[1]) * (gradients[name] ** 2 - v)
            p *= 1 - LR * WEIGHT_DECAY
            p -= LR * (m / (1 - BETAS[0] ** count)) / (np.sqrt(v / (1 - BETAS[1] ** count)) + EPS)
        return float(loss)

    return step


LIBRARIES = {"minigrad": minigrad_step, "torch": torch_step, "autograd": autograd_step}


def peak_megabytes() -> float:
    """The most memory this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def serve(args: argparse.Namespace) -> None:
    """Answer each number of steps on standard input with a line of JSON."""
    step = LIBRARIES[args.library](args)
    before = peak_megabytes()  # with everything loaded and the model made
    for line in sys.stdin:
        start, processor = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            loss = step()
        answer = {
            "seconds": time.perf_counter() - start,
            "processor": time.process_time() - processor,
            "loss": loss,
            "peak": peak_megabytes(),
            "before": before,
        }
        print(json.dumps(answer), flush=True)
