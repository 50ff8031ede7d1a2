// Cases on stdin (rows, columns, stride, codes, magnitudes, blocks), rows of the stride on stdout.
#include "shim.h"
#include "nf4.cu"

int main() {
    unsigned cases = read_number();
    while (cases--) {
        unsigned rows = read_number(), cols = read_number(), stride = read_number();
        unsigned count = rows * cols, blocks = (count + 63u) / 64u, room = rows * stride;
        // Exactly as large as on the GPU, so that the address sanitizer sees every step beyond.
        std::vector<unsigned> packed(blocks * 8u);
        std::vector<float> absmax(blocks);
        // What a launch leaves alone is zero, as on the GPU.
        void *memory = std::aligned_alloc(16, ((room * 2u + 15u) / 16u) * 16u);
        std::memset(memory, 0, room * 2u);
        read_exactly(packed.data(), packed.size() * 4u);
        read_exactly(absmax.data(), absmax.size() * 4u);
        unsigned short *out = (unsigned short *)memory;
        launch(read_number(), 256, [&] { nf4_to_bf16(packed.data(), absmax.data(), out, count, cols, stride); });
        std::fwrite(out, 2, room, stdout);
        std::free(memory);
    }
    return 0;
}
