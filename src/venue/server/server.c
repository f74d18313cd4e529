#include "venue/server/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/rng.h"
#include "venue/server/server_internal.h"

enum {
    TICK_MS_MAX = 10,
    STREAM_MESSAGES_PER_S = 10, /* incoming, of one stream connection: the venue's rule */
    METRICS_BYTES = 64 << 10,
    SECOND_MS = 1000
};

/* ---- time ---- */

int64_t server_now(struct server *s) {
    int64_t now = tstamp_wall_ns() + s->offset_ns;
    if (now > s->last_ns) s->last_ns = now;
    s->act.now_ns = s->last_ns;
    return s->last_ns;
}

void server_settle(struct server *s) {
    if (streams_deadline(s->streams) > s->last_ns) return;
    world_advance(s->world, s->last_ns); /* candles close before they are told */
    streams_time(s->streams, s->last_ns);
}

static void tell_failure(struct server *s) {
    struct err err;
    if (s->told_failure || world_failed(s->world, &err) == ST_OK) return;
    s->told_failure = true;
    log_error("exchange", "its disk failed: orders are refused from now on", "why=\"%s\"",
              err.text);
}

static void on_clock(uv_timer_t *timer) {
    struct server *s = timer->data;
    int64_t now = server_now(s);
    world_advance(s->world, now);
    streams_time(s->streams, now);
    tell_failure(s);
    int64_t due = world_deadline(s->world), streams = streams_deadline(s->streams);
    if (streams < due) due = streams;
    int64_t wait_ms = (due - now + NS_PER_MS - 1) / NS_PER_MS;
    uint64_t ms = wait_ms < 1 ? 1 : wait_ms > TICK_MS_MAX ? TICK_MS_MAX : (uint64_t)wait_ms;
    uv_timer_start(timer, on_clock, ms, 0);
}

static void on_second(uv_timer_t *timer) {
    struct server *s = timer->data;
    (void)server_now(s);
    fault_second(&s->act);
    server_settle(s);
}

static void on_event(void *context, const struct exchange_event *event) {
    struct server *s = context;
    streams_event(s->streams, event);
}

/* ---- accounts ---- */

static void account_open(struct world *w, const struct key_row *row) {
    struct exchange_reply reply;
    struct exchange_input in = {.kind = EXI_ACCOUNT_OPEN, .amount = row->balance};
    world_do(w, &in, w->now_ns, &reply);
    if (reply.code) return;
    ASSERT(reply.account == row->account);
    if (row->fee_maker.e8 == 0 && row->fee_taker.e8 == 0) return;
    in = (struct exchange_input){
        .kind = EXI_FEES, .account = row->account, .rate = row->fee_maker, .rate2 = row->fee_taker};
    world_do(w, &in, w->now_ns, &reply);
}

/* Those that are not there yet; accounts are numbered as their names first appear. */
static void accounts_open(struct world *w, const struct keys *keys) {
    for (uint32_t i = 0; i < keys->count; i++)
        if (keys->rows[i].opens && keys->rows[i].account >= exchange_account_count(w->exchange))
            account_open(w, &keys->rows[i]);
}

/* The numbers are all the exchange knows, so another order of names would hand out somebody else's money. */
static enum status names_check(const char *state_dir, const struct keys *keys, struct err *err) {
    char path[4096], line[64];
    if (!state_dir) return ST_OK;
    int n = snprintf(path, sizeof path, "%s/accounts", state_dir);
    ASSERT(n > 0 && (size_t)n < sizeof path);
    FILE *f = fopen(path, "a+");
    if (!f) return err_errno(err, ST_IO, "%s", path);
    rewind(f);
    enum status st = ST_OK;
    for (uint32_t i = 0; st == ST_OK && i < keys->count; i++) {
        if (!keys->rows[i].opens) continue;
        if (fgets(line, sizeof line, f)) {
            line[strcspn(line, "\n")] = '\0';
            if (strcmp(line, keys->rows[i].name) != 0)
                st = err_set(err, ST_MISMATCH,
                             "account %u was '%s' and is '%s' now: accounts keep their order, new "
                             "ones come last (or start over: --fresh)",
                             keys->rows[i].account, line, keys->rows[i].name);
        } else {
            fseek(f, 0, SEEK_END);
            fprintf(f, "%s\n", keys->rows[i].name);
        }
    }
    if (fclose(f) != 0 && st == ST_OK) st = err_errno(err, ST_IO, "%s", path);
    return st;
}

