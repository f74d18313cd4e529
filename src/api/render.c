/* Views as JSON. One set of writers serves every document, so the page, the lists and /health cannot
 * tell different stories. Times are ms UTC; prices, quantities and money are decimal texts, exact to
 * 1e-8; ids beyond 2^53 are texts too. */
#include "api/api_internal.h"

#include <math.h>
#include <string.h>

#include "api/put.h"
#include "store/tradedb.h"

static const char *contract_status_text(uint32_t status) {
    switch ((enum instrument_status)status) {
    case INSTRUMENT_TRADING:
        return "TRADING";
    case INSTRUMENT_SETTLING:
        return "SETTLING";
    case INSTRUMENT_CLOSED:
        return "CLOSED";
    }
    return "UNKNOWN";
}

const char *api_model_state_text(const struct view_model *model) {
    return !model->loaded ? "absent" : !model->has_skill ? "no_skill" : "loaded";
}

/* Beside every set of figures: when they were true, of which market, made by whom. */
void api_put_stamp(struct json_writer *w, const struct api_shot *shot) {
    const struct view *v = shot->view;
    put_bool(w, "published", shot->published);
    if (!shot->published) {
        put_null(w, "as_of");
        return;
    }
    int64_t age_ns = shot->now_wall_ns - v->published_wall_ns;
    put_ms(w, "as_of", v->published_wall_ns);
    put_span_ms(w, "age_ms", age_ns < 0 ? 0 : age_ns);
    put_u64(w, "view_version", v->version);
    put_ms(w, "market_time", v->market_ts_ns);
    put_text(w, "mode", run_mode_text((enum run_mode)v->mode));
    put_bool(w, "synthetic", v->synthetic != 0);
    put_f64(w, "speed", v->speed);
    put_bool(w, "running", v->running != 0);
    put_text(w, "strategy", strategy_text((enum strategy_kind)v->strategy));
}

/* ---- rows ---- */

/* stay, stop_nearer, or why it is being ended. */
static const char *exit_word(const struct view_exits *x) {
    if (x->leave != EXIT_NONE) return exit_reason_text((enum exit_reason)x->leave);
    return x->is_nearer ? "stop_nearer" : "stay";
}

static void put_exits(struct json_writer *w, const struct view_exits *x) {
    json_write_key(w, "exit_brain");
    if (!x->is_watched) {
        json_write_null(w);
        return;
    }
    json_write_object_begin(w);
    put_text(w, "profile", exitbrain_profile_text((enum exit_profile)x->profile));
    put_text(w, "word", exit_word(x));
    put_f64(w, "p_side", x->p_side);
    put_f64(w, "p_other", x->p_other);
    put_u64(w, "against_closes", x->against);
    put_u64(w, "unsuited_closes", x->unsuited);
    json_write_object_end(w);
}

static void row_position(struct json_writer *w, const struct view_position *p) {
    json_write_object_begin(w);
    put_text(w, "symbol", p->symbol);
    put_text(w, "side", side_text((enum side)p->side));
    put_e8(w, "qty", p->qty.e8);
    put_px(w, "entry_px", p->entry_px);
    put_px(w, "mark_px", p->mark_px);
    put_px(w, "stop_px", p->stop_px);
    put_px(w, "take_profit_px", p->take_profit_px);
    put_bool(w, "protected", p->protected_ != 0);
    put_u64(w, "leverage", p->leverage);
    put_e8(w, "unrealized_pnl", p->unrealized_pnl.e8);
    put_e8(w, "fees", p->fees.e8);
    put_e8(w, "funding", p->funding.e8);
    put_ms(w, "entry_time", p->entry_ts_ns);
    put_exits(w, &p->exits);
    json_write_object_end(w);
}

static void row_order(struct json_writer *w, const struct view_order *o) {
    json_write_object_begin(w);
    put_text(w, "client_order_id", o->client_order_id);
    put_text(w, "symbol", o->symbol);
    put_text(w, "side", side_text((enum side)o->side));
    put_text(w, "order_type", order_type_text((enum order_type)o->order_type));
    put_text(w, "order_status", order_state_text((enum order_state)o->state));
    put_bool(w, "reduce_only", o->reduce_only != 0);
    put_px(w, "limit_px", o->limit_px);
    put_px(w, "stop_px", o->stop_px);
    put_e8(w, "order_qty", o->order_qty.e8);
    put_e8(w, "cum_qty", o->cum_qty.e8);
    put_ms(w, "time", o->ts_ns);
    json_write_object_end(w);
}

