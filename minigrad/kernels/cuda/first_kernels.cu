// Three first kernels, float32 only and without templates: they are written in exercises 23 and 26 and in a notebook.
// gelu.cu says what a thread, a block and a grid are. What comes after them: matmul.cu and softmax.cu.
//
// SHARED MEMORY. An array declared `__shared__` in a kernel exists once for each block, and all threads of the block see
// it. It is small (some 100 kB for all blocks of a multiprocessor) and about as fast as a cache. Two uses: a number that
// many threads need is fetched from memory once for all of them; and threads tell one another what they have found.
//
// BARRIERS. The threads of a block run in any order. Before one reads what another has written, all of them must come
// to __syncthreads(), and all means all: a thread that has returned, or is in the other branch of an `if`, is waited
// for in vain. Before one overwrites what another still has to read, likewise.

// y = a x + y, a thread for each element; the surplus threads of the last block do nothing.
extern "C" __global__ void scale_and_add(float a, const float* x, float* y, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i] + y[i];
}

constexpr int TILE = 8;  // 64 threads keep the emulator quick; a GPU likes 16 or 32

// C = A B with A (M x K), B (K x N), C (M x N), all row by row, of any size. A block of TILE x TILE threads computes a
// tile of C, a thread an element: block (x, y) the one that begins in row TILE y and column TILE x.
//
// Every element of A and B that a block needs is read from memory once, by one of its threads, for all of them.
extern "C" __global__ void tiled_matmul(const float* a, const float* b, float* c, int M, int N, int K) {
    __shared__ float tile_a[TILE][TILE];
    __shared__ float tile_b[TILE][TILE];
    const int x = threadIdx.x, y = threadIdx.y;
    const int i = blockIdx.y * TILE + y, j = blockIdx.x * TILE + x;  // this thread's element of C
    float sum = 0;
    for (int k = 0; k < K; k += TILE) {
        // What lies outside is 0, which adds nothing.
        tile_a[y][x] = i < M && k + x < K ? a[i * K + k + x] : 0.0f;
        tile_b[y][x] = k + y < K && j < N ? b[(k + y) * N + j] : 0.0f;
        __syncthreads();  // nobody reads before all have written
        for (int q = 0; q < TILE; ++q) sum += tile_a[y][q] * tile_b[q][x];
        __syncthreads();  // nobody writes the next tiles before all have read these
    }
    if (i < M && j < N) c[i * N + j] = sum;
}

constexpr int MOST_THREADS = 256;

// Softmax of each row of x (rows x columns), a block to a row: grid = rows, block = a power of two up to MOST_THREADS.
//
// Each thread walks over every blockDim.x-th element of the row; what they find is joined in shared memory, in halves:
// the lower half of the threads takes in what the upper half has, then the lower quarter, and so on.
extern "C" __global__ void row_softmax(const float* x, float* y, int columns) {
    __shared__ float found[MOST_THREADS];
    const int thread = threadIdx.x, threads = blockDim.x;
    const float* from = x + (long long)blockIdx.x * columns;
    float* to = y + (long long)blockIdx.x * columns;

    float peak = from[0];
    for (int j = thread; j < columns; j += threads) peak = fmaxf(peak, from[j]);
    found[thread] = peak;
    __syncthreads();
    for (int half = threads / 2; half > 0; half /= 2) {
        if (thread < half) found[thread] = fmaxf(found[thread], found[thread + half]);
        __syncthreads();
    }
    peak = found[0];
    __syncthreads();  // all have read found[0] before anybody uses `found` for the sums

    float sum = 0;
    for (int j = thread; j < columns; j += threads) sum += expf(from[j] - peak);
    found[thread] = sum;
    __syncthreads();
    for (int half = threads / 2; half > 0; half /= 2) {
        if (thread < half) found[thread] += found[thread + half];
        __syncthreads();
    }
    sum = found[0];
    for (int j = thread; j < columns; j += threads) to[j] = expf(from[j] - peak) / sum;
}
