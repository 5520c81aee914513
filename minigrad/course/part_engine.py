"""The exercises on the engine: derivatives, kernels, layers."""

from __future__ import annotations

from minigrad.course.exercise import Exercise

ENGINE = (
    Exercise(
        1, "chain_rule", "the chain rule and the topological order",
        "Pull a gradient back through tanh, put a graph in an order in which every gradient is complete before it "
        "is passed on, and add up what arrives at a leaf.",
        (
            "minigrad.ops.elementwise.Tanh.backward",
            "minigrad.autograd.topological_order",
            "minigrad.tensor.Tensor.accumulate_grad",
        ),
        (
            "A value that is used twice gets two gradients, and its own gradient is their sum. So nothing may be "
            "passed on from a node before all that use it have been visited.",
            "Depth first: a node is finished once all its parents are finished. In the order of finishing, parents "
            "come first; you need the reverse. Keep a set of the identities you have seen, and a stack of your own: "
            "a chain of 3,000 operations is longer than Python lets functions call each other.",
            "Push (node, False). When you pop it unseen, push (node, True) and then (parent, False) for each parent "
            "that is not None; when you pop (node, True), append the node. A leaf (isinstance(node, Function) is "
            "False) and a node in `stop` push no parents. Reverse at the end. In accumulate_grad copy the first "
            "gradient (another node may hold the same array) and add the later ones.",
        ),
    ),
    Exercise(
        2, "broadcasting", "the gradient of broadcasting",
        "Sum a gradient over the axes along which its operand was repeated.",
        ("minigrad.ops.shape.unbroadcast",),
        (
            "Broadcasting uses one number many times. What does exercise 01 say of a value that is used many times?",
            "Two things can have happened: axes were added in front, and axes of length 1 were stretched. Both are "
            "to be summed over, and the result must have the operand's shape again.",
            "added = grad.ndim - len(shape); the added axes are range(added). Axis i of `shape` is axis i + added "
            "of `grad`, and was stretched if its length is 1 in one and not in the other. Sum over all of these, "
            "then reshape.",
        ),
        needs=(1,),
    ),
    Exercise(
        3, "softmax_cross_entropy", "softmax and cross-entropy backward",
        "Write the two gradients that every classifier starts from, without a Jacobian.",
        ("minigrad.kernels.naive_cpu.softmax_backward", "minigrad.kernels.naive_cpu.cross_entropy_backward"),
        (
            "Every output of a softmax depends on every input of its row: raising one lowers the others.",
            "dy_i/dx_j = y_i (1[i = j] - y_j). Multiply by grad_i and sum over i; what is left needs one sum a row. "
            "For cross-entropy put in the loss -log y_target, and nearly everything cancels.",
            "dx = y (grad - sum(grad y)), the sum along `axis` with its length kept at 1. "
            "dlogits = (softmax(logits) - one_hot(targets)) times grad, a row each, where "
            "softmax(logits) = exp(logits - log_sum).",
        ),
    ),
    Exercise(
        4, "gelu", "GELU in both forms",
        "Write GELU and its derivative, in the exact form and in the tanh form.",
        ("minigrad.kernels.naive_cpu.gelu_forward", "minigrad.kernels.naive_cpu.gelu_backward"),
        (
            "Given to you in the same file: normal_cdf(x) returns Phi(x) and exp(-x^2/2), gelu_tanh_factor(x) returns "
            "tanh(u). The two forms differ by less than a thousandth, so that a backward of the wrong form looks right "
            "in a plot. Look at `approximate` in both functions.",
            "Product rule. Exact: (x Phi)' = Phi + x phi, with phi(x) = exp(-x^2/2) / sqrt(2 pi). tanh: "
            "(x/2 (1 + T))' = (1 + T)/2 + x/2 T', with T' = (1 - T^2) du/dx.",
            "du/dx = SQRT_2_OVER_PI (1 + 3 CUBIC x^2). Do not forget the factor grad, and do not write to x or grad: "
            "they belong to the caller.",
        ),
        needs=(1,),
    ),
    Exercise(
        8, "layer_norm", "layer norm backward",
        "Pull a gradient back through layer norm and RMS norm, whose mean and deviation depend on every x of the row.",
        ("minigrad.kernels.naive_cpu.layer_norm_backward", "minigrad.kernels.naive_cpu.rms_norm_backward"),
        (
            "x_j reaches x_hat_i on three ways: directly (if i = j), through the mean, and through the deviation. Take "
            "them one at a time, with h = grad weight as the gradient of x_hat.",
            "The direct way gives h / deviation. That through the mean takes mean(h) out of h. That through the "
            "deviation takes out what lies along x_hat: x_hat times a mean over the row. Which one?",
            "dx = (h - mean(h) - x_hat mean(h x_hat)) inverse_deviation, means over the last axis with their length "
            "kept at 1; dweight = sum of grad x_hat and dbias = sum of grad over all axes but the last. RMS norm has "
            "no mean(h).",
        ),
        needs=(2,),
    ),
    Exercise(
        9, "attention", "attention",
        "Write scaled dot-product attention with its causal mask, and its three gradients.",
        (
            "minigrad.kernels.cpu.causal_mask",
            "minigrad.kernels.cpu.attention_forward",
            "minigrad.kernels.cpu.attention_backward",
        ),
        (
            "In this order: scores, scaled, masked, softmax over the keys, mean of the values. Only the last two axes "
            "take part; whatever is in front is a batch. softmax_forward and softmax_backward are in the same file.",
            "The mask hides (t, s) if s > first + t: np.triu of ones with k = 1 + first. Backward: the product with "
            "value has two gradients, one for the probabilities and one for value; the former goes through "
            "softmax_backward, then through the scale, then to query and key.",
            "With T for swapping the last two axes: dvalue = probabilities^T grad; "
            "dscores = softmax_backward(grad value^T, probabilities) / sqrt(hd); dquery = dscores key; "
            "dkey = dscores^T query. np.where(hidden, -np.inf, 0.0).astype(dtype) makes the mask.",
        ),
        needs=(3,),
    ),
    Exercise(
        22, "online_softmax", "softmax in blocks of columns",
        "Compute a softmax and its gradient in two walks over blocks of columns, keeping two numbers for each row.",
        (
            "minigrad.kernels.online_softmax.join_block",
            "minigrad.kernels.online_softmax.online_softmax_forward",
            "minigrad.kernels.online_softmax.online_softmax_backward",
        ),
        (
            "exp(x - old peak) and exp(x - new peak) differ by a factor that is the same for all x. So the sum so far "
            "has that factor too, whatever it was made of.",
            "new = the larger of peak and the block's largest; total * exp(peak - new) + sum(exp(block - new)). While "
            "all entries were -inf, new is -inf as well, and -inf - -inf is NaN: subtract 0 instead, and exp(-inf) is "
            "0, as it should be.",
            "forward: peak = np.full((rows, 1), -np.inf, x.dtype), total = np.zeros of the same; a loop over "
            "column_blocks with join_block; a second one with y[:, part] = np.exp(x[:, part] - peak) / total. "
            "backward: along += (grad[:, part] * y[:, part]).sum(axis=1, keepdims=True), then a second walk for dx.",
        ),
        needs=(3,),
        budget="x, and in the backward grad and y, are read twice, never more than `block` columns at a time",
    ),
    Exercise(
        23, "tiled_matmul", "a tiled matrix product in CUDA",
        "Let the threads of a block fetch tiles of two matrices to shared memory together, and multiply them there.",
        ("minigrad/kernels/cuda/first_kernels.cu:tiled_matmul",),
        (
            "Draw C with its tiles for M = N = 10, and the block that begins in row 8 and column 8: which of its 64 "
            "threads have an element of C, and which elements of A and B do the others have to fetch?",
            "In step k thread (x, y) fetches the elements (i, k + x) of A and (k + y, j) of B, or 0 if there is none. "
            "Nobody may read a tile before all have written, nor write the next one before all have read. No `return` "
            "before the last barrier.",
            "for (int k = 0; k < K; k += TILE) { tile_a[y][x] = i < M && k + x < K ? a[i * K + k + x] : 0; the same "
            "for b; __syncthreads(); for q: sum += tile_a[y][q] * tile_b[q][x]; __syncthreads(); } and at the end "
            "if (i < M && j < N) c[i * N + j] = sum.",
        ),
        budget="every element comes from memory once a block, through shared memory",
        seconds=30.0,
    ),
    Exercise(
        26, "row_softmax", "row softmax in CUDA",
        "Find the largest entry and the sum of a row with all threads of a block, by halves in shared memory.",
        ("minigrad/kernels/cuda/first_kernels.cu:row_softmax",),
        (
            "Write the reduction down for four threads, step by step, with a line wherever somebody reads what another "
            "has written in the step before. Each line is a barrier.",
            "found[thread] = own; barrier; for half: if (thread < half) join; barrier outside of the `if`. Then all "
            "read found[0], and only after one more barrier may `found` be used for the sums.",
            "float peak = from[0]; for (int j = thread; j < columns; j += threads) peak = fmaxf(peak, from[j]); then "
            "the reduction with fmaxf, peak = found[0], barrier; the same with sum += expf(from[j] - peak) and +=; at "
            "last to[j] = expf(from[j] - peak) / found[0].",
        ),
        needs=(23,),
        budget="each thread reads only its own elements of the row",
        seconds=30.0,
    ),
)  # fmt: skip
