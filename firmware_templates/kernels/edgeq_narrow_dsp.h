/* Fully connected layers whose weights take one or two bits: four products in every SMLAD.
 *
 * A 16-bit operand carries two rows. Row a's code sits in the lowest bits, unsigned, and row b's
 * in the highest, two's complement: masking a rotated word leaves
 *
 *     half = a + b * 2^LANE        SMLAD adds x * a + (x * b << LANE), for two columns at once
 *
 * LANE is 14 for two bits (mask C003C003), 15 for one (mask 80018001). The accumulator S then is
 * s_a + s_b * 2^LANE. It starts at 2^(LANE - 1) minus the centre of s_a, which is a constant of the
 * block's activations. A block is so short that s_a, seen from its centre, stays inside
 * -2^(LANE - 1) .. 2^(LANE - 1) - 1 for any activations and weights (each source says why); hence
 *
 *     S >> LANE == s_b      exactly, and what is left of S is s_a less its centre
 *
 * Over all blocks, low = sum S and high = sum (S >> LANE) give both rows; 32-bit sums may wrap:
 *
 *     sum x * b = high      sum x * a = low - (high << LANE) - sum of starts
 *
 * Activations in scratch, as signed halves: for each block its start (one word), then for each step
 * of 8 columns four words: (c0, c2) (c1, c3) (c4, c6) (c5, c7), what SXTB16 makes of 4 bytes.
 * The columns behind the last are zero. Only the first block may be short.
 *
 * EDGEQ_NARROW_BRIM: a block of ternary weights may be so long that s_a reaches 2^(LANE - 1) once,
 * when all its activations are -128 and all its weights -1. S >> LANE is s_b + 1 then. But s_b, a
 * sum of -128s, is a multiple of 128: a word behind the block's activations masks these bits of S
 * where all of them are -128, and none elsewhere.
 *
 * Weights: rows are padded to a multiple of 4, columns to one of 8. A run is 8 rows (the last one 4
 * if their number asks for it): for each step, the words of rows 0-3, then those of rows 4-7.
 *
 * An including source defines, before the include:
 *   EDGEQ_NARROW_LANE            LANE
 *   EDGEQ_NARROW_MASK            the mask
 *   EDGEQ_NARROW_STEPS           steps in one pass of the unrolled loop
 *   EDGEQ_NARROW_PASSES          passes in a block
 *   EDGEQ_NARROW_WORDS           words of 4 rows in a step: 2, or 1 when a word holds 4 rows
 *   EDGEQ_NARROW_SCALE, _A, _B   w = SCALE * code + A for row a, SCALE * code + B for row b;
 *                                -A / SCALE is the centre of row a's codes
 *   EDGEQ_NARROW_BRIM            1 when blocks need that word, else 0
 */
#ifndef EDGEQ_NARROW_DSP_H
#define EDGEQ_NARROW_DSP_H

#include "edgeq_dsp.h"
#include "edgeq_kernels_dsp.h"
#include "edgeq_narrow_rows_dsp.h"
#include "edgeq_requantize.h"

/* Activations on their way to scratch. */
typedef struct {
    const int8_t *x;
    uint32_t *to;
    uint32_t *start; /* of the last block */
    int32_t left;    /* whole steps */
    int32_t block;   /* steps of the next block */
    int32_t sum;     /* of the last block's activations */
    int32_t total;   /* of all */
    uint32_t starts; /* their sum */
} edgeq_narrow_spread;

/* Where the accumulators of a block begin. */
static inline uint32_t edgeq_narrow_start(int32_t sum) {
    return (1u << (EDGEQ_NARROW_LANE - 1)) +
           (uint32_t)(EDGEQ_NARROW_A * sum >> (EDGEQ_NARROW_SCALE - 1));
}

