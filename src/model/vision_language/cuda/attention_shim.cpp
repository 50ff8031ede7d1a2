// Cases on stdin (sizes, scale, tiles, queries, keys, values), results on stdout: f32, then bf16 of values cut to bf16.
#include "shim.h"
#include "attention.cu"

int main() {
    unsigned cases = read_number();
    while (cases--) {
        unsigned heads = read_number(), kv_heads = read_number(), rows = read_number(), seq = read_number();
        unsigned dim = read_number(), tile_count = read_number(), floats = read_number();
        float scale = read_many<float>(1)[0];
        std::vector<unsigned> tiles = read_many<unsigned>(tile_count * 5u);
        std::vector<float> q = read_many<float>(heads * rows * dim), k = read_many<float>(kv_heads * seq * dim);
        std::vector<float> v = read_many<float>(kv_heads * seq * dim);
        std::vector<unsigned short> narrow(v.size());
        for (size_t i = 0; i < v.size(); ++i) narrow[i] = (unsigned short)(__float_as_uint(v[i]) >> 16);
        std::vector<float> out(rows * heads * dim);
        std::vector<unsigned short> narrow_out(out.size());
        launch_phases(tile_count, heads, floats, [&] {
            attend_f32(q.data(), k.data(), v.data(), tiles.data(), out.data(), heads, kv_heads, rows, seq, dim, scale);
        });
        launch_phases(tile_count, heads, floats, [&] {
            attend_bf16(
                q.data(), k.data(), narrow.data(), tiles.data(), narrow_out.data(), heads, kv_heads, rows, seq, dim, scale);
        });
        std::fwrite(out.data(), 4, out.size(), stdout);
        std::fwrite(narrow_out.data(), 2, narrow_out.size(), stdout);
    }
    return 0;
}
