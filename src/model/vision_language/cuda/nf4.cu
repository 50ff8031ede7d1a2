// NF4 codes to bf16 in one pass: 4.5 bits are read and 16 written a weight, and nothing is divided.
//
// Compiled to PTX by .ci/ptx, and as C++ by the tests, which run its threads one after the other.

// bitsandbytes' table (functional.py, create_normal_map), as src/model/weights/nf4/code.rs has it.
__device__ static const float CODE[16] = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
    -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
    0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
    0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f,
};

// Round to nearest, ties to even. No value here is NaN or near the largest float.
__device__ static inline unsigned bf16_bits(float value) {
    unsigned bits = __float_as_uint(value);
    return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

// Two values of a byte of codes, the one in its upper half first, as two bf16 in the order of memory.
__device__ static inline unsigned pair(unsigned byte, float absmax) {
    return bf16_bits(CODE[byte >> 4] * absmax) | bf16_bits(CODE[byte & 15u] * absmax) << 16;
}

// Each thread makes 8 values, which lie in one block of 64 and share its magnitude. Rows of `cols` values are written `stride`
// apart: products with tensor cores are several times faster where rows begin at multiples of 16 bytes.
//   packed: ceil(count / 64) * 32 bytes, as unsigned of 4 bytes; absmax: one a block; out: bf16
extern "C" __global__ void nf4_to_bf16(
    const unsigned *packed, const float *absmax, unsigned short *out, unsigned count, unsigned cols, unsigned stride) {
    unsigned thread = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned first = thread * 8u;
    if (first >= count) return;
    unsigned codes = packed[thread];
    float magnitude = absmax[first >> 6];
    unsigned values[4];
    for (unsigned i = 0; i < 4u; ++i) values[i] = pair((codes >> (8u * i)) & 255u, magnitude);
    if (cols == stride && first + 8u <= count) {
        uint4 four;
        four.x = values[0]; four.y = values[1]; four.z = values[2]; four.w = values[3];
        *reinterpret_cast<uint4 *>(out + first) = four;
        return;
    }
    unsigned row = first / cols, col = first - row * cols;
    #pragma unroll
    for (unsigned i = 0; i < 8u; ++i) {
        if (first + i < count) out[row * stride + col] = (unsigned short)(values[i >> 1] >> (16u * (i & 1u)));
        if (++col == cols) { col = 0; ++row; }
    }
}
