/* Any bytes as frames of a client: nothing is read outside them, a payload lies inside and is what was
 * masked, a frame is written back as its server's twin, and no part of a frame is one. */
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

static void check_frame(const struct net_frame *f, const char *bytes, const uint8_t *data,
                        size_t used) {
    uint8_t header[10];
    size_t n = net_frame_header(header, f->opcode, f->payload.size);
    REQUIRE(f->payload.data == bytes + n + 4 && n + 4 + f->payload.size == used);
    header[1] |= 0x80;
    REQUIRE((data[0] & 0x7F) == (header[0] & 0x7F) && memcmp(data + 1, header + 1, n - 1) == 0);
    for (size_t i = 0; i < f->payload.size; i++)
        REQUIRE((uint8_t)f->payload.data[i] == (data[n + 4 + i] ^ data[n + (i & 3)]));
    if (f->opcode >= NET_WS_CLOSE) REQUIRE(f->fin && f->payload.size <= 125);
    if (f->opcode == NET_WS_TEXT && f->fin)
        REQUIRE(net_utf8_is_valid(f->payload.data, f->payload.size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct net_limits l = net_limits_defaults();
    l.message_bytes_max = 70000;
    if (size > 1 << 17) return 0;
    for (int count = 0; count < 64 && size > 0; count++) {
        char *bytes = copy_of(data, size);
        struct net_frame f;
        size_t used = 0;
        int status = 0;
        enum net_parse p = net_frame_parse(&f, &used, &status, bytes, size, &l);
        if (p == NET_PARSE_DONE) check_frame(&f, bytes, data, used);
        if (p == NET_PARSE_MORE) REQUIRE(memcmp(bytes, data, size) == 0);
        if (p == NET_PARSE_BAD) REQUIRE(status == 1002 || status == 1007);
        if (p == NET_PARSE_TOO_LARGE) REQUIRE(status == 1009);
        free(bytes);
        if (p != NET_PARSE_DONE) break;
        size_t cut = used / 2;
        bytes = copy_of(data, cut);
        REQUIRE(net_frame_parse(&f, &cut, &status, bytes, used / 2, &l) == NET_PARSE_MORE);
        free(bytes);
        data += used;
        size -= used;
    }
    return 0;
}
