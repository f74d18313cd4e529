/* Life of a client: options, the loop's one round, commands in, events out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/tstamp.h"
#include "venue/binance/binance_internal.h"
#include "venue/names/names.h"

enum { SYMBOL_MAP_SIZE = 4 * INSTRUMENTS_MAX, TARGET_SIZE = 1536 };

#define PROBE_EVERY_NS     (60 * NS_PER_SECOND)
#define PROBE_RETRY_NS     (500 * NS_PER_MS)
#define CLOCK_ERROR_MAX_NS (200 * NS_PER_MS)

struct binance_options binance_options_defaults(void) {
    return (struct binance_options){.rest_url = "http://127.0.0.1:8100",
                                    .symbols_max = INSTRUMENTS_MAX,
                                    .interval = "1m",
                                    .recv_window_ms = 5000,
                                    .protection_window_ms = 2000,
                                    .reconcile_every_ns = 30 * NS_PER_SECOND,
                                    .answer_within_ns = 5 * NS_PER_SECOND,
                                    .entry_patience_ns = 5 * NS_PER_SECOND,
                                    .seed = 1};
}

static void enqueue(void *context, const struct venue_event *event) {
    struct binance *b = context;
    if (event->kind == VENUE_ORDER_TRADE || event->kind == VENUE_LIQUIDATION ||
        event->kind == VENUE_POSITION)
        binance_watch_booked(b, event->instrument_index);
    if (b->queue_count == b->queue_capacity) {
        size_t capacity = b->queue_capacity ? 2 * b->queue_capacity : 256;
        struct venue_event *grown = realloc(b->queue, capacity * sizeof *grown);
        if (!grown) {
            /* An event that cannot be told must not be forgotten: nothing goes on from here. */
            b->broken = true;
            log_error("venue", "out of memory for events, trading stops");
            return;
        }
        b->queue = grown;
        b->queue_capacity = capacity;
    }
    b->queue[b->queue_count++] = *event;
}

/* ---- options ---- */

static bool copy_texts(struct binance *b) {
    struct binance_options *o = &b->options;
    const char **const fields[] = {&o->rest_url,   &o->stream_url, &o->api_key,
                                   &o->api_secret, &o->ca_file,    &o->tape_file,
                                   &o->symbols,    &o->interval,   &o->restrictions_url};
    size_t count = sizeof fields / sizeof *fields, size = 0, at = 0;
    for (size_t i = 0; i < count; i++)
        if (*fields[i]) size += strlen(*fields[i]) + 1;
    b->texts = malloc(size ? size : 1);
    if (!b->texts) return false;
    b->texts_size = size;
    for (size_t i = 0; i < count; i++) {
        if (!*fields[i]) continue;
        size_t n = strlen(*fields[i]) + 1;
        memcpy(b->texts + at, *fields[i], n);
        *fields[i] = b->texts + at;
        at += n;
    }
    return true;
}

static enum status check_options(const struct binance_options *o, struct err *err) {
    int64_t interval_ns;
    if (!o->rest_url ||
        (strncmp(o->rest_url, "http://", 7) != 0 && strncmp(o->rest_url, "https://", 8) != 0))
        return err_set(err, ST_INVALID, "venue URL must begin with http:// or https://");
    if (!o->api_key || !o->api_key[0] || !o->api_secret || !o->api_secret[0])
        return err_set(err, ST_INVALID, "the venue's API key and secret are missing");
    for (const char *p = o->api_key; *p; p++)
        if (*p <= ' ' || *p > '~')
            return err_set(err, ST_INVALID, "the API key holds characters no key has");
    if (o->stream_url && strncmp(o->stream_url, "ws://", 5) != 0 &&
        strncmp(o->stream_url, "wss://", 6) != 0)
        return err_set(err, ST_INVALID, "stream URL must begin with ws:// or wss://");
    if (tstamp_interval_parse(&interval_ns, o->interval) != ST_OK || interval_ns < NS_PER_MINUTE)
        return err_set(err, ST_INVALID, "interval %s is not one of the venue's", o->interval);
    if (o->recv_window_ms < 100 || o->recv_window_ms > 60000 || o->protection_window_ms < 100 ||
        o->protection_window_ms > 60000)
        return err_set(err, ST_RANGE, "receive windows must be 100 to 60000 ms");
    if (o->answer_within_ns < 100 * NS_PER_MS || o->reconcile_every_ns < NS_PER_SECOND ||
        o->entry_patience_ns < 100 * NS_PER_MS)
        return err_set(err, ST_RANGE, "waiting times are too short to be met");
    if (o->symbols_max < 1 || o->symbols_max > INSTRUMENTS_MAX)
        return err_set(err, ST_RANGE, "at most %d symbols", INSTRUMENTS_MAX);
    return ST_OK;
}

