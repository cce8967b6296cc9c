#pragma once
// First, so that liburing.h's own _GNU_SOURCE comes too late: the system's types would then differ from those
// that the Glibc module shows, and the compiler refuses the pair.
#include <sys/types.h>
#include <liburing.h>
