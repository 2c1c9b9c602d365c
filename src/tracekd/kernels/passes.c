/* Passes over the activations of a training step: each reads and writes once what takes torch
   several operations.

   bf16 in memory, fp32 in between. Rows are contiguous and sizes are counted in elements. Written
   for a compiler that makes vectors of it: no branch and no call in an inner loop. native.py
   compiles it and says what the arguments are. */

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef uint16_t bf16;
#define IN const bf16 *restrict
#define OUT bf16 *restrict

static inline float wide(bf16 x) {
    uint32_t bits = (uint32_t)x << 16;
    float y;
    memcpy(&y, &bits, 4);
    return y;
}

/* To the nearest, ties to even. What is not a number stays so: its low bits are zeros. */
static inline bf16 narrow(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return (bf16)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/* The largest; as integers in the order of the numbers, since a compiler may not reorder
   comparisons of floats that might not be numbers. One that is not, and positive, is the largest. */
static inline float largest(IN x, long n) {
    int16_t most = INT16_MIN;
    for (long j = 0; j < n; j++) {
        int16_t signs = (int16_t)x[j] >> 15, key = (int16_t)x[j] ^ (signs & 0x7fff);
        most = key > most ? key : most;
    }
    return wide((bf16)(most ^ ((most >> 15) & 0x7fff)));
}

/* e^x to 2e-7 of it: 2^n times a polynomial in what n ln 2 leaves over (Cody and Waite 1980). */
static inline float exponential(float x) {
    x = -87.0f > x ? -87.0f : x; /* in this order what is not a number stays so */
    x = 87.0f < x ? 87.0f : x; /* `inverse` can still take 1 more than e to the 87th */
    float n = rintf(x * 1.44269504f);
    float r = x - n * 0.693145752f - n * 1.42860677e-6f;
    float p = 1 + r * (1 + r * (0.5f + r * (1.66666667e-1f + r * (4.16666667e-2f
            + r * (8.33333333e-3f + r * 1.38888889e-3f)))));
    uint32_t bits = (uint32_t)((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &bits, 4);
    return p * power;
}

/* 1 / x for 1 <= x: a line through the logarithm, and three of Newton's steps to 1e-7 of it. A
   vector divides a fifth as fast. */
static inline float inverse(float x) {
    uint32_t bits;
    float y;
    memcpy(&bits, &x, 4);
    bits = 0x7ef311c7u - bits;
    memcpy(&y, &bits, 4);
    y *= 2 - x * y;
    y *= 2 - x * y;
    return y * (2 - x * y);
}

static inline float sigmoid(float x) { return inverse(1 + exponential(-x)); }

void rms_norm(IN x, IN weight, OUT normal, OUT y, float *restrict scales, long rows, long width,
              float eps) {
    for (long i = 0; i < rows; i++, x += width, normal += width, y += width) {
        float sum = 0;
        for (long j = 0; j < width; j++) sum += wide(x[j]) * wide(x[j]);
        float scale = scales[i] = 1 / sqrtf(sum / width + eps);
        for (long j = 0; j < width; j++) {
            normal[j] = narrow(wide(x[j]) * scale);
            y[j] = narrow(wide(normal[j]) * wide(weight[j]));
        }
    }
}

void rms_norm_back(IN g, IN weight, IN normal, const float *restrict scales, IN more, OUT g_x,
                   long rows, long width) {
    for (long i = 0; i < rows; i++, g += width, normal += width, more += width, g_x += width) {
        float sum = 0, scale = scales[i];
        for (long j = 0; j < width; j++) sum += wide(g[j]) * wide(weight[j]) * wide(normal[j]);
        float mean = sum / width;
        for (long j = 0; j < width; j++)
            g_x[j] = narrow(wide(more[j])
                            + scale * (wide(g[j]) * wide(weight[j]) - mean * wide(normal[j])));
    }
}

void swiglu(IN both, OUT y, long rows, long width) {
    for (long i = 0; i < rows; i++, both += 2 * width, y += width)
        for (long j = 0; j < width; j++) {
            float gate = wide(both[j]);
            float opened = wide(narrow(gate * sigmoid(gate)));
            y[j] = narrow(opened * wide(both[width + j]));
        }
}

void swiglu_back(IN g, IN both, OUT slopes, long rows, long width) {
    for (long i = 0; i < rows; i++, g += width, both += 2 * width, slopes += 2 * width)
        for (long j = 0; j < width; j++) {
            float gate = wide(both[j]), share = sigmoid(gate), slope = wide(g[j]);
            slopes[width + j] = narrow(slope * gate * share);
            slopes[j] = narrow(slope * wide(both[width + j]) * share * (1 + gate * (1 - share)));
        }
}

/* Row i belongs to query i mod `queries`. The last query sees all keys, each one before it one
   less. */
static inline long seen_by(long i, long queries, long keys) {
    return keys - queries + i % queries + 1;
}

void causal_softmax(OUT scores, long rows, long queries, long keys, float scale) {
    for (long i = 0; i < rows; i++, scores += keys) {
        long seen = seen_by(i, queries, keys);
        float most = largest(scores, seen), sum = 0, powers[keys];
        for (long j = 0; j < seen; j++) {
            powers[j] = exponential(scale * (wide(scores[j]) - most));
            sum += powers[j];
        }
        float share = 1 / sum;
        for (long j = 0; j < seen; j++) scores[j] = narrow(powers[j] * share);
        memset(scores + seen, 0, (keys - seen) * sizeof(bf16));
    }
}

void causal_softmax_back(OUT g, IN weights, long rows, long queries, long keys, float scale) {
    for (long i = 0; i < rows; i++, g += keys, weights += keys) {
        long seen = seen_by(i, queries, keys);
        float sum = 0;
        for (long j = 0; j < seen; j++) sum += wide(g[j]) * wide(weights[j]);
        for (long j = 0; j < seen; j++)
            g[j] = narrow(scale * wide(weights[j]) * (wide(g[j]) - sum));
        memset(g + seen, 0, (keys - seen) * sizeof(bf16));
    }
}

void cross_entropy(OUT logits, const int64_t *restrict targets, float *restrict losses,
                   float *restrict powers, long rows, long vocabulary) {
    for (long i = 0; i < rows; i++, logits += vocabulary) {
        float most = largest(logits, vocabulary), sum = 0, aim = wide(logits[targets[i]]);
        for (long j = 0; j < vocabulary; j++) {
            powers[j] = exponential(wide(logits[j]) - most);
            sum += powers[j];
        }
        losses[i] = logf(sum) + most - aim;
        powers[targets[i]] -= sum;
        float share = 1 / sum;
        for (long j = 0; j < vocabulary; j++) logits[j] = narrow(powers[j] * share);
    }
}

/* x at position t: its first and second half are coordinates of points, which the angles turn; a
   turn of -1 goes back. Without angles as it is. */
static inline void turned(const float *restrict x, IN cos, IN sin, float turn, OUT y, long t,
                          long width) {
    long half = width / 2;
    if (!cos) {
        for (long j = 0; j < width; j++) y[j] = narrow(x[j]);
        return;
    }
    for (long j = 0; j < half; j++) {
        float c = wide(cos[t * width + j]), s = turn * wide(sin[t * width + j]);
        y[j] = narrow(x[j] * c - x[half + j] * s);
        y[half + j] = narrow(x[half + j] * c + x[j] * s);
    }
}

/* starts.py: the place of position t of a row in a sequence that holds the first `common`
   positions of all rows once. */
static inline long place(long row, long t, long common, long length) {
    return t < common ? t : t + row * (length - common);
}

void to_rows(IN sequence, long stride, OUT out, IN cos, IN sin, long rows, long heads, long length,
             long width, long common, long once) {
    float x[width];
    for (long row = 0; row < rows; row++)
        for (long head = 0; head < heads; head++)
            for (long t = 0; t < length; t++, out += width) {
                IN from = sequence + place(row, t, common, length) * stride + head * width;
                if (once && row > 0 && t < common) {
                    memset(out, 0, width * sizeof(bf16));
                    continue;
                }
                for (long j = 0; j < width; j++) x[j] = wide(from[j]);
                turned(x, cos, sin, 1, out, t, width);
            }
}

void to_sequence(OUT sequence, long stride, IN in, IN cos, IN sin, long rows, long heads,
                 long length, long width, long common, long once) {
    float x[width];
    for (long row = 0; row < rows; row++)
        for (long t = row ? common : 0; t < length; t++)
            for (long head = 0; head < heads; head++) {
                long summed = t < common && !once ? rows : 1;
                for (long j = 0; j < width; j++) x[j] = 0;
                for (long k = row; k < row + summed; k++) {
                    IN from = in + ((k * heads + head) * length + t) * width;
                    for (long j = 0; j < width; j++) x[j] += wide(from[j]);
                }
                OUT to = sequence + place(row, t, common, length) * stride + head * width;
                turned(x, cos, sin, -1, to, t, width);
            }
}