static enum status open_key(struct binance *b, struct err *err) {
    const char *secret = b->options.api_secret;
    bool pem = strncmp(secret, "-----BEGIN", 10) == 0;
    return pem ? wire_key_ed25519(&b->key, secret, strlen(secret), err)
               : wire_key_hmac(&b->key, secret, strlen(secret), err);
}

static enum status open_parts(struct binance *b, struct err *err) {
    /* Until exchangeInfo tells: what it has told since 2019. */
    static const struct binance_limits first = {2400, 300, 1200};
    if (!copy_texts(b)) return err_set(err, ST_NO_MEMORY, "options");
    b->symbol_map1 = calloc(SYMBOL_MAP_SIZE, sizeof *b->symbol_map1);
    if (!b->symbol_map1) return err_set(err, ST_NO_MEMORY, "symbols");
    enum status st = open_key(b, err);
    if (st != ST_OK) return err_wrap(err, st, "API secret");
    char signature[WIRE_ED25519_TEXT_SIZE];
    if (wire_sign(b->key, signature, "x", 1, NULL, 0) == 0)
        return err_set(err, ST_INVALID, "API secret: this key cannot sign (a public key?)");
    (void)tstamp_interval_parse(&b->interval_ns, b->options.interval);
    b->rng = rng_init(b->options.seed);
    binance_requests_init(&b->requests, &first, &b->clock, rng_u64(&b->rng),
                          b->options.answer_within_ns);
    b->requests.may_order = binance_may_order;
    b->requests.context = b;
    binance_orders_init(&b->orders, enqueue, b);
    hist_init(&b->stats.round_trip_ns);
    b->algo_service = true;
    st = binance_lookup_open(b, err);
    if (st != ST_OK || !b->options.tape_file) return st;
    st = binance_tape_create(&b->tape, b->options.tape_file, err);
    if (st != ST_OK) return st;
    binance_tape_secret(b->tape, b->options.api_key);
    binance_tape_secret(b->tape, b->options.api_secret);
    return ST_OK;
}

enum status binance_create_on(struct binance **out, const struct binance_options *options,
                              const struct binance_ports *ports, struct err *err) {
    enum status st = check_options(options, err);
    struct binance *b = st == ST_OK ? calloc(1, sizeof *b) : NULL;
    if (st == ST_OK && !b) st = err_set(err, ST_NO_MEMORY, "client");
    if (st == ST_OK) {
        b->options = *options;
        st = open_parts(b, err);
    }
    if (st != ST_OK) {
        if (b) binance_destroy(b);
        ports->destroy(ports->context);
        return st;
    }
    b->ports = *ports;
    *out = b;
    return ST_OK;
}

void binance_destroy(struct binance *b) {
    if (!b) return;
    struct err err;
    if (b->ports.destroy) {
        binance_session_stop(b);
        b->ports.destroy(b->ports.context);
    }
    if (b->tape && binance_tape_close(b->tape, &err) != ST_OK)
        log_error("venue", "tape is incomplete", "error=\"%s\"", err.text);
    if (b->key) wire_key_free(b->key);
    if (b->texts) explicit_bzero(b->texts, b->texts_size);
    free(b->texts);
    free(b->symbol_map1);
    free(b->instruments);
    free(b->queue);
    free(b->lookup.rows);
    explicit_bzero(b->session.listen_key, sizeof b->session.listen_key);
    free(b);
}

/* ---- symbols ---- */

static uint32_t symbol_bucket(const char *symbol) {
    return (uint32_t)(hash64(symbol, strlen(symbol)) % SYMBOL_MAP_SIZE);
}

