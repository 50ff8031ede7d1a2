// Cases on stdin (number of values, codes, magnitudes), values on stdout, until the input ends.
#include "shim.h"
#include "nf4.cu"

int main() {
    unsigned cases = read_number();
    while (cases--) {
        unsigned count = read_number(), blocks = (count + 63u) / 64u;
        // Exactly as large as on the GPU, so that the address sanitizer sees every step beyond.
        std::vector<unsigned> packed(blocks * 8u);
        std::vector<float> absmax(blocks);
        void *memory = std::aligned_alloc(16, ((count * 2u + 15u) / 16u) * 16u);
        read_exactly(packed.data(), packed.size() * 4u);
        read_exactly(absmax.data(), absmax.size() * 4u);
        unsigned short *out = (unsigned short *)memory;
        launch(read_number(), 256, [&] { nf4_to_bf16(packed.data(), absmax.data(), out, count); });
        std::fwrite(out, 2, count, stdout);
        std::free(memory);
    }
    return 0;
}
