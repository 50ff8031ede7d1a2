// Cases on stdin (count, seed, threshold, factor, blocks, numbers), what is left of the numbers on stdout.
#include "shim.h"
#include "dropout.cu"

int main() {
    unsigned cases = read_number();
    while (cases--) {
        unsigned count = read_number(), low = read_number(), high = read_number(), threshold = read_number();
        float kept = __uint_as_float(read_number());
        unsigned blocks = read_number();
        std::vector<float> xs = read_many<float>(count), out(count);
        launch(blocks, 256, [&] { dropout_f32(xs.data(), out.data(), count, low, high, threshold, kept); });
        std::fwrite(out.data(), 4, count, stdout);
    }
    return 0;
}
