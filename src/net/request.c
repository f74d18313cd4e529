/* The grammar of RFC 9112, strictly: what two readers could understand differently is refused, since
 * a request that a proxy and this server cut at different places is how requests are smuggled. */
#include <string.h>
#include <strings.h>

#include "net/net_internal.h"

enum { METHOD_SIZE_MAX = 24, CHUNK_DIGITS_MAX = 15 };

struct net_limits net_limits_defaults(void) {
    return (struct net_limits){
        .connections_max = 16384,
        .header_bytes_max = 16 * 1024,
        .headers_max = NET_HEADERS_MAX,
        .body_bytes_max = 1024 * 1024,
        .message_bytes_max = 64 * 1024,
        .messages_per_s_max = 0,
        .backlog_bytes_max = 4 * 1024 * 1024,
        .request_ms_max = 10 * 1000,
        .idle_ms_max = 75 * 1000,
        .ping_every_ms = 180 * 1000,
        .pong_within_ms = 600 * 1000,
        .socket_life_ms = INT64_C(24) * 3600 * 1000,
    };
}

bool text_is(struct net_text text, const char *word) {
    size_t size = strlen(word);
    return text.size == size && strncasecmp(text.data, word, size) == 0;
}

struct net_text net_header(const struct net_request *r, const char *name) {
    for (uint32_t i = 0; i < r->header_count; i++)
        if (text_is(r->headers[i].name, name)) return r->headers[i].value;
    return (struct net_text){NULL, 0};
}

/* RFC 9110 5.6.2 */
static bool is_token_char(unsigned char c) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_token(struct net_text t) {
    for (size_t i = 0; i < t.size; i++)
        if (!is_token_char((unsigned char)t.data[i])) return false;
    return t.size > 0;
}

/* Of a field value: visible bytes, blanks, and what lies above ASCII; no NUL, CR, other controls. */
static bool is_value(struct net_text t) {
    for (size_t i = 0; i < t.size; i++) {
        unsigned char c = (unsigned char)t.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7F) return false;
    }
    return true;
}

static struct net_text trimmed(const char *data, const char *end) {
    while (data < end && (*data == ' ' || *data == '\t')) data++;
    while (end > data && (end[-1] == ' ' || end[-1] == '\t')) end--;
    return (struct net_text){data, (size_t)(end - data)};
}

bool text_lists(struct net_text list, const char *token) {
    const char *p = list.data, *end = p ? p + list.size : p;
    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *stop = comma ? comma : end;
        if (text_is(trimmed(p, stop), token)) return true;
        p = stop + 1;
    }
    return false;
}

static enum net_parse bad(int *status, int code) {
    *status = code;
    return code == 413 || code == 414 || code == 431 ? NET_PARSE_TOO_LARGE : NET_PARSE_BAD;
}

/* ---- the request line ---- */

