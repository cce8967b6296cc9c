#define _GNU_SOURCE
#include "process.h"

#include <sys/prctl.h>
#include <unistd.h>

pid_t clinux_fork(void) { return fork(); }

int clinux_end_with_parent(int signal) { return prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0); }
