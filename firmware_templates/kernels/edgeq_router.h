/* The router: logits, Monte Carlo uncertainty, scores under the rule, and the chosen experts.
 *
 * Layer 0 stands before any dropout and runs once; the others run once without dropout and once a
 * pass on masked inputs. Every quantity up to the route is an exact integer.
 *
 * The file that includes this one defines EDGEQ_ROUTER_LAYER(p, x, y, scratch), the kernel of its
 * fully connected layers, whose scratch lies behind the router's own.
 */
#ifndef EDGEQ_ROUTER_H
#define EDGEQ_ROUTER_H

#include "edgeq_kernels.h"
#include "edgeq_softmax_q15.h"

#define SCORE_STEP ((int64_t)1 << 40) /* of a logit step */
#define ESCALATED  ((int64_t)1 << 49) /* above every logit */

typedef struct {
    int64_t *scores; /* (experts) */
    int32_t *sums;   /* (experts) of p over the passes */
    int8_t *first;   /* output of layer 0 */
    int8_t *a;       /* the widest layer's output each */
    int8_t *b;
    int8_t *layer; /* of the layers' kernel, aligned to 8 bytes */
} router_scratch;

static int32_t experts_of(const edgeq_router_params *p) {
    return p->layers[p->layer_count - 1].plain.outputs;
}

static router_scratch divide_scratch(const edgeq_router_params *p, void *scratch) {
    int32_t experts = experts_of(p);
    int32_t widest = 0;
    for (int32_t i = 0; i < p->layer_count; i++) {
        int32_t width = p->layers[i].plain.outputs;
        widest = width > widest ? width : widest;
    }
    router_scratch s;
    s.scores = scratch;
    s.sums = (int32_t *)(s.scores + experts);
    s.first = (int8_t *)(s.sums + experts);
    s.a = s.first + p->layers[0].plain.outputs;
    s.b = s.a + widest;
    int32_t used = p->layers[0].plain.outputs + 2 * widest + 12 * experts;
    s.layer = (int8_t *)scratch + (((used + 7) >> 3) << 3);
    return s;
}

/* Dropped inputs become the real number zero; out may be x. */
static void drop(const edgeq_router_layer *layer, int32_t pass, const int8_t *x, int8_t *out) {
    int32_t inputs = layer->dropped.inputs;
    int32_t zero = layer->dropped.input_zero_point;
    const uint8_t *mask = layer->mask + pass * ((inputs + 7) >> 3);
    for (int32_t i = 0; i < inputs; i++) {
        int32_t keep = (mask[i >> 3] >> (i & 7)) & 1;
        out[i] = (int8_t)(zero + keep * (x[i] - zero));
    }
}

static const int8_t *plain_logits(const edgeq_router_params *p, router_scratch s) {
    const int8_t *x = s.first;
    for (int32_t i = 1; i < p->layer_count; i++) {
        int8_t *y = (i & 1) != 0 ? s.a : s.b;
        EDGEQ_ROUTER_LAYER(&p->layers[i].plain, x, y, s.layer);
        x = y;
    }
    return x;
}

static const int8_t *dropped_logits(const edgeq_router_params *p, int32_t pass, router_scratch s) {
    const int8_t *x = s.first;
    for (int32_t i = 1; i < p->layer_count; i++) {
        int8_t *masked = (i & 1) != 0 ? s.a : s.b;
        int8_t *y = (i & 1) != 0 ? s.b : s.a;
        drop(&p->layers[i], pass, x, masked);
        EDGEQ_ROUTER_LAYER(&p->layers[i].dropped, masked, y, s.layer);
        x = y;
    }
    return x;
}

/* U = sum_e (M sum_m p^2 - (sum_m p)^2); zero without passes. */
static int64_t uncertainty_numerator(const edgeq_router_params *p, router_scratch s) {
    int32_t experts = experts_of(p);
    int64_t squares = 0;
    int64_t squared_sums = 0;
    for (int32_t e = 0; e < experts; e++) {
        s.sums[e] = 0;
    }
    for (int32_t pass = 0; pass < p->passes; pass++) {
        const int8_t *logits = dropped_logits(p, pass, s);
        edgeq_softmax_q15 softmax = edgeq_softmax_q15_of(p->exp_table, logits, experts);
        for (int32_t e = 0; e < experts; e++) {
            int32_t q = edgeq_probability_q15(&softmax, logits[e]);
            s.sums[e] += q;
            squares += q * q;
        }
    }
    for (int32_t e = 0; e < experts; e++) {
        squared_sums += (int64_t)s.sums[e] * s.sums[e];
    }
    return p->passes * squares - squared_sums;
}

/* x within 0..range, by sign masks: GCC makes a conditional store of a conditional expression. */
static int64_t clamp_to(int64_t x, int64_t range) {
    int64_t excess = (x & ~(x >> 63)) - range;
    return range + (excess & (excess >> 63));
}

static void score(const edgeq_router_params *p, const edgeq_routing *out, int64_t *scores) {
    int32_t experts = experts_of(p);
    int64_t above = clamp_to(out->numerator - p->u_min, p->u_max - p->u_min);
    for (int32_t e = 0; e < experts; e++) {
        scores[e] = out->logits[e] * SCORE_STEP;
        if (p->rule == EDGEQ_RULE_PRECISION_PRIOR) {
            scores[e] += above * p->prior[e];
        }
    }
    if (p->rule == EDGEQ_RULE_ESCALATION) {
        int64_t escalates = (p->threshold - out->numerator) >> 63; /* all ones, or zero */
        int64_t logit = scores[p->precise];
        scores[p->precise] = logit ^ ((logit ^ ESCALATED) & escalates);
    }
}

/* Best scores in order, ties to the lower index; overwrites the scores it has taken. */
static void choose(const edgeq_router_params *p, int64_t *scores, int32_t *chosen) {
    int32_t experts = experts_of(p);
    for (int32_t k = 0; k < p->top_k; k++) {
        int32_t best = 0;
        for (int32_t e = 1; e < experts; e++) {
            best = scores[e] > scores[best] ? e : best;
        }
        chosen[k] = best;
        scores[best] = INT64_MIN;
    }
}

static void weigh(const edgeq_router_params *p, edgeq_routing *out) {
    int32_t experts = experts_of(p);
    edgeq_softmax_q15 softmax = edgeq_softmax_q15_of(p->exp_table, out->logits, experts);
    for (int32_t e = 0; e < experts; e++) {
        out->gate_q15[e] = edgeq_probability_q15(&softmax, out->logits[e]);
    }
}

static void edgeq_route_s8(const edgeq_router_params *p, const int8_t *x, edgeq_routing *out,
                           void *scratch) {
    router_scratch s = divide_scratch(p, scratch);
    EDGEQ_ROUTER_LAYER(&p->layers[0].plain, x, s.first, s.layer);
    const int8_t *logits = plain_logits(p, s);
    for (int32_t e = 0; e < experts_of(p); e++) {
        out->logits[e] = logits[e];
    }
    out->numerator = uncertainty_numerator(p, s);
    int64_t rounded = (out->numerator >> 6) * p->uncertainty_factor + ((int64_t)1 << 33);
    out->uncertainty_q24 = (int32_t)(rounded >> 34);
    score(p, out, s.scores);
    choose(p, s.scores, out->chosen);
    if (out->gate_q15 != 0) {
        weigh(p, out);
    }
}

#endif