static enum net_method method_of(struct net_text t) {
    static const struct {
        const char *name;
        enum net_method method;
    } table[] = {{"GET", NET_GET},       {"POST", NET_POST}, {"PUT", NET_PUT},
                 {"DELETE", NET_DELETE}, {"HEAD", NET_HEAD}, {"OPTIONS", NET_OPTIONS}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (t.size == strlen(table[i].name) && memcmp(t.data, table[i].name, t.size) == 0)
            return table[i].method;
    return NET_OTHER;
}

/* Origin form, absolute form (RFC 9112 3.2.2; its authority is dropped) or the asterisk of OPTIONS.
 * JSON in a query is common among trading clients, so any visible byte but '#' may stand there. */
static bool target_parse(struct net_request *out, struct net_text t) {
    for (size_t i = 0; i < t.size; i++) {
        unsigned char c = (unsigned char)t.data[i];
        if (c < 0x21 || c > 0x7E || c == '#') return false;
    }
    const char *p = t.data, *end = t.data + t.size;
    if (t.size == 1 && *p == '*') {
        out->path = t;
        out->query = (struct net_text){end, 0};
        return out->method == NET_OPTIONS;
    }
    if (t.size && *p != '/') {
        size_t scheme = t.size > 7 && strncasecmp(p, "http://", 7) == 0    ? 7
                        : t.size > 8 && strncasecmp(p, "https://", 8) == 0 ? 8
                                                                           : 0;
        if (!scheme) return false;
        p += scheme;
        if (*p == '/' || *p == '?') return false;
        while (p < end && *p != '/' && *p != '?') p++;
    }
    const char *mark = p < end ? memchr(p, '?', (size_t)(end - p)) : NULL;
    out->path = (struct net_text){p, (size_t)((mark ? mark : end) - p)};
    if (out->path.size == 0) {
        if (t.size == 0 || p == t.data) return false;
        out->path = (struct net_text){"/", 1};
    }
    out->query =
        mark ? (struct net_text){mark + 1, (size_t)(end - mark - 1)} : (struct net_text){end, 0};
    return true;
}

static int line_parse(struct net_request *out, const char *line, size_t size, bool *old) {
    const char *end = line + size;
    const char *first = memchr(line, ' ', size);
    if (!first) return 400;
    const char *second = memchr(first + 1, ' ', (size_t)(end - first - 1));
    if (!second) return 400;
    out->method_text = (struct net_text){line, (size_t)(first - line)};
    if (!is_token(out->method_text)) return 400;
    if (out->method_text.size > METHOD_SIZE_MAX) return 501;
    out->method = method_of(out->method_text);
    if (!target_parse(out, (struct net_text){first + 1, (size_t)(second - first - 1)})) return 400;
    const char *v = second + 1;
    if (end - v != 8 || memcmp(v, "HTTP/", 5) != 0 || v[5] < '0' || v[5] > '9' || v[6] != '.' ||
        v[7] < '0' || v[7] > '9')
        return 400;
    if (v[5] != '1' || v[7] > '1') return 505;
    *old = v[7] == '0';
    return 0;
}

/* ---- header fields ---- */

struct head {
    bool old, host, length, coding, connection_close, connection_keep, connection_upgrade;
    bool upgrade_websocket, version_13, key, expect;
    uint32_t keys;
    uint64_t content_length;
};

static bool length_parse(uint64_t *out, struct net_text t) {
    if (t.size == 0 || t.size > 18) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < t.size; i++) {
        if (t.data[i] < '0' || t.data[i] > '9') return false;
        value = value * 10 + (uint64_t)(t.data[i] - '0');
    }
    *out = value;
    return true;
}

/* 16 bytes in base64: 22 letters of which the last carries four zero bits, and "==" (RFC 6455 4.1). */
static bool key_is_valid(struct net_text t) {
    if (t.size != 24 || t.data[22] != '=' || t.data[23] != '=') return false;
    for (size_t i = 0; i < 22; i++) {
        char c = t.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '+' || c == '/'))
            return false;
    }
    return strchr("AQgw", t.data[21]) != NULL;
}

static int framing_field(struct head *h, struct net_text name, struct net_text value) {
    if (text_is(name, "host")) {
        if (h->host || memchr(value.data, ' ', value.size) || memchr(value.data, ',', value.size))
            return 400;
        h->host = true;
    } else if (text_is(name, "content-length")) {
        if (h->length || !length_parse(&h->content_length, value)) return 400;
        h->length = true;
    } else if (text_is(name, "transfer-encoding")) {
        if (h->coding || h->old) return 400;
        if (!text_is(value, "chunked")) return 501;
        h->coding = true;
    } else if (text_is(name, "expect")) {
        if (!text_is(value, "100-continue")) return 417;
        h->expect = !h->old;
    }
    return 0;
}

static void connection_field(struct head *h, struct net_text name, struct net_text value) {
    if (text_is(name, "connection")) {
        h->connection_close |= text_lists(value, "close");
        h->connection_keep |= text_lists(value, "keep-alive");
        h->connection_upgrade |= text_lists(value, "upgrade");
    } else if (text_is(name, "upgrade")) {
        h->upgrade_websocket |= text_lists(value, "websocket");
    } else if (text_is(name, "sec-websocket-version")) {
        h->version_13 = text_is(value, "13");
    } else if (text_is(name, "sec-websocket-key")) {
        h->keys++;
        h->key = key_is_valid(value);
    }
}

static int field_parse(struct net_text *name, struct net_text *value, const char *line,
                       size_t size) {
    const char *colon = memchr(line, ':', size);
    if (!colon) return 400;
    *name = (struct net_text){line, (size_t)(colon - line)};
    /* A line that begins with a blank (folding) and a blank before the colon fail here. */
    if (!is_token(*name)) return 400;
    *value = trimmed(colon + 1, line + size);
    return is_value(*value) ? 0 : 400;
}

