/* Lives of the trader's process: each loads the venue, goes over its journal, trades, and ends: cleanly, killed, or by an
 * error of its own after which whoever looks after it starts it again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/log.h"
#include "feature/feature.h"
#include "sim/sim_internal.h"
#include "trade/oms/oms.h"

/* A 24 h change needs a day of minutes; a few more, for the bar that is open and those that come while loading. */
enum { DAY_BARS = 1440, BARS_MARGIN = 8 };
#define START_AGAIN_S_MAX 20
#define TRADES_COMMIT_NS  (10 * NS_PER_MINUTE)
/* Small: an image of the disk is a copy of it. */
enum { SEGMENT_BYTES = 1 << 20, BUFFER_BYTES = 1 << 16 };
#define LEARNER_HASH UINT64_C(0x6c6561726e)
#define MARKET_HASH  UINT64_C(0x73696d)

/* ---- the port between the run and its venue ---- */

static void told(void *context, const struct venue_event *e) {
    struct sim *s = context;
    if (s->dead) return;
    sim_check_told(s, e);
    s->sink.venue(s->sink.context, e);
}
static void told_bar(void *context, uint32_t i, const struct bar *bar) {
    struct sim *s = context;
    s->sink.bar(s->sink.context, i, bar);
}
static void told_tick(void *context, uint32_t i, const struct tick *tick) {
    struct sim *s = context;
    s->sink.tick(s->sink.context, i, tick);
}
static void told_instrument(void *context, const struct instrument_changed *change) {
    struct sim *s = context;
    s->sink.instrument(s->sink.context, change);
}

static enum kernel_owner whose(void *context, const char *client_order_id) {
    const struct sim *s = context;
    return s->sink.whose ? s->sink.whose(s->sink.context, client_order_id) : KERNEL_OWNER_NOBODY;
}

static void port_attach(void *context, const struct venue_sink *sink) {
    struct sim *s = context;
    const struct venue_sink ours = {.context = s,
                                    .venue = told,
                                    .bar = told_bar,
                                    .tick = told_tick,
                                    .instrument = told_instrument,
                                    .whose = whose};
    s->sink = *sink;
    s->inner->attach(s->inner->context, &ours);
}

static enum status port_bars(void *context, uint32_t i, int64_t from_ns, int64_t to_ns,
                             struct bar *out, size_t max, size_t *count, struct err *err) {
    struct sim *s = context;
    return s->inner->bars(s->inner->context, i, from_ns, to_ns, out, max, count, err);
}

static enum status port_start(void *context, const struct kernel_live_order *live,
                              uint32_t live_count, const struct kernel_held *held,
                              uint32_t held_count, struct err *err) {
    struct sim *s = context;
    enum status st = s->inner->start(s->inner->context, live, live_count, held, held_count, err);
    if (st == ST_OK && !s->dead) sim_alive(s, true); /* it knows where it stands, and can act */
    return st;
}

static void trace_command(struct sim *s, const struct venue_command *c) {
    const uint64_t words[] = {((uint64_t)c->kind << 32) | ((uint64_t)c->order_type << 24) |
                                  ((uint64_t)c->side << 16) | c->instrument_index,
                              (uint64_t)s->clock.now_ns,
                              (uint64_t)c->order_qty.e8,
                              (uint64_t)c->limit_px.e8,
                              (uint64_t)c->stop_px.e8,
                              hash64(c->client_order_id, sizeof c->client_order_id)};
    sim_trace(s, words, sizeof words / sizeof *words);
}

static enum status port_submit(void *context, const struct venue_command *c, enum venue_lane lane,
                               struct err *err) {
    struct sim *s = context;
    sim_crash_point(s, POINT_PORT);
    if (s->dead) return ST_OK;
    sim_crash_command(s);
    trace_command(s, c);
    if (!s->own_run && c->client_order_id[0]) s->own_run = oms_run_of(c->client_order_id);
    sim_check_command(s, c);
    s->out->commands++;
    enum status st = s->inner->submit(s->inner->context, c, lane, err);
    sim_crash_point(s, POINT_PORT);
    return st;
}

