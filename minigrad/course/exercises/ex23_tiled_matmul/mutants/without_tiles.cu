// every thread reads its whole row and column from memory: right, and TILE times as much to read
extern "C" __global__ void tiled_matmul(const float* a, const float* b, float* c, int M, int N, int K) {
    const int i = blockIdx.y * TILE + threadIdx.y, j = blockIdx.x * TILE + threadIdx.x;
    if (i >= M || j >= N) return;
    float sum = 0;
    for (int k = 0; k < K; ++k) sum += a[i * K + k] * b[k * N + j];
    c[i * N + j] = sum;
}