int binance_symbol_find(const struct binance *b, const char *symbol) {
    if (symbol[0] == '\0') return -1;
    for (uint32_t at = symbol_bucket(symbol); b->symbol_map1[at]; at = (at + 1) % SYMBOL_MAP_SIZE) {
        uint32_t i = b->symbol_map1[at] - 1;
        if (strcmp(b->instruments[i].symbol, symbol) == 0) return (int)i;
    }
    return -1;
}

void binance_symbols_index(struct binance *b) {
    memset(b->symbol_map1, 0, SYMBOL_MAP_SIZE * sizeof *b->symbol_map1);
    for (uint32_t i = 0; i < b->instrument_count; i++) {
        uint32_t at = symbol_bucket(b->instruments[i].symbol);
        while (b->symbol_map1[at]) at = (at + 1) % SYMBOL_MAP_SIZE;
        b->symbol_map1[at] = i + 1;
    }
}

/* ---- requests ---- */

struct request *binance_request(struct binance *b, enum binance_lane lane, enum http_method method,
                                enum request_auth auth, const char *path, uint32_t weight,
                                request_done *done, uint64_t ref) {
    if (b->broken) return NULL;
    b->stirred = true;
    struct request *r = binance_requests_add(&b->requests, lane, binance_monotonic(b));
    if (!r) return NULL;
    r->method = (uint8_t)method;
    r->auth = (uint8_t)auth;
    r->path = path;
    r->weight = weight;
    r->window_ms = b->options.recv_window_ms;
    r->done = done;
    r->context = b;
    r->ref = ref;
    return r;
}

/* What the request has so far, to be gone on with. */
static struct wire_query params_of(struct request *r) {
    struct wire_query q;
    wire_query_init(&q, r->params, sizeof r->params);
    q.size = strlen(r->params);
    return q;
}

/* Values are symbols, ids and numbers: they fit, or it is our mistake. */
static void params_end(struct wire_query *q) {
    enum status st = wire_query_end(q);
    ASSERT(st == ST_OK);
}

void binance_param(struct request *r, const char *name, const char *value) {
    struct wire_query q = params_of(r);
    wire_query_text(&q, name, value);
    params_end(&q);
}

void binance_param_i64(struct request *r, const char *name, int64_t value) {
    struct wire_query q = params_of(r);
    wire_query_i64(&q, name, value);
    params_end(&q);
}

void binance_param_e8(struct request *r, const char *name, int64_t e8) {
    struct wire_query q = params_of(r);
    wire_query_e8(&q, name, e8);
    params_end(&q);
}

/* Everything in the query: it is signed as it is sent. */
static void build_target(const struct binance *b, const struct request *r, char out[TARGET_SIZE]) {
    struct wire_query q;
    size_t path = strlen(r->path), params = strlen(r->params);
    memcpy(out, r->path, path + 1);
    if (params == 0 && r->auth != AUTH_SIGNED) return;
    out[path] = '?';
    wire_query_init(&q, out + path + 1, TARGET_SIZE - path - 1);
    memcpy(q.out, r->params, params);
    q.size = params;
    enum status st;
    if (r->auth == AUTH_SIGNED) {
        wire_query_i64(&q, "recvWindow", r->window_ms);
        wire_query_i64(&q, "timestamp", r->timestamp_ms);
        st = wire_query_sign(&q, b->key);
    } else {
        st = wire_query_end(&q);
    }
    ASSERT(st == ST_OK); /* sizes above; that the key can sign was tried at creation */
}

/* Whether an order left: it is looked after even if nothing stirs until then. */
static bool pump(struct binance *b) {
    struct request *r;
    bool ordered = false;
    while (!b->broken && (r = binance_requests_next(&b->requests, binance_monotonic(b))) != NULL) {
        char target[TARGET_SIZE];
        build_target(b, r, target);
        const struct binance_send s = {.id = r->id,
                                       .method = (enum http_method)r->method,
                                       .host = (enum request_host)r->host,
                                       .target = target,
                                       .with_key = r->auth != AUTH_NONE,
                                       .within_ns = b->options.answer_within_ns};
        b->stats.orders_sent += r->orders;
        if (r->orders) binance_order_left(b, r);
        ordered |= r->orders > 0;
        b->ports.send(b->ports.context, &s);
    }
    return ordered;
}

