/* HTTP/1.1 on a connection: requests out, answers in. */
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "net/net_internal.h"

/* Answers that wait unsent stop the reading of further requests: a peer that asks without reading
 * costs this and one answer. */
enum { PIPELINE_BYTES_MAX = 256 * 1024, LINE_ROOM = 512 };

static const char *reason(int status) {
    static const struct {
        int status;
        const char *text;
    } table[] = {{200, "OK"},
                 {400, "Bad Request"},
                 {401, "Unauthorized"},
                 {403, "Forbidden"},
                 {404, "Not Found"},
                 {405, "Method Not Allowed"},
                 {408, "Request Timeout"},
                 {413, "Content Too Large"},
                 {414, "URI Too Long"},
                 {417, "Expectation Failed"},
                 {418, "I'm a teapot"},
                 {426, "Upgrade Required"},
                 {429, "Too Many Requests"},
                 {431, "Request Header Fields Too Large"},
                 {500, "Internal Server Error"},
                 {501, "Not Implemented"},
                 {502, "Bad Gateway"},
                 {503, "Service Unavailable"},
                 {504, "Gateway Timeout"},
                 {505, "HTTP Version Not Supported"}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].status == status) return table[i].text;
    return "Other";
}

/* ---- answers ---- */

static char *put(char *to, const char *text, size_t size) {
    memcpy(to, text, size);
    return to + size;
}

static char *put_text(char *to, const char *text) {
    return put(to, text, strlen(text));
}

static char *put_number(char *to, size_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    return put(to, digits + at, sizeof digits - at);
}

/* RFC 9110 5.6.7, made once a second. */
static const char *date_text(struct net *n) {
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t second = (tstamp_wall_ns() + n->date_offset_ns) / NS_PER_SECOND;
    if (second == n->date_second) return n->date;
    n->date_second = second;
    time_t t = (time_t)second;
    struct tm tm;
    if (!gmtime_r(&t, &tm)) tm = (struct tm){.tm_mday = 1, .tm_year = 70, .tm_wday = 4};
    char *p = put(n->date, days + 3 * tm.tm_wday, 3);
    *p++ = ',';
    *p++ = ' ';
    *p++ = (char)('0' + tm.tm_mday / 10);
    *p++ = (char)('0' + tm.tm_mday % 10);
    *p++ = ' ';
    p = put(p, months + 3 * tm.tm_mon, 3);
    *p++ = ' ';
    p = put_number(p, (size_t)tm.tm_year + 1900);
    const int clock[] = {tm.tm_hour, tm.tm_min, tm.tm_sec};
    for (int i = 0; i < 3; i++) {
        *p++ = i ? ':' : ' ';
        *p++ = (char)('0' + clock[i] / 10);
        *p++ = (char)('0' + clock[i] % 10);
    }
    p = put_text(p, " GMT");
    *p = '\0';
    return n->date;
}