static int fields_parse(struct net_request *out, struct head *h, const char *p, const char *end,
                        const struct net_limits *limits) {
    uint32_t most = limits->headers_max < NET_HEADERS_MAX ? limits->headers_max : NET_HEADERS_MAX;
    out->header_count = 0;
    while (p < end) {
        const char *lf = memchr(p, '\n', (size_t)(end - p)); /* there: the head was found whole */
        struct net_text name, value;
        int code = field_parse(&name, &value, p, (size_t)(lf - 1 - p));
        if (code) return code;
        if (out->header_count == most) return 431;
        out->headers[out->header_count].name = name;
        out->headers[out->header_count++].value = value;
        code = framing_field(h, name, value);
        if (code) return code;
        connection_field(h, name, value);
        p = lf + 1;
    }
    return 0;
}

static int head_parse(struct net_request *out, struct request_scan *scan, const char *bytes,
                      const struct net_limits *limits) {
    struct head h = {0};
    const char *line = bytes + scan->lead, *end = bytes + scan->head_size - 2;
    const char *lf = memchr(line, '\n', (size_t)(end - line));
    int code = line_parse(out, line, (size_t)(lf - 1 - line), &h.old);
    if (code) return code;
    code = fields_parse(out, &h, lf + 1, end, limits);
    if (code) return code;
    if (!h.old && !h.host) return 400;
    if (h.length && h.coding) return 400;
    if (h.length && h.content_length > limits->body_bytes_max) return 413;
    out->keep_alive = !h.connection_close && (!h.old || h.connection_keep);
    out->expect_continue = h.expect && (h.coding || h.content_length > 0);
    out->upgrade = h.connection_upgrade && h.upgrade_websocket && h.version_13 && h.key &&
                   h.keys == 1 && !h.old && out->method == NET_GET && !h.coding &&
                   h.content_length == 0;
    out->received_ns = 0;
    scan->expect_continue = out->expect_continue;
    scan->old = h.old;
    scan->chunked = h.coding;
    if (!h.coding) scan->body_size = (size_t)h.content_length;
    return 0;
}

/* Moves to behind the empty line that ends the head. */
static enum net_parse head_find(struct request_scan *scan, int *status, const char *bytes,
                                size_t size, const struct net_limits *limits) {
    for (;;) {
        size_t at = scan->at;
        if (at == scan->lead && at < size && bytes[at] != '\r' &&
            !is_token_char((unsigned char)bytes[at]))
            return bad(status, 400); /* no use in waiting for the end of what is not HTTP */
        const char *lf = at < size ? memchr(bytes + at, '\n', size - at) : NULL;
        size_t seen = lf ? (size_t)(lf + 1 - bytes) : size;
        if (seen > limits->header_bytes_max) return bad(status, at == scan->lead ? 414 : 431);
        if (!lf) return NET_PARSE_MORE;
        size_t line = (size_t)(lf - bytes) - at;
        if (line == 0 || lf[-1] != '\r') return bad(status, 400);
        scan->at = seen;
        if (line > 1) continue;
        if (at == 0) {
            scan->lead = 2;
        } else if (at == scan->lead) {
            return bad(status, 400);
        } else {
            scan->head_size = seen;
            return NET_PARSE_DONE;
        }
    }
}

/* ---- bodies ---- */

static int hex_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* "1a[;extension]"; returns the digits, 0 if there are none or too many. */
static size_t chunk_size_parse(size_t *out, const char *line, size_t size) {
    size_t digits = 0, value = 0;
    while (digits < size && hex_of(line[digits]) >= 0) {
        if (digits == CHUNK_DIGITS_MAX) return 0;
        value = value << 4 | (size_t)hex_of(line[digits++]);
    }
    if (digits < size && line[digits] != ';') return 0;
    *out = value;
    return digits;
}

static int chunk_line(struct request_scan *scan, const char *line, size_t size,
                      const struct net_limits *limits) {
    size_t value, digits = chunk_size_parse(&value, line, size);
    if (digits == 0 || !is_value((struct net_text){line, size})) return 400;
    size_t needed = 1;
    for (size_t rest = value >> 4; rest; rest >>= 4) needed++;
    scan->overhead += size - needed;
    if (value > limits->body_bytes_max - scan->body_size) return 413;
    scan->body_size += value;
    scan->chunk_left = value;
    scan->chunk = value ? CHUNK_DATA : CHUNK_TRAILER;
    return 0;
}

