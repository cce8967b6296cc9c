// What the processor can do.
#pragma once

#include <stdint.h>

/// Whether AES-GCM has instructions of its own (AES and carry-less multiplication): 1 or 0.
int clinux_cpu_has_aes(void);

/// A word that another thread or the kernel changes.
static inline uint32_t clinux_load_acquire(const uint32_t *word) {
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}
