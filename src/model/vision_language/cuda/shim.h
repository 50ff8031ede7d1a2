// Runs CUDA kernels as plain C++, one thread after the other: enough for kernels whose threads do not wait for each other.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#define __global__
#define __device__
struct uint3_ { unsigned x, y, z; };
static uint3_ blockIdx, threadIdx, blockDim, gridDim;
struct alignas(16) uint4 { unsigned x, y, z, w; };
static inline unsigned __float_as_uint(float value) { unsigned bits; std::memcpy(&bits, &value, 4); return bits; }

template <class Kernel> void launch(unsigned blocks, unsigned threads, Kernel kernel) {
    gridDim = {blocks, 1, 1};
    blockDim = {threads, 1, 1};
    for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x)
        for (threadIdx.x = 0; threadIdx.x < threads; ++threadIdx.x) kernel();
}

static inline void read_exactly(void *into, size_t bytes) {
    if (std::fread(into, 1, bytes, stdin) != bytes) std::exit(3);
}
static inline unsigned read_number() { unsigned number; read_exactly(&number, 4); return number; }