static void tape_reply(struct binance *b, uint32_t id, const struct reply *reply) {
    static const char *const methods[] = {"?", "GET", "POST", "PUT", "DELETE"};
    char name[64 + REQUEST_PARAMS_SIZE] = "";
    for (uint32_t i = 0; i < b->requests.flying_count; i++) {
        const struct request *r = &b->requests.pool[b->requests.flying[i]];
        if (r->id == id)
            (void)snprintf(name, sizeof name, "%s %s%s%s", methods[r->method], r->path,
                           r->params[0] ? "?" : "", r->params);
    }
    int64_t now = binance_monotonic(b);
    binance_tape_write(b->tape, TAPE_REPLY, b->clock.known ? binance_clock_now(&b->clock, now) : 0,
                       reply->kind == REPLY_HTTP   ? reply->http
                       : reply->kind == REPLY_LOST ? -1
                                                   : -2,
                       name, reply->kind == REPLY_HTTP ? reply->body : "",
                       reply->kind == REPLY_HTTP ? reply->size : 0);
}

void binance_on_reply(struct binance *b, uint32_t id, const struct reply *reply) {
    b->stirred = true;
    if (b->tape) tape_reply(b, id, reply);
    binance_session_rest(b, reply->kind == REPLY_HTTP);
    binance_requests_reply(&b->requests, id, reply, binance_monotonic(b));
}

/* ---- clock ---- */

static void done_probe(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    int64_t server_ns;
    (void)r;
    if (b->probes_flying) b->probes_flying--;
    b->probe_at_ns = a->received_ns + PROBE_RETRY_NS;
    if (a->outcome != OUTCOME_DONE || binance_rest_time(&server_ns, a->body, a->size) != ST_OK)
        return;
    binance_clock_sample(&b->clock, a->sent_ns, a->received_ns, server_ns, NS_PER_MS);
    /* A few in a row at first: the quickest of them counts. */
    bool good = b->clock.samples % 4 == 0 &&
                binance_clock_error(&b->clock, a->received_ns) <= CLOCK_ERROR_MAX_NS;
    b->probe_at_ns =
        a->received_ns + (good || b->clock.samples > 16 ? PROBE_EVERY_NS : PROBE_RETRY_NS / 5);
}

/* Nothing signed leaves until the clock is trusted, a stop neither: a probe that is late then goes out again beside itself. */
static int64_t clock_time(struct binance *b, int64_t now_ns) {
    if (b->probes_flying) {
        if (b->clock.trusted || !binance_requests_may_ask(&b->requests, b->probes_flying, now_ns))
            return INT64_MAX;
        if (b->probed_ns + REQUESTS_BESIDE_NS > now_ns) return b->probed_ns + REQUESTS_BESIDE_NS;
        b->probe_at_ns = now_ns;
    }
    bool due = !b->clock.trusted || b->clock.doubtful ||
               binance_clock_error(&b->clock, now_ns) > CLOCK_ERROR_MAX_NS;
    if (due && b->probe_at_ns > now_ns + PROBE_RETRY_NS) b->probe_at_ns = now_ns;
    if (b->probe_at_ns > now_ns) return b->probe_at_ns;
    struct request *r =
        binance_request(b, LANE_PROTECTION, HTTP_GET, AUTH_NONE, "/fapi/v1/time", 1, done_probe, 0);
    if (!r) return INT64_MAX;
    r->repeatable = true;
    r->tries_max = 1;
    b->probes_flying++;
    b->probed_ns = now_ns;
    return b->clock.trusted ? INT64_MAX : now_ns + REQUESTS_BESIDE_NS;
}

/* ---- the round ---- */

static void flush(struct binance *b) {
    const struct binance_handlers *h = &b->options.handlers;
    /* Handlers may submit, which queues no events: commands are answered by replies. */
    while (b->queue_at < b->queue_count) {
        struct venue_event e = b->queue[b->queue_at++];
        b->told = true;
        if (h->on_venue) h->on_venue(h->context, &e);
    }
    b->queue_at = b->queue_count = 0;
    if (!b->reconcile.report) return;
    b->reconcile.report = false;
    b->told = true;
    if (h->on_reconciled) h->on_reconciled(h->context, &b->reconcile.result);
}

