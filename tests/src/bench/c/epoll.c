/* The plain loop: level-triggered epoll, one receive and one send for each report. The base of all ratios. */
#include "echo.h"
#include <sys/epoll.h>

#define BATCH 256

int main(void) {
    prepare();
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    struct rest *rests = calloc(limit.rlim_cur, sizeof *rests);
    int from = listener(), set = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event one = {.events = EPOLLIN, .data.fd = from}, all[BATCH];
    if (!rests || set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, from, &one) < 0) die("start");
    for (;;) {
        int n = epoll_wait(set, all, BATCH, -1);
        if (n < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < n; i++) {
            int fd = all[i].data.fd;
            if (fd == from) {
                while ((fd = next_connection(from)) >= 0) {
                    struct epoll_event new = {.events = EPOLLIN, .data.fd = fd};
                    if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &new) < 0) die("epoll_ctl");
                }
                continue;
            }
            struct rest *rest = &rests[fd];
            int wrote = rest->bytes != NULL;
            enum after after = wrote ? send_rest(fd, rest) : echo(fd, rest);
            if (after == IS_OVER) {
                free(rest->bytes);
                rest->bytes = NULL;
                close(fd);
            } else if ((after == WAITS_TO_WRITE) != wrote) {
                struct epoll_event other = {.events = wrote ? EPOLLIN : EPOLLOUT, .data.fd = fd};
                epoll_ctl(set, EPOLL_CTL_MOD, fd, &other);
            }
        }
    }
}
