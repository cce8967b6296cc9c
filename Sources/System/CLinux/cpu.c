#include "cpu.h"

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

int clinux_cpu_has_aes(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__)
    unsigned long bits = getauxval(AT_HWCAP);
    return (bits & HWCAP_AES) && (bits & HWCAP_PMULL);
#else
    return 0;
#endif
}
