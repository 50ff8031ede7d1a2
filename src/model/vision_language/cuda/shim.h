// Runs CUDA kernels as plain C++, one thread after the other. Threads of a block that wait for each other do so at the end of a
// PHASE: here a loop over the threads, with what each keeps between phases in an array.
#pragma once
#include <cmath>
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

static inline float __uint_as_float(unsigned bits) { float value; std::memcpy(&value, &bits, 4); return value; }

#define PHASE for (unsigned t = 0; t < THREADS; ++t) {
#define END }
#define THREAD_STATE(type, name, count) static type name[THREADS][count]
#define OWN(name) name[t]
#define SHARED_MEMORY
static float *shared;

// A kernel of independent threads.
template <class Kernel> void launch(unsigned blocks, unsigned threads, Kernel kernel) {
    gridDim = {blocks, 1, 1};
    blockDim = {threads, 1, 1};
    for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x)
        for (threadIdx.x = 0; threadIdx.x < threads; ++threadIdx.x) kernel();
}

// A kernel of phases, with so many floats of shared memory a block.
template <class Kernel> void launch_phases(unsigned across, unsigned down, unsigned floats, Kernel kernel) {
    std::vector<float> memory(floats);
    shared = memory.data();
    for (blockIdx.y = 0; blockIdx.y < down; ++blockIdx.y)
        for (blockIdx.x = 0; blockIdx.x < across; ++blockIdx.x) kernel();
}

static inline void read_exactly(void *into, size_t bytes) {
    if (std::fread(into, 1, bytes, stdin) != bytes) std::exit(3);
}
template <class T> std::vector<T> read_many(size_t count) {
    std::vector<T> values(count);
    read_exactly(values.data(), count * sizeof(T));
    return values;
}
static inline unsigned read_number() { unsigned number; read_exactly(&number, 4); return number; }
