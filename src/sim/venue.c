#include "sim/venue.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "sim/sim_models.h"

/* A learner looks back further than a client may ask. */
enum { TICKS_BARS = 1500, TICKS_BARS_LEARNED = 7 * 1440, TICKS_ROWS = 1000, STREAMS_MAX = 1024 };

static const char KEYS[] =
    "[{\"name\":\"trader\",\"balance\":\"10000\",\"api_key\":\"" SIM_KEY_TRADER
    "\",\"api_secret\":\"" SIM_SECRET_TRADER "\"},"
    "{\"name\":\"stranger\",\"balance\":\"1000000\",\"api_key\":\"key-of-the-stranger\","
    "\"api_secret\":\"secret-of-the-stranger\"}]";

static void on_event(void *context, const struct exchange_event *e) {
    struct sim_venue *v = context;
    streams_event(v->rest.streams, e);
    v->options.on_event(v->options.context, e);
}

/* A past in which takers lead as they will. */
static enum status seed_past(struct sim_venue *v, struct world *w, struct err *err) {
    const struct sim_venue_options *o = &v->options;
    const struct sim_past past = {.seed = o->seed,
                                  .volatility_day = o->volatility_day,
                                  .lead = o->lead,
                                  .end_ns = fx_snap_down(w->now_ns, NS_PER_MINUTE)};
    size_t count = (size_t)o->history_days * 1440;
    struct bar *bars = calloc(count, sizeof *bars);
    if (!bars) return err_set(err, ST_NO_MEMORY, "a past of %zu minutes", count);
    for (uint32_t i = 0; i < o->symbols; i++) {
        sim_past_bars(bars, count, &past, i, &v->listing.instruments[i], v->listing.start_px[i]);
        for (size_t k = 0; k < count; k++) ticks_seed(w->ticks, i, &bars[k]);
    }
    free(bars);
    return ST_OK;
}

static void prepare(void *context, struct world *w) {
    struct sim_venue *v = context;
    enum status st = v->options.lead > 0 ? seed_past(v, w, &v->prepare_failed)
                                         : source_prepare(v->source, w, &v->prepare_failed);
    if (st != ST_OK) return;
    for (uint32_t i = 0; i < v->keys.count; i++) {
        const struct key_row *row = &v->keys.rows[i];
        if (!row->opens) continue;
        struct exchange_input in = {.kind = EXI_ACCOUNT_OPEN, .amount = row->balance};
        struct exchange_reply reply;
        world_do(w, &in, w->now_ns, &reply);
        ASSERT(reply.code == 0 && reply.account == row->account);
    }
}

static enum status listing_of(struct listing *l, uint32_t count, struct err *err) {
    *l = (struct listing){.count = count, .interval_ns = NS_PER_MINUTE};
    l->instruments = calloc(count, sizeof *l->instruments);
    l->start_px = calloc(count, sizeof *l->start_px);
    if (!l->instruments || !l->start_px) return err_set(err, ST_NO_MEMORY, "contracts");
    market_symbols_default(l->instruments, l->start_px, count);
    return ST_OK;
}

static enum status world_of(struct sim_venue *v, struct err *err) {
    const struct sim_venue_options *o = &v->options;
    struct world_options w = {.exchange = exchange_config_defaults(),
                              .market = market_config_defaults(),
                              .history = history_limits_defaults(),
                              .ticks = {.instrument_count = o->symbols,
                                        .bars = o->lead > 0 ? TICKS_BARS_LEARNED : TICKS_BARS,
                                        .trades = TICKS_ROWS,
                                        .fundings = TICKS_ROWS},
                              .start_ns = o->start_ns,
                              .prepare = prepare,
                              .context = v};
    w.exchange.instrument_count = w.market.instrument_count = o->symbols;
    w.exchange.instruments = w.market.instruments = v->listing.instruments;
    w.exchange.accounts_max = 8;
    w.market.source = MARKET_SYNTHETIC;
    w.market.seed = o->seed;
    w.market.start_px = v->listing.start_px;
    w.market.start_ns = o->start_ns;
    w.market.quote_every_ns = o->quote_every_ns;
    w.market.levels = o->levels;
    w.market.level_notional = o->level_notional;
    w.market.volatility_day = o->volatility_day;
    w.market.trades_per_s = o->trades_per_s;
    w.market.lead = o->lead;
    enum status st = source_open(&v->source, &v->listing, &w.market, o->history_days, NULL, err);
    if (st == ST_OK) st = world_open(&v->world, &w, err);
    if (st == ST_OK && v->prepare_failed.st != ST_OK) {
        st = v->prepare_failed.st;
        if (err) *err = v->prepare_failed;
    }
    return st;
}

enum status sim_venue_open(struct sim_venue *v, const struct sim_venue_options *options,
                           struct err *err) {
    const struct limiter_config limits = limiter_config_defaults();
    memset(v, 0, sizeof *v);
    v->options = *options;
    faults_init(&v->act.faults, options->seed);
    enum status st = listing_of(&v->listing, options->symbols, err);
    if (st == ST_OK) st = keys_parse(&v->keys, KEYS, sizeof KEYS - 1, "simulation", err);
    if (st == ST_OK) st = world_of(v, err);
    if (st == ST_OK) st = limiter_create(&v->rest.limiter, &limits, err);
    const struct streams_options streams = {.seed = options->seed | 1,
                                            .streams_max = STREAMS_MAX,
                                            .listen_key_life_ns = 60 * NS_PER_MINUTE};
    if (st == ST_OK) st = streams_create(&v->rest.streams, v->world, &streams, err);
    if (st != ST_OK) return st;
    v->rest.world = v->world;
    v->rest.keys = &v->keys;
    v->rest.options = rest_options_defaults();
    v->rest.options.limits_enforced = true;
    st = rest_init(&v->rest, err);
    if (st != ST_OK) return st;
    v->world->on_event = on_event;
    v->world->on_event_context = v;
    v->act.world = v->world;
    v->act.streams = v->rest.streams;
    v->act.rest = &v->rest;
    v->act.listing = &v->listing;
    v->act.now_ns = options->start_ns;
    world_advance(v->world, options->start_ns);
    return fault_act_init(&v->act, err);
}

