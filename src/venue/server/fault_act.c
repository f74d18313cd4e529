/* What each fault does: rules, status, a switch; answers that no exchange gave; messages that do not come. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/tstamp.h"
#include "venue/server/fault_act.h"

enum {
    LIMIT_SECONDS_MAX = 3,
    BAN_SECONDS = 5,
    HIDDEN_SECONDS = 3,
    SILENT_SECONDS = 20,
    STALE_SECONDS = 10,
    FILTERS_SECONDS = 60,
    CLOSING_SECONDS = 30,
    MAINTENANCE_SECONDS = 10,
    CONDITIONAL_SECONDS = 20,
    LATE_MS_MIN = 300,
    LATE_MS_MAX = 3000,
    COARSER = 10,
    KEPT_OF_4 = 3 /* three quarters of the contracts are never delisted */
};

static int64_t in_seconds(const struct fault_act *a, int seconds) {
    return a->now_ns + seconds * NS_PER_SECOND;
}

/* ---- stream messages ---- */

static enum stream_fault on_message(void *context, bool user_data) {
    struct fault_act *a = context;
    if (a->state.doubling && user_data) return STREAM_TWICE;
    if (fault_ask(&a->faults, FAULT_DROP)) return STREAM_DROP;
    if (fault_ask(&a->faults, FAULT_SWAP)) return STREAM_SWAP;
    return fault_ask(&a->faults, FAULT_DOUBLE) ? STREAM_TWICE : STREAM_DELIVER;
}

/* Without a fault in sight messages go their straight way. */
void fault_rates_changed(struct fault_act *a) {
    streams_fault_set(a->streams, faults_are_on(&a->faults) ? on_message : NULL, a);
}

/* ---- rules of a contract ---- */

static bool same_rules(const struct instrument *a, const struct instrument *b) {
    return a->tick_size.e8 == b->tick_size.e8 && a->step_size.e8 == b->step_size.e8 &&
           a->market_step_size.e8 == b->market_step_size.e8;
}

static void filters_restore(struct fault_act *a, uint32_t i) {
    struct exchange_reply reply;
    struct instrument rules = a->listing->instruments[i];
    rules.status = exchange_instrument(a->world->exchange, i)->status;
    world_filters(a->world, i, &rules, a->now_ns, &reply);
    a->state.filters_ns[i] = 0;
}

static void filters_coarsen(struct fault_act *a, uint32_t i) {
    struct exchange_reply reply;
    struct instrument rules = *exchange_instrument(a->world->exchange, i);
    if (a->state.filters_ns[i]) return; /* coarse enough */
    if (fault_draw(&a->faults, FAULT_FILTERS, 0, 1)) {
        rules.tick_size.e8 *= COARSER;
        rules.px_min.e8 = fx_snap_up(rules.px_min.e8, rules.tick_size.e8);
    } else {
        rules.step_size.e8 *= COARSER;
        rules.market_step_size.e8 *= COARSER;
        rules.qty_min.e8 = fx_snap_up(rules.qty_min.e8, rules.step_size.e8);
        rules.market_qty_min.e8 = fx_snap_up(rules.market_qty_min.e8, rules.market_step_size.e8);
    }
    world_filters(a->world, i, &rules, a->now_ns, &reply);
    a->state.filters_ns[i] = in_seconds(a, FILTERS_SECONDS);
    log_info("faults", "rules are coarser", "symbol=%s tick_e8=%lld step_e8=%lld", rules.symbol,
             (long long)rules.tick_size.e8, (long long)rules.step_size.e8);
}

static void status_set(struct fault_act *a, uint32_t i, uint32_t status) {
    struct exchange_reply reply;
    struct exchange_input in = {.kind = EXI_STATUS, .instrument = i, .status = status};
    world_do(a->world, &in, a->now_ns, &reply);
    log_info("faults", status == INSTRUMENT_CLOSED ? "delisted" : "is being delisted",
             "symbol=%s code=%d", exchange_instrument(a->world->exchange, i)->symbol, reply.code);
}