/* Four activations as halves; returns sum + theirs. */
static inline int32_t edgeq_narrow_four(const int8_t *x, uint32_t *to, int32_t sum) {
    uint32_t word = edgeq_load_word(x);
    to[0] = edgeq_sxtb16(word);
    to[1] = edgeq_sxtb16_ror8(word);
    return edgeq_smlad(to[0], 0x00010001u, edgeq_smlad(to[1], 0x00010001u, sum));
}

/* Without optimisation the twelve operands are too many for the registers. */
#if EDGEQ_DSP_ASM && defined(__OPTIMIZE__)
#if EDGEQ_NARROW_SCALE == 2
#define EDGEQ_NARROW_HALVED ", asr #1\n"
#else
#define EDGEQ_NARROW_HALVED "\n"
#endif

#if EDGEQ_NARROW_BRIM
#define EDGEQ_NARROW_PUT_BRIM                                                                      \
    "add.w %[a], %[sum], #(64 * 128)\n"                                                            \
    "sub.w %[a], %[a], #1\n"                                                                       \
    "mov.w %[b], #(127 << " EDGEQ_TEXT(EDGEQ_NARROW_LANE) ")\n"                                    \
                                                          "and.w %[a], %[b], %[a], asr #31\n"      \
                                                          "str.w %[a], [%[to]], #4\n"
#else
#define EDGEQ_NARROW_PUT_BRIM
#endif

/* clang-format off */
/* All whole steps: 18 cycles each. */
static inline void edgeq_narrow_put(edgeq_narrow_spread *s) {
    uint32_t a, b, c;
    __asm__ volatile(
        "1:\n"
        "cmp.w %[block], %[left]\n"
        "it gt\n"
        "movgt.w %[block], %[left]\n"
        "mov.w %[start], %[to]\n"
        "add.w %[to], %[to], #4\n"
        "mov.w %[sum], #0\n"
        "sub.w %[left], %[left], %[block]\n"
        "cmp.w %[block], #0\n"
        "beq.w 3f\n"
        ".balign 4\n"
        "2:\n"
        "ldr.w %[a], [%[x], #4]\n ldr.w %[b], [%[x]], #8\n"
        "sxtb16 %[c], %[b]\n"
        "sxtb16 %[b], %[b], ror #8\n"
        "str.w %[b], [%[to], #4]\n"
        "smlad %[sum], %[c], %[ones], %[sum]\n"
        "smlad %[sum], %[b], %[ones], %[sum]\n"
        "sxtb16 %[b], %[a]\n"
        "sxtb16 %[a], %[a], ror #8\n"
        "str.w %[b], [%[to], #8]\n"
        "str.w %[a], [%[to], #12]\n"
        "str.w %[c], [%[to]], #16\n"
        "smlad %[sum], %[b], %[ones], %[sum]\n"
        "smlad %[sum], %[a], %[ones], %[sum]\n"
        "subs.w %[block], %[block], #1\n"
        "bne.w 2b\n"
        "3:\n"
        "mvn.w %[a], #(-1 - " EDGEQ_TEXT(EDGEQ_NARROW_A) ")\n"
        "mul %[a], %[a], %[sum]\n"
        "mov.w %[b], #(1 << (" EDGEQ_TEXT(EDGEQ_NARROW_LANE) " - 1))\n"
        "add.w %[a], %[b], %[a]" EDGEQ_NARROW_HALVED
        "str.w %[a], [%[start]]\n"
        "add.w %[starts], %[starts], %[a]\n"
        "add.w %[total], %[total], %[sum]\n" EDGEQ_NARROW_PUT_BRIM
        "mov.w %[block], #" EDGEQ_TEXT(EDGEQ_NARROW_STEPS) " * " EDGEQ_TEXT(EDGEQ_NARROW_PASSES) "\n"
        "cmp.w %[left], #0\n"
        "bgt.w 1b\n"
        : [x] "+r"(s->x), [to] "+r"(s->to), [start] "+r"(s->start), [left] "+r"(s->left),
          [block] "+r"(s->block), [sum] "+r"(s->sum), [total] "+r"(s->total),
          [starts] "+r"(s->starts), [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c)
        : [ones] "r"(0x00010001u)
        : "cc", "memory");
}
/* clang-format on */
#else
static inline void edgeq_narrow_put(edgeq_narrow_spread *s) {
    do {
        int32_t steps = s->block < s->left ? s->block : s->left;
        s->start = s->to++;
        s->left -= steps;
        s->sum = 0;
        for (int32_t i = 0; i < 2 * steps; i++, s->x += 4, s->to += 2) {
            s->sum = edgeq_narrow_four(s->x, s->to, s->sum);
        }
        *s->start = edgeq_narrow_start(s->sum);
        s->starts += *s->start;
        s->total += s->sum;
        if (EDGEQ_NARROW_BRIM) { /* its sum says that all are -128 */
            *s->to++ = s->sum == -64 * 128 ? 127u << EDGEQ_NARROW_LANE : 0;
        }
        s->block = EDGEQ_NARROW_BLOCK_STEPS;
    } while (s->left > 0);
}
#endif

