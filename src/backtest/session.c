#include "backtest/session.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backtest/live_candles.h"
#include "backtest/session_internal.h"
#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/tstamp.h"
#include "feature/feature.h"

enum {
    DB_COMMIT_PUTS = 20000,
    LOOK_EVERY_STEPS = 64, /* how often an unpaced run reads the clock */
};
#define VIEW_EVERY_NS     (100 * NS_PER_MS)
#define PROGRESS_EVERY_NS (200 * NS_PER_MS)
#define DB_COMMIT_NS      NS_PER_SECOND

struct session_options session_options_defaults(void) {
    struct session_options o = {.mode = MODE_REPLAY,
                                .strategy = STRATEGY_ENSEMBLE,
                                .engine = {.rule = ENSEMBLE_POOL, .exit_brain = 1},
                                .seed = 1,
                                .wallet_start = {10000 * FX_ONE}};
    const struct ensemble_config e = ensemble_config_defaults();
    memcpy(o.engine.weights, e.weights, sizeof o.engine.weights);
    return o;
}

/* ---- configuration ---- */

static struct simex_config exchange_config(const struct session_options *o) {
    struct simex_config c = simex_config_defaults();
    c.instrument_count = feed_symbol_count(o->feed);
    c.instruments = feed_instruments(o->feed);
    c.wallet_start = o->wallet_start;
    c.interval_ns = feed_interval_ns(o->feed);
    return c;
}

/* The engine's figures that have their place elsewhere: labels, limits, costs. */
static struct engine_config engine_config_of(const struct kernel_config *c,
                                             const struct label_spec *spec,
                                             const struct session_engine *chosen) {
    struct engine_config e = engine_config_defaults(c->interval_ns, spec->horizon_bars);
    e.seed = c->seed;
    e.barrier_atr = spec->barrier_atr;
    e.barrier_min = spec->barrier_cost_multiple * spec->cost_round_trip;
    e.cost = e.governance.classic_cost = spec->cost_round_trip;
    e.stop_cost_multiple = c->limits.stop_cost_multiple;
    e.ensemble.confidence_min = c->bot.confidence_min;
    e.ensemble.rule = chosen->rule;
    memcpy(e.ensemble.weights, chosen->weights, sizeof e.ensemble.weights);
    memcpy(e.governance.priors, chosen->weights, sizeof e.governance.priors);
    /* Off by default: the table's least confidences were those of uncalibrated answers; a calibrated one of three
     * labels is rarely above them, however good it is. */
    e.strategy.use_confidence = chosen->strategy_confidence;
    e.sizing.leverage_max = c->limits.leverage_max;
    e.sizing.stop_risk = c->limits.risk_per_trade;
    e.sizing.total_max = e.portfolio.total_max = c->limits.exposure_total_max;
    e.portfolio.positions_max = c->limits.positions_max;
    return e;
}

/* The interval begins with what the best of the first models left over on its test rows. */
static const struct conformal_table *residuals_of(const struct session_options *o) {
    const struct conformal_table *best = NULL;
    double least = INFINITY;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        struct served_model *m =
            o->retrain ? retrain_model(o->retrain, (enum model_kind)k) : o->models[k];
        if (!m || !(served_model_report(m)->logloss_test < least)) continue;
        least = served_model_report(m)->logloss_test;
        best = &served_model_evidence(m)->residuals;
    }
    return best;
}

static struct kernel_config kernel_config_of(const struct session_options *o) {
    int64_t interval = feed_interval_ns(o->feed);
    struct label_spec spec = o->labels ? *o->labels : label_spec_defaults();
    struct kernel_config c = {
        .mode = o->mode,
        .seed = o->seed,
        .interval_ns = interval,
        .trade_from_ns = feed_from_ns(o->feed) + interval,
        .instrument_count = feed_symbol_count(o->feed),
        .instruments = feed_instruments(o->feed),
        .wallet_start = o->wallet_start,
        .half_spread = simex_config_defaults().half_spread,
        .features = o->strategy == STRATEGY_ENSEMBLE || o->barrier_exits,
        .synthetic = feed_is_synthetic(o->feed),
        .bot = bot_config_defaults(o->strategy, interval),
        .limits = risk_limits_defaults(),
        .exits = exits_config_defaults(),
    };
    c.bot.seed = o->seed;
    c.exits.stray = (uint32_t)o->stray;
    if (o->strategy == STRATEGY_ENSEMBLE || o->barrier_exits) {
        /* The exits are the label's barriers: what was learned is what is traded. */
        c.bot.exits_by_barrier = true;
        c.bot.barrier_atr = spec.barrier_atr;
        c.bot.barrier_min = spec.barrier_cost_multiple * spec.cost_round_trip;
        c.bot.horizon_bars = spec.horizon_bars;
    }
    c.limits.cost_gate = o->strategy == STRATEGY_ENSEMBLE;
    if (c.limits.cooldown_ns < interval) c.limits.cooldown_ns = interval;
    c.limits.market_age_ns_max = 2 * interval;
    c.breaker = breaker_config_defaults(interval);
    c.engine = engine_config_of(&c, &spec, &o->engine);
    c.exit_brain = o->engine.exit_brain != 0;
    c.monitor = exit_monitor_config_defaults();
    c.residuals = residuals_of(o);
    return c;
}

