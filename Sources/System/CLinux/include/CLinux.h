// Linux facilities that Swift cannot import by itself: variadic calls, GNU-only calls, function-like macros.
// No logic lives here. No header here defines _GNU_SOURCE: the system's types would then differ from those
// that Swift's Glibc module shows, and the compiler refuses the pair. The C files define it.
#pragma once
#include "crc32c.h"
#include "cpu.h"
#include "epoll.h"
#include "files.h"
#include "host.h"
#include "lab.h"
#include "network.h"
#include "process.h"
#include "sockets.h"
