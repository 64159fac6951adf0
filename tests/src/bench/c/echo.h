/* What the echo servers in C share: the listener, and the rest of a reply that did not fit.
 * As all servers of the bench: 4 KiB at a time, SO_REUSEADDR, TCP_NODELAY, a backlog of 1024. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER 4096
#define BACKLOG 1024

static char buffer[BUFFER];

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* All descriptors that may be had; a write to a peer that is gone is an error, not a signal. */
static void prepare(void) {
    struct rlimit limit;
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void announce(const struct sockaddr_in *at) {
    printf("listening on 127.0.0.1:%d\n", ntohs(at->sin_port));
    fflush(stdout);
}

static struct sockaddr_in anywhere(void) {
    struct sockaddr_in at = {.sin_family = AF_INET};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return at;
}

/* A listener that never waits, on a port that the kernel chooses. */
static inline int listener(void) {
    struct sockaddr_in at = anywhere();
    socklen_t len = sizeof at;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0) die("bind");
    if (listen(fd, BACKLOG) < 0) die("listen");
    getsockname(fd, (struct sockaddr *)&at, &len);
    announce(&at);
    return fd;
}

/* The next connection, or -1 if there is none. */
static inline int next_connection(int listener) {
    int one = 1, fd;
    do fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (fd >= 0) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* What did not fit; `bytes` is NULL if nothing is left. */
struct rest {
    char *bytes;
    size_t at, len;
};

enum after { GOES_ON, WAITS_TO_WRITE, IS_OVER };

static inline int would_block(void) { return errno == EAGAIN || errno == EINTR; }

/* Receives once and sends it back. */
static inline enum after echo(int fd, struct rest *rest) {
    ssize_t n = recv(fd, buffer, BUFFER, 0);
    if (n <= 0) return n < 0 && would_block() ? GOES_ON : IS_OVER;
    ssize_t sent = send(fd, buffer, (size_t)n, MSG_NOSIGNAL);
    if (sent == n) return GOES_ON;
    if (sent < 0 && !would_block()) return IS_OVER;
    if (sent < 0) sent = 0;
    rest->at = 0;
    rest->len = (size_t)(n - sent);
    rest->bytes = malloc(rest->len);
    if (!rest->bytes) die("malloc");
    memcpy(rest->bytes, buffer + sent, rest->len);
    return WAITS_TO_WRITE;
}

/* Sends what is left. */
static inline enum after send_rest(int fd, struct rest *rest) {
    ssize_t sent = send(fd, rest->bytes + rest->at, rest->len - rest->at, MSG_NOSIGNAL);
    if (sent < 0) return would_block() ? WAITS_TO_WRITE : IS_OVER;
    rest->at += (size_t)sent;
    if (rest->at < rest->len) return WAITS_TO_WRITE;
    free(rest->bytes);
    rest->bytes = NULL;
    return GOES_ON;
}