static void row_trade(struct json_writer *w, const struct trade_closed *t) {
    json_write_object_begin(w);
    put_id(w, "trade_id", t->trade_id);
    put_id(w, "intent_id", t->intent_id);
    put_text(w, "symbol", t->symbol);
    put_text(w, "side", side_text((enum side)t->side));
    put_text(w, "strategy", strategy_text((enum strategy_kind)t->strategy));
    put_text(w, "exit_reason", exit_reason_text((enum exit_reason)t->exit_reason));
    put_u64(w, "leverage", t->leverage);
    put_ms(w, "entry_time", t->entry_ts_ns);
    put_ms(w, "exit_time", t->exit_ts_ns);
    put_px(w, "entry_px", t->entry_px);
    put_px(w, "exit_px", t->exit_px);
    put_e8(w, "qty", t->qty.e8);
    put_e8(w, "realized_pnl", t->realized_pnl.e8);
    put_e8(w, "fees", t->fees.e8);
    put_e8(w, "funding", t->funding.e8);
    put_e8(w, "net_pnl", t->net_pnl.e8);
    put_e8(w, "risk", t->risk.e8);
    put_span_ms(w, "time_to_protected_ms", t->time_to_protected_ns);
    put_f64(w, "confidence", t->confidence);
    put_f64(w, "expected_edge", t->expected_edge);
    put_text(w, "arm", strategy_name((enum strategy_id)t->arm));
    put_u64(w, "targets", t->targets);
    put_f64(w, "drawdown_max", t->drawdown_max);
    json_write_object_end(w);
}

void api_put_probabilities(struct json_writer *w, const char *key, const double *p) {
    json_write_key(w, key);
    json_write_object_begin(w);
    for (int i = 0; i < LABEL_COUNT; i++) put_f64(w, label_text((enum label)i), p[i]);
    json_write_object_end(w);
}