static void abort_send(void *context, uint32_t id) {
    struct binance *b = context;
    b->ports.abort(b->ports.context, id);
    binance_session_rest(b, false);
}

static int64_t least(int64_t a, int64_t c) {
    return a < c ? a : c;
}

int64_t binance_step(struct binance *b) {
    int64_t now = binance_monotonic(b);
    b->stirred = false;
    binance_requests_time(&b->requests, now, abort_send, b);
    int64_t deadline = clock_time(b, now);
    deadline = least(deadline, binance_session_time(b, now));
    deadline = least(deadline, binance_market_time(b, now));
    deadline = least(deadline, binance_orders_work(b, now));
    deadline = least(deadline, binance_rules_time(b, now));
    deadline = least(deadline, binance_watch_time(b, now));
    deadline = least(deadline, binance_reconcile_time(b, now));
    bool ordered = pump(b);
    flush(b);
    ordered |= pump(b); /* what handlers asked for */
    if (ordered) deadline = least(deadline, now + REQUESTS_BESIDE_NS);
    b->due_ns = least(deadline, binance_requests_deadline(&b->requests, now));
    return b->due_ns;
}

void binance_poll(struct binance *b, int64_t until_ns) {
    b->told = false;
    for (;;) {
        /* Most of what comes are prices, and they are told as they come: a round would find nothing to do. */
        if (b->stirred || binance_monotonic(b) >= b->due_ns) (void)binance_step(b);
        if (b->told || binance_monotonic(b) >= until_ns) return;
        b->ports.wait(b->ports.context, b, least(b->due_ns, until_ns));
    }
}

/* ---- commands ---- */

static bool is_conditional(uint8_t type) {
    return type != ORDER_MARKET && type != ORDER_LIMIT;
}

static bool is_beside_foreign(const struct binance *b, const struct venue_command *c) {
    return !c->reduce_only && !c->close_position && binance_is_foreign(b, c->instrument_index);
}

static enum status submit_order(struct binance *b, const struct venue_command *c,
                                enum binance_lane lane) {
    struct order *old = binance_orders_find(&b->orders, c->client_order_id);
    if (old && old->phase != PHASE_ENDED) return ST_EXISTS;
    bool refused = is_beside_foreign(b, c);
    struct order *o = binance_orders_add(&b->orders, c->client_order_id, c->instrument_index);
    if (!o) return ST_FULL;
    o->side = c->side;
    o->type = c->order_type;
    o->time_in_force = c->time_in_force;
    o->working_type = c->working_type;
    o->reduce_only = c->reduce_only;
    o->close_position = c->close_position;
    o->lane = (uint8_t)lane;
    o->conditional = is_conditional(c->order_type);
    o->on_algo = o->conditional && b->algo_service;
    o->limit_px = c->limit_px;
    o->stop_px = c->stop_px;
    o->order_qty = c->order_qty;
    if (refused)
        binance_order_refused(&b->orders, o, BINANCE_POSITION_FOREIGN, binance_now_ns(b),
                              binance_monotonic(b));
    else if (binance_look_is_due(b, o))
        binance_look(b, o);
    else
        binance_place(b, o);
    return ST_OK;
}

static enum status submit_cancel(struct binance *b, const struct venue_command *c,
                                 enum binance_lane lane) {
    struct order *o = binance_orders_find(&b->orders, c->client_order_id);
    enum { CODE_CANCEL_UNKNOWN = -2011 };
    if (o && o->phase == PHASE_ENDED) {
        struct venue_event e = {.kind = VENUE_CANCEL_REJECTED,
                                .code = CODE_CANCEL_UNKNOWN,
                                .instrument_index = c->instrument_index,
                                .ts_event_ns = o->venue_ts_ns,
                                .wallet = b->orders.wallet};
        memcpy(e.client_order_id, o->client_id, CLIENT_ORDER_ID_SIZE);
        enqueue(b, &e);
        return ST_OK;
    }
    if (!o) {
        /* Of a life before this one: looked for first. */
        o = binance_orders_add(&b->orders, c->client_order_id, c->instrument_index);
        if (!o) return ST_FULL;
        o->known_before = true;
        o->type = c->order_type;
        o->side = c->side;
        o->lane = (uint8_t)lane;
        o->conditional = is_conditional(c->order_type);
        o->on_algo = o->conditional && b->algo_service;
        binance_order_unknown(o, 0, binance_monotonic(b));
    }
    o->cancel = CANCEL_WANTED;
    o->cancel_lane = (uint8_t)lane;
    o->cancel_tries = 0;
    return ST_OK;
}

