/* Mel energies normalised by what each band was lately; edgeq/ops/pcen_steps.py is the contract.
 * What includes this has included edgeq_log_mel.h. */
#ifndef EDGEQ_PCEN_H
#define EDGEQ_PCEN_H

#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

/* 64 bits as four codes, the low bits first, each `mels` behind the one before. */
static inline uint64_t edgeq_pcen_kept(const uint16_t *codes, int32_t mels) {
    uint64_t made = 0;
    for (int32_t part = 3; part >= 0; part--) {
        made = made << 16 | codes[part * mels];
    }
    return made;
}

static inline void edgeq_pcen_keep(uint16_t *codes, int32_t mels, uint64_t value) {
    for (int32_t part = 0; part < 4; part++) {
        codes[part * mels] = (uint16_t)(value >> 16 * part);
    }
}

static inline uint64_t edgeq_pcen_smoothed(uint64_t before, uint64_t energy, int32_t smooth) {
    const uint64_t none = ((before | (0 - before)) >> 63) - 1; /* all ones after a reset */
    const uint64_t begun = before | (energy & none);
    const int64_t apart = (int64_t)(energy - begun);
    const uint32_t low = (uint32_t)(apart & 0xFFFF) * (uint32_t)smooth + (1u << 15);
    return begun + (uint64_t)((apart >> 16) * smooth) + (low >> 16);
}

static inline int32_t edgeq_pcen_share(int32_t log, int32_t part) {
    return (int32_t)(((int64_t)log * part + (1 << 29)) >> 30);
}

/* 2^(log / 2^15) in Q30, by a line between two of 65 places; log < 22 * 2^15 + 1. */
static inline uint64_t edgeq_pcen_power(const uint16_t *table, int32_t log) {
    const uint16_t *place = &table[(log >> 9) & 63];
    const int32_t rise = place[1] - place[0];
    const int32_t line = rise * (log & 511) >> 9;
    const int32_t down = 22 - (log >> 15);
    return ((uint64_t)((1 << 15) + place[0] + line) << 37) >> (down < 63 ? down : 63);
}

static inline int8_t edgeq_pcen_value(const edgeq_pcen_params *p, uint64_t energy, uint64_t kept) {
    const edgeq_log_mel_params *own = &p->log_mel;
    const int32_t over = edgeq_pcen_share(edgeq_log_mel_log2(own->log_table, kept), p->alpha);
    const int32_t log = edgeq_log_mel_log2(own->log_table, energy | 1) - over - own->offset;
    const uint64_t sum = edgeq_pcen_power(p->power_table, log) + (uint64_t)p->delta;
    const int32_t raised = edgeq_log_mel_log2(own->log_table, sum) - 30 * (1 << 15);
    const int32_t root = edgeq_pcen_share(raised, p->root);
    const uint64_t made = edgeq_pcen_power(p->power_table, root < p->most ? root : p->most);
    return edgeq_requantize((int32_t)(((int64_t)made - p->lift) >> p->down), own->multiplier,
                            own->shift, own->output_zero_point, -128, 127);
}

static inline void edgeq_pcen_bands(const edgeq_pcen_params *p, const edgeq_log_mel_cell *cells,
                                    uint16_t *codes, int8_t *y) {
    const edgeq_log_mel_params *own = &p->log_mel;
    const uint8_t *weight = own->weights;
    for (int32_t band = 0; band < own->mels; band++) {
        const uint64_t energy = edgeq_log_mel_energy(own, cells, band, &weight);
        const uint64_t before = edgeq_pcen_kept(&codes[band], own->mels);
        const uint64_t kept = edgeq_pcen_smoothed(before, energy, p->smooth);
        edgeq_pcen_keep(&codes[band], own->mels, kept);
        y[band] = edgeq_pcen_value(p, energy - (uint64_t)own->floor, kept);
    }
}

static inline void edgeq_pcen_frames(const edgeq_pcen_params *p, const int16_t *x, int8_t *y,
                                     uint16_t *codes, edgeq_log_mel_cell *cells) {
    const edgeq_log_mel_params *own = &p->log_mel;
    for (int32_t frame = 0; frame < own->frames; frame++) {
        edgeq_log_mel_spectrum(own, x, cells);
        edgeq_pcen_bands(p, cells, codes, y);
        x += own->hop;
        y += own->mels;
    }
}

/* From nothing kept; scratch: the cells, then the codes. */
static inline void edgeq_pcen_window(const edgeq_pcen_params *p, const int16_t *x, int8_t *y,
                                     void *scratch) {
    edgeq_log_mel_cell *cells = scratch;
    uint16_t *codes = (uint16_t *)(void *)&cells[(p->log_mel.fft >> 1) + 1];
    for (int32_t at = 0; at < 4 * p->log_mel.mels; at++) {
        codes[at] = 0;
    }
    edgeq_pcen_frames(p, x, y, codes, cells);
}

#endif