static enum status port_poll(void *context, int64_t until_ns, struct err *err) {
    struct sim *s = context;
    sim_crash_point(s, POINT_POLL);
    if (s->dead || sim_is_over(s)) {
        s->stop = 1;
        return ST_OK;
    }
    return s->inner->poll(s->inner->context, until_ns, err);
}

static int64_t port_now(void *context) {
    struct sim *s = context;
    return s->inner->now_ns(s->inner->context);
}

static bool port_is_up(void *context) {
    struct sim *s = context;
    return s->inner->is_up(s->inner->context);
}

static void port_make(struct sim *s) {
    s->inner = venue_link_port(s->link);
    s->port = (struct venue_port){.context = s,
                                  .attach = port_attach,
                                  .bars = port_bars,
                                  .start = port_start,
                                  .submit = port_submit,
                                  .poll = port_poll,
                                  .now_ns = port_now,
                                  .is_up = port_is_up};
    s->canary_port = canary_port(&s->canary, &s->port);
}

/* ---- one life ---- */

static enum status connect(struct sim *s, struct err *err) {
    struct binance_options o = binance_options_defaults();
    const struct binance_ports ports = sim_net_ports(s->net);
    o.rest_url = "http://exchange.simulated";
    o.api_key = SIM_KEY_TRADER;
    o.api_secret = SIM_SECRET_TRADER;
    o.seed = s->o.seed;
    enum status st = venue_link_open_on(&s->link, &o, &ports, s->contracts, s->contract_count, err);
    if (st != ST_OK) {
        s->link = NULL;
        return st;
    }
    port_make(s);
    if (s->contracts) return ST_OK;
    const struct instrument *all = venue_link_instruments(s->link, &s->contract_count);
    s->contracts = malloc(s->contract_count * sizeof *all);
    if (!s->contracts) return err_set(err, ST_NO_MEMORY, "contracts");
    memcpy(s->contracts, all, s->contract_count * sizeof *all);
    sim_check_numbers(s);
    s->from_ns = binance_now_ns(venue_link_client(s->link));
    s->wallet_start = binance_wallet(venue_link_client(s->link));
    return ST_OK;
}

static enum status learner_open(struct sim *s, struct session_options *o, struct err *err) {
    const char *paths[MODEL_COUNT];
    struct sim_learner *l = s->learner;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) paths[k] = s->model_paths[k];
    l->world = s->venue.world;
    l->contracts = s->contracts;
    l->count = s->contract_count;
    o->labels = &l->labels;
    o->retrain_hash = LEARNER_HASH;
    o->warmup_bars = feature_warmup_bars() + net_history_bars() + BARS_MARGIN;
    if (mkdir(s->run_dir, 0755) != 0 && errno != EEXIST)
        return err_errno(err, ST_IO, "%s", s->run_dir);
    return sim_learner_open(&o->retrain, l, s->run_dir, paths, s->o.seed, s->from_ns, err);
}

static void session_close(struct session_options *o) {
    retrain_destroy(o->retrain);
    feed_close(o->feed);
}

static enum status session_of(struct sim *s, struct session_options *o, struct err *err) {
    *o = session_options_defaults();
    o->port = &s->canary_port;
    o->observer = &s->observer;
    o->warmup_bars = DAY_BARS + BARS_MARGIN;
    o->mode = MODE_PAPER;
    o->strategy = s->o.strategy;
    o->seed = s->o.seed;
    o->wallet_start = s->wallet_start;
    o->run_dir = s->run_dir;
    o->stop = &s->stop;
    o->inbox = s->inbox;
    o->durable = true;
    o->trades_commit_ns = TRADES_COMMIT_NS;
    s->journal_options = journal_options_defaults();
    s->journal_options.segment_bytes = SEGMENT_BYTES;
    s->journal_options.buffer_bytes = BUFFER_BYTES;
    s->journal_options.probe = &s->disk.probe;
    o->journal_options = &s->journal_options;
    enum status st = ST_OK;
    if (s->learner) st = learner_open(s, o, err);
    if (st != ST_OK) return st;
    return feed_open_live(&o->feed, s->contracts, s->contract_count, NS_PER_MINUTE, s->from_ns,
                          MARKET_HASH, err);
}