/* One of the last quarter that still trades. */
static void delist(struct fault_act *a) {
    uint32_t count = a->listing->count, floor = (count * KEPT_OF_4 + 3) / 4;
    for (uint32_t tries = 0; floor < count && tries < count; tries++) {
        uint32_t i = (uint32_t)fault_draw(&a->faults, FAULT_DELISTING, floor, count - 1);
        if (exchange_instrument(a->world->exchange, i)->status != INSTRUMENT_TRADING) continue;
        status_set(a, i, INSTRUMENT_SETTLING);
        a->state.closing_ns[i] = in_seconds(a, CLOSING_SECONDS);
        return;
    }
}

static void stale_begin(struct fault_act *a) {
    uint32_t i = (uint32_t)fault_draw(&a->faults, FAULT_STALE, 0, a->listing->count - UINT64_C(1));
    if (!a->state.stale_ns[i]) world_stale_set(a->world, i, true, a->now_ns);
    a->state.stale_ns[i] = in_seconds(a, STALE_SECONDS);
}

static void conditional_set(struct fault_act *a, bool classic) {
    a->rest->options.classic_conditional = classic;
    world_classic_set(a->world, classic, a->now_ns);
}

/* ---- what happens by itself ---- */

static void second_do(struct fault_act *a, enum fault kind) {
    switch (kind) {
    case FAULT_SILENT:
        streams_user_silent(a->streams, true);
        a->state.silent_ns = in_seconds(a, SILENT_SECONDS);
        break;
    case FAULT_KEY_EXPIRED:
        streams_keys_expire(a->streams, a->now_ns);
        break;
    case FAULT_STALE:
        stale_begin(a);
        break;
    case FAULT_FILTERS:
        filters_coarsen(
            a, (uint32_t)fault_draw(&a->faults, FAULT_FILTERS, 0, a->listing->count - UINT64_C(1)));
        break;
    case FAULT_DELISTING:
        delist(a);
        break;
    case FAULT_MAINTENANCE:
        a->state.maintenance_ns = in_seconds(a, MAINTENANCE_SECONDS);
        break;
    case FAULT_CONDITIONAL:
        if (!a->state.conditional_ns) conditional_set(a, !a->classic_conditional);
        a->state.conditional_ns = in_seconds(a, CONDITIONAL_SECONDS);
        break;
    case FAULT_UNAVAILABLE:
    case FAULT_RESET_BEFORE:
    case FAULT_LIMIT:
    case FAULT_BAN:
    case FAULT_CLOCK:
    case FAULT_UNKNOWN_NOT_DONE:
    case FAULT_UNKNOWN_DONE:
    case FAULT_LOST_ACK:
    case FAULT_RESET_AFTER:
    case FAULT_LATE_ACK:
    case FAULT_DOUBLED_ACK:
    case FAULT_ALGO_HIDDEN:
    case FAULT_DROP:
    case FAULT_SWAP:
    case FAULT_DOUBLE:
    case FAULT_COUNT:
        break;
    }
    log_info("faults", "happens", "kind=%s", fault_name(kind));
}

static bool is_over(int64_t *until_ns, int64_t now) {
    if (*until_ns == 0 || *until_ns > now) return false;
    *until_ns = 0;
    return true;
}

static void second_end(struct fault_act *a, int64_t now) {
    struct fault_state *f = &a->state;
    if (is_over(&f->silent_ns, now)) streams_user_silent(a->streams, false);
    if (is_over(&f->conditional_ns, now)) conditional_set(a, a->classic_conditional);
    is_over(&f->maintenance_ns, now);
    for (uint32_t i = 0; i < a->listing->count; i++) {
        if (is_over(&f->stale_ns[i], now)) world_stale_set(a->world, i, false, now);
        if (is_over(&f->filters_ns[i], now)) filters_restore(a, i);
        if (is_over(&f->closing_ns[i], now)) status_set(a, i, INSTRUMENT_CLOSED);
    }
}

void fault_second(struct fault_act *a) {
    second_end(a, a->now_ns);
    if (!faults_are_on(&a->faults)) return;
    for (int k = 0; k < FAULT_COUNT; k++)
        if (fault_scope_of((enum fault)k) == FAULT_PER_SECOND &&
            fault_ask(&a->faults, (enum fault)k))
            second_do(a, (enum fault)k);
}