static void answer(struct net_conn *c, int status, const char *content_type, const char *headers,
                   const char *body, size_t body_size) {
    ASSERT(status >= 200 && status <= 999);
    size_t header_size = headers ? strlen(headers) : 0;
    size_t type_size = content_type ? strlen(content_type) : 0;
    bool with_body = !c->head && status != 204 && status != 304;
    size_t room = LINE_ROOM + header_size + type_size + (with_body ? body_size : 0);
    char *start = block_room(c->net, &c->out, room), *p = start;
    if (!start) {
        conn_cut(c, true);
        return;
    }
    p = put_text(p, "HTTP/1.1 ");
    p = put_number(p, (size_t)status);
    *p++ = ' ';
    p = put_text(p, reason(status));
    p = put_text(p, "\r\nDate: ");
    p = put_text(p, date_text(c->net));
    if (content_type) {
        p = put_text(p, "\r\nContent-Type: ");
        p = put(p, content_type, type_size);
    }
    p = put_text(p, "\r\n");
    p = put(p, headers ? headers : "", header_size);
    if (status != 204 && status != 304) {
        p = put_text(p, "Content-Length: ");
        p = put_number(p, body_size);
        p = put_text(p, "\r\n");
    }
    p = put_text(p, c->keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
    if (with_body && body_size) p = put(p, body, body_size);
    ASSERT((size_t)(p - start) <= room);
    c->out->size += (size_t)(p - start);
    conn_touch(c);
}

void net_respond(struct net_conn *c, int status, const char *content_type, const char *headers,
                 const char *body, size_t body_size) {
    if (c->state == CONN_DEAD) return;
    ASSERT(c->state == CONN_ANSWERING || c->state == CONN_OPENING);
    if (c->state == CONN_OPENING) c->keep_alive = false;
    answer(c, status, content_type, headers, body, body_size);
    if (c->state == CONN_DEAD) return;
    if (!c->keep_alive) {
        conn_finish(c);
        return;
    }
    c->state = CONN_HTTP;
    c->active_ms = net_now_ms(c->net);
    if (!c->parsing) c->resume = true; /* answered later: what came behind is parsed this turn */
}

void http_refuse(struct net_conn *c, int status) {
    char body[128], *p = body;
    p = put_number(p, (size_t)status);
    *p++ = ' ';
    p = put_text(p, reason(status));
    *p++ = '\n';
    c->keep_alive = c->head = false;
    answer(c, status, "text/plain", status == 426 ? "Sec-WebSocket-Version: 13\r\n" : NULL, body,
           (size_t)(p - body));
    conn_finish(c);
}

/* ---- requests ---- */

/* A handshake that is none would otherwise be answered as if it were a plain request. */
static int handshake_fault(const struct net_request *r) {
    bool websocket = false;
    for (uint32_t i = 0; i < r->header_count; i++)
        websocket |=
            text_is(r->headers[i].name, "upgrade") && text_lists(r->headers[i].value, "websocket");
    if (!websocket) return 0;
    return text_is(net_header(r, "sec-websocket-version"), "13") ? 400 : 426;
}

static void request_do(struct net_conn *c, const struct net_request *r) {
    const struct net_handlers *h = &c->net->handlers;
    int fault = r->upgrade ? 0 : handshake_fault(r);
    if (fault) {
        c->net->stats.bad_requests++;
        http_refuse(c, fault);
        return;
    }
    if (r->upgrade) {
        ws_handshake(c, r);
        return;
    }
    c->state = CONN_ANSWERING;
    if (!h->on_request) {
        net_respond(c, 404, "text/plain", NULL, "404 Not Found\n", 14);
        return;
    }
    c->seen = true;
    h->on_request(h->context, c, r);
}

size_t http_consume(struct net_conn *c, char *bytes, size_t size) {
    struct net *n = c->net;
    struct net_request r;
    size_t used;
    int status;
    if (conn_backlog(c) > PIPELINE_BYTES_MAX) {
        c->resume = true;
        conn_touch(c);
        return 0;
    }
    enum net_parse p = request_scan(&c->scan, &r, &used, &status, bytes, size, &n->limits);
    if (p == NET_PARSE_MORE) {
        if (c->scan.expect_continue && !c->scan.continue_sent) {
            static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
            c->scan.continue_sent = true;
            conn_write(c, text, sizeof text - 1);
        }
        return 0;
    }
    if (p != NET_PARSE_DONE) {
        if (p == NET_PARSE_BAD)
            n->stats.bad_requests++;
        else
            n->stats.too_large++;
        http_refuse(c, status);
        return 0;
    }
    n->stats.requests++;
    r.received_ns = c->received_ns;
    c->keep_alive = r.keep_alive && !n->closing;
    c->head = r.method == NET_HEAD;
    memset(&c->scan, 0, sizeof c->scan);
    request_do(c, &r);
    return used;
}
