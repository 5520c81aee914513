// Small kernels for the tests of the emulator: right ones, and beside them the classic mistakes.

// ------------------------------------------------------------------------------------------- shared memory

// The sum of each block's 64 elements, halving the number of adders each round.
extern "C" __global__ void block_sum(const float* x, float* sums) {
    __shared__ float partial[64];
    const unsigned t = threadIdx.x;
    partial[t] = x[blockIdx.x * blockDim.x + t];
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        if (t < half) partial[t] += partial[t + half];
        __syncthreads();
    }
    if (t == 0) sums[blockIdx.x] = partial[0];
}

// Mistake: partial[t + half] may not be written yet, or be added to already.
extern "C" __global__ void block_sum_without_barrier(const float* x, float* sums) {
    __shared__ float partial[64];
    const unsigned t = threadIdx.x;
    partial[t] = x[blockIdx.x * blockDim.x + t];
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        if (t < half) partial[t] += partial[t + half];
    }
    if (t == 0) sums[blockIdx.x] = partial[0];
}

// Each block's elements in reverse order, through dynamic shared memory.
extern "C" __global__ void block_reverse(const int* x, int* y) {
    extern __shared__ int tile[];
    const unsigned first = blockIdx.x * blockDim.x;
    tile[threadIdx.x] = x[first + threadIdx.x];
    __syncthreads();
    y[first + threadIdx.x] = tile[blockDim.x - 1 - threadIdx.x];
}

// Mistake: no barrier. A thread whose partner is late reads what the memory began with.
extern "C" __global__ void block_reverse_without_barrier(const int* x, int* y) {
    extern __shared__ int tile[];
    const unsigned first = blockIdx.x * blockDim.x;
    tile[threadIdx.x] = x[first + threadIdx.x];
    y[first + threadIdx.x] = tile[blockDim.x - 1 - threadIdx.x];
}

// Mistake: nobody wrote unwritten[0].
extern "C" __global__ void read_unwritten(float* y) {
    extern __shared__ float unwritten[];
    y[0] = unwritten[0];
}

// ------------------------------------------------------------------------------------------ out of bounds

// Mistake: `<=` where `<` belongs.
extern "C" __global__ void fill_one_too_many(float* y, long long n) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i <= n) y[i] = 1;
}

// Mistake in a block of more than 64 threads.
extern "C" __global__ void static_shared_overrun(float* y) {
    __shared__ float tile[64];
    tile[threadIdx.x] = threadIdx.x;
    __syncthreads();
    y[threadIdx.x] = tile[threadIdx.x];
}

// ----------------------------------------------------------------------------------- barriers not for all

extern "C" __global__ void barrier_in_a_branch(int* y) {
    if (threadIdx.x < 5) __syncthreads();
    y[threadIdx.x] = 1;
}

extern "C" __global__ void barriers_of_two_branches(int* y) {
    if (threadIdx.x < 5) {
        __syncthreads();
    } else {
        __syncthreads();
    }
    y[threadIdx.x] = 1;
}

extern "C" __global__ void lane_outside_its_mask(int* y) {
    y[threadIdx.x] = __shfl_sync(0x0000FFFF, int(threadIdx.x), 0);
}

// ------------------------------------------------------------------------------------------------- warps

// What each kind of shuffle gives to each thread, in segments of `width` lanes; y has four rows.
extern "C" __global__ void shuffles(const double* x, double* y, int by, int width) {
    const unsigned t = threadIdx.x, n = blockDim.x;
    y[t] = __shfl_sync(0xFFFFFFFF, x[t], by, width);
    y[n + t] = __shfl_up_sync(0xFFFFFFFF, x[t], by, width);
    y[2 * n + t] = __shfl_down_sync(0xFFFFFFFF, x[t], by, width);
    y[3 * n + t] = __shfl_xor_sync(0xFFFFFFFF, x[t], by, width);
}

// Votes of the two halves of a warp, each half on its own.
extern "C" __global__ void votes(const int* x, unsigned* y) {
    const unsigned t = threadIdx.x, n = blockDim.x;
    const unsigned mask = t % 32 < 16 ? 0x0000FFFF : 0xFFFF0000;
    if (t % 32 < 16) {
        y[t] = __ballot_sync(mask, x[t]);
        y[n + t] = __any_sync(mask, x[t]);
        y[2 * n + t] = __all_sync(mask, x[t]);
    } else {
        y[t] = __ballot_sync(mask, x[t]);
        y[n + t] = __any_sync(mask, x[t]);
        y[2 * n + t] = __all_sync(mask, x[t]);
    }
}

// Mistake: __syncwarp orders the threads of a warp, and here thread 32 reads what thread 0 wrote.
extern "C" __global__ void warp_barrier_between_warps(int* y) {
    __shared__ int from_first_warp;
    if (threadIdx.x == 0) from_first_warp = 1;
    __syncwarp();
    if (threadIdx.x == 32) y[0] = from_first_warp;
}

// ----------------------------------------------------------------------------------------- atomics, 3 axes

extern "C" __global__ void tally(const int* x, float* sum, unsigned* count, int* extremes, long long n) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    atomicAdd(sum, x[i]);
    atomicAdd(count, 1);
    atomicMin(&extremes[0], x[i]);
    atomicMax(&extremes[1], x[i]);
}

// Mistake: a read, an addition and a write, between which others come.
extern "C" __global__ void tally_without_atomics(float* sum) { sum[0] += 1; }

// y[place in the grid] = that place, by all twelve coordinates.
extern "C" __global__ void coordinates(int* y) {
    const unsigned x = blockIdx.x * blockDim.x + threadIdx.x, width = gridDim.x * blockDim.x;
    const unsigned row = blockIdx.y * blockDim.y + threadIdx.y, height = gridDim.y * blockDim.y;
    const unsigned layer = blockIdx.z * blockDim.z + threadIdx.z;
    const unsigned place = (layer * height + row) * width + x;
    y[place] = place;
}
