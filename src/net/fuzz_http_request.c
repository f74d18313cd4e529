/* Any bytes as a stream of requests: nothing is read outside them, slices lie inside, a request is the
 * same however it is cut into reads, and no part of a request is one. */
#include <stdlib.h>
#include <string.h>

#include "net/net_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) abort();                                                                 \
    } while (0)

static char *copy_of(const void *bytes, size_t size) {
    char *copy = malloc(size ? size : 1);
    if (!copy) abort();
    if (size) memcpy(copy, bytes, size);
    return copy;
}

static bool inside(struct net_text t, const char *bytes, size_t size) {
    return t.data >= bytes && t.data + t.size <= bytes + size;
}

static void check_request(const struct net_request *r, const char *bytes, size_t used,
                          const struct net_limits *l) {
    REQUIRE(inside(r->method_text, bytes, used) && r->method_text.size > 0);
    REQUIRE(r->path.size > 0 && (r->path.data[0] == '/' || r->path.data[0] == '*'));
    REQUIRE(inside(r->query, bytes, used) && inside(r->body, bytes, used));
    REQUIRE(r->header_count <= l->headers_max && r->body.size <= l->body_bytes_max);
    REQUIRE(!memchr(r->path.data, ' ', r->path.size) && !memchr(r->path.data, '?', r->path.size));
    for (uint32_t i = 0; i < r->header_count; i++) {
        REQUIRE(inside(r->headers[i].name, bytes, used) && r->headers[i].name.size > 0);
        REQUIRE(inside(r->headers[i].value, bytes, used));
        REQUIRE(!memchr(r->headers[i].value.data, '\r', r->headers[i].value.size));
        REQUIRE(!memchr(r->headers[i].value.data, '\0', r->headers[i].value.size));
    }
    if (r->upgrade) REQUIRE(net_header(r, "sec-websocket-key").size == 24);
}

/* The same bytes in reads of `step`, moved at each: the same verdict, at the same place or earlier. */
static void check_drips(const uint8_t *data, size_t size, size_t step, const struct net_limits *l,
                        enum net_parse want, size_t want_used, int want_status,
                        struct net_text body) {
    struct request_scan scan = {0};
    struct net_request r;
    size_t have = 0, used = 0;
    int status = 0;
    enum net_parse p = NET_PARSE_MORE;
    char *bytes = copy_of(NULL, 0);
    while (p == NET_PARSE_MORE && have < size) {
        size_t next = have + step < size ? have + step : size;
        char *moved = malloc(next);
        if (!moved) abort();
        memcpy(moved, bytes, have);
        memcpy(moved + have, data + have, next - have);
        free(bytes);
        bytes = moved;
        have = next;
        p = request_scan(&scan, &r, &used, &status, bytes, have, l);
    }
    REQUIRE(p == want);
    if (p == NET_PARSE_DONE)
        REQUIRE(used == want_used && r.body.size == body.size &&
                memcmp(r.body.data, body.data, body.size) == 0);
    if (p == NET_PARSE_BAD || p == NET_PARSE_TOO_LARGE) REQUIRE(status == want_status);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct net_limits l = net_limits_defaults();
    if (size < 1 || size > 1 << 14) return 0;
    size_t step = 1 + data[0] % 61;
    l.header_bytes_max = 1024;
    l.headers_max = 16;
    l.body_bytes_max = 512;
    data++;
    size--;
    for (int count = 0; count < 16 && size > 0; count++) {
        char *bytes = copy_of(data, size);
        struct net_request r;
        size_t used;
        int status = 0;
        enum net_parse p = net_request_parse(&r, &used, &status, bytes, size, &l);
        REQUIRE(used <= size);
        if (p == NET_PARSE_BAD || p == NET_PARSE_TOO_LARGE) REQUIRE(status >= 400 && status <= 505);
        struct net_text body = {bytes, 0};
        if (p == NET_PARSE_DONE) {
            check_request(&r, bytes, used, &l);
            body = r.body;
        }
        check_drips(data, size, step, &l, p, used, status, body);
        free(bytes);
        if (p != NET_PARSE_DONE) break;
        REQUIRE(used > 0);
        data += used;
        size -= used;
    }
    return 0;
}
