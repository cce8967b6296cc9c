#pragma once
#include <sys/types.h>

/// fork(2), for a process that has no other thread yet: 0 in the child, -1 with errno.
pid_t clinux_fork(void);
/// prctl(PR_SET_PDEATHSIG): the calling process gets the signal when its parent ends.
int clinux_end_with_parent(int signal);
