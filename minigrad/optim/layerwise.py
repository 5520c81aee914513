"""Rules whose step length follows the norm of the whole parameter: LARS and LAMB, for very large batches.

In a large batch the learning rate must be large, and then some layers take steps as long as their weights. Both
rules cut that: a layer's step is a fixed fraction of the norm of its weights.

The norm is that of the whole parameter, and a shard does not know it. So a rule is given the function that finds
it. By default the array is the parameter. A shard passes a function that adds up the squares of all shards:

    def norm(part):
        total = np.array([np.vdot(part, part)])
        ring_all_reduce(comm, total)
        return math.sqrt(total[0])
"""

from __future__ import annotations

from collections.abc import Callable

from minigrad.device import Array
from minigrad.optim.norms import two_norm
from minigrad.optim.rules import State, adam_direction, kept

Norm = Callable[[Array], float]


def lars(
    param: Array,
    grad: Array,
    state: State,
    lr: float,
    t: int,
    *,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    trust_coefficient: float = 1e-3,
    norm: Norm = two_norm,
) -> None:
    """Heavy ball with a learning rate for each parameter: trust |param| / (|grad| + weight_decay |param|) times lr.

    Without momentum and decay a step is lr * trust_coefficient * |param| long, whatever the gradient's length.

    Args:
        param: any shape, float; written in place.
        grad: of param's shape; not written.
        state: {"momentum": v}, of param's shape.
        lr: learning rate; it is inside v, so that a change of lr acts on new gradients only.
        t: number of this update, from 1 (not used here).
        momentum: decay of v.
        weight_decay: added to the gradient as weight_decay * param.
        trust_coefficient: fraction of its norm by which a parameter may move, at lr = 1.
        norm: the 2-norm of the whole parameter or gradient of which its argument is a part.

    Source: You, Gitman and Ginsburg, Large batch training of convolutional networks, 2017, algorithm 1.
    Differs: the factor is 1 where either norm is 0; the paper's would hold a parameter that starts at 0 there.
    """
    param_norm, grad_norm = norm(param), norm(grad)
    ratio = 1.0
    if param_norm > 0.0 and grad_norm > 0.0:
        ratio = trust_coefficient * param_norm / (grad_norm + weight_decay * param_norm)
    velocity = kept(state, "momentum", param)
    velocity *= momentum
    velocity += lr * ratio * (grad + weight_decay * param)
    param -= velocity


def lamb(
    param: Array,
    grad: Array,
    state: State,
    lr: float,
    t: int,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-6,
    weight_decay: float = 0.01,
    norm: Norm = two_norm,
) -> None:
    """Adam's direction, with decoupled weight decay, stretched to the length lr |param|.

    Args:
        param: any shape, float; written in place.
        grad: of param's shape; not written.
        state: {"m", "v"}, of param's shape.
        lr: learning rate: the fraction of its norm by which a parameter moves.
        t: number of this update, from 1.
        betas: decay of the two means.
        eps: keeps the quotient finite where v is 0; outside the root.
        weight_decay: times param, added to the direction before its length is taken.
        norm: the 2-norm of the whole parameter or update of which its argument is a part.

    Source: You and others, Large batch optimization for deep learning: training BERT in 76 minutes, 2020,
        algorithm 2, with phi the identity.
    Differs: the factor |param| / |update| is 1 where either is 0, as in the authors' program.
    """
    update = adam_direction(grad, state, t, betas, eps) + weight_decay * param
    param_norm, update_norm = norm(param), norm(update)
    ratio = param_norm / update_norm if param_norm > 0.0 and update_norm > 0.0 else 1.0
    param -= lr * ratio * update
