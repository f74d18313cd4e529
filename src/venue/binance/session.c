/* Sockets: opened, watched by what should come through them, replaced before the venue cuts them; the listen key. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/tstamp.h"
#include "venue/binance/binance_internal.h"

#define CONNECT_WITHIN_NS (10 * NS_PER_SECOND)
#define SOCKET_LIFE_NS    (23 * NS_PER_HOUR) /* the venue cuts at 24 h */
#define OVERLAP_NS        (10 * NS_PER_SECOND)
#define MARKET_SILENT_NS  (15 * NS_PER_SECOND) /* mark prices come every second or three */
#define USER_SILENT_NS    (3 * NS_PER_SECOND)  /* from a reply to the event that must go with it */
/* Far more often than it must be: a key that died without a word leaves a socket that is open and says nothing. */
#define KEY_RENEW_NS  (4 * NS_PER_MINUTE)
#define KEY_RETRY_NS  (5 * NS_PER_SECOND)
#define KEY_LIFE_NS   (60 * NS_PER_MINUTE)
#define REST_DOWN_NS  (5 * NS_PER_SECOND)
#define REST_QUIET_NS (500 * NS_PER_MS)
enum { STREAMS_A_MESSAGE = 150 };

static const char key_path[] = "/fapi/v1/listenKey";

static uint32_t socket_of(uint32_t feed, uint32_t which) {
    return 2 * feed + which;
}

static int64_t jitter(struct binance *b, int64_t ns) {
    return ns / 2 + (int64_t)rng_below(&b->rng, (uint64_t)ns);
}

/* ---- listen key ---- */

static void drop_feed(struct binance *b, uint32_t feed, int64_t now_ns);

static void done_key(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    struct session *s = &b->session;
    char key[LISTEN_KEY_TEXT_SIZE];
    enum { CODE_NO_KEY = -1125 };
    s->key_busy = false;
    bool made = r->method == HTTP_POST;
    if (a->outcome == OUTCOME_DONE) {
        bool told = binance_rest_listen_key(key, a->body, a->size) == ST_OK;
        if (made && !told) {
            s->key_renew_at_ns = a->received_ns + KEY_RETRY_NS;
            return;
        }
        s->key_ns = a->sent_ns;
        s->key_renew_at_ns = a->received_ns + jitter(b, KEY_RENEW_NS);
        b->stats.key_renewals += !made;
        if (!told || strcmp(key, s->listen_key) == 0) return;
        memcpy(s->listen_key, key, sizeof key);
        if (b->tape) binance_tape_secret(b->tape, s->listen_key);
        /* What is open listens to a key that is dead. */
        if (s->feeds[0].sockets[s->feeds[0].current].phase == SOCKET_OPEN)
            drop_feed(b, 0, a->received_ns);
        return;
    }
    s->key_renew_at_ns = a->received_ns + KEY_RETRY_NS;
    /* Dead, or so old that it may be: another one. */
    if (!made && (a->code == CODE_NO_KEY || a->received_ns - s->key_ns > KEY_LIFE_NS))
        s->listen_key[0] = '\0';
}

static int64_t key_time(struct binance *b, int64_t now_ns) {
    struct session *s = &b->session;
    if (s->key_busy) return INT64_MAX;
    if (s->key_renew_at_ns > now_ns) return s->key_renew_at_ns;
    bool make = s->listen_key[0] == '\0';
    struct request *r = binance_request(b, LANE_EXIT, make ? HTTP_POST : HTTP_PUT, AUTH_KEY,
                                        key_path, 1, done_key, 0);
    if (!r) return INT64_MAX;
    r->repeatable = true;
    r->tries_max = 4;
    s->key_busy = true;
    return INT64_MAX;
}

/* ---- links ---- */

static enum binance_link link_of(const struct binance *b, uint32_t first, uint32_t last) {
    enum binance_link worst = LINK_UP;
    for (uint32_t f = first; f < last; f++) {
        const struct feed *d = &b->session.feeds[f];
        enum socket_phase now = d->sockets[d->current].phase;
        enum binance_link link = now == SOCKET_OPEN         ? LINK_UP
                                 : now == SOCKET_CONNECTING ? LINK_CONNECTING
                                                            : LINK_DOWN;
        if (link < worst) worst = link;
    }
    return worst;
}

