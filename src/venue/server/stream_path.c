/* Paths of handshakes: ROUTE/ws/s1/s2, ROUTE/stream?streams=s1/s2, listen keys in either. */
#include <string.h>

#include "venue/server/stream_internal.h"

static bool is(struct net_text t, const char *literal) {
    return t.size == strlen(literal) && memcmp(t.data, literal, t.size) == 0;
}

/* Takes what is in front of the next separator off *t. */
static struct net_text cut(struct net_text *t, char separator) {
    const char *at = t->size ? memchr(t->data, separator, t->size) : NULL;
    struct net_text head = {t->data, at ? (size_t)(at - t->data) : t->size};
    size_t used = head.size + (at != NULL);
    *t = (struct net_text){t->data + used, t->size - used};
    return head;
}

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Percent-decoded into out. Too long or broken: size 0. */
static struct net_text decode(char *out, size_t capacity, struct net_text in) {
    size_t n = 0;
    for (size_t i = 0; i < in.size; i++) {
        char c = in.data[i];
        if (c == '%') {
            if (in.size - i < 3 || hex(in.data[i + 1]) < 0 || hex(in.data[i + 2]) < 0)
                return (struct net_text){out, 0};
            c = (char)(hex(in.data[i + 1]) * 16 + hex(in.data[i + 2]));
            i += 2;
        }
        if (n == capacity) return (struct net_text){out, 0};
        out[n++] = c;
    }
    return (struct net_text){out, n};
}

static bool is_number(struct net_text t) {
    for (size_t i = 0; i < t.size; i++)
        if (t.data[i] < '0' || t.data[i] > '9') return false;
    return true;
}

/* A listen key must be a live one: who comes with another must learn it at once. */
static bool subscribe_key(struct streams *s, struct stream_client *c, struct net_text key,
                          uint32_t events) {
    return stream_key_find(s, key.data, key.size) >= 0 &&
           stream_subscribe(s, c, key.data, key.size, events) == ST_OK;
}

/* One name of a path. What is neither a stream nor like a key is a tail that clients add (/ws/1) and is ignored. */
static bool subscribe_segment(struct streams *s, struct stream_client *c, struct net_text raw) {
    char buffer[STREAM_NAME_SIZE];
    struct net_text name = decode(buffer, sizeof buffer, raw);
    if (is_number(name)) return raw.size == 0 || name.size > 0;
    bool stream = name.data[0] == '!' || memchr(name.data, '@', name.size) != NULL;
    if (!stream && (c->route == ROUTE_PRIVATE || name.size == LISTEN_KEY_SIZE - 1))
        return subscribe_key(s, c, name, USER_ALL);
    if (!stream) return true;
    return stream_subscribe(s, c, name.data, name.size, USER_ALL) == ST_OK;
}

/* A list may have its '/' percent-encoded. */
static bool subscribe_list(struct streams *s, struct stream_client *c, struct net_text list) {
    while (list.size > 0) {
        size_t n = 0, gap = 0;
        for (; n < list.size && !gap; n++) {
            if (list.data[n] == '/') gap = 1;
            if (list.size - n >= 3 && list.data[n] == '%' && list.data[n + 1] == '2' &&
                (list.data[n + 2] | 0x20) == 'f')
                gap = 3;
        }
        if (gap) n--;
        if (!subscribe_segment(s, c, (struct net_text){list.data, n})) return false;
        list = (struct net_text){list.data + n + gap, list.size - n - gap};
    }
    return true;
}

/* listenKey=K1&events=A/B&listenKey=K2&events=C: events belong to the key in front of them. */
static bool open_query(struct streams *s, struct stream_client *c, struct net_text query) {
    char buffer[STREAM_NAME_SIZE], list[256];
    struct net_text key = {NULL, 0};
    uint32_t events = USER_ALL;
    bool pending = false, good = true;
    while (query.size > 0 && good) {
        struct net_text value = cut(&query, '&'), name = cut(&value, '=');
        if (is(name, "streams")) {
            good = subscribe_list(s, c, value);
        } else if (is(name, "listenKey")) {
            if (pending) good = subscribe_key(s, c, key, events);
            key = decode(buffer, sizeof buffer, value);
            events = USER_ALL;
            pending = true;
        } else if (is(name, "events") && value.size > 0) {
            value = decode(list, sizeof list, value);
            events = stream_user_events(value.data, value.size);
        }
    }
    return good && (!pending || subscribe_key(s, c, key, events));
}

bool stream_path_open(struct streams *s, struct stream_client *c, struct net_text path,
                      struct net_text query) {
    if (path.size == 0 || path.data[0] != '/') return false;
    cut(&path, '/');
    struct net_text head = cut(&path, '/');
    c->route = is(head, "public")    ? ROUTE_PUBLIC
               : is(head, "market")  ? ROUTE_MARKET
               : is(head, "private") ? ROUTE_PRIVATE
                                     : ROUTE_ALL;
    if (c->route != ROUTE_ALL) head = cut(&path, '/');
    c->combined = is(head, "stream");
    if (!c->combined && !is(head, "ws")) return false;
    while (path.size > 0)
        if (!subscribe_segment(s, c, cut(&path, '/'))) return false;
    return open_query(s, c, query);
}
