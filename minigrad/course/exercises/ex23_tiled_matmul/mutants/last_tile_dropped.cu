// the last tile along K is left out when K is no multiple of TILE
extern "C" __global__ void tiled_matmul(const float* a, const float* b, float* c, int M, int N, int K) {
    __shared__ float tile_a[TILE][TILE];
    __shared__ float tile_b[TILE][TILE];
    const int x = threadIdx.x, y = threadIdx.y;
    const int i = blockIdx.y * TILE + y, j = blockIdx.x * TILE + x;
    float sum = 0;
    for (int k = 0; k + TILE <= K; k += TILE) {
        tile_a[y][x] = i < M && k + x < K ? a[i * K + k + x] : 0.0f;
        tile_b[y][x] = k + y < K && j < N ? b[(k + y) * N + j] : 0.0f;
        __syncthreads();
        for (int q = 0; q < TILE; ++q) sum += tile_a[y][q] * tile_b[q][x];
        __syncthreads();
    }
    if (i < M && j < N) c[i * N + j] = sum;
}