static void put_votes(struct json_writer *w, const struct view_symbol *s) {
    json_write_key(w, "votes");
    json_write_object_begin(w);
    for (int i = 0; i < MODEL_COUNT; i++) {
        const struct model_vote *vote = &s->votes[i];
        json_write_key(w, model_kind_text((enum model_kind)i));
        json_write_object_begin(w);
        put_text(w, "state", vote_state_text((enum vote_state)vote->state));
        if (vote->state == VOTE_PRESENT) {
            api_put_probabilities(w, "p", vote->p);
            put_f64(w, "weight", s->signal.weights[i]);
        }
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

static void row_signal(struct json_writer *w, const struct view_symbol *s, int64_t market_ts_ns) {
    json_write_object_begin(w);
    put_text(w, "symbol", s->symbol);
    put_text(w, "contract_status", contract_status_text(s->status));
    put_px(w, "last_px", s->last_px);
    put_px(w, "mark_px", s->mark_px);
    put_ms(w, "bar_time", s->bar_ts_ns);
    put_bool(w, "warm", s->warm != 0);
    put_u64(w, "bars_missing", s->bars_missing);
    if (s->signal_ts_ns == 0) {
        put_null(w, "action");
        json_write_object_end(w);
        return;
    }
    /* What the engine allows; what the voters say where no engine decides. */
    bool decided = s->decision.was_decided != 0;
    put_text(w, "action",
             label_text((enum label)(decided ? s->decision.action : s->signal.action)));
    put_text(w, "voters_action", label_text((enum label)s->signal.action));
    json_write_key(w, "reason");
    if (decided)
        json_write_string(w, engine_reason_text((enum engine_reason)s->decision.reason));
    else
        json_write_null(w);
    put_text(w, "regime", regime_text((enum regime)s->decision.regime.regime));
    put_id(w, "signal_id", s->signal_id);
    put_ms(w, "signal_time", s->signal_ts_ns);
    put_ms(w, "expires", s->signal_expires_ns);
    put_bool(w, "expired", s->signal_expires_ns <= market_ts_ns);
    put_f64(w, "confidence", s->signal.confidence);
    put_f64(w, "edge", s->signal.edge);
    put_u64(w, "consensus", s->signal.consensus);
    put_u64(w, "voters", s->signal.voters);
    put_text(w, "strategy", strategy_text((enum strategy_kind)s->strategy));
    put_px(w, "stop_loss", s->stop_loss);
    put_px(w, "take_profit", s->take_profit);
    put_e8(w, "position_size_usd", s->position_size.e8);
    put_u64(w, "leverage", s->leverage);
    put_votes(w, s);
    json_write_object_end(w);
}

static void row_equity(struct json_writer *w, int64_t ts_ns, money_t wallet, money_t equity) {
    json_write_object_begin(w);
    put_ms(w, "time", ts_ns);
    put_e8(w, "wallet", wallet.e8);
    put_e8(w, "equity", equity.e8);
}

/* ---- lists of the view ---- */

static void list_positions(struct json_writer *w, const struct api_shot *shot) {
    json_write_array_begin(w);
    for (uint32_t i = 0; shot->published && i < shot->view->position_count; i++)
        row_position(w, &shot->view->positions[i]);
    json_write_array_end(w);
}

static void list_orders(struct json_writer *w, const struct api_shot *shot) {
    json_write_array_begin(w);
    for (uint32_t i = 0; shot->published && i < shot->view->order_count; i++)
        row_order(w, &shot->view->open_orders[i]);
    json_write_array_end(w);
}

static void list_signals(struct json_writer *w, const struct api_shot *shot) {
    json_write_array_begin(w);
    for (uint32_t i = 0; shot->published && i < shot->view->symbol_count; i++)
        row_signal(w, &shot->view->symbols[i], shot->view->market_ts_ns);
    json_write_array_end(w);
}

typedef void (*list_fn)(struct json_writer *w, const struct api_shot *shot);

static void document(struct json_writer *w, const struct api_shot *shot, list_fn list) {
    json_write_object_begin(w);
    api_put_stamp(w, shot);
    json_write_key(w, "data");
    list(w, shot);
    json_write_object_end(w);
}
void api_render_positions(struct json_writer *w, const struct api_shot *shot) {
    document(w, shot, list_positions);
}
void api_render_orders(struct json_writer *w, const struct api_shot *shot) {
    document(w, shot, list_orders);
}
void api_render_signals(struct json_writer *w, const struct api_shot *shot) {
    document(w, shot, list_signals);
}

void api_render_error(struct json_writer *w, int code, const char *message, uint32_t line,
                      size_t offset) {
    json_write_object_begin(w);
    put_text(w, "error", message);
    put_u64(w, "status", (uint64_t)code);
    if (line) {
        put_u64(w, "line", line);
        put_u64(w, "offset", offset);
    }
    json_write_object_end(w);
}

/* ---- history ---- */

static bool on_trade(void *context, const struct trade_closed *trade) {
    struct json_writer *w = context;
    row_trade(w, trade);
    return !w->overflow;
}

static bool on_equity(void *context, const struct equity_point *point) {
    struct json_writer *w = context;
    row_equity(w, point->ts_ns, point->wallet, point->equity);
    put_e8(w, "exposure", point->exposure.e8);
    json_write_object_end(w);
    return !w->overflow;
}

/* Opened for each request: the writer may have replaced the file since the last one. */
static enum status history_open(struct tradedb **db, const struct api_shot *shot, struct err *err) {
    *db = NULL;
    if (!shot->trades_path) return ST_OK;
    enum status st = tradedb_open(db, shot->trades_path, true, err);
    if (st == ST_NOT_FOUND) {
        *db = NULL;
        return ST_OK;
    }
    return st;
}

enum status api_render_trades(struct json_writer *w, const struct api_shot *shot, size_t limit,
                              struct err *err) {
    struct tradedb *db;
    enum status st = history_open(&db, shot, err);
    if (st != ST_OK) return st;
    json_write_object_begin(w);
    api_put_stamp(w, shot);
    json_write_key(w, "data");
    json_write_array_begin(w);
    if (db) st = tradedb_trades(db, limit, on_trade, w, err);
    json_write_array_end(w);
    json_write_object_end(w);
    if (db) tradedb_close(db);
    return st;
}

enum status api_render_equity(struct json_writer *w, const struct api_shot *shot, size_t limit,
                              struct err *err) {
    struct tradedb *db;
    enum status st = history_open(&db, shot, err);
    if (st != ST_OK) return st;
    json_write_object_begin(w);
    api_put_stamp(w, shot);
    json_write_key(w, "data");
    json_write_array_begin(w);
    if (db) st = tradedb_equity(db, limit, on_equity, w, err);
    json_write_array_end(w);
    json_write_object_end(w);
    if (db) tradedb_close(db);
    return st;
}

/* ---- the page's document: everything out of one snapshot ---- */

/* Wins among the closed trades the view holds, with the 95 % interval that says how little a small
 * number of trades proves (Wilson, JASA 22 (1927) 209). A win is net of fees and funding. */
static void put_recent_summary(struct json_writer *w, const struct view *v) {
    double n = v->trade_count, wins = 0, z = 1.959963984540054;
    int64_t net = 0;
    for (uint32_t i = 0; i < v->trade_count; i++) {
        wins += v->recent[i].net_pnl.e8 > 0;
        net += v->recent[i].net_pnl.e8;
    }
    json_write_key(w, "recent_summary");
    json_write_object_begin(w);
    put_u64(w, "n", v->trade_count);
    put_u64(w, "wins", (uint64_t)wins);
    put_e8(w, "net_pnl", net);
    if (n > 0) {
        double p = wins / n, denominator = 1 + z * z / n;
        double center = (p + z * z / (2 * n)) / denominator;
        double half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / denominator;
        put_f64(w, "win_rate", p);
        put_f64(w, "win_rate_low", center - half);
        put_f64(w, "win_rate_high", center + half);
    }
    json_write_object_end(w);
}

static void put_account(struct json_writer *w, const struct view *v) {
    json_write_key(w, "account");
    json_write_object_begin(w);
    put_e8(w, "wallet_start", v->wallet_start.e8);
    put_e8(w, "wallet", v->wallet.e8);
    put_e8(w, "equity", v->equity.e8);
    put_e8(w, "realized_pnl", v->realized_pnl.e8);
    put_e8(w, "fees", v->fees.e8);
    put_e8(w, "funding", v->funding.e8);
    put_e8(w, "drawdown_max", v->drawdown_max.e8);
    json_write_object_end(w);
}

static void put_protection(struct json_writer *w, const struct view *v) {
    json_write_key(w, "protection");
    json_write_object_begin(w);
    put_u64(w, "positions_unprotected_now", v->positions_unprotected_now);
    put_u64(w, "positions_unprotected_ever", v->positions_unprotected_ever);
    put_span_ms(w, "time_to_protected_ms_p50", v->time_to_protected_ns_p50);
    put_span_ms(w, "time_to_protected_ms_p99", v->time_to_protected_ns_p99);
    put_span_ms(w, "time_to_protected_ms_max", v->time_to_protected_ns_max);
    put_u64(w, "interrupted", v->protected_interrupted);
    put_span_ms(w, "interrupted_ms_max", v->protected_interrupted_ns_max);
    json_write_object_end(w);
}

static void put_refusals(struct json_writer *w, const struct view *v) {
    json_write_key(w, "refusals");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < v->reason_count; i++) {
        json_write_object_begin(w);
        put_text(w, "reason", v->reasons[i].reason);
        put_u64(w, "count", v->reasons[i].count);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void put_tape(struct json_writer *w, const struct view *v) {
    put_ms(w, "started", v->started_wall_ns);
    put_ms(w, "market_from", v->market_from_ns);
    put_ms(w, "market_to", v->market_to_ns);
    put_span_ms(w, "bar_interval_ms", v->bar_interval_ns ? v->bar_interval_ns : -1);
}

void api_render_state(struct json_writer *w, const struct api_shot *shot) {
    struct api_health health;
    api_health_judge(&health, shot);
    const struct view *v = shot->view;
    json_write_object_begin(w);
    api_put_stamp(w, shot);
    json_write_key(w, "health");
    json_write_object_begin(w);
    api_put_health(w, shot, &health);
    json_write_object_end(w);
    if (shot->published) {
        put_tape(w, v);
        put_account(w, v);
        put_protection(w, v);
        put_refusals(w, v);
        api_put_engine(w, shot);
        put_recent_summary(w, v);
        json_write_key(w, "trades");
        json_write_array_begin(w);
        for (uint32_t i = 0; i < v->trade_count; i++) row_trade(w, &v->recent[i]);
        json_write_array_end(w);
        json_write_key(w, "equity_curve");
        json_write_array_begin(w);
        for (uint32_t i = 0; i < v->equity_count; i++) {
            row_equity(w, v->equity_curve[i].ts_ns, v->equity_curve[i].wallet,
                       v->equity_curve[i].equity);
            json_write_object_end(w);
        }
        json_write_array_end(w);
    }
    json_write_key(w, "positions");
    list_positions(w, shot);
    json_write_key(w, "orders");
    list_orders(w, shot);
    json_write_key(w, "signals");
    list_signals(w, shot);
    json_write_object_end(w);
}
