// Dropout: some numbers become zero, the others larger by as much. What is left out is a function of the seed and a number's place,
// as src/model/vision_language/kernels/dropout.rs has it.
//
// Compiled to PTX by .ci/ptx, and as C++ by the tests, which run its threads one after the other.

extern "C" __global__ void dropout_f32(
    const float *xs, float *out, unsigned count, unsigned low, unsigned high, unsigned threshold, float kept) {
    unsigned index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= count) return;
    unsigned bits = index * 0x9E3779B9u ^ low;
    bits ^= bits >> 16;
    bits = bits * 0x21F0AAADu + high;
    bits ^= bits >> 15;
    bits *= 0xD35A2D97u;
    bits ^= bits >> 15;
    out[index] = xs[index] * (bits < threshold ? 0.0f : kept);
}