/* ---- opening ---- */

static void prepare(void *context, struct world *w) {
    struct server *s = context;
    /* The past first: with the first input the market begins, and is fed. */
    if (source_prepare(s->source, w, &s->prepare_failed) == ST_OK)
        accounts_open(w, s->options.keys);
}

static void feed(void *context, struct world *w, int64_t until_ns) {
    struct server *s = context;
    source_feed(s->source, w, until_ns);
}

static struct market_config market_of(const struct server *s, int64_t start_ns) {
    const struct listing *l = s->options.listing;
    struct market_config m = market_config_defaults();
    m.source = s->options.source;
    m.seed = s->options.seed;
    m.volatility_day = s->options.volatility_day;
    m.instrument_count = l->count;
    m.instruments = l->instruments;
    m.start_px = l->start_px;
    m.start_ns = start_ns;
    m.interval_ns = l->interval_ns;
    return m;
}

static enum status world_make(struct server *s, struct err *err) {
    enum { MANY = 64, BARS = 1500, BARS_OF_MANY = 500, TRADES = 1000, FUNDINGS = 1000 };
    const struct listing *l = s->options.listing;
    int64_t now = server_now(s);
    struct world_options o = {.exchange = exchange_config_defaults(),
                              .market = market_of(s, now),
                              .history = history_limits_defaults(),
                              .state_dir = s->options.state_dir,
                              .start_ns = now,
                              .prepare = prepare,
                              .feed = feed,
                              .context = s};
    o.exchange.instrument_count = l->count;
    o.exchange.instruments = l->instruments;
    o.exchange.accounts_max = KEYS_MAX + 1;
    o.ticks = (struct ticks_limits){.instrument_count = l->count,
                                    .bars = l->count <= MANY ? BARS : BARS_OF_MANY,
                                    .trades = TRADES,
                                    .fundings = FUNDINGS};
    enum status st =
        source_open(&s->source, l, &o.market, s->options.history_days, s->options.state_dir, err);
    if (st == ST_OK) st = world_open(&s->world, &o, err);
    if (st != ST_OK) return st;
    if (s->prepare_failed.st != ST_OK) {
        if (err) *err = s->prepare_failed;
        return s->prepare_failed.st;
    }
    if (s->world->now_ns > now) {
        log_warn("exchange", "the state is ahead of the clock: exchange time goes on from there",
                 "ahead_ms=%lld", (long long)((s->world->now_ns - now) / NS_PER_MS));
        s->offset_ns += s->world->now_ns - now;
        s->last_ns = s->world->now_ns;
    }
    return ST_OK;
}

static enum status calls_make(struct server *s, struct err *err) {
    struct limiter_config limits = limiter_config_defaults();
    struct streams_options streams = {.seed = 0};
    enum status st = limiter_create(&s->limiter, &limits, err);
    if (st == ST_OK) st = streams_create(&s->streams, s->world, &streams, err);
    if (st != ST_OK) return st;
    s->rest.world = s->world;
    s->rest.keys = s->options.keys;
    s->rest.limiter = s->limiter;
    s->rest.streams = s->streams;
    s->rest.options = rest_options_defaults();
    s->rest.options.limits_enforced = !s->options.limits_off;
    s->rest.options.ack_carries_average = s->options.ack_carries_average;
    s->rest.options.classic_conditional = s->options.classic_conditional;
    st = rest_init(&s->rest, err);
    if (st != ST_OK) return st;
    s->world->on_event = on_event;
    s->world->on_event_context = s;
    /* The switches of the state are those of its last life. */
    world_classic_set(s->world, s->options.classic_conditional, server_now(s));
    accounts_open(s->world, s->options.keys);
    return ST_OK;
}