/* A live market is not the same twice, its rules and the wallet neither: such a run is known by what was asked for. */
static uint64_t live_identity(const struct session_options *o) {
    const uint64_t words[] = {(uint64_t)o->mode,      (uint64_t)o->strategy,
                              (uint64_t)o->stray,     o->seed,
                              feed_hash(o->feed),     (uint64_t)feed_interval_ns(o->feed),
                              session_models_hash(o), feature_list_hash(),
                              o->engine.rule,         o->engine.strategy_confidence,
                              o->engine.exit_brain};
    return hash_chain(hash64(words, sizeof words), o->engine.weights, sizeof o->engine.weights);
}

uint64_t session_identity(const struct session_options *o) {
    if (o->port) return live_identity(o);
    struct kernel_config kc = kernel_config_of(o);
    struct simex_config xc = exchange_config(o);
    const uint64_t words[] = {
        kernel_config_hash(&kc),    feed_hash(o->feed),          session_models_hash(o),
        feature_list_hash(),        (uint64_t)o->mode,           (uint64_t)xc.latency_ns,
        (uint64_t)xc.fill_delay_ns, (uint64_t)xc.half_spread.e8, (uint64_t)xc.depth_share.e8};
    return hash64(words, sizeof words);
}

bool session_stopped(const struct session *s) {
    return s->o.stop && *s->o.stop;
}

void session_renew(struct session *s) {
    if (s->o.lease)
        lease_renew(s->o.lease, s->recovery == VIEW_RECOVERED ? LEASE_RUNNING : LEASE_STARTING);
}

/* ---- doing what came out ---- */

static void db_note(struct session *s, enum status st) {
    if (st != ST_OK && s->failed == ST_OK) s->failed = st;
    s->db_puts++;
}

static void keep(struct session *s, const struct event *event) {
    if (event->type != EVENT_TRADE_CLOSED) return;
    s->state->trade_hash = report_trade_hash(s->state->trade_hash, &event->u.trade_closed);
    if (s->db) db_note(s, tradedb_trade_put(s->db, &event->u.trade_closed, s->err));
}

void session_handle(struct session *s, struct kernel_out *out) {
    uint32_t commands = 0;
    bool fresh[KERNEL_OUT_MAX]; /* not on record: with a port, only those leave */
    for (uint32_t i = 0; i < out->count && s->failed == ST_OK; i++) {
        const struct event *e = &out->events[i];
        session_record(s, e);
        fresh[i] = s->recorded_new;
        if (fresh[i] && s->o.observer && s->o.observer->happened)
            s->o.observer->happened(s->o.observer->context, e);
        if (event_info(e->type)->published) session_publish(s, e);
        keep(s, e);
        commands += e->type == EVENT_ORDER_PLACED;
    }
    if (commands == 0 || s->failed != ST_OK) return;
    /* On disk before the first byte leaves. */
    if (s->o.durable && s->journal && !s->reader) {
        enum status st = journal_commit(s->journal, s->err);
        if (st != ST_OK) {
            s->failed = st;
            return;
        }
    }
    for (uint32_t i = 0; i < out->count; i++) {
        if (out->events[i].type != EVENT_ORDER_PLACED) continue;
        if (s->o.port) {
            if (fresh[i] && !s->o.verify) session_live_submit(s, &out->events[i].u.venue_command);
            continue;
        }
        enum status st = simex_submit(s->simex, &out->events[i].u.venue_command);
        if (st != ST_OK)
            s->failed = err_set(s->err, st, "exchange: command queue: %s", status_text(st));
    }
}

/* ---- one step ---- */

void session_venue(struct session *s, const struct venue_event *ev, int64_t recv) {
    if (recv > s->state->last_ts_ns) s->state->last_ts_ns = recv;
    if (s->journal || s->reader || s->bus) {
        struct event e;
        event_init(&e, EVENT_EXECUTION_RESULT, recv);
        e.u.venue_event = *ev;
        session_record(s, &e);
        session_publish(s, &e);
    }
    bool money =
        ev->kind == VENUE_ORDER_TRADE || ev->kind == VENUE_LIQUIDATION || ev->kind == VENUE_FUNDING;
    if (s->db && money)
        db_note(s,
                tradedb_fill_put(s->db, ev,
                                 feed_instruments(s->o.feed)[ev->instrument_index].symbol, s->err));
    s->out.count = 0;
    kernel_venue(s->kernel, &s->out, ev, recv);
    session_handle(s, &s->out);
}

