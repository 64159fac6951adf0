/* libuv: tries to write at once, and queues what does not fit. */
#include "echo.h"
#include <uv.h>

struct queued {
    uv_write_t request;
    char bytes[];
};

static void on_closed(uv_handle_t *handle) { free(handle); }

static void on_buffer(uv_handle_t *handle, size_t asked, uv_buf_t *to) {
    (void)handle;
    (void)asked;
    *to = uv_buf_init(buffer, BUFFER);
}

static void on_written(uv_write_t *request, int status) {
    (void)status;
    free(request);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *from) {
    if (n < 0) uv_close((uv_handle_t *)stream, on_closed);
    if (n <= 0) return;
    uv_buf_t all = uv_buf_init(from->base, (unsigned)n);
    int sent = uv_try_write(stream, &all, 1);
    if (sent == n) return;
    if (sent < 0) sent = 0;
    struct queued *queued = malloc(sizeof *queued + (size_t)(n - sent));
    if (!queued) die("malloc");
    memcpy(queued->bytes, from->base + sent, (size_t)(n - sent));
    uv_buf_t left = uv_buf_init(queued->bytes, (unsigned)(n - sent));
    if (uv_write(&queued->request, stream, &left, 1, on_written)) free(queued);
}

static void on_connection(uv_stream_t *from, int status) {
    uv_tcp_t *new = malloc(sizeof *new);
    if (status < 0 || !new) die("connection");
    uv_tcp_init(from->loop, new);
    if (uv_accept(from, (uv_stream_t *)new) < 0) {
        uv_close((uv_handle_t *)new, on_closed);
        return;
    }
    uv_tcp_nodelay(new, 1);
    uv_read_start((uv_stream_t *)new, on_buffer, on_read);
}

int main(void) {
    prepare();
    struct sockaddr_in at = anywhere();
    int len = sizeof at;
    uv_tcp_t from;
    uv_tcp_init(uv_default_loop(), &from);
    if (uv_tcp_bind(&from, (struct sockaddr *)&at, 0) < 0) die("bind");
    if (uv_listen((uv_stream_t *)&from, BACKLOG, on_connection) < 0) die("listen");
    uv_tcp_getsockname(&from, (struct sockaddr *)&at, &len);
    announce(&at);
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