static void tell_links(struct binance *b, int64_t now_ns) {
    struct session *s = &b->session;
    enum binance_link rest = LINK_UP, market = LINK_DOWN, user = LINK_DOWN;
    if (s->rest_silent_since_ns && now_ns - s->rest_silent_since_ns > REST_DOWN_NS)
        rest = LINK_DOWN;
    if (s->feed_count) {
        user = link_of(b, 0, 1);
        market = link_of(b, 1, s->feed_count);
        if (user == LINK_UP && s->user_gap) user = LINK_STALE; /* until it is reconciled */
    }
    if (rest == s->told_rest && market == s->told_market && user == s->told_user) return;
    s->told_rest = b->stats.rest = rest;
    s->told_market = b->stats.market = market;
    s->told_user = b->stats.user = user;
    if (!b->options.handlers.on_link) return;
    b->told = true;
    b->options.handlers.on_link(b->options.handlers.context, rest, market, user);
}

void binance_session_rest(struct binance *b, bool answered) {
    struct session *s = &b->session;
    int64_t now = binance_monotonic(b);
    if (!answered) {
        if (s->rest_silent_since_ns == 0) s->rest_silent_since_ns = now;
        return;
    }
    /* Back again: what happened meanwhile is asked for before anything else. */
    if (s->rest_silent_since_ns && now - s->rest_silent_since_ns >= REST_QUIET_NS)
        binance_watch_closely(b, now);
    s->rest_silent_since_ns = 0;
}

/* ---- sockets ---- */

static void open_socket(struct binance *b, uint32_t feed, uint32_t which, int64_t now_ns) {
    struct feed *d = &b->session.feeds[feed];
    char path[32 + LISTEN_KEY_TEXT_SIZE] = "/market/ws";
    if (feed == 0) (void)snprintf(path, sizeof path, "/private/ws/%s", b->session.listen_key);
    d->sockets[which].phase = SOCKET_CONNECTING;
    d->sockets[which].since_ns = d->sockets[which].text_ns = now_ns;
    d->sockets[which].close_at_ns = 0;
    b->ports.socket_open(b->ports.context, socket_of(feed, which), path);
}

static void close_socket(struct binance *b, uint32_t feed, uint32_t which) {
    struct feed *d = &b->session.feeds[feed];
    if (d->sockets[which].phase == SOCKET_NONE) return;
    d->sockets[which].phase = SOCKET_NONE;
    b->ports.socket_close(b->ports.context, socket_of(feed, which));
}

/* The feed has no socket any more: what came meanwhile is to be asked for. */
static void feed_lost(struct binance *b, uint32_t feed, int64_t now_ns) {
    struct feed *d = &b->session.feeds[feed];
    int64_t back_off = 250 * NS_PER_MS;
    for (uint32_t i = 0; i < d->failures && back_off < 10 * NS_PER_SECOND; i++) back_off *= 2;
    /* The first try comes at once: most cuts are the venue's housekeeping. */
    d->retry_at_ns = d->failures ? now_ns + jitter(b, back_off) : now_ns;
    if (d->failures < 16) d->failures++;
    if (d->was_up) b->stats.reconnects++;
    d->was_up = false;
    if (feed == 0) b->session.user_gap = true;
    binance_watch_closely(b, now_ns);
}

static void drop_feed(struct binance *b, uint32_t feed, int64_t now_ns) {
    for (uint32_t which = 0; which < 2; which++) close_socket(b, feed, which);
    feed_lost(b, feed, now_ns);
}

void binance_on_socket_down(struct binance *b, uint32_t socket) {
    uint32_t feed = socket / 2, which = socket % 2;
    if (feed >= b->session.feed_count) return;
    b->stirred = true;
    struct feed *d = &b->session.feeds[feed];
    if (d->sockets[which].phase == SOCKET_NONE) return;
    /* Refused at the door: the key may be dead, and a venue that restarted does not say so. Asking for one gives the present
     * one if it is alive. */
    if (feed == 0 && d->sockets[which].phase == SOCKET_CONNECTING) {
        b->session.listen_key[0] = '\0';
        if (b->session.key_renew_at_ns > binance_monotonic(b) + KEY_RETRY_NS)
            b->session.key_renew_at_ns = binance_monotonic(b) + KEY_RETRY_NS;
    }
    d->sockets[which].phase = SOCKET_NONE;
    if (which != d->current) return;
    if (d->sockets[which ^ 1].phase == SOCKET_OPEN) {
        d->current = which ^ 1;
        d->sockets[which ^ 1].close_at_ns = 0;
        return;
    }
    if (d->sockets[which ^ 1].phase == SOCKET_CONNECTING) d->current = which ^ 1;
    feed_lost(b, feed, binance_monotonic(b));
}