/* Lets the exchange and the kernel's timers run until `until`. */
static void pump(struct session *s, int64_t until) {
    struct venue_event ev;
    while (s->failed == ST_OK) {
        int64_t deadline = kernel_open_count(s->kernel) ? kernel_deadline(s->kernel) : INT64_MAX;
        int64_t to = deadline < until ? deadline : until;
        if (simex_next(s->simex, to, &ev)) {
            session_venue(s, &ev, ev.ts_event_ns + s->simex_config.latency_ns);
        } else if (deadline <= until) {
            s->out.count = 0;
            kernel_time(s->kernel, &s->out, deadline);
            if (deadline > s->state->last_ts_ns) s->state->last_ts_ns = deadline;
            session_handle(s, &s->out);
        } else {
            return;
        }
    }
}

static void sleep_until(struct session *s, int64_t wall_ns, uint64_t part) {
    while (!session_stopped(s) && s->failed == ST_OK) {
        session_renew(s);
        session_commands(s, part);
        int64_t left = wall_ns - tstamp_monotonic_ns();
        if (left <= 0) return;
        if (left > 20 * NS_PER_MS) left = 20 * NS_PER_MS;
        const struct timespec ts = {.tv_sec = 0, .tv_nsec = (long)left};
        nanosleep(&ts, NULL);
    }
}

static void publish_view(struct session *s, bool running);

/* part: of the step, for the commands that come meanwhile. */
static void pace(struct session *s, int64_t market_ns, uint64_t part) {
    session_commands(s, part);
    if (s->o.speed <= 0 || s->reader || market_ns < s->kernel_config.trade_from_ns)
        return; /* old bars need no waiting */
    if (s->pace_wall_ns == 0) {
        s->pace_wall_ns = tstamp_monotonic_ns();
        s->pace_market_ns = market_ns;
    }
    sleep_until(
        s, s->pace_wall_ns + (int64_t)((double)(market_ns - s->pace_market_ns) / s->o.speed), part);
    session_show(s);
}

/* A paced market shows its inside: the path's two extremes arrive as ticks. */
static void run_inside(struct session *s, const struct feed_step *step) {
    int64_t interval = feed_interval_ns(s->o.feed);
    for (uint32_t part = 1; part <= 2; part++) {
        int64_t ts = step->open_ts_ns + interval * (int64_t)part / 3;
        pump(s, ts);
        for (uint32_t j = 0; j < step->count; j++) {
            const struct bar *b = step->bars[j];
            bool low = (b->close.e8 >= b->open.e8) == (part == 1);
            struct tick tick = {
                .ts = ts, .trade_id = step->index * 2 + part, .price = low ? b->low : b->high};
            kernel_tick(s->kernel, step->symbols[j], &tick);
        }
        pace(s, ts, part);
    }
}

static void open_step(struct session *s, const struct feed_step *step) {
    for (uint32_t j = 0; j < step->ended_count; j++) {
        simex_instrument_status(s->simex, step->ended[j], INSTRUMENT_CLOSED);
        kernel_instrument_status(s->kernel, step->ended[j], INSTRUMENT_CLOSED);
    }
    s->exchange_work += step->count;
    for (uint32_t j = 0; j < step->count; j++)
        simex_bar_begin(s->simex, step->symbols[j], step->bars[j], step->marks[j]);
    for (uint32_t j = 0; j < step->funding_count; j++)
        if (simex_is_active(s->simex, step->fundings[j].symbol))
            simex_funding(s->simex, step->fundings[j].symbol, step->fundings[j].ts_ns,
                          step->fundings[j].rate);
}

static void tell_decisions(struct session *s, int64_t close) {
    const struct kernel_scratch *w = s->scratch;
    if (!w || w->count == 0) return;
    for (uint32_t i = 0; i < w->count; i++)
        view_counts_add(&s->counts, &w->decisions[i], s->votes + (size_t)i * MODEL_COUNT);
    if (s->o.observer && s->o.observer->decided)
        s->o.observer->decided(s->o.observer->context, close, w->decisions, s->votes, w->count);
}

