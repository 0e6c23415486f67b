/* The four memory functions a compiler may call in freestanding code (no C library is linked). */
#include <stddef.h>
#include <stdint.h>

/* Neither compiler may turn these loops back into calls of themselves. */
#if defined(__clang__)
#define EDGEQ_NO_IDIOM __attribute__((no_builtin))
#else
#define EDGEQ_NO_IDIOM __attribute__((optimize("no-tree-loop-distribute-patterns")))
#endif

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

typedef uint32_t __attribute__((may_alias)) word_t;

static inline int words_aligned(const void *a, const void *b) {
    return (((uintptr_t)a | (uintptr_t)b) & 3u) == 0u;
}

/* Ascending copy, by words where both ends are aligned; safe when `out` is below `in`. */
EDGEQ_NO_IDIOM static void copy_up(uint8_t *out, const uint8_t *in, size_t bytes) {
    if (words_aligned(out, in)) {
        for (; bytes >= 4u; bytes -= 4u) {
            *(word_t *)(void *)out = *(const word_t *)(const void *)in;
            out += 4;
            in += 4;
        }
    }
    while (bytes-- > 0u) {
        *out++ = *in++;
    }
}

EDGEQ_NO_IDIOM void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
    copy_up(to, from, bytes);
    return to;
}

EDGEQ_NO_IDIOM void *memmove(void *to, const void *from, size_t bytes) {
    uint8_t *out = to;
    const uint8_t *in = from;
    if ((uintptr_t)out - (uintptr_t)in >= bytes) {
        copy_up(out, in, bytes);
        return to;
    }
    while (bytes-- > 0u) {
        out[bytes] = in[bytes];
    }
    return to;
}

EDGEQ_NO_IDIOM void *memset(void *to, int value, size_t bytes) {
    uint8_t *out = to;
    const uint32_t word = 0x01010101u * (uint8_t)value;
    if (words_aligned(to, to)) {
        for (; bytes >= 4u; bytes -= 4u) {
            *(word_t *)(void *)out = word;
            out += 4;
        }
    }
    while (bytes-- > 0u) {
        *out++ = (uint8_t)value;
    }
    return to;
}

EDGEQ_NO_IDIOM int memcmp(const void *a, const void *b, size_t bytes) {
    const uint8_t *x = a;
    const uint8_t *y = b;
    for (size_t i = 0; i < bytes; ++i) {
        if (x[i] != y[i]) {
            return (int)x[i] - (int)y[i];
        }
    }
    return 0;
}