/* What frames chunks beyond their digits and line ends is limited as headers are: a body cannot come in
 * more than six times its size. */
static enum net_parse chunks_find(struct request_scan *scan, int *status, const char *bytes,
                                  size_t size, const struct net_limits *limits) {
    for (;;) {
        size_t at = scan->at, left = size - at;
        if (scan->chunk == CHUNK_DATA) {
            size_t n = left < scan->chunk_left ? left : scan->chunk_left;
            scan->at += n;
            scan->chunk_left -= n;
            if (scan->chunk_left) return NET_PARSE_MORE;
            scan->chunk = CHUNK_END;
            continue;
        }
        if (scan->chunk == CHUNK_END) {
            if ((left > 0 && bytes[at] != '\r') || (left > 1 && bytes[at + 1] != '\n'))
                return bad(status, 400);
            if (left < 2) return NET_PARSE_MORE;
            scan->at += 2;
            scan->chunk = CHUNK_SIZE;
            continue;
        }
        const char *lf = memchr(bytes + at, '\n', left);
        size_t line = lf ? (size_t)(lf - bytes) - at : left;
        if (scan->overhead + line > limits->header_bytes_max)
            return bad(status, scan->chunk == CHUNK_SIZE ? 413 : 431);
        if (!lf) return NET_PARSE_MORE;
        if (line == 0 || lf[-1] != '\r') return bad(status, 400);
        line--;
        int code = 0;
        if (scan->chunk == CHUNK_SIZE) {
            code = chunk_line(scan, bytes + at, line, limits);
        } else if (line > 0) {
            struct net_text name, value; /* a trailer: must be well-formed, and is not used */
            code = field_parse(&name, &value, bytes + at, line);
            scan->overhead += line + 2;
        }
        if (code) return bad(status, code);
        scan->at = at + line + 2;
        if (scan->chunk == CHUNK_TRAILER && line == 0) return NET_PARSE_DONE;
    }
}

/* Chunks that were found well-formed, moved together behind the head. */
static void chunks_join(char *bytes, const struct request_scan *scan) {
    char *to = bytes + scan->head_size;
    const char *from = to, *end = bytes + scan->at;
    for (;;) {
        const char *lf = memchr(from, '\n', (size_t)(end - from));
        size_t n = 0;
        chunk_size_parse(&n, from, (size_t)(lf - 1 - from));
        if (n == 0) return;
        memmove(to, lf + 1, n);
        to += n;
        from = lf + 1 + n + 2;
    }
}

enum net_parse request_scan(struct request_scan *scan, struct net_request *out, size_t *used,
                            int *status, char *bytes, size_t size,
                            const struct net_limits *limits) {
    bool parsed = false;
    int code;
    *used = size;
    if (scan->head_size == 0) {
        enum net_parse p = head_find(scan, status, bytes, size, limits);
        if (p != NET_PARSE_DONE) return p;
        code = head_parse(out, scan, bytes, limits);
        if (code) return bad(status, code);
        parsed = true;
    }
    if (scan->chunked) {
        enum net_parse p = chunks_find(scan, status, bytes, size, limits);
        if (p != NET_PARSE_DONE) return p;
    } else {
        if (size - scan->head_size < scan->body_size) return NET_PARSE_MORE;
        scan->at = scan->head_size + scan->body_size;
    }
    if (!parsed) { /* the bytes may have moved since */
        size_t body_size = scan->body_size;
        code = head_parse(out, scan, bytes, limits);
        if (code) return bad(status, code);
        scan->body_size = body_size;
    }
    if (scan->chunked) chunks_join(bytes, scan);
    out->body = (struct net_text){bytes + scan->head_size, scan->body_size};
    *used = scan->at;
    return NET_PARSE_DONE;
}

enum net_parse net_request_parse(struct net_request *out, size_t *used, int *status, char *bytes,
                                 size_t size, const struct net_limits *limits) {
    struct request_scan scan = {0};
    return request_scan(&scan, out, used, status, bytes, size, limits);
}