void session_decide(struct session *s, int64_t close) {
    uint32_t count;
    const uint32_t *stepped = kernel_stepped(s->kernel, &count);
    bool ensemble = s->o.strategy == STRATEGY_ENSEMBLE;
    int64_t begin = s->decide_began_ns ? s->decide_began_ns : tstamp_monotonic_ns();
    uint64_t answers = session_answers(s);
    s->decide_began_ns = 0;
    /* Not before the rows are whole: a column that is still warming up is far from anything trained on. */
    if (ensemble && close >= s->kernel_config.trade_from_ns && !s->state->seated) {
        s->state->seated = 1;
        session_seats_start(s, close);
    }
    if (s->kernel_config.features) {
        session_rows_complete(s, stepped, count);
        if (ensemble) memset(s->votes, 0, sizeof *s->votes * MODEL_COUNT * count);
        /* Before the window bars only warm the features up: nobody asks the models. */
        if (ensemble && close >= s->kernel_config.trade_from_ns)
            session_ask(s, stepped, count, close);
        session_retrain_show(s, stepped, count, close);
    }
    if (s->failed != ST_OK) return;
    s->out.count = 0;
    const struct kernel_close_input in = {
        .close_ts_ns = close,
        .rows = s->rows,
        .stride = feature_count(),
        .votes = ensemble && close >= s->kernel_config.trade_from_ns ? s->votes : NULL,
        .scratch = s->scratch};
    if (s->scratch) s->scratch->count = 0;
    kernel_close(s->kernel, &s->out, &in);
    tell_decisions(s, close);
    if (s->out.count > 0) { /* most bars lead to nothing */
        session_handle(s, &s->out);
        if (s->o.port)
            session_live_deliver(s);
        else
            session_deliver(s);
    }
    if (session_answers(s) > answers) hist_add(&s->decision_ns, tstamp_monotonic_ns() - begin);
    if (s->failed == ST_OK && close >= s->kernel_config.trade_from_ns) session_retrain(s, close);
    if (s->reseated && s->failed == ST_OK) session_reseat(s, close);
}

/* Each full hour; and the first moment of trading, for a report counts money up to the last point. */
static bool equity_is_due(const struct session *s, int64_t close) {
    int64_t from = s->kernel_config.trade_from_ns;
    return close >= from &&
           (close % NS_PER_HOUR == 0 || close - feed_interval_ns(s->o.feed) < from);
}

void session_put_equity(struct session *s, int64_t close) {
    if (!s->db || !equity_is_due(s, close)) return;
    const struct kernel_totals *t = kernel_totals(s->kernel);
    db_note(s, tradedb_equity_put(s->db, close, t->wallet, t->equity, t->exposure, s->err));
}

static void run_step(struct session *s, const struct feed_step *step) {
    int64_t close = step->open_ts_ns + feed_interval_ns(s->o.feed);
    uint64_t total = feed_step_count(s->o.feed);
    s->state->next_step = step->index;
    if (step->open_ts_ns > s->state->last_ts_ns) s->state->last_ts_ns = step->open_ts_ns;
    session_commands(s, COMMAND_AT_START);
    open_step(s, step);
    if (s->o.mode == MODE_PAPER) run_inside(s, step);
    pump(s, close);
    if (s->failed != ST_OK) return;
    pace(s, close, COMMAND_BEFORE_CLOSE);
    if (s->failed != ST_OK) return;
    if (close > s->state->last_ts_ns) s->state->last_ts_ns = close;
    s->decide_began_ns = s->rows ? tstamp_monotonic_ns() : 0;
    for (uint32_t j = 0; j < step->count; j++) session_bar(s, step->symbols[j], step->bars[j]);
    if (step->count > 0) session_decide(s, close);
    session_put_equity(s, close);
    if (total > 1 && step->index + 2 == total && s->failed == ST_OK) {
        /* One bar is left: everything goes at its open, by the ordinary path. */
        s->out.count = 0;
        kernel_flatten(s->kernel, &s->out, EXIT_END_OF_DATA, close);
        session_handle(s, &s->out);
        s->state->flattened = 1;
    }
    s->state->bars_since_snapshot += step->count;
}

/* ---- what is seen from outside ---- */

/* A role's last work is the last moment its own count moved, so a part that stops is seen to stop. */
static void view_roles(struct session *s, struct view *v, int64_t wall) {
    const struct kernel_totals *t = kernel_totals(s->kernel);
    const struct {
        const char *name;
        uint64_t work;
        bool on_demand; /* works when there is something to do; its age says nothing */
    } roles[SESSION_ROLES] = {
        {"feed", s->state->next_step, false},
        {"exchange", s->exchange_work, false},
        {"engine", s->o.strategy == STRATEGY_ENSEMBLE ? session_answers(s) : t->bars, false},
        {"bot", t->bars_trading, false},
        {"executor", t->delivered, true},
        {"monitor", t->positions + t->trades, true},
    };
    int64_t bar_wall =
        s->o.speed > 0 ? (int64_t)((double)feed_interval_ns(s->o.feed) / s->o.speed) : 0;
    v->role_count = SESSION_ROLES;
    for (uint32_t i = 0; i < SESSION_ROLES; i++) {
        struct view_role *r = &v->roles[i];
        memset(r, 0, sizeof *r);
        if (roles[i].work != s->role_work[i]) {
            s->role_work[i] = roles[i].work;
            s->role_wall_ns[i] = wall;
        }
        snprintf(r->name, sizeof r->name, "%s", roles[i].name);
        r->last_work_wall_ns = s->role_wall_ns[i];
        r->max_age_ns = roles[i].on_demand ? 0 : 3 * bar_wall + 5 * NS_PER_SECOND;
        r->work_count = roles[i].work;
    }
}