void sim_venue_close(struct sim_venue *v) {
    fault_act_free(&v->act);
    rest_free(&v->rest);
    streams_destroy(v->rest.streams);
    if (v->rest.limiter) limiter_destroy(v->rest.limiter);
    if (v->world) {
        v->world->on_event = NULL;
        (void)world_close(v->world, NULL); /* nothing of it is kept */
    }
    source_close(v->source);
    keys_free(&v->keys);
    free(v->listing.instruments);
    free(v->listing.start_px);
}

void sim_venue_advance(struct sim_venue *v, int64_t now_ns) {
    world_advance(v->world, now_ns);
    if (streams_deadline(v->rest.streams) <= now_ns) streams_time(v->rest.streams, now_ns);
}

int64_t sim_venue_deadline(const struct sim_venue *v) {
    int64_t world = world_deadline(v->world), streams = streams_deadline(v->rest.streams);
    return world < streams ? world : streams;
}

static struct net_text text_of(const char *s, size_t n) {
    return (struct net_text){s, n};
}

static struct fault_call call_of(struct sim_venue *v, const struct sim_request *r) {
    static const enum net_method methods[] = {0, NET_GET, NET_POST, NET_PUT, NET_DELETE};
    static const char algo[] = "/fapi/v1/algoOrder";
    const char *mark = memchr(r->target, '?', r->size);
    size_t path = mark ? (size_t)(mark - r->target) : r->size;
    struct net_text params = mark ? text_of(mark + 1, r->size - path - 1) : text_of("", 0);
    bool post = r->method == HTTP_POST;
    struct fault_call call = {.method = methods[r->method],
                              .path = text_of(r->target, path),
                              .query = post ? text_of("", 0) : params,
                              .body = post ? params : text_of("", 0)};
    if (r->with_key) call.api_key = text_of(SIM_KEY_TRADER, sizeof SIM_KEY_TRADER - 1);
    call.kind = rest_class_of(&v->rest, call.method, call.path);
    call.algo = post && path == sizeof algo - 1 && memcmp(r->target, algo, path) == 0;
    return call;
}

static void execute(struct sim_venue *v, const struct fault_call *call, struct sim_done *out) {
    static struct rest_answer a; /* its texts are lent to the caller */
    const struct rest_request request = {.method = call->method,
                                         .path = call->path,
                                         .query = call->query,
                                         .body = call->body,
                                         .api_key = call->api_key,
                                         .peer = "10.0.0.1",
                                         .now_ns = v->act.now_ns};
    fault_begin(&v->act, call);
    rest_handle(&v->rest, &request, &a);
    fault_end(&v->act);
    struct fault_reply reply = {a.status, "application/json", a.headers, {a.body, a.body_size}};
    fault_after(&v->act, call, &reply);
    out->executed = true;
    out->code = a.code;
    out->answer = (struct sim_answer){reply.status, reply.body.data, reply.body.size, a.headers};
    v->calls++;
}

void sim_venue_call(struct sim_venue *v, const struct sim_request *r, int64_t now_ns,
                    struct sim_done *out) {
    static const struct sim_answer ended = {.status = -1, .body = ""};
    struct fault_call call = call_of(v, r);
    struct fault_reply made;
    memset(out, 0, sizeof *out);
    v->act.now_ns = now_ns;
    call.verdict = fault_verdict(&v->act, &call);
    if (call.verdict == CALL_NONE || call.verdict > CALL_LAST_BEFORE)
        execute(v, &call, out);
    else
        out->answer = ended;
    switch (call.verdict) {
    case CALL_UNAVAILABLE:
    case CALL_RESET_BEFORE:
    case CALL_LIMIT:
    case CALL_BAN:
    case CALL_CLOCK:
    case CALL_UNKNOWN_NOT_DONE:
    case CALL_UNKNOWN_DONE:
        if (fault_answer(&v->act, false, &call, &made))
            out->answer =
                (struct sim_answer){made.status, made.body.data, made.body.size, made.headers};
        break;
    case CALL_LOST:
    case CALL_RESET_AFTER:
        out->answer = ended;
        break;
    case CALL_LATE:
        out->delay_ns = fault_late_ns(&v->act);
        break;
    case CALL_NONE:
    case CALL_DOUBLED:
        break;
    }
}

void sim_venue_second(struct sim_venue *v, int64_t now_ns) {
    v->act.now_ns = now_ns;
    world_advance(v->world, now_ns); /* candles close before they are told */
    fault_second(&v->act);
    if (streams_deadline(v->rest.streams) <= now_ns) streams_time(v->rest.streams, now_ns);
}

bool sim_venue_is_open(const struct sim_venue *v, int64_t now_ns) {
    return v->act.state.maintenance_ns <= now_ns && v->act.state.limited_ns <= now_ns;
}
