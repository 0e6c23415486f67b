/* Sound to mel energies and their logarithms; edgeq/ops/log_mel_steps.py is the contract. What
 * includes this has edgeq_log_mel_high(a, b), the high word of a b, ties upward, _add(a, b, c),
 * that and c, _take(a, b, c), c and the high word of -a b, _reversed(x, bits), the low bits of x in
 * reverse, and _zeros(x), the leading ones of 64: edgeq_log_mel_plain.h or edgeq_log_mel_dsp.h.
 *
 * Indices branch, samples never: the time is the same for every sound. */
#ifndef EDGEQ_LOG_MEL_H
#define EDGEQ_LOG_MEL_H

#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

/* A pair of samples, the even one first, or re and im; then a power. */
typedef union {
    int32_t z[2];
    uint64_t power;
} edgeq_log_mel_cell;

/* e^(-j angle) in Q31. */
typedef struct {
    int32_t cos;
    int32_t sin;
} edgeq_log_mel_turn;

/* Of 2 pi at / fft, at < 3 / 4 fft; sine: three quarters of the wave. */
static inline edgeq_log_mel_turn edgeq_log_mel_turned(const int32_t *sine, int32_t quarter,
                                                      int32_t at) {
    const int32_t cos = at > 2 * quarter ? -sine[at - quarter] : sine[at + quarter];
    const edgeq_log_mel_turn turn = {cos, sine[at]};
    return turn;
}

static inline int32_t edgeq_log_mel_turned_re(int32_t re, int32_t im, edgeq_log_mel_turn by) {
    return edgeq_log_mel_add(im, by.sin, edgeq_log_mel_high(re, by.cos));
}

static inline int32_t edgeq_log_mel_turned_im(int32_t re, int32_t im, edgeq_log_mel_turn by) {
    return edgeq_log_mel_take(re, by.sin, edgeq_log_mel_high(im, by.cos));
}

/* Windowed pairs in the order of reversed bits, zeros behind the window. */
static inline void edgeq_log_mel_load(const edgeq_log_mel_params *p, const int16_t *x,
                                      edgeq_log_mel_cell *cells) {
    const int32_t bits = p->fft == 256 ? 7 : p->fft == 512 ? 8 : 9;
    const int32_t *window = p->window;
    const int32_t share = p->preemphasis, pairs = p->samples >> 1;
    int32_t before = x[0];
    for (int32_t at = 0; at < pairs; at++) {
        int32_t *to = cells[edgeq_log_mel_reversed(at, bits)].z;
        const int32_t even = x[0], odd = x[1];
        to[0] = edgeq_log_mel_high(even * 32768 - before * share, *window) >> 1;
        window += 2 * at < pairs ? 1 : -1;
        to[1] = edgeq_log_mel_high(odd * 32768 - even * share, *window) >> 1;
        window += at < pairs >> 1 ? 1 : -1;
        before = odd;
        x += 2;
    }
    for (int32_t at = pairs; at < p->fft >> 1; at++) {
        cells[edgeq_log_mel_reversed(at, bits)].power = 0;
    }
}

/* Pairs of cells: the first stage where the length is an odd power of two. */
static inline void edgeq_log_mel_twos(edgeq_log_mel_cell *cells, int32_t count) {
    for (int32_t at = 0; at < count; at += 2) {
        int32_t *a = cells[at].z;
        int32_t *b = cells[at + 1].z;
        for (int32_t part = 0; part < 2; part++) {
            const int32_t total = a[part] + b[part];
            const int32_t apart = a[part] - b[part];
            a[part] = total >> 1;
            b[part] = apart >> 1;
        }
    }
}

/* Four transforms, of the samples 0, 2, 1 and 3 of every four, become one; z: half of each, turned.
 */
static inline void edgeq_log_mel_joined(edgeq_log_mel_cell *at, int32_t span, int32_t re0,
                                        int32_t im0, int32_t re2, int32_t im2, int32_t re1,
                                        int32_t im1, int32_t re3, int32_t im3) {
    const int32_t even_re = re0 + re2, odd_re = re0 - re2;
    const int32_t total_re = re1 + re3, apart_re = re1 - re3;
    const int32_t even_im = im0 + im2, odd_im = im0 - im2;
    const int32_t total_im = im1 + im3, apart_im = im1 - im3;
    at[0].z[0] = (even_re + total_re) >> 1;
    at[0].z[1] = (even_im + total_im) >> 1;
    at += span;
    at[0].z[0] = (odd_re + apart_im) >> 1;
    at[0].z[1] = (odd_im - apart_re) >> 1;
    at += span;
    at[0].z[0] = (even_re - total_re) >> 1;
    at[0].z[1] = (even_im - total_im) >> 1;
    at += span;
    at[0].z[0] = (odd_re - apart_im) >> 1;
    at[0].z[1] = (odd_im + apart_re) >> 1;
}

/* Those that no angle turns. */
static inline void edgeq_log_mel_first(edgeq_log_mel_cell *cells, int32_t count, int32_t span) {
    for (edgeq_log_mel_cell *at = cells; at < cells + count; at += 4 * span) {
        const int32_t *z1 = at[span].z, *z2 = at[2 * span].z, *z3 = at[3 * span].z;
        edgeq_log_mel_joined(at, span, at->z[0] >> 1, at->z[1] >> 1, z1[0] >> 1, z1[1] >> 1,
                             z2[0] >> 1, z2[1] >> 1, z3[0] >> 1, z3[1] >> 1);
    }
}