/* The last step of all is padded: it joins the last block, which thus has activations that are
 * not -128. */
static inline void edgeq_narrow_put_last(edgeq_narrow_spread *s, int32_t columns) {
    int8_t last[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    int32_t sum = s->sum;
    for (int32_t i = 0; i < columns; i++) {
        EDGEQ_STEPS(i);
        last[i] = s->x[i];
    }
    s->to -= EDGEQ_NARROW_BRIM;
    sum = edgeq_narrow_four(last, s->to, sum);
    sum = edgeq_narrow_four(last + 4, s->to + 2, sum);
    s->to += 4;
    if (EDGEQ_NARROW_BRIM) {
        *s->to++ = 0;
    }
    s->total += sum - s->sum;
    s->starts -= *s->start;
    *s->start = edgeq_narrow_start(sum);
    s->starts += *s->start;
}

/* Fills scratch and the fields that speak of it. */
static inline void edgeq_narrow_prepare(edgeq_narrow_layer *layer, const int8_t *x,
                                        uint32_t *scratch) {
    int32_t inputs = layer->p.inputs;
    int32_t block = (inputs + 7) >> 3; /* steps of the first block */
    while (block > EDGEQ_NARROW_BLOCK_STEPS) {
        block -= EDGEQ_NARROW_BLOCK_STEPS;
        EDGEQ_STEPS(block);
    }
    int32_t pass = block; /* steps of its first pass */
    while (pass > EDGEQ_NARROW_STEPS) {
        pass -= EDGEQ_NARROW_STEPS;
        EDGEQ_STEPS(pass);
    }
    layer->x = scratch;
    layer->block_end = scratch + 1 + 4 * block;
    layer->skipped_steps = (uint32_t)(EDGEQ_NARROW_STEPS - pass);
    edgeq_narrow_spread s = {x, scratch, scratch, inputs >> 3, block, 0, 0, 0};
    edgeq_narrow_put(&s);
    if ((inputs & 7) != 0) {
        edgeq_narrow_put_last(&s, inputs & 7);
    }
    layer->end = s.to;
    layer->add_a = (uint32_t)(2 * EDGEQ_NARROW_A * s.total) - 2 * EDGEQ_NARROW_SCALE * s.starts;
    layer->add_b = (uint32_t)(2 * EDGEQ_NARROW_B * s.total);
}

static inline void edgeq_fully_connected_narrow(const edgeq_fully_connected_params *p,
                                                const int8_t *x, int8_t *y, void *scratch) {
    edgeq_narrow_layer layer;
    layer.p = *p;
    layer.p.output_zero_point = 2 * p->output_zero_point + 1;
    layer.y = y;
    edgeq_narrow_prepare(&layer, x, scratch);
    edgeq_narrow_outputs(&layer);
}

#endif
