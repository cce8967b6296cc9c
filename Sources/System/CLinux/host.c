#define _GNU_SOURCE
#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int unpack(const char *text, size_t length, char **list, size_t room) {
    size_t count = 0;
    for (size_t at = 0; at < length; at += strlen(text + at) + 1) {
        if (count + 1 == room) return -1;
        list[count++] = (char *)text + at;
    }
    list[count] = NULL;
    return 0;
}

int clinux_spawn(const char *path, const char *arguments, size_t arguments_length, const char *environment,
                 size_t environment_length, int input, int output, int errors, pid_t *process) {
    char *list[256], *variables[256];
    if (unpack(arguments, arguments_length, list, 256) != 0) return E2BIG;
    if (unpack(environment, environment_length, variables, 256) != 0) return E2BIG;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0) return error;
    error = posix_spawnattr_init(&attributes);
    if (error != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return error;
    }
    short flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
    // dup2 onto the same number would leave close-on-exec set: the callers' descriptors are all above 2.
    if ((error = posix_spawnattr_setflags(&attributes, flags)) == 0 &&
        (error = posix_spawnattr_setpgroup(&attributes, 0)) == 0 &&
        (error = posix_spawnattr_setsigdefault(&attributes, &all)) == 0 &&
        (error = posix_spawnattr_setsigmask(&attributes, &none)) == 0 &&
        (error = posix_spawn_file_actions_adddup2(&actions, input, 0)) == 0 &&
        (error = posix_spawn_file_actions_adddup2(&actions, output, 1)) == 0 &&
        (error = posix_spawn_file_actions_adddup2(&actions, errors, 2)) == 0 &&
        (error = posix_spawn_file_actions_addclosefrom_np(&actions, 3)) == 0) {
        error = posix_spawn(process, path, &actions, &attributes, list, variables);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

int clinux_pipe(int *ends) {
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    for (int i = 0; i < 2; i++) {
        // Numbers 0 to 2 are the child's own; a daemon may have closed them.
        int moved = ends[i] > 2 ? ends[i] : fcntl(ends[i], F_DUPFD_CLOEXEC, 3);
        if (moved < 0) {
            int error = errno;
            close(ends[0]);
            close(ends[1]);
            errno = error;
            return -1;
        }
        if (moved != ends[i]) close(ends[i]);
        ends[i] = moved;
    }
    return fcntl(ends[0], F_SETFL, O_NONBLOCK);
}

int clinux_memory_file(const void *bytes, size_t count) {
    int file = memfd_create("input", MFD_CLOEXEC);
    if (file < 0) return -1;
    int moved = fcntl(file, F_DUPFD_CLOEXEC, 3);
    int error = errno;
    close(file);
    errno = error;
    if (moved < 0) return -1;
    if (write(moved, bytes, count) != (ssize_t)count || lseek(moved, 0, SEEK_SET) != 0) {
        error = errno;
        close(moved);
        errno = error;
        return -1;
    }
    return moved;
}

int clinux_pidfd(pid_t process) { return (int)syscall(SYS_pidfd_open, process, 0); }

int clinux_reap(pid_t process) {
    int status;
    pid_t done;
    do done = waitpid(process, &status, 0);
    while (done < 0 && errno == EINTR);
    if (done < 0) return -1;
    return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

int clinux_mount(const char *source, const char *target, const char *type, unsigned long flags,
                  const char *data) {
    return mount(source, target, type, flags, data);
}

int clinux_mount_private(const char *path) { return mount("none", path, NULL, MS_PRIVATE, NULL); }

int clinux_unmount(const char *path) { return umount2(path, UMOUNT_NOFOLLOW); }

int clinux_write_apart(const char *path, const char *text, const char *host, const char *root) {
    const int place = O_PATH | O_DIRECTORY | O_CLOEXEC;
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return errno;
    // What the thread goes back to.
    int top = open("/", place), here = open(".", place);
    int names = open("/proc/thread-self/ns/uts", O_RDONLY | O_CLOEXEC);
    int error = top < 0 || names < 0 ? errno : 0;
    if (error == 0 && unshare(CLONE_FS | CLONE_NEWUTS) != 0) error = errno;
    if (error == 0) {
        bool is_apart = (host == NULL || sethostname(host, strlen(host)) == 0) &&
                        (root == NULL || chroot(root) == 0);
        ssize_t written = is_apart ? write(file, text, strlen(text)) : -1;
        if (written != (ssize_t)strlen(text)) error = written < 0 ? errno : EIO;
        // A thread that cannot come back would take the kernel's files for missing, and a server for ended.
        if (setns(names, CLONE_NEWUTS) != 0 || fchdir(top) != 0 || chroot(".") != 0) abort();
        // A working directory on a dead mount is no reason to fail: then it stays at the root.
        if (here >= 0) (void)!fchdir(here);
    }
    const int opened[] = {file, top, here, names};
    for (int index = 0; index < 4; index++) {
        if (opened[index] >= 0) close(opened[index]);
    }
    return error;
}

int clinux_send_raw(uint32_t destination, const void *packet, size_t length) {
    int raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
    if (raw < 0) return errno;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = destination};
    ssize_t sent = sendto(raw, packet, length, 0, (struct sockaddr *)&to, sizeof to);
    int error = sent == (ssize_t)length ? 0 : sent < 0 ? errno : EIO;
    close(raw);
    return error;
}

ssize_t clinux_directory(const char *path, char *names, size_t size) {
    DIR *directory = opendir(path);
    if (directory == NULL) return -1;
    size_t used = 0;
    errno = 0;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        size_t length = strlen(entry->d_name) + 1;
        if (used + length <= size) memcpy(names + used, entry->d_name, length);
        used += length;
    }
    int error = errno;
    closedir(directory);
    errno = error;
    return error == 0 ? (ssize_t)used : -1;
}
