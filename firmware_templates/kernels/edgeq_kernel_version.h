/* The version of the kernels in an export: its copy of this file puts the version into the name of
 * every kernel, so that a model is never linked with kernels of another version, and models with
 * different ones live in one program. Here names are plain. */
#ifndef EDGEQ_KERNEL_VERSION_H
#define EDGEQ_KERNEL_VERSION_H

#define EDGEQ_KERNEL_VERSION 0x00000000

/* Kernels of one version that come with two models are one function. */
#ifndef EDGEQ_KERNEL
#if defined(__GNUC__)
#define EDGEQ_KERNEL __attribute__((weak))
#else
#define EDGEQ_KERNEL
#endif
#endif

#endif