void fault_fire(struct fault_act *a, enum fault kind) {
    if (fault_scope_of(kind) == FAULT_PER_SECOND) {
        a->faults.rows[kind].fired++;
        second_do(a, kind);
        return;
    }
    fault_force(&a->faults, kind);
    fault_rates_changed(a);
}

/* ---- before a call ---- */

static bool applies(enum fault kind, const struct fault_call *call) {
    switch (fault_scope_of(kind)) {
    case FAULT_PER_CALL:
        return true;
    case FAULT_PER_SIGNED:
        return call->kind == REST_READ || call->kind == REST_TRADE;
    case FAULT_PER_TRADE:
        return call->kind == REST_TRADE;
    case FAULT_PER_ALGO: /* asked when it is placed */
    case FAULT_PER_MESSAGE:
    case FAULT_PER_SECOND:
        break;
    }
    return false;
}

/* Verdicts by kind, in the table's order; every kind is asked, so that each keeps its own sequence. */
static enum call_verdict drawn(struct fault_act *a, const struct fault_call *call) {
    static const enum call_verdict verdicts[FAULT_COUNT] = {
        [FAULT_UNAVAILABLE] = CALL_UNAVAILABLE,
        [FAULT_RESET_BEFORE] = CALL_RESET_BEFORE,
        [FAULT_LIMIT] = CALL_LIMIT,
        [FAULT_BAN] = CALL_BAN,
        [FAULT_CLOCK] = CALL_CLOCK,
        [FAULT_UNKNOWN_NOT_DONE] = CALL_UNKNOWN_NOT_DONE,
        [FAULT_UNKNOWN_DONE] = CALL_UNKNOWN_DONE,
        [FAULT_LOST_ACK] = CALL_LOST,
        [FAULT_RESET_AFTER] = CALL_RESET_AFTER,
        [FAULT_LATE_ACK] = CALL_LATE,
        [FAULT_DOUBLED_ACK] = CALL_DOUBLED};
    enum call_verdict first = CALL_NONE;
    for (int k = 0; k < FAULT_COUNT; k++) {
        if (verdicts[k] == CALL_NONE || !applies((enum fault)k, call)) continue;
        bool happens = fault_ask(&a->faults, (enum fault)k);
        if (happens && first == CALL_NONE) first = verdicts[k];
    }
    return first;
}

enum call_verdict fault_verdict(struct fault_act *a, const struct fault_call *call) {
    struct fault_state *f = &a->state;
    int64_t now = a->now_ns;
    if (f->maintenance_ns > now) return CALL_UNAVAILABLE;
    if (f->limited_ns > now) {
        f->disobeyed++;
        return f->limited_status == 418 ? CALL_BAN : CALL_LIMIT;
    }
    if (!faults_are_on(&a->faults)) return CALL_NONE;
    enum call_verdict v = drawn(a, call);
    if (v == CALL_LIMIT || v == CALL_BAN) {
        int seconds = v == CALL_BAN
                          ? BAN_SECONDS
                          : (int)fault_draw(&a->faults, FAULT_LIMIT, 1, LIMIT_SECONDS_MAX);
        f->limited_status = v == CALL_BAN ? 418 : 429;
        f->limited_ns = now + seconds * NS_PER_SECOND;
    }
    return v;
}

/* ---- around its execution ---- */

void fault_begin(struct fault_act *a, const struct fault_call *call) {
    a->state.doubling = call->verdict == CALL_DOUBLED;
}

void fault_end(struct fault_act *a) {
    if (!a->state.doubling) return;
    streams_time(a->streams, a->now_ns); /* what is held back belongs to this call, too */
    a->state.doubling = false;
}

int64_t fault_late_ns(struct fault_act *a) {
    return (int64_t)fault_draw(&a->faults, FAULT_LATE_ACK, LATE_MS_MIN, LATE_MS_MAX) * NS_PER_MS;
}

/* ---- answers that no exchange gave ---- */

struct made {
    int status;
    int32_t code;
    char text[160];
};