static inline void edgeq_log_mel_four(edgeq_log_mel_cell *at, int32_t count, int32_t span,
                                      const edgeq_log_mel_turn *turn) {
    for (int32_t left = count; left > 0; left -= 4 * span) {
        const int32_t *z1 = at[span].z, *z2 = at[2 * span].z, *z3 = at[3 * span].z;
        const int32_t re2 = edgeq_log_mel_turned_re(z1[0], z1[1], turn[1]);
        const int32_t im2 = edgeq_log_mel_turned_im(z1[0], z1[1], turn[1]);
        const int32_t re1 = edgeq_log_mel_turned_re(z2[0], z2[1], turn[0]);
        const int32_t im1 = edgeq_log_mel_turned_im(z2[0], z2[1], turn[0]);
        const int32_t re3 = edgeq_log_mel_turned_re(z3[0], z3[1], turn[2]);
        const int32_t im3 = edgeq_log_mel_turned_im(z3[0], z3[1], turn[2]);
        edgeq_log_mel_joined(at, span, at->z[0] >> 1, at->z[1] >> 1, re2, im2, re1, im1, re3, im3);
        at += 4 * span;
    }
}

static inline void edgeq_log_mel_transform(const edgeq_log_mel_params *p,
                                           edgeq_log_mel_cell *cells) {
    const int32_t count = p->fft >> 1, quarter = p->fft >> 2;
    int32_t span = 1;
    if (p->fft != 512) {
        edgeq_log_mel_twos(cells, count);
        span = 2;
    }
    for (int32_t step = quarter >> (span >> 1); step > 0; step >>= 2) { /* of 1 or 2 */
        edgeq_log_mel_first(cells, count, span);
        for (int32_t k = 1; k < span; k++) {
            const int32_t *at = &p->sine[k * step];
            const edgeq_log_mel_turn turn[3] = {
                {at[quarter], at[0]},
                {at[quarter + k * step], at[k * step]},
                edgeq_log_mel_turned(p->sine, quarter, 3 * k * step),
            };
            edgeq_log_mel_four(&cells[k], count, span, turn);
        }
        span *= 4;
    }
}

static inline uint64_t edgeq_log_mel_square(int32_t re, int32_t im) {
    return (uint64_t)((int64_t)re * re + (int64_t)im * im) >> 4;
}

/* The transform of pairs as that of samples, squared: cells of both ends at once. */
static inline void edgeq_log_mel_powers(const edgeq_log_mel_params *p, edgeq_log_mel_cell *cells) {
    const int32_t count = p->fft >> 1, quarter = p->fft >> 2;
    for (int32_t k = 0; k <= quarter; k++) {
        const int32_t *low = cells[k].z, *top = cells[(count - k) & (count - 1)].z;
        const edgeq_log_mel_turn turn = {p->sine[k + quarter], p->sine[k]};
        const int32_t re = low[1] + top[1], im = top[0] - low[0];
        const int32_t even_re = (low[0] + top[0]) >> 1, even_im = (low[1] - top[1]) >> 1;
        const int32_t odd_re = edgeq_log_mel_turned_re(re, im, turn);
        const int32_t odd_im = edgeq_log_mel_turned_im(re, im, turn);
        cells[k].power = edgeq_log_mel_square(even_re + odd_re, even_im + odd_im);
        cells[count - k].power = edgeq_log_mel_square(even_re - odd_re, even_im - odd_im);
    }
}

/* log2 in Q15, by a line between two of 65 places; x > 0. */
static inline int32_t edgeq_log_mel_log2(const uint16_t *table, uint64_t x) {
    const int32_t zeros = edgeq_log_mel_zeros(x);
    const int32_t mantissa = (int32_t)((x << zeros) >> 42);
    const uint16_t *place = &table[(mantissa >> 15) & 63];
    const int32_t rise = place[1] - place[0];
    const int32_t line = (rise * (mantissa & 0x7FFF) + (1 << 14)) >> 15;
    return (63 - zeros) * (1 << 15) + place[0] + line;
}

/* A frame's powers. */
static inline void edgeq_log_mel_spectrum(const edgeq_log_mel_params *p, const int16_t *x,
                                          edgeq_log_mel_cell *cells) {
    edgeq_log_mel_load(p, x, cells);
    edgeq_log_mel_transform(p, cells);
    edgeq_log_mel_powers(p, cells);
}

/* A band's energy and the floor; weight: moves on to the next band's. */
static inline uint64_t edgeq_log_mel_energy(const edgeq_log_mel_params *p,
                                            const edgeq_log_mel_cell *cells, int32_t band,
                                            const uint8_t **weight) {
    const edgeq_log_mel_cell *cell = &cells[p->bands[2 * band]];
    uint64_t sum = (uint64_t)p->floor;
    for (int32_t left = p->bands[2 * band + 1]; left > 0; left--) {
        sum += cell++->power * *(*weight)++;
    }
    return sum;
}

static inline void edgeq_log_mel_bands(const edgeq_log_mel_params *p,
                                       const edgeq_log_mel_cell *cells, int8_t *y) {
    const uint8_t *weight = p->weights;
    for (int32_t band = 0; band < p->mels; band++) {
        const uint64_t sum = edgeq_log_mel_energy(p, cells, band, &weight);
        const int32_t log = edgeq_log_mel_log2(p->log_table, sum) - p->offset;
        y[band] = edgeq_requantize(log, p->multiplier, p->shift, p->output_zero_point, -128, 127);
    }
}

static inline void edgeq_log_mel_frames(const edgeq_log_mel_params *p, const int16_t *x, int8_t *y,
                                        void *scratch) {
    edgeq_log_mel_cell *cells = scratch;
    for (int32_t frame = 0; frame < p->frames; frame++) {
        edgeq_log_mel_spectrum(p, x, cells);
        edgeq_log_mel_bands(p, cells, y);
        x += p->hop;
        y += p->mels;
    }
}

#endif
