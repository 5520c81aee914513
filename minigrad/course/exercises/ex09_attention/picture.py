"""The picture of exercise 09: a pronoun that looks for its noun, through the student's attention."""

from typing import Any

import numpy as np

WORDS = ("the", "cat", "saw", "a", "dog", "and", "it", "ran")
# Hand-made: articles, nouns, verbs, the connective, the pronoun. The pronoun's query looks for a noun.
KINDS = np.array([0, 1, 2, 0, 1, 3, 4, 2])
ASKS = np.array([1, 0, 1, 1, 0, 2, 1, 4])  # the kind that each word looks for


def run(case: dict[str, Any]) -> Any:
    """Probabilities with and without the causal mask, and the gradient that reaches each word's value from "it"."""
    from minigrad.kernels.cpu import attention_backward, attention_forward

    near = np.linspace(0.0, 1.0, len(WORDS))[:, None]  # later words weigh a little more
    key = np.concatenate([np.eye(5)[KINDS], near], axis=1)
    query = 6.0 * np.concatenate([np.eye(5)[ASKS], np.full((len(WORDS), 1), 0.5)], axis=1)
    value = np.eye(len(WORDS), 6)
    free = attention_forward(query, key, value, False)[1]
    causal = attention_forward(query, key, value, True)[1]
    grad = np.zeros_like(value)
    grad[WORDS.index("it")] = 1.0
    dvalue = attention_backward(grad, query, key, value, causal)[2]
    return {"free": free, "causal": causal, "dvalue": dvalue.sum(axis=1) / 6}


def draw(figure: Any, data: dict[str, Any]) -> None:
    """Two matrices, and what flows back from one word."""
    panels = figure.subplots(1, 3, width_ratios=(1, 1, 0.7))
    titles = {"free": "everybody sees all", "causal": "causal: nobody sees what comes"}
    for axes, (name, title) in zip(panels[:2], titles.items(), strict=True):
        axes.imshow(data[name], cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(WORDS)), WORDS, rotation=60)
        axes.set_yticks(range(len(WORDS)), WORDS)
        axes.set(title=title, xlabel="key", ylabel="query")
    panels[2].barh(range(len(WORDS)), data["dvalue"], color="#dd6f1a")
    panels[2].set_yticks(range(len(WORDS)), WORDS)
    panels[2].invert_yaxis()
    panels[2].set(title='gradient from "it"\nto each value')
    for axes in panels:
        axes.title.set_fontsize(10)
    figure.suptitle("your attention: each row sums to 1")