/* How far each symbol is from an answer; only the session knows both the rows and the bars. */
static void view_warmth(const struct session *s, struct view *v) {
    uint32_t need = s->kernel_config.features ? feature_warmup_bars() : 0;
    for (uint32_t i = 0; i < v->symbol_count; i++) {
        uint64_t had = s->state->next_step;
        v->symbols[i].bars_missing = v->symbols[i].warm || had >= need ? 0 : (uint32_t)(need - had);
    }
}

void session_show(struct session *s) {
    if (tstamp_monotonic_ns() - s->published_ns >= VIEW_EVERY_NS) publish_view(s, true);
}

void session_show_now(struct session *s) {
    publish_view(s, true);
}

static void publish_view(struct session *s, bool running) {
    if (!s->o.view_box) return;
    struct view *v = view_begin(s->o.view_box);
    int64_t wall = tstamp_wall_ns();
    kernel_view(s->kernel, v);
    v->counts = s->counts;
    v->risk.commands_taken = s->commands_taken;
    v->running = running;
    v->recovery = s->recovery;
    v->speed = s->o.speed;
    v->bar_interval_ns = feed_interval_ns(s->o.feed);
    view_warmth(s, v);
    v->started_wall_ns = s->started_wall_ns;
    v->published_wall_ns = wall;
    v->market_from_ns = feed_from_ns(s->o.feed);
    v->market_to_ns = feed_to_ns(s->o.feed);
    v->events = s->journal ? journal_last_seq(s->journal) : 0;
    v->journal_seq = v->events;
    v->journal_durable_seq = s->journal ? journal_durable_seq(s->journal) : 0;
    if (s->bus) {
        struct bus_stats b;
        bus_stats_get(s->bus, &b);
        v->bus_published = b.published;
        v->bus_delivered = b.delivered;
        v->bus_lag = s->pending_count;
        v->bus_oldest_pending_ns =
            s->pending_count ? tstamp_monotonic_ns() - s->waiting_since_ns : 0;
    }
    memset(v->models, 0, sizeof v->models);
    for (uint32_t i = 0; i < MODEL_COUNT; i++) {
        struct view_model *m = &v->models[i];
        if (session_model(s, (enum model_kind)i)) {
            *m = s->view_models[i];
            m->votes = s->predict_rows[i];
            m->predict_ns_p50 = (uint64_t)hist_quantile(&s->predict_ns[i], 0.50);
            m->predict_ns_p99 = (uint64_t)hist_quantile(&s->predict_ns[i], 0.99);
        }
        m->kind = i;
    }
    v->disagreement = (struct view_disagreement){.decisions = s->state->compared,
                                                 .differ = s->state->differing,
                                                 .distance = session_distance(s)};
    if (s->o.retrain) retrain_view(&v->retrain, s->o.retrain);
    view_roles(s, v, wall);
    view_publish(s->o.view_box);
    s->published_ns = tstamp_monotonic_ns();
}

static uint64_t fingerprint_of(const struct session *s) {
    /* Outcome only: trades, money, counts. No path, no wall time, no recovery history. */
    const struct kernel_totals *t = kernel_totals(s->kernel);
    const uint64_t words[] = {s->state->trade_hash,
                              t->bars_trading,
                              t->intents,
                              t->orders,
                              t->fills,
                              t->trades,
                              (uint64_t)t->wallet.e8,
                              (uint64_t)t->realized_pnl.e8,
                              (uint64_t)t->fees.e8,
                              (uint64_t)t->funding.e8};
    return hash64(words, sizeof words);
}

static void db_commit(struct session *s, bool go_on) {
    if (!s->db || s->failed != ST_OK) return;
    /* Trades are shown only once the journal that produced them is out of this process. */
    if (s->journal && !s->reader) db_note(s, journal_flush(s->journal, s->err));
    static struct report r;
    session_report(s, &r);
    r.fingerprint = fingerprint_of(s);
    db_note(s, report_save(&r, s->db, s->err));
    db_note(s, tradedb_commit(s->db, s->err));
    if (go_on) db_note(s, tradedb_begin(s->db, s->err));
    s->db_puts = 0;
    s->db_commit_ns = tstamp_monotonic_ns();
    if (s->o.reports && !s->reader && s->failed == ST_OK)
        s->o.reports->committed(s->o.reports->context, kernel_totals(s->kernel)->trades);
}

/* No input and no decision: on the bus alone. */
static void tell_report(struct session *s) {
    struct event e;
    event_init(&e, EVENT_REPORT_WRITTEN, s->state->last_ts_ns);
    if (s->o.reports->written(s->o.reports->context, &e.u.report_written)) session_publish(s, &e);
}

