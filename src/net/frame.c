/* Frames of RFC 6455, and UTF-8 by RFC 3629. */
#include <string.h>

#include "net/net_internal.h"

/* Well-formed sequences only: no overlong forms, no surrogates, nothing above U+10FFFF (Unicode's
 * table 3-7). Eight ASCII bytes a step, as most of what comes is ASCII. */
bool net_utf8_is_valid(const char *bytes, size_t size) {
    const unsigned char *p = (const unsigned char *)bytes, *end = p + size;
    while (p < end) {
        if (end - p >= 8) {
            uint64_t word;
            memcpy(&word, p, 8);
            if ((word & 0x8080808080808080u) == 0) {
                p += 8;
                continue;
            }
        }
        unsigned char c = *p++;
        if (c < 0x80) continue;
        unsigned low = 0x80, high = 0xBF, more;
        if (c >= 0xC2 && c <= 0xDF) {
            more = 1;
        } else if ((c & 0xF0) == 0xE0) {
            more = 2;
            if (c == 0xE0) low = 0xA0;
            if (c == 0xED) high = 0x9F;
        } else if (c >= 0xF0 && c <= 0xF4) {
            more = 3;
            if (c == 0xF0) low = 0x90;
            if (c == 0xF4) high = 0x8F;
        } else {
            return false;
        }
        if ((size_t)(end - p) < more) return false;
        if (*p < low || *p > high) return false;
        p++;
        while (--more)
            if ((*p++ & 0xC0) != 0x80) return false;
    }
    return true;
}

static void unmask(char *bytes, size_t size, const unsigned char mask[4]) {
    uint64_t word, wide;
    size_t i = 0;
    memcpy(&wide, mask, 4);
    memcpy((char *)&wide + 4, mask, 4);
    for (; i + 8 <= size; i += 8) {
        memcpy(&word, bytes + i, 8);
        word ^= wide;
        memcpy(bytes + i, &word, 8);
    }
    for (; i < size; i++) bytes[i] = (char)((unsigned char)bytes[i] ^ mask[i & 3]);
}

/* RFC 6455 7.4 and the registry: what may stand in a frame. */
static bool close_code_is_valid(unsigned code) {
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

static int payload_check(const struct net_frame *f) {
    const unsigned char *p = (const unsigned char *)f->payload.data;
    if (f->opcode == NET_WS_TEXT && f->fin)
        return net_utf8_is_valid(f->payload.data, f->payload.size) ? 0 : 1007;
    if (f->opcode != NET_WS_CLOSE || f->payload.size == 0) return 0;
    if (f->payload.size == 1 || !close_code_is_valid((unsigned)p[0] << 8 | p[1])) return 1002;
    return net_utf8_is_valid(f->payload.data + 2, f->payload.size - 2) ? 0 : 1007;
}

enum net_parse net_frame_parse(struct net_frame *out, size_t *used, int *status, char *bytes,
                               size_t size, const struct net_limits *limits) {
    const unsigned char *p = (const unsigned char *)bytes;
    *used = 0;
    *status = 1002;
    if (size < 1) return NET_PARSE_MORE;
    unsigned opcode = p[0] & 0x0F;
    bool control = opcode >= 8, fin = (p[0] & 0x80) != 0;
    if ((p[0] & 0x70) != 0 || (opcode > 2 && !control) || opcode > 10) return NET_PARSE_BAD;
    if (control && !fin) return NET_PARSE_BAD;
    if (size < 2) return NET_PARSE_MORE;
    if ((p[1] & 0x80) == 0) return NET_PARSE_BAD; /* a client's frame is masked, 5.1 */
    uint64_t length = p[1] & 0x7F;
    size_t header = 2, extra = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (control && extra) return NET_PARSE_BAD;
    if (size < header + extra) return NET_PARSE_MORE;
    if (extra) {
        length = 0;
        for (size_t i = 0; i < extra; i++) length = length << 8 | p[header + i];
        /* The minimal form, and 63 bits, 5.2. */
        if (length >> 63 || length <= (extra == 2 ? 125u : 65535u)) return NET_PARSE_BAD;
    }
    header += extra;
    if (!control && length > limits->message_bytes_max) {
        *status = 1009;
        return NET_PARSE_TOO_LARGE;
    }
    if (size < header + 4 || size - header - 4 < length) return NET_PARSE_MORE;
    unsigned char mask[4];
    memcpy(mask, p + header, 4);
    header += 4;
    unmask(bytes + header, (size_t)length, mask);
    *out = (struct net_frame){fin, (enum net_opcode)opcode, {bytes + header, (size_t)length}};
    *used = header + (size_t)length;
    int code = payload_check(out);
    if (code) *status = code;
    return code ? NET_PARSE_BAD : NET_PARSE_DONE;
}

size_t net_frame_header(uint8_t out[10], enum net_opcode opcode, size_t payload_size) {
    out[0] = (uint8_t)(0x80 | (unsigned)opcode);
    if (payload_size <= 125) {
        out[1] = (uint8_t)payload_size;
        return 2;
    }
    size_t extra = payload_size <= 65535 ? 2 : 8;
    out[1] = extra == 2 ? 126 : 127;
    for (size_t i = 0; i < extra; i++)
        out[2 + i] = (uint8_t)((uint64_t)payload_size >> (8 * (extra - 1 - i)));
    return 2 + extra;
}
