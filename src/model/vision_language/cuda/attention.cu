// softmax(scale * q k^T) v for tiles of 32 queries, scores never leaving the block: q and k in f32, because keys with a large
// common part lose their differences in bf16; v and the result in f32 or bf16; all sums in f32.
//
// A block's threads work in phases and wait for each other between two. PHASE and END hide that, so that the tests can run
// the same source on a CPU, where a phase is a loop over the threads (shim.h).

#ifndef PHASE
#define PHASE { const unsigned t = threadIdx.x;
#define END } __syncthreads();
// What a thread keeps from one phase to the next.
#define THREAD_STATE(type, name, count) type name[count]
#define OWN(name) name
#define SHARED_MEMORY extern __shared__ float shared[]
#endif

// 128 threads, 16 groups of 8: a group has 2 rows, a thread in it every eighth key or number of a head.
#define ROWS 32u
#define KEYS 32u
#define LANES 8u
#define THREADS 128u
#define MAX_DIM 128u

__device__ static inline float widened(const float *values, unsigned at) { return values[at]; }
__device__ static inline float widened(const unsigned short *values, unsigned at) {
    return __uint_as_float((unsigned)values[at] << 16);
}
__device__ static inline void put(float *out, unsigned at, float value) { out[at] = value; }
__device__ static inline void put(unsigned short *out, unsigned at, float value) {
    unsigned bits = __float_as_uint(value);
    out[at] = (unsigned short)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// q [heads, rows, dim], k and v [kv_heads, seq, dim], out [rows, heads * dim].
// tiles: first row, row behind the last, first key, key behind the last, and whether the last row ends at the last key and
// each before it one earlier.
template <class Value>
__device__ static inline void attend(
    const float *q, const float *k, const Value *v, const unsigned *tiles, Value *out,
    unsigned heads, unsigned kv_heads, unsigned rows, unsigned seq, unsigned dim, float scale) {
    SHARED_MEMORY;
    const unsigned *tile = tiles + blockIdx.x * 5u;
    const unsigned row_start = tile[0], row_end = tile[1], key_start = tile[2], key_end = tile[3], causal = tile[4];
    const unsigned head = blockIdx.y, kv_head = head / (heads / kv_heads);
    const unsigned stride = dim + 1u; // odd where dim is even: neighbours in a column lie in different banks
    float *queries = shared;                    // [ROWS, stride]
    float *keys = queries + ROWS * stride;      // [KEYS, stride], then the values
    float *scores = keys + KEYS * stride;       // [ROWS, KEYS + 1]
    float *partial = scores + ROWS * (KEYS + 1u); // [ROWS, 4]
    float *largest = partial + ROWS * 4u;       // [ROWS]
    float *rescale = largest + ROWS;            // [ROWS]
    float *total = rescale + ROWS;              // [ROWS]
    const float *q_head = q + (head * rows + row_start) * dim;
    const float *k_head = k + kv_head * seq * dim;
    const Value *v_head = v + kv_head * seq * dim;
    const unsigned count = row_end - row_start;
    THREAD_STATE(float, sums, 2u * MAX_DIM / LANES);

    PHASE
        for (unsigned i = t; i < ROWS * dim; i += THREADS) {
            unsigned row = i / dim, column = i - row * dim;
            queries[row * stride + column] = row < count ? q_head[i] * scale : 0.0f;
        }
        if (t < ROWS) { largest[t] = -3.0e38f; total[t] = 0.0f; }
        for (unsigned i = 0; i < 2u * MAX_DIM / LANES; ++i) OWN(sums)[i] = 0.0f;
    END

    for (unsigned first = key_start; first < key_end; first += KEYS) {
        const unsigned here = key_end - first < KEYS ? key_end - first : KEYS;
        PHASE
            for (unsigned i = t; i < KEYS * dim; i += THREADS) {
                unsigned key = i / dim, column = i - key * dim;
                keys[key * stride + column] = key < here ? k_head[(first + key) * dim + column] : 0.0f;
            }
        END
        PHASE
            const unsigned row = t / LANES * 2u, lane = t & (LANES - 1u);
            float dots[2][4] = {{0.0f, 0.0f, 0.0f, 0.0f}, {0.0f, 0.0f, 0.0f, 0.0f}};
            const float *q0 = queries + row * stride, *q1 = q0 + stride, *k0 = keys + lane * stride;
            for (unsigned d = 0; d < dim; ++d) {
                const float a = q0[d], b = q1[d];
                for (unsigned j = 0; j < 4u; ++j) {
                    const float key = k0[j * LANES * stride + d];
                    dots[0][j] += a * key;
                    dots[1][j] += b * key;
                }
            }
            for (unsigned i = 0; i < 2u; ++i)
                for (unsigned j = 0; j < 4u; ++j) {
                    const unsigned key = lane + j * LANES;
                    // The last key that this row sees, and one.
                    const unsigned seen = causal ? key_end - (count - 1u - (row + i < count ? row + i : count - 1u)) : key_end;
                    const bool hidden = key >= here || first + key >= seen;
                    scores[(row + i) * (KEYS + 1u) + key] = hidden ? -3.0e38f : dots[i][j];
                }
        END
        PHASE
            // The values take the keys' place while the rows' largest scores are looked for.
            for (unsigned i = t; i < KEYS * dim; i += THREADS) {
                unsigned key = i / dim, column = i - key * dim;
                keys[key * stride + column] = key < here ? widened(v_head, (first + key) * dim + column) : 0.0f;
            }
            const unsigned row = t >> 2, part = (t & 3u) * 8u;
            float most = -3.0e38f;
            for (unsigned key = part; key < part + 8u; ++key) most = fmaxf(most, scores[row * (KEYS + 1u) + key]);
            partial[t] = most;
        END
        PHASE
            if (t < ROWS) {
                const float *of_row = partial + t * 4u;
                const float most = fmaxf(fmaxf(of_row[0], of_row[1]), fmaxf(of_row[2], of_row[3]));
                const float next = fmaxf(largest[t], most);
                rescale[t] = expf(largest[t] - next);
                largest[t] = next;
            }
        END
        PHASE
            const unsigned row = t >> 2, part = (t & 3u) * 8u;
            float sum = 0.0f;
            for (unsigned key = part; key < part + 8u; ++key) {
                float *score = scores + row * (KEYS + 1u) + key;
                // A hidden key weighs nothing, whatever the largest is.
                const float weight = *score <= -3.0e38f ? 0.0f : expf(*score - largest[row]);
                *score = weight;
                sum += weight;
            }
            partial[t] = sum;
        END
        PHASE
            if (t < ROWS) {
                const float *of_row = partial + t * 4u;
                total[t] = total[t] * rescale[t] + (of_row[0] + of_row[1]) + (of_row[2] + of_row[3]);
            }
            const unsigned row = t / LANES * 2u, lane = t & (LANES - 1u);
            const float *w0 = scores + row * (KEYS + 1u), *w1 = w0 + KEYS + 1u;
            const float r0 = rescale[row], r1 = rescale[row + 1u];
            for (unsigned j = 0; j < MAX_DIM / LANES; ++j) {
                OWN(sums)[2u * j] *= r0;
                OWN(sums)[2u * j + 1u] *= r1;
            }
            for (unsigned key = 0; key < here; ++key) {
                const float a = w0[key], b = w1[key];
                const float *value = keys + key * stride + lane;
                #pragma unroll
                for (unsigned j = 0; j < MAX_DIM / LANES; ++j) {
                    const float number = lane + j * LANES < dim ? value[j * LANES] : 0.0f;
                    OWN(sums)[2u * j] += a * number;
                    OWN(sums)[2u * j + 1u] += b * number;
                }
            }
        END
    }

    PHASE
        const unsigned row = t / LANES * 2u, lane = t & (LANES - 1u);
        for (unsigned i = 0; i < 2u; ++i) {
            if (row + i >= count) continue;
            const float share = 1.0f / total[row + i];
            Value *of_row = out + (row_start + row + i) * heads * dim + head * dim;
            for (unsigned j = 0; j < MAX_DIM / LANES; ++j)
                if (lane + j * LANES < dim) put(of_row, lane + j * LANES, OWN(sums)[2u * j + i] * share);
        }
    END
}

extern "C" __global__ void attend_f32(
    const float *q, const float *k, const float *v, const unsigned *tiles, float *out,
    unsigned heads, unsigned kv_heads, unsigned rows, unsigned seq, unsigned dim, float scale) {
    attend(q, k, v, tiles, out, heads, kv_heads, rows, seq, dim, scale);
}

extern "C" __global__ void attend_bf16(
    const float *q, const float *k, const unsigned short *v, const unsigned *tiles, unsigned short *out,
    unsigned heads, unsigned kv_heads, unsigned rows, unsigned seq, unsigned dim, float scale) {
    attend(q, k, v, tiles, out, heads, kv_heads, rows, seq, dim, scale);
}