void session_look_around(struct session *s, uint64_t step) {
    int64_t now = tstamp_monotonic_ns();
    if (s->db_puts >= DB_COMMIT_PUTS || now - s->db_commit_ns >= s->o.trades_commit_ns)
        db_commit(s, true);
    if (s->o.reports && !s->reader && s->failed == ST_OK) tell_report(s);
    if (now - s->published_ns >= VIEW_EVERY_NS) publish_view(s, true);
    if (s->o.progress && now - s->progress_ns >= PROGRESS_EVERY_NS) {
        const struct kernel_totals *t = kernel_totals(s->kernel);
        const struct session_progress p = {.step = step,
                                           .step_count = feed_step_count(s->o.feed),
                                           .bars = t->bars,
                                           .trades = t->trades,
                                           .market_ts_ns = s->state->last_ts_ns,
                                           .recovering = s->reader != NULL};
        s->o.progress(s->o.progress_context, &p);
        s->progress_ns = now;
    }
}

/* ---- start and end ---- */

/* Answers are taken from the journal as they are, so whatever decisions they led to, they count. */
static uint64_t state_hash(const struct session *s) {
    uint64_t hash = kernel_hash(s->kernel), answers = s->state->answer_hash;
    return answers ? hash_chain(hash, &answers, sizeof answers) : hash;
}

void session_record_state_hash(struct session *s) {
    struct event e;
    event_init(&e, EVENT_STATE_HASH, s->state->last_ts_ns);
    e.u.state_hash.step = s->state->next_step;
    e.u.state_hash.hash = state_hash(s);
    session_record(s, &e);
}

static void record_start(struct session *s) {
    struct event e;
    event_init(&e, EVENT_RUN_STARTED, feed_from_ns(s->o.feed));
    struct run_started *r = &e.u.run_started;
    r->mode = (uint32_t)s->o.mode;
    r->strategy = (uint32_t)s->o.strategy;
    r->seed = s->o.seed;
    r->feed_hash = feed_hash(s->o.feed);
    r->model_hash = session_models_hash(&s->o);
    r->feature_hash = feature_list_hash();
    r->config_hash = kernel_config_hash(&s->kernel_config);
    r->from_ts = feed_from_ns(s->o.feed);
    r->to_ts = feed_to_ns(s->o.feed);
    r->interval = feed_interval_ns(s->o.feed);
    r->symbol_count = feed_symbol_count(s->o.feed);
    r->wallet_start = s->o.wallet_start;
    session_record(s, &e);
}

static enum status allocate(struct session *s, struct err *err) {
    s->kernel_config = kernel_config_of(&s->o);
    bool ensemble = s->o.strategy == STRATEGY_ENSEMBLE;
    const char *fault = ensemble ? engine_config_fault(&s->kernel_config.engine) : NULL;
    if (fault) return err_set(err, ST_INVALID, "engine: %s", fault);
    s->simex_config = exchange_config(&s->o);
    s->kernel_size = kernel_size(&s->kernel_config);
    s->simex_size = s->o.port ? 0 : simex_size(&s->simex_config);
    s->state = session_block(sizeof *s->state);
    s->kernel = session_block(s->kernel_size);
    s->simex = s->o.port ? NULL : session_block(s->simex_size);
    s->scratch = ensemble ? session_block(sizeof *s->scratch) : NULL;
    if (ensemble && !s->scratch) return err_set(err, ST_NO_MEMORY, "session: out of memory");
    if (!s->state || !s->kernel || (!s->simex && !s->o.port))
        return err_set(err, ST_NO_MEMORY, "session of %u symbols: out of memory",
                       feed_symbol_count(s->o.feed));
    return session_rows_create(s, err);
}

static void start_fresh(struct session *s) {
    memset(s->state, 0, sizeof *s->state);
    s->state->marked_step = UINT64_MAX;
    kernel_init(s->kernel, &s->kernel_config);
    if (s->simex) simex_init(s->simex, &s->simex_config);
    session_rows_start(s);
}

static enum status open_bus(struct session *s, struct err *err) {
    char url[4200];
    struct bus_options bo = bus_options_defaults();
    snprintf(url, sizeof url, "embedded:%s/bus", s->o.run_dir);
    bo.url = s->o.bus_url ? s->o.bus_url : url;
    if (s->o.journal_options && s->o.journal_options->segment_bytes < bo.segment_bytes)
        bo.segment_bytes = s->o.journal_options->segment_bytes;
    enum status st = bus_open(&s->bus, &bo, err);
    if (st != ST_OK) return st;
    st = bus_group(s->bus, "trade.intent", "executor", err);
    return st == ST_OK ? session_policy_open(s, err) : st;
}

/* The equity point of a clean stop lies between the regular ones. A run that went on without stopping has no
 * such point, and its report must be the same: so it goes, with all that is about to be written again. */
static enum status forget_last_equity(struct session *s, struct err *err) {
    if (s->state->flattened == 2) return ST_OK;
    int64_t last = s->state->last_ts_ns;
    return tradedb_truncate(s->db, UINT64_MAX, equity_is_due(s, last) ? last : last - 1, err);
}

