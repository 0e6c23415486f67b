#ifndef EDGEQ_MLPERF_H
#define EDGEQ_MLPERF_H

/*
 * The text commands of MLPerf Tiny (github.com/mlcommons/tiny, benchmark/api). Built with
 * EDGEQ_ENERGY_MODE, time stamps are pulses of the marker pin instead of m-lap-us lines.
 */
void mlperf_boot(void);

/* One byte outside of frames; '%' ends a command, line ends are skipped. */
void mlperf_push(char byte);

/* Forgets a command begun: a frame delimiter arrived in its middle. */
void mlperf_discard(void);

#endif