static enum status metrics_make(struct server *s, struct err *err) {
    static const double bounds[] = {1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 1e-2, 1e-1};
    static const char answered[] = "requests answered, by status";
    s->metrics = metrics_create();
    s->metrics_text = malloc(METRICS_BYTES);
    if (!s->metrics || !s->metrics_text) return err_set(err, ST_NO_MEMORY, "metrics");
    struct metrics *m = s->metrics;
    int *h = s->handles;
    static const char *const classes[] = {"status=\"2xx\"", "status=\"4xx\"", "status=\"5xx\""};
    for (int i = 0; i < 3; i++)
        h[METRIC_ANSWERED_2XX + i] = metrics_add(
            m, METRIC_COUNTER, "exchange_request_answered_total", classes[i], answered, NULL, 0);
    h[METRIC_LATENCY] = metrics_add(m, METRIC_HISTOGRAM, "exchange_request_handled_seconds", "",
                                    "from a request's last byte to its answer", bounds,
                                    sizeof bounds / sizeof *bounds);
    static const struct {
        enum server_metric id;
        enum metric_type type;
        const char *name, *help;
    } rows[] = {
        {METRIC_STREAM_MESSAGES, METRIC_COUNTER, "exchange_stream_delivered_total",
         "stream messages handed to connections"},
        {METRIC_STREAM_CLIENTS, METRIC_GAUGE, "exchange_stream_clients", "stream connections"},
        {METRIC_CONNECTIONS, METRIC_GAUGE, "exchange_connections", "open connections"},
        {METRIC_SLOW_CUT, METRIC_COUNTER, "exchange_connection_cut_total",
         "connections cut for not reading"},
        {METRIC_JOURNAL, METRIC_COUNTER, "exchange_journal_written_total", "journal records"},
        {METRIC_SNAPSHOTS, METRIC_COUNTER, "exchange_snapshot_written_total", "snapshots"},
        {METRIC_SNAPSHOT_STALL, METRIC_GAUGE, "exchange_snapshot_stall_seconds",
         "longest standstill for a snapshot"},
        {METRIC_DISOBEYED, METRIC_COUNTER, "exchange_limit_disobeyed_total",
         "calls in spite of a Retry-After that a fault gave"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        h[rows[i].id] = metrics_add(m, rows[i].type, rows[i].name, "", rows[i].help, NULL, 0);
    for (int k = 0; k < FAULT_COUNT; k++) {
        char label[48];
        snprintf(label, sizeof label, "kind=\"%s\"", fault_name((enum fault)k));
        h[METRIC_FAULTS + k] = metrics_add(m, METRIC_COUNTER, "exchange_fault_fired_total", label,
                                           "faults that happened", NULL, 0);
    }
    return ST_OK;
}

void server_metrics_update(struct server *s) {
    struct net_stats net;
    struct streams_stats streams;
    struct world_stats world;
    net_stats_get(s->net, &net);
    streams_stats_get(s->streams, &streams);
    world_stats_get(s->world, &world);
    const int *h = s->handles;
    metrics_set(s->metrics, h[METRIC_STREAM_MESSAGES], (double)streams.messages);
    metrics_set(s->metrics, h[METRIC_STREAM_CLIENTS], (double)streams.clients);
    metrics_set(s->metrics, h[METRIC_CONNECTIONS], (double)net.open);
    metrics_set(s->metrics, h[METRIC_SLOW_CUT], (double)net.slow_cut);
    metrics_set(s->metrics, h[METRIC_JOURNAL], (double)world.records);
    metrics_set(s->metrics, h[METRIC_SNAPSHOTS], (double)world.snapshots);
    metrics_set(s->metrics, h[METRIC_SNAPSHOT_STALL], (double)world.fork_ns_max / 1e9);
    metrics_set(s->metrics, h[METRIC_DISOBEYED], (double)s->act.state.disobeyed);
    for (int k = 0; k < FAULT_COUNT; k++)
        metrics_set(s->metrics, h[METRIC_FAULTS + k], (double)s->act.faults.rows[k].fired);
}

static enum status ports_open(struct server *s, struct err *err) {
    const struct server_options *o = &s->options;
    struct net_options n = {
        .host = o->host,
        .port = o->port,
        .tls_cert_file = o->tls_cert_file,
        .tls_key_file = o->tls_key_file,
        .date_offset_ns = s->offset_ns,
        .busy_poll_ns = o->busy_poll_ns,
        .limits = net_limits_defaults(),
        .handlers = {s, server_on_request, server_on_open, server_on_message, server_on_close}};
    n.limits.messages_per_s_max = o->limits_off ? 0 : STREAM_MESSAGES_PER_S;
    enum status st = net_open(&s->net, s->loop, &n, err);
    if (st != ST_OK || !o->admin) return st;
    struct net_options a = {.host = "127.0.0.1",
                            .port = o->admin_port,
                            .limits = net_limits_defaults(),
                            .handlers = {.context = s, .on_request = admin_on_request}};
    st = net_open(&s->admin, s->loop, &a, err);
    if (st != ST_OK) return err_wrap(err, st, "admin");
    s->admin_port = net_port(s->admin);
    return ST_OK;
}

static void timers_start(struct server *s) {
    s->clock_timer.data = s->job_timer.data = s->second_timer.data = s;
    int failed = uv_timer_init(s->loop, &s->clock_timer) | uv_timer_init(s->loop, &s->job_timer) |
                 uv_timer_init(s->loop, &s->second_timer);
    failed |= uv_timer_start(&s->clock_timer, on_clock, 1, 0);
    failed |= uv_timer_start(&s->second_timer, on_second, SECOND_MS, SECOND_MS);
    ASSERT(failed == 0); /* timers take nothing that could be missing */
    s->timers_open = true;
}

static enum status acts_make(struct server *s, struct err *err) {
    s->act.world = s->world;
    s->act.streams = s->streams;
    s->act.rest = &s->rest;
    s->act.listing = s->options.listing;
    s->act.classic_conditional = s->options.classic_conditional;
    return fault_act_init(&s->act, err);
}

static enum status server_make(struct server *s, struct err *err) {
    const struct server_options *o = &s->options;
    enum status st = ST_OK;
    faults_init(&s->act.faults, o->seed);
    if (o->faults) st = faults_parse(&s->act.faults, o->faults, err);
    if (st == ST_OK) st = world_make(s, err);
    if (st == ST_OK) st = names_check(o->state_dir, o->keys, err);
    if (st == ST_OK) st = calls_make(s, err);
    if (st == ST_OK) st = metrics_make(s, err);
    if (st == ST_OK) st = acts_make(s, err);
    if (st == ST_OK) world_advance(s->world, server_now(s));
    return st == ST_OK ? ports_open(s, err) : st;
}

enum status server_open(struct server **out, struct uv_loop_s *loop,
                        const struct server_options *options, struct err *err) {
    *out = NULL;
    struct server *s = calloc(1, sizeof *s);
    if (!s) return err_set(err, ST_NO_MEMORY, "exchange server");
    struct rng root = rng_init(options->seed);
    s->loop = loop;
    s->options = *options;
    s->offset_ns = options->clock_offset_ns;
    s->latency_rng = rng_split(&root, 1);
    enum status st = server_make(s, err);
    if (st != ST_OK) {
        server_stop(s);
        server_free(s, NULL);
        return st;
    }
    timers_start(s);
    *out = s;
    return ST_OK;
}

uint16_t server_port(const struct server *s) {
    return net_port(s->net);
}

uint16_t server_admin_port(const struct server *s) {
    return s->admin_port;
}

void server_stop(struct server *s) {
    if (s->stopping) return;
    s->stopping = true;
    server_jobs_drop(s);
    if (s->net) net_close(s->net);
    if (s->admin) net_close(s->admin);
    if (!s->timers_open) return;
    uv_close((uv_handle_t *)&s->clock_timer, NULL);
    uv_close((uv_handle_t *)&s->job_timer, NULL);
    uv_close((uv_handle_t *)&s->second_timer, NULL);
}

enum status server_free(struct server *s, struct err *err) {
    enum status st = ST_OK;
    ASSERT(s->stopping);
    rest_free(&s->rest);
    streams_destroy(s->streams);
    if (s->limiter) limiter_destroy(s->limiter);
    if (s->world) st = world_close(s->world, err);
    source_close(s->source);
    fault_act_free(&s->act);
    if (s->metrics) metrics_destroy(s->metrics);
    free(s->metrics_text);
    free(s);
    return st;
}