/* What a process may fail of when the world is bad; anything else it has done to itself. */
static bool is_the_worlds(enum status st) {
    return st == ST_TIMEOUT || st == ST_DISCONNECTED || st == ST_EXTERNAL || st == ST_REFUSED ||
           st == ST_IO;
}

static void count(struct sim *s, const struct session_result *r) {
    s->out->orders = r->totals.orders;
    s->out->fills = r->totals.fills;
    s->out->trades = r->totals.trades;
}

static enum status live_once(struct sim *s, struct err *err) {
    static struct session_result result;
    struct session_options o;
    struct err why = {0};
    s->out->lives++;
    s->stop = 0;
    s->dead = s->ended_clean = false;
    s->placed_seq = 0;
    enum status st = connect(s, &why);
    bool connected = st == ST_OK;
    if (connected) {
        st = session_of(s, &o, err);
        if (st != ST_OK) {
            session_close(&o);
            return st;
        }
        st = session_run(&result, &o, &why);
        session_close(&o);
    }
    s->ended_clean = !s->dead && st == ST_OK;
    if (s->ended_clean) {
        count(s, &result);
        s->state_hash = result.state_hash;
    } else if (!s->dead && !is_the_worlds(st)) {
        sim_violation(s, "the trader's process failed: %s", why.text);
    }
    if (!s->dead && st != ST_OK) log_info("sim", "trader ended", "why=\"%s\"", why.text);
    if (s->link) venue_link_close(s->link);
    s->link = NULL;
    if (s->dead) return sim_crash_over(s, err);
    sim_alive(s, false);
    return ST_OK;
}

/* Nobody is there; the exchange and the network go on. */
static void absent(struct sim *s) {
    int64_t until =
        s->clock.now_ns + (int64_t)(1 + rng_below(&s->rng, START_AGAIN_S_MAX)) * NS_PER_SECOND;
    if (!s->dead) s->out->restarts++;
    sim_pass(s, until < s->end_ns ? until : s->end_ns, false);
}

enum status sim_live(struct sim *s, struct err *err) {
    for (;;) {
        enum status st = live_once(s, err);
        if (st != ST_OK || sim_is_over(s)) return st;
        absent(s);
    }
}

void sim_second_executor(struct sim *s) {
    static struct session_result result;
    struct session_options o;
    struct err err = {0};
    enum status st = session_of(s, &o, &err);
    if (st == ST_OK) st = session_run(&result, &o, &err);
    session_close(&o);
    if (st != ST_EXISTS)
        sim_violation(s, "a second process on the same run directory: %s",
                      st == ST_OK ? "it ran" : err.text);
}

enum status sim_verify(struct sim *s, struct err *err) {
    static struct session_result result;
    struct session_options o;
    struct err why = {0};
    static const struct venue_port nobody = {0};
    if (!s->ended_clean) return ST_OK;
    enum status st = session_of(s, &o, err);
    if (st != ST_OK) return st;
    s->stop = 0;
    o.port = &nobody;
    o.observer = NULL;
    o.verify = true;
    o.journal_options = NULL; /* only read */
    st = session_run(&result, &o, &why);
    session_close(&o);
    if (st != ST_OK)
        sim_violation(s, "journal does not replay: %s", why.text);
    else
        check_replay(s->check, "state", s->state_hash, result.state_hash);
    s->out->records_verified = result.records_checked;
    return ST_OK;
}