static void subscribe(struct binance *b, uint32_t feed, uint32_t socket) {
    static const char *const kinds[] = {"kline_", "markPrice@1s", "aggTrade"};
    uint32_t first = (feed - 1) * FEED_SYMBOLS, last = first + FEED_SYMBOLS;
    if (last > b->instrument_count) last = b->instrument_count;
    char text[STREAMS_A_MESSAGE * (SYMBOL_SIZE + 24) + 64];
    size_t size = 0;
    uint32_t in_message = 0, id = 0, kind_count = b->options.handlers.on_tick ? 3 : 2;
    for (uint32_t i = first; i < last; i++) {
        char lower[SYMBOL_SIZE];
        for (uint32_t c = 0; c < SYMBOL_SIZE; c++) {
            char at = b->instruments[i].symbol[c];
            lower[c] = at >= 'A' && at <= 'Z' ? (char)(at - 'A' + 'a') : at;
        }
        for (uint32_t kind = 0; kind < kind_count; kind++) {
            if (in_message == 0)
                size =
                    (size_t)snprintf(text, sizeof text, "{\"method\":\"SUBSCRIBE\",\"params\":[");
            size += (size_t)snprintf(text + size, sizeof text - size, "%s\"%s@%s%s\"",
                                     in_message ? "," : "", lower, kinds[kind],
                                     kind == 0 ? b->options.interval : "");
            bool end = i + 1 == last && kind + 1 == kind_count;
            if (++in_message < STREAMS_A_MESSAGE && !end) continue;
            size += (size_t)snprintf(text + size, sizeof text - size, "],\"id\":%u}", ++id);
            b->ports.socket_send(b->ports.context, socket, text, size);
            in_message = 0;
        }
    }
    if (feed > 1) return;
    size = (size_t)snprintf(text, sizeof text,
                            "{\"method\":\"SUBSCRIBE\",\"params\":[\"!contractInfo\"],\"id\":%u}",
                            ++id);
    b->ports.socket_send(b->ports.context, socket, text, size);
}

void binance_on_socket_up(struct binance *b, uint32_t socket) {
    uint32_t feed = socket / 2, which = socket % 2;
    if (feed >= b->session.feed_count) return;
    struct feed *d = &b->session.feeds[feed];
    int64_t now = binance_monotonic(b);
    b->stirred = true;
    if (d->sockets[which].phase != SOCKET_CONNECTING) return;
    d->sockets[which].phase = SOCKET_OPEN;
    d->sockets[which].since_ns = d->sockets[which].text_ns = now;
    d->was_up = true;
    if (feed > 0) subscribe(b, feed, socket);
    if (which != d->current && d->sockets[which ^ 1].phase == SOCKET_OPEN) {
        d->sockets[which ^ 1].close_at_ns = now + OVERLAP_NS;
    } else if (feed == 0 && b->session.user_gap) {
        binance_reconcile(b); /* whatever happened while nobody listened */
        binance_watch_closely(b, now);
    }
    d->current = which;
}

static void key_expired(struct binance *b) {
    struct session *s = &b->session;
    s->listen_key[0] = '\0';
    s->key_renew_at_ns = 0;
    drop_feed(b, 0, binance_monotonic(b));
}

void binance_on_socket_text(struct binance *b, uint32_t socket, const char *text, size_t size) {
    uint32_t feed = socket / 2, which = socket % 2;
    if (feed >= b->session.feed_count) return;
    struct feed *d = &b->session.feeds[feed];
    if (d->sockets[which].phase != SOCKET_OPEN) return;
    int64_t now = binance_monotonic(b);
    struct stream_event e;
    d->sockets[which].text_ns = now;
    d->failures = 0;
    b->stirred |= feed == 0;
    b->stats.stream_messages++;
    if (b->tape)
        binance_tape_write(b->tape, TAPE_FRAME,
                           b->clock.known ? binance_clock_now(&b->clock, now) : 0, 0,
                           feed ? "/market/ws" : "/private/ws", text, size);
    if (binance_stream_decode(&e, text, size) != ST_OK) {
        b->stats.stream_rejected++;
        if (feed == 0) binance_reconcile(b); /* it may have been about an order */
        return;
    }
    if (e.event_ns) binance_clock_not_before(&b->clock, now, e.event_ns);
    b->stirred |= b->clock.doubtful;
    if (e.kind == STREAM_KEY_EXPIRED) {
        key_expired(b);
        return;
    }
    if (e.kind == STREAM_REPLY && e.u.reply.failed) {
        log_warn("venue", "a subscription was refused", "code=%lld", (long long)e.u.reply.code);
        return;
    }
    if (feed == 0)
        binance_user_event(b, &e);
    else
        binance_market_event(b, &e);
}

/* ---- watching ---- */