/* Journal, snapshot, what lies behind it, bus, trades: in this order. */
static enum status open_run_dir(struct session *s, struct session_result *out, struct err *err) {
    char path[4200];
    struct journal_options jo =
        s->o.journal_options ? *s->o.journal_options : journal_options_defaults();
    struct journal_repair repair = {0};
    snprintf(path, sizeof path, "%s/snapshots", s->o.run_dir);
    snprintf(s->snapshot_dir, sizeof s->snapshot_dir, "%s", path);
    mkdir(s->o.run_dir, 0755);
    if (mkdir(path, 0755) != 0 && access(path, W_OK) != 0) return err_errno(err, ST_IO, "%s", path);
    snprintf(path, sizeof path, "%s/journal", s->o.run_dir);
    enum status st = ST_OK;
    if (!s->o.verify) {
        st = journal_open(&s->journal, &repair, path, &jo, err);
        if (st != ST_OK) return st;
        if (repair.bytes_dropped)
            log_warn("journal", "torn tail repaired", "last_seq=%" PRIu64 " bytes_dropped=%" PRIu64,
                     repair.last_seq, repair.bytes_dropped);
    }
    s->record_lost = repair.bytes_dropped > 0;
    if (!s->o.verify && repair.last_seq > 0) {
        st = session_snapshot_load(s, &s->covered, err);
        if (st == ST_NOT_FOUND)
            start_fresh(s);
        else if (st != ST_OK)
            return st;
        out->resumed = true;
        out->snapshot_step = s->covered ? s->state->next_step : 0;
    }
    if (s->o.verify) return session_verify_start(s, out, path, err);
    if (repair.last_seq > s->covered) {
        st = journal_reader_open(&s->reader, path, s->covered + 1, err);
        if (st != ST_OK) return st;
    }
    st = open_bus(s, err);
    if (st != ST_OK) return st;
    snprintf(path, sizeof path, "%s/trades.sqlite", s->o.run_dir);
    st = tradedb_open(&s->db, path, false, err);
    if (st == ST_OK) st = tradedb_begin(s->db, err);
    if (st == ST_OK && out->resumed) st = forget_last_equity(s, err);
    s->db_commit_ns = tstamp_monotonic_ns();
    return st;
}

static void close_all(struct session *s, struct err *err) {
    enum status st = ST_OK;
    if (s->bus) {
        /* Ending must not hang on a broker that is away: what it has not confirmed is in the journal. */
        struct err why = {0};
        if (bus_flush(s->bus, &why) != ST_OK)
            log_warn("bus", "not everything was confirmed", "error=\"%s\"", why.text);
        bus_close(s->bus);
    }
    if (s->reader) journal_reader_close(s->reader);
    if (s->journal) st = journal_close(s->journal, s->failed == ST_OK ? err : NULL);
    if (st != ST_OK && s->failed == ST_OK) s->failed = st;
    if (s->db) tradedb_close(s->db);
    free(s->state);
    free(s->kernel);
    free(s->simex);
    free(s->scratch);
    session_rows_destroy(s);
}

/* The tape is over: whoever had no bar left to close in is settled at its last price. */
static void finish(struct session *s) {
    int64_t end = s->state->last_ts_ns;
    for (uint32_t i = 0; i < feed_symbol_count(s->o.feed); i++)
        if (simex_is_active(s->simex, i)) simex_instrument_status(s->simex, i, INSTRUMENT_CLOSED);
    pump(s, end + 10 * NS_PER_SECOND);
    if (s->db) {
        const struct kernel_totals *t = kernel_totals(s->kernel);
        db_note(s, tradedb_equity_put(s->db, s->state->last_ts_ns, t->wallet, t->wallet,
                                      money_e8(0), s->err));
    }
    session_record_state_hash(s);
}

/* Trades first: a restart executes again only what lies behind the snapshot, so a trade from before it
 * that was not committed yet would be lost to the journal of trades for good. */
void session_save_point(struct session *s, bool go_on) {
    db_commit(s, go_on);
    /* Candles the snapshot knows are not told again either. */
    if (s->o.candles && s->failed == ST_OK) s->failed = live_candles_save(s->o.candles, s->err);
    if (s->failed == ST_OK) s->failed = session_snapshot_save(s, s->err);
}

static void snapshot_if_due(struct session *s) {
    if (s->state->bars_since_snapshot < SESSION_SNAPSHOT_BARS) return;
    s->state->bars_since_snapshot = 0;
    s->state->snapshots++;
    session_record_state_hash(s);
    if (!s->journal || s->reader || s->failed != ST_OK) return;
    s->state->next_step++; /* the snapshot is taken between steps */
    session_save_point(s, true);
    s->state->next_step--;
}

static bool loop(struct session *s) {
    struct feed_step step;
    uint64_t steps = 0;
    feed_seek(s->o.feed, s->state->next_step);
    while (s->failed == ST_OK && !session_stopped(s) && !(s->o.verify && s->at_end)) {
        if (s->o.step_end && s->state->next_step >= s->o.step_end) break;
        if (feed_next(s->o.feed, &step) != ST_OK) return true;
        session_renew(s);
        run_step(s, &step);
        if (s->pending_count > 0) break; /* stopped while the bus was away */
        snapshot_if_due(s);
        s->state->next_step = step.index + 1;
        if (++steps % LOOK_EVERY_STEPS == 0 || s->o.speed > 0)
            session_look_around(s, step.index + 1);
        if (s->o.step_limit && steps >= s->o.step_limit) break;
    }
    return false;
}

