/* libevent: plain events, with our own buffer. */
#include "echo.h"
#include <event2/event.h>

struct connection {
    struct event *readable, *writable;
    struct rest rest;
};

static struct event_base *base;

static void over(struct connection *c, int fd) {
    event_free(c->readable);
    event_free(c->writable);
    free(c->rest.bytes);
    free(c);
    close(fd);
}

static void on_writable(evutil_socket_t fd, short what, void *of) {
    struct connection *c = of;
    (void)what;
    enum after after = send_rest(fd, &c->rest);
    if (after == IS_OVER) over(c, fd);
    if (after != GOES_ON) return;
    event_del(c->writable);
    event_add(c->readable, NULL);
}

static void on_readable(evutil_socket_t fd, short what, void *of) {
    struct connection *c = of;
    (void)what;
    enum after after = echo(fd, &c->rest);
    if (after == IS_OVER) over(c, fd);
    if (after != WAITS_TO_WRITE) return;
    event_del(c->readable);
    event_add(c->writable, NULL);
}

static void on_connection(evutil_socket_t from, short what, void *of) {
    (void)what;
    (void)of;
    for (int fd; (fd = next_connection(from)) >= 0;) {
        struct connection *c = calloc(1, sizeof *c);
        if (!c) die("calloc");
        c->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
        c->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
        event_add(c->readable, NULL);
    }
}

int main(void) {
    prepare();
    base = event_base_new();
    event_add(event_new(base, listener(), EV_READ | EV_PERSIST, on_connection, NULL), NULL);
    return event_base_dispatch(base);
}
