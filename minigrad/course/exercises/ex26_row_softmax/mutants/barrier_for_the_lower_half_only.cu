// the barrier stands inside `if (thread < half)`: the upper half never comes
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
        if (thread < half) {
            found[thread] = fmaxf(found[thread], found[thread + half]);
            __syncthreads();
        }
    }
    peak = found[0];
    __syncthreads();
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