static void made_of(const struct fault_act *a, enum call_verdict v, struct made *m) {
    long long until_ms = (long long)(a->state.limited_ns / NS_PER_MS);
    *m = (struct made){.status = 503, .code = -1008};
    switch (v) {
    case CALL_LIMIT:
        m->status = 429;
        m->code = -1003;
        snprintf(m->text, sizeof m->text, "%s", "Too many requests; slow down.");
        return;
    case CALL_BAN:
        m->status = 418;
        m->code = -1003;
        snprintf(m->text, sizeof m->text, "Way too many requests; IP banned until %lld.", until_ms);
        return;
    case CALL_CLOCK:
        m->status = venue_error_http(-1021);
        m->code = -1021;
        snprintf(m->text, sizeof m->text, "%s", venue_error_text(-1021));
        return;
    case CALL_UNKNOWN_NOT_DONE:
    case CALL_UNKNOWN_DONE:
        m->code = -1000;
        snprintf(m->text, sizeof m->text, "%s",
                 "Unknown error, please check your request or try again later.");
        return;
    case CALL_NONE:
    case CALL_UNAVAILABLE:
    case CALL_RESET_BEFORE:
    case CALL_LOST:
    case CALL_RESET_AFTER:
    case CALL_LATE:
    case CALL_DOUBLED:
        snprintf(m->text, sizeof m->text, "%s", venue_error_text(-1008));
        return;
    }
}

/* The id of a WebSocket API message, raw; "null" if it has none. */
static struct json_text id_of(struct net_text message) {
    struct json_reader r;
    struct json_text key, id = {"null", 4, false};
    json_reader_init(&r, message.data, message.size);
    json_object_begin(&r);
    while (json_object_next(&r, &key)) {
        if (!json_text_is(&key, "id")) {
            json_skip(&r);
            continue;
        }
        struct json_text found = json_raw(&r);
        if (!r.error) id = found;
    }
    return id;
}

bool fault_answer(struct fault_act *a, bool wsapi, const struct fault_call *call,
                  struct fault_reply *out) {
    static char body[1024], headers[64]; /* the server has one thread, and this is copied at once */
    struct made m;
    struct json_writer w;
    if (call->verdict == CALL_RESET_BEFORE) return false;
    made_of(a, call->verdict, &m);
    *out = (struct fault_reply){.status = m.status, .type = "application/json"};
    bool plain = !wsapi && call->verdict == CALL_UNAVAILABLE;
    if (plain) { /* as the gateway in front of the venue says it, without a code */
        out->type = "text/plain";
        out->body = (struct net_text){"Service Unavailable.", 20};
        return true;
    }
    json_writer_init(&w, body, sizeof body);
    json_write_object_begin(&w);
    if (wsapi) {
        struct json_text id = id_of(call->body);
        json_write_key(&w, "id");
        json_write_raw(&w, id.size < sizeof body / 2 ? id.data : "null",
                       id.size < sizeof body / 2 ? id.size : 4);
        json_write_key(&w, "status");
        json_write_i64(&w, m.status);
        json_write_key(&w, "error");
        json_write_object_begin(&w);
    }
    json_write_key(&w, "code");
    json_write_i64(&w, m.code);
    json_write_key(&w, "msg");
    json_write_string(&w, m.text);
    if (wsapi) json_write_object_end(&w);
    json_write_object_end(&w);
    if (json_writer_finish(&w) != ST_OK) return false;
    out->body = (struct net_text){body, w.size};
    if (m.status == 429 || m.status == 418) {
        int64_t left = (a->state.limited_ns - a->now_ns + NS_PER_SECOND - 1) / NS_PER_SECOND;
        snprintf(headers, sizeof headers, "Retry-After: %lld\r\n", (long long)left);
        out->headers = headers;
    }
    return true;
}

/* ---- conditional orders that queries do not show yet ---- */

static uint64_t algo_id_of(const char *data, size_t size) {
    struct json_reader r;
    struct json_text key;
    uint64_t id = 0;
    json_reader_init(&r, data, size);
    if (json_peek(&r) != JSON_OBJECT) return 0;
    json_object_begin(&r);
    while (json_object_next(&r, &key)) {
        if (json_text_is(&key, "algoId"))
            id = (uint64_t)json_i64(&r);
        else
            json_skip(&r);
    }
    return r.error ? 0 : id;
}

