#include "crc32c.h"

#include <pthread.h>
#include <string.h>

// Castagnoli's polynomial, bits reversed.
static const uint32_t polynomial = 0x82F63B78;
static uint32_t tables[8][256];

#if defined(__x86_64__)
#include <nmmintrin.h>
// Bytes in each of three lanes that run at once (the instruction takes 3 cycles, one can start each cycle),
// and for each the table that moves a CRC past as many zero bytes.
enum { long_lane = 1024, short_lane = 128 };
static uint32_t past_long[4][256], past_short[4][256];
static int has_instruction;
#endif

static uint32_t by_tables(uint32_t crc, const uint8_t *bytes, size_t count) {
    while (count >= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        word ^= crc;
        crc = tables[7][word & 0xff] ^ tables[6][word >> 8 & 0xff] ^ tables[5][word >> 16 & 0xff] ^
              tables[4][word >> 24 & 0xff] ^ tables[3][word >> 32 & 0xff] ^ tables[2][word >> 40 & 0xff] ^
              tables[1][word >> 48 & 0xff] ^ tables[0][word >> 56];
        bytes += 8;
        count -= 8;
    }
    while (count-- > 0) crc = tables[0][(crc ^ *bytes++) & 0xff] ^ crc >> 8;
    return crc;
}

#if defined(__x86_64__)
static void fill_past(uint32_t table[4][256], size_t lane) {
    // The CRC is linear: what one bit becomes after `lane` zero bytes gives all values by exclusive or.
    static const uint8_t zeroes[long_lane];
    uint32_t bit[32];
    for (int i = 0; i < 32; i++) bit[i] = by_tables((uint32_t)1 << i, zeroes, lane);
    for (int byte = 0; byte < 4; byte++) {
        for (int value = 0; value < 256; value++) {
            uint32_t sum = 0;
            for (int i = 0; i < 8; i++) {
                if (value >> i & 1) sum ^= bit[8 * byte + i];
            }
            table[byte][value] = sum;
        }
    }
}

static inline uint32_t past(uint32_t table[4][256], uint32_t crc) {
    return table[0][crc & 0xff] ^ table[1][crc >> 8 & 0xff] ^ table[2][crc >> 16 & 0xff] ^
           table[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static inline uint64_t step(uint64_t crc, const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    return _mm_crc32_u64(crc, word);
}

__attribute__((target("sse4.2"))) static uint64_t by_lanes(uint64_t crc, const uint8_t **bytes, size_t *count,
                                                           size_t lane, uint32_t table[4][256]) {
    while (*count >= 3 * lane) {
        uint64_t second = 0, third = 0;
        const uint8_t *next = *bytes, *end = next + lane;
        for (; next < end; next += 8) {
            crc = step(crc, next);
            second = step(second, next + lane);
            third = step(third, next + 2 * lane);
        }
        crc = past(table, (uint32_t)crc) ^ second;
        crc = past(table, (uint32_t)crc) ^ third;
        *bytes += 3 * lane;
        *count -= 3 * lane;
    }
    return crc;
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t start, const uint8_t *bytes,
                                                                 size_t count) {
    uint64_t crc = by_lanes(start, &bytes, &count, long_lane, past_long);
    crc = by_lanes(crc, &bytes, &count, short_lane, past_short);
    while (count >= 8) {
        crc = step(crc, bytes);
        bytes += 8;
        count -= 8;
    }
    while (count-- > 0) crc = _mm_crc32_u8((uint32_t)crc, *bytes++);
    return (uint32_t)crc;
}
#endif

static void prepare(void) {
    for (uint32_t index = 0; index < 256; index++) {
        uint32_t crc = index;
        for (int i = 0; i < 8; i++) crc = crc & 1 ? crc >> 1 ^ polynomial : crc >> 1;
        tables[0][index] = crc;
    }
    for (int table = 1; table < 8; table++) {
        for (int index = 0; index < 256; index++) {
            uint32_t crc = tables[table - 1][index];
            tables[table][index] = tables[0][crc & 0xff] ^ crc >> 8;
        }
    }
#if defined(__x86_64__)
    fill_past(past_long, long_lane);
    fill_past(past_short, short_lane);
    has_instruction = __builtin_cpu_supports("sse4.2");
#endif
}

static pthread_once_t prepared = PTHREAD_ONCE_INIT;

uint32_t clinux_crc32c_portable(uint32_t previous, const void *bytes, size_t count) {
    pthread_once(&prepared, prepare);
    return ~by_tables(~previous, bytes, count);
}

uint32_t clinux_crc32c(uint32_t previous, const void *bytes, size_t count) {
    pthread_once(&prepared, prepare);
#if defined(__x86_64__)
    if (has_instruction) return ~by_instruction(~previous, bytes, count);
#endif
    return ~by_tables(~previous, bytes, count);
}
