/* Logarithms of mel energies to cepstral coefficients; edgeq/ops/mfcc.py is the contract. What
 * includes this has included edgeq_log_mel.h. */
#ifndef EDGEQ_MFCC_H
#define EDGEQ_MFCC_H

#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

static inline void edgeq_mfcc_logs(const edgeq_log_mel_params *p, const edgeq_log_mel_cell *cells,
                                   int32_t *logs) {
    const uint8_t *weight = p->weights;
    for (int32_t band = 0; band < p->mels; band++) {
        const uint64_t sum = edgeq_log_mel_energy(p, cells, band, &weight);
        logs[band] = edgeq_log_mel_log2(p->log_table, sum) - p->offset;
    }
}

static inline void edgeq_mfcc_cosines(const edgeq_mfcc_params *p, const int32_t *logs, int8_t *y) {
    const edgeq_log_mel_params *own = &p->log_mel;
    const int16_t *cosine = p->cosines;
    for (int32_t k = 0; k < p->coefficients; k++) {
        int64_t sum = 1 << 14;
        for (int32_t band = 0; band < own->mels; band++) {
            sum += (int64_t)logs[band] * *cosine++;
        }
        y[k] = edgeq_requantize((int32_t)(sum >> 15), own->multiplier, own->shift,
                                own->output_zero_point, -128, 127);
    }
}

static inline void edgeq_mfcc_frames(const edgeq_mfcc_params *p, const int16_t *x, int8_t *y,
                                     void *scratch) {
    const edgeq_log_mel_params *own = &p->log_mel;
    edgeq_log_mel_cell *cells = scratch;
    int32_t *logs = cells[(own->fft >> 1) + 1].z; /* behind the bins */
    for (int32_t frame = 0; frame < own->frames; frame++) {
        edgeq_log_mel_spectrum(own, x, cells);
        edgeq_mfcc_logs(own, cells, logs);
        edgeq_mfcc_cosines(p, logs, y);
        x += own->hop;
        y += p->coefficients;
    }
}

#endif