enum status binance_submit(struct binance *b, const struct venue_command *c,
                           enum binance_lane lane) {
    b->stirred = true;
    if (!b->loaded || c->instrument_index >= b->instrument_count || b->broken) return ST_INVALID;
    if (memchr(c->client_order_id, '\0', CLIENT_ORDER_ID_SIZE) == NULL) return ST_INVALID;
    switch ((enum command_kind)c->kind) {
    case COMMAND_ORDER_SUBMIT:
        if (!venue_client_id_is_valid(c->client_order_id, strlen(c->client_order_id)) ||
            (c->side != SIDE_BUY && c->side != SIDE_SELL) ||
            c->order_type >= ORDER_TRAILING_STOP_MARKET)
            return ST_INVALID;
        return submit_order(b, c, lane);
    case COMMAND_ORDER_CANCEL:
        if (!c->client_order_id[0]) return ST_INVALID;
        return submit_cancel(b, c, lane);
    case COMMAND_LEVERAGE_SET:
        if (c->leverage < 1 || c->leverage > 1000) return ST_INVALID;
        /* Asked again while it is on its way: one answer is for both. */
        if (b->leverage_asked[c->instrument_index] == c->leverage) return ST_OK;
        if (b->leverage_asked[c->instrument_index] != 0) return ST_EXISTS;
        binance_leverage(b, c, lane);
        return ST_OK;
    }
    return ST_INVALID;
}

void binance_reconcile(struct binance *b) {
    b->stirred = true;
    b->reconcile.wanted = true;
}

/* ---- looking ---- */

uint32_t binance_instrument_count(const struct binance *b) {
    return b->instrument_count;
}
const struct instrument *binance_instruments(const struct binance *b) {
    return b->instruments;
}

int64_t binance_now_ns(const struct binance *b) {
    ASSERT(b->clock.known); /* binance_load came first */
    return binance_clock_now(&b->clock, binance_monotonic(b));
}

money_t binance_wallet(const struct binance *b) {
    return b->orders.wallet;
}

void binance_position_get(const struct binance *b, uint32_t instrument,
                          struct binance_position *out) {
    ASSERT(instrument < b->instrument_count);
    *out = b->positions[instrument];
}

void binance_stats_get(const struct binance *b, struct binance_stats *out) {
    const struct requests_stats *r = &b->requests.stats;
    *out = b->stats;
    out->requests = r->sent;
    out->replies = r->replies;
    out->retries = r->retries;
    out->rejects_429 = r->rejects_429;
    out->rejects_418 = r->rejects_418;
    out->clock_rejects = r->clock_rejects;
    out->throttled_by_us = r->throttled;
    out->duplicates_dropped += b->orders.stats.duplicates;
    out->fills = b->orders.stats.fills;
    out->late_fills = b->orders.stats.late_fills;
    out->foreign_untold = b->orders.stats.foreign_fills;
    out->positions_told = b->orders.stats.positions;
    out->weight_used_1m = b->requests.budget.weight_1m + b->requests.budget.foreign_weight;
    out->orders_10s = b->requests.budget.orders_10s + b->requests.budget.foreign_orders_10s;
    out->orders_1m = b->requests.budget.orders_1m + b->requests.budget.foreign_orders_1m;
    out->algo_service = b->algo_service;
    int64_t now = binance_monotonic(b);
    if (!b->clock.known) return;
    out->clock_offset_ns = binance_clock_now(&b->clock, now) - now;
    out->clock_error_ns = binance_clock_error(&b->clock, now);
}
