#include "bench/bench_http.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum status bench_link_open(struct bench_link *l, uint16_t port, struct err *err) {
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    struct timeval limit = {.tv_sec = 10};
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&to, sizeof to) != 0)
        return err_errno(err, ST_IO, "connect to port %u", port);
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(l->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return ST_OK;
}

bool bench_link_send(struct bench_link *l, const char *text, size_t size) {
    while (size > 0) {
        ssize_t n = send(l->fd, text, size, MSG_NOSIGNAL);
        if (n <= 0) return false;
        text += n;
        size -= (size_t)n;
    }
    return true;
}

/* The size of the whole answer once its head has come, 0 before, SIZE_MAX if it does not say. */
static size_t answer_size(char *in, char **body) {
    char *end = strstr(in, "\r\n\r\n");
    if (!end) return 0;
    const char *length = strcasestr(in, "\r\ncontent-length:");
    if (!length || length > end) return SIZE_MAX;
    *body = end + 4;
    return (size_t)(end + 4 - in) + strtoul(length + 17, NULL, 10);
}

int bench_link_answer(struct bench_link *l, char **body) {
    size_t have = 0, size = 0;
    while (size == 0 || have < size) {
        if (size >= sizeof l->in) return 0;
        ssize_t n = recv(l->fd, l->in + have, sizeof l->in - 1 - have, 0);
        if (n <= 0) return 0;
        have += (size_t)n;
        l->in[have] = '\0';
        if (size == 0) size = answer_size(l->in, body);
    }
    return (int)strtol(l->in + 9, NULL, 10);
}

void bench_link_close(struct bench_link *l) {
    if (l->fd >= 0) close(l->fd);
    l->fd = -1;
}