/* So that the report of a stopped run goes up to where it stopped; see forget_last_equity. */
static void put_last_equity(struct session *s) {
    const struct kernel_totals *t = kernel_totals(s->kernel);
    db_note(s, tradedb_equity_put(s->db, s->state->last_ts_ns, t->wallet, t->equity, t->exposure,
                                  s->err));
}

static void fill_result(struct session *s, struct session_result *out) {
    out->steps = s->state->next_step;
    out->records_checked = s->records_checked;
    out->journal_last_seq = s->journal ? journal_last_seq(s->journal) : 0;
    out->state_hash = state_hash(s);
    out->trade_hash = s->state->trade_hash;
    out->fingerprint = fingerprint_of(s);
    out->last_ts_ns = s->state->last_ts_ns;
    out->totals = *kernel_totals(s->kernel);
    out->bus_duplicates = s->state->bus_duplicates;
    out->bus_refused = s->bus_refused;
    out->predict_rows = session_answers(s);
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        out->predict_ns_p50[k] = hist_quantile(&s->predict_ns[k], 0.50);
        out->predict_ns_p99[k] = hist_quantile(&s->predict_ns[k], 0.99);
    }
    out->decision_steps = s->decision_ns.count;
    out->decision_ns_p50 = hist_quantile(&s->decision_ns, 0.50);
    out->decision_ns_p99 = hist_quantile(&s->decision_ns, 0.99);
    out->decision_ns_max = s->decision_ns.count ? s->decision_ns.max : 0;
    if (s->o.retrain) retrain_view(&out->retrain, s->o.retrain);
    if (s->simex) simex_account_get(s->simex, &out->account);
    if (s->bus) bus_stats_get(s->bus, &out->bus);
}

enum status session_run(struct session_result *out, const struct session_options *options,
                        struct err *err) {
    struct session *s = calloc(1, sizeof *s);
    if (!s) return err_set(err, ST_NO_MEMORY, "session: out of memory");
    memset(out, 0, sizeof *out);
    s->o = *options;
    if (s->o.strategy != STRATEGY_ENSEMBLE)
        s->o.retrain = NULL; /* a baseline of a run that retrains */
    if (s->o.trades_commit_ns == 0) s->o.trades_commit_ns = DB_COMMIT_NS;
    s->err = err;
    s->started_wall_ns = tstamp_wall_ns();
    for (uint32_t k = 0; k < MODEL_COUNT; k++) hist_init(&s->predict_ns[k]);
    hist_init(&s->decision_ns);
    s->failed = allocate(s, err);
    if (s->failed == ST_OK) {
        start_fresh(s);
        if (s->o.run_dir) s->failed = open_run_dir(s, out, err);
    }
    if (s->failed == ST_OK) {
        if (s->covered == 0) {
            record_start(s);
            /* From here on others may serve: a restart begins with the first ones, wherever the seats are by then. */
            if (s->o.retrain && s->journal && !s->reader && s->failed == ST_OK)
                session_save_point(s, true);
        }
        if (s->reader)
            s->recovery = VIEW_GOING_OVER;
        else if (s->o.port)
            s->recovery = VIEW_ASKING;
        session_seats_show(s);
        publish_view(s, true);
        bool done = false;
        if (s->o.port)
            session_live(s);
        else
            done = s->state->flattened == 2 || loop(s);
        if (s->o.lease) lease_renew(s->o.lease, LEASE_ENDING);
        if (done && s->failed == ST_OK && s->state->flattened != 2) finish(s);
        const struct journal_record *rest = s->failed == ST_OK ? session_peek(s) : NULL;
        if (done && rest)
            s->failed =
                err_set(err, ST_CORRUPT,
                        "journal record %" PRIu64 " lies behind the end of the run", rest->seq);
        /* A snapshot lies between steps, never inside one, and not in the middle of known ground. */
        bool whole = s->failed == ST_OK && s->journal && !s->reader && s->pending_count == 0;
        if (!done && whole && s->state->last_ts_ns >= s->kernel_config.trade_from_ns)
            put_last_equity(s);
        if (done && s->failed == ST_OK) s->state->flattened = 2;
        out->complete = done && s->failed == ST_OK;
        if (whole)
            session_save_point(s, false);
        else
            db_commit(s, false);
        publish_view(s, false);
        fill_result(s, out);
    }
    close_all(s, err);
    enum status st = s->failed;
    /* Stopped inside a training: as if killed there, which is no failure. */
    if (st == ST_INTERRUPTED && session_stopped(s)) st = ST_OK;
    free(s);
    return st;
}
