"""`minigrad generate`: let a trained GPT write."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minigrad.data import CharTokenizer
    from minigrad.nn import GPT

HELP = """\
Let a GPT that `minigrad train` has trained continue a text, character by character.
"""
EXAMPLES = """\
examples:
  minigrad train --steps 300 && minigrad generate
  minigrad generate --run demo --prompt "def forward(self" --temperature 0.7 --top-k 20
  minigrad generate --temperature 0             the likeliest character each time
  minigrad generate --seed 1                    another sample
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minigrad generate` takes."""
    parser.epilog = EXAMPLES
    parser.add_argument("--run", default="runs/train", metavar="DIR", help="folder of a training run (runs/train)")
    parser.add_argument("--prompt", default="def ", metavar="TEXT", help="what to continue ('def ')")
    parser.add_argument("--tokens", type=int, default=300, metavar="N", help="characters to add (300)")
    parser.add_argument("--temperature", type=float, default=0.8, help="0 for the likeliest, 1 as learnt (0.8)")
    parser.add_argument("--top-k", type=int, metavar="K", help="choose among the K likeliest only")
    parser.add_argument("--seed", type=int, default=0, help="of the sampling (0)")
    parser.add_argument("--no-cache", action="store_true", help="compute all positions for every character: slower")


def run(args: argparse.Namespace) -> int:
    """Load, write, print."""
    import numpy as np

    if args.tokens < 1:
        raise ValueError(f"--tokens {args.tokens} must be at least 1")
    if args.seed < 0:
        raise ValueError(f"--seed {args.seed} must not be negative")
    if not args.prompt:
        raise ValueError("--prompt is empty; give at least one character to continue")
    model, tokenizer = load_run(Path(args.run))
    tokens = model.generate(
        tokenizer.encode(args.prompt),
        args.tokens,
        np.random.default_rng(args.seed),
        temperature=args.temperature,
        top_k=args.top_k,
        use_cache=not args.no_cache,
    )
    print(tokenizer.decode(tokens))
    return 0


def load_run(folder: Path) -> tuple[GPT, CharTokenizer]:
    """The model and the alphabet that a training run left behind.

    Raises:
        FileNotFoundError: the folder is not that of a finished run of `minigrad train --model gpt`.
        ValueError: its files do not belong together.
    """
    from minigrad.data import CharTokenizer
    from minigrad.nn import GPT, GPTConfig
    from minigrad.serialize import load_arrays

    for name in ("settings.json", "tokenizer.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder} has no {name}; train a GPT there first: minigrad train --model gpt --out {folder}"
            )
    try:
        settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        tokenizer = CharTokenizer(json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["alphabet"])
        shape = GPTConfig(
            tokenizer.vocab_size,
            settings["block_size"],
            n_layer=settings["layers"],
            n_head=settings["heads"],
            n_embd=settings["width"],
        )
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"the settings in {folder} cannot be read: {error!r}") from None
    model = GPT(shape)
    model.load_state_dict(load_arrays(folder / "model.safetensors"))
    return model, tokenizer
