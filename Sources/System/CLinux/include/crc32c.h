// CRC-32C (Castagnoli) by the processor's instruction where there is one.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// The CRC-32C of the bytes, continuing `previous` (0 starts a new one). Same values as Basics.Checksum.
uint32_t clinux_crc32c(uint32_t previous, const void *_Nonnull bytes, size_t count);
/// The same by tables alone, whatever the processor has: for tests.
uint32_t clinux_crc32c_portable(uint32_t previous, const void *_Nonnull bytes, size_t count);