/* Replies said that something happened; the stream should have told of it. */
static bool user_is_silent(const struct binance *b, int64_t now_ns, int64_t *deadline) {
    for (uint32_t i = 0; i < b->orders.active_count; i++) {
        const struct order *o = &b->orders.slots[b->orders.active[i]];
        if (o->acked_ns == 0) continue;
        if (now_ns - o->acked_ns >= USER_SILENT_NS) return true;
        if (o->acked_ns + USER_SILENT_NS < *deadline) *deadline = o->acked_ns + USER_SILENT_NS;
    }
    return false;
}

static void forgive_silence(struct binance *b) {
    for (uint32_t i = 0; i < b->orders.active_count; i++)
        b->orders.slots[b->orders.active[i]].acked_ns = 0;
}

static void earlier(int64_t *deadline, int64_t ts_ns) {
    if (ts_ns < *deadline) *deadline = ts_ns;
}

static void watch_open(struct binance *b, uint32_t feed, int64_t now_ns, int64_t *deadline) {
    struct feed *d = &b->session.feeds[feed];
    uint32_t at = d->current;
    bool silent;
    if (feed == 0) {
        silent = user_is_silent(b, now_ns, deadline);
        if (silent) forgive_silence(b);
    } else {
        silent = now_ns - d->sockets[at].text_ns >= MARKET_SILENT_NS;
        earlier(deadline, d->sockets[at].text_ns + MARKET_SILENT_NS);
    }
    if (silent) {
        log_warn("venue", "stream is silent, connecting anew", "feed=%s", feed ? "market" : "user");
        drop_feed(b, feed, now_ns);
        return;
    }
    int64_t old_ns = d->sockets[at].since_ns + SOCKET_LIFE_NS;
    if (d->sockets[at ^ 1].phase == SOCKET_NONE && now_ns >= old_ns &&
        (feed > 0 || b->session.listen_key[0]) && now_ns >= d->retry_at_ns) {
        d->retry_at_ns = now_ns + NS_PER_MINUTE; /* should the new one fail */
        open_socket(b, feed, at ^ 1, now_ns);
    }
    earlier(deadline, now_ns >= old_ns ? d->retry_at_ns : old_ns);
}

static void watch_feed(struct binance *b, uint32_t feed, int64_t now_ns, int64_t *deadline) {
    struct feed *d = &b->session.feeds[feed];
    for (uint32_t which = 0; which < 2; which++) {
        int64_t connect_ns = d->sockets[which].since_ns + CONNECT_WITHIN_NS;
        if (d->sockets[which].phase == SOCKET_CONNECTING && now_ns >= connect_ns) {
            close_socket(b, feed, which);
            if (which == d->current) feed_lost(b, feed, now_ns);
        } else if (d->sockets[which].phase == SOCKET_CONNECTING) {
            earlier(deadline, connect_ns);
        } else if (d->sockets[which].phase == SOCKET_OPEN && d->sockets[which].close_at_ns) {
            if (now_ns >= d->sockets[which].close_at_ns)
                close_socket(b, feed, which);
            else
                earlier(deadline, d->sockets[which].close_at_ns);
        }
    }
    switch (d->sockets[d->current].phase) {
    case SOCKET_OPEN:
        watch_open(b, feed, now_ns, deadline);
        break;
    case SOCKET_NONE:
        if (feed == 0 && b->session.listen_key[0] == '\0') break;
        if (now_ns >= d->retry_at_ns)
            open_socket(b, feed, d->current, now_ns);
        else
            earlier(deadline, d->retry_at_ns);
        break;
    case SOCKET_CONNECTING:
        break;
    }
}

int64_t binance_session_time(struct binance *b, int64_t now_ns) {
    int64_t deadline = INT64_MAX;
    if (b->session.feed_count) {
        deadline = key_time(b, now_ns);
        for (uint32_t f = 0; f < b->session.feed_count; f++) watch_feed(b, f, now_ns, &deadline);
    }
    tell_links(b, now_ns);
    if (b->session.rest_silent_since_ns && b->session.rest_silent_since_ns + REST_DOWN_NS > now_ns)
        earlier(&deadline, b->session.rest_silent_since_ns + REST_DOWN_NS + 1);
    return deadline;
}

void binance_session_start(struct binance *b) {
    struct session *s = &b->session;
    s->feed_count = 1 + (b->instrument_count + FEED_SYMBOLS - 1) / FEED_SYMBOLS;
    s->user_gap = true;
}

void binance_session_stop(struct binance *b) {
    for (uint32_t f = 0; f < b->session.feed_count; f++)
        for (uint32_t which = 0; which < 2; which++) close_socket(b, f, which);
}