static bool is_hidden(const struct fault_act *a, uint64_t id) {
    for (int i = 0; i < HIDDEN_MAX; i++)
        if (a->state.hidden[i].algo_id == id && a->state.hidden[i].until_ns > a->now_ns)
            return id != 0;
    return false;
}

static bool hides_anything(const struct fault_act *a) {
    for (int i = 0; i < HIDDEN_MAX; i++)
        if (a->state.hidden[i].until_ns > a->now_ns) return true;
    return false;
}

/* A list without the rows that are hidden: only ever shorter, so it is written over itself. */
static void list_filter(const struct fault_act *a, struct net_text *body) {
    struct json_reader r;
    char *to = (char *)(uintptr_t)body->data, *begin = to;
    bool first = true;
    json_reader_init(&r, body->data, body->size);
    if (json_peek(&r) != JSON_ARRAY) return;
    json_array_begin(&r);
    *to++ = '[';
    while (json_array_next(&r)) {
        struct json_text row = json_raw(&r);
        if (is_hidden(a, algo_id_of(row.data, row.size))) continue;
        if (!first) *to++ = ',';
        first = false;
        memmove(to, row.data, row.size);
        to += row.size;
    }
    *to++ = ']';
    body->size = (size_t)(to - begin);
}

static bool path_is(const struct fault_call *call, const char *path) {
    return call->path.size == strlen(path) && memcmp(call->path.data, path, call->path.size) == 0;
}

void fault_after(struct fault_act *a, const struct fault_call *call, struct fault_reply *answer) {
    static const char missing[] = "{\"code\":-2013,\"msg\":\"Order does not exist.\"}";
    if (answer->status != 200) return;
    if (call->algo && faults_are_on(&a->faults) && fault_ask(&a->faults, FAULT_ALGO_HIDDEN)) {
        struct fault_state *f = &a->state;
        f->hidden[f->hidden_next++ % HIDDEN_MAX] = (struct hidden){
            algo_id_of(answer->body.data, answer->body.size), in_seconds(a, HIDDEN_SECONDS)};
    }
    if (call->method != NET_GET || !hides_anything(a)) return;
    if (path_is(call, "/fapi/v1/openAlgoOrders") || path_is(call, "/fapi/v1/allAlgoOrders")) {
        list_filter(a, &answer->body);
    } else if (path_is(call, "/fapi/v1/algoOrder") &&
               is_hidden(a, algo_id_of(answer->body.data, answer->body.size))) {
        answer->status = venue_error_http(-2013);
        answer->body = (struct net_text){missing, sizeof missing - 1};
    }
}

/* ---- beginning ---- */

/* What a fault of an earlier life left behind ends soon: rules, books that stand, contracts on their way out. */
static void leftovers(struct fault_act *a) {
    for (uint32_t i = 0; i < a->listing->count; i++) {
        const struct instrument *is = exchange_instrument(a->world->exchange, i);
        world_stale_set(a->world, i, false, a->now_ns);
        if (!same_rules(is, &a->listing->instruments[i]))
            a->state.filters_ns[i] = in_seconds(a, FILTERS_SECONDS);
        if (is->status == INSTRUMENT_SETTLING)
            a->state.closing_ns[i] = in_seconds(a, CLOSING_SECONDS);
    }
}

enum status fault_act_init(struct fault_act *a, struct err *err) {
    size_t count = a->listing->count;
    a->state.stale_ns = calloc(count, sizeof(int64_t));
    a->state.filters_ns = calloc(count, sizeof(int64_t));
    a->state.closing_ns = calloc(count, sizeof(int64_t));
    if (!a->state.stale_ns || !a->state.filters_ns || !a->state.closing_ns)
        return err_set(err, ST_NO_MEMORY, "faults of %zu contracts", count);
    leftovers(a);
    fault_rates_changed(a);
    return ST_OK;
}

void fault_act_free(struct fault_act *a) {
    free(a->state.stale_ns);
    free(a->state.filters_ns);
    free(a->state.closing_ns);
}
