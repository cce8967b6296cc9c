// What the processor can do.
#pragma once

#include <stdint.h>

/// Whether AES-GCM has instructions of its own (AES and carry-less multiplication): 1 or 0.
int clinux_cpu_has_aes(void);
