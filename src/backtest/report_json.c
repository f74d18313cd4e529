#include <math.h>
#include <string.h>

#include "backtest/report.h"
#include "base/assert.h"
#include "base/tstamp.h"

static void text(struct json_writer *w, const char *key, const char *value) {
    json_write_key(w, key);
    json_write_string(w, value);
}

static void count(struct json_writer *w, const char *key, uint64_t value) {
    json_write_key(w, key);
    json_write_u64(w, value);
}

static void integer(struct json_writer *w, const char *key, int64_t value) {
    json_write_key(w, key);
    json_write_i64(w, value);
}

static void real(struct json_writer *w, const char *key, double value) {
    json_write_key(w, key);
    json_write_f64(w, value); /* null if it is no number */
}

static void utc(struct json_writer *w, const char *key, int64_t ns) {
    char out[TSTAMP_TEXT_SIZE];
    tstamp_format(out, ns);
    memcpy(out + strlen("2024-10-28T07:00:00"), "Z", 2); /* whole seconds */
    text(w, key, out);
}

static void milliseconds(struct json_writer *w, const char *key, int64_t ns) {
    real(w, key, ns < 0 ? NAN : (double)ns / (double)NS_PER_MS);
}

static void counts(struct json_writer *w, const char *key, const struct report_count *c,
                   uint32_t n) {
    json_write_key(w, key);
    json_write_object_begin(w);
    for (uint32_t i = 0; i < n; i++) count(w, c[i].key, c[i].count);
    json_write_object_end(w);
}

static void write_run(struct json_writer *w, const struct report *r) {
    char interval[16];
    text(w, "mode", r->mode);
    text(w, "strategy", r->strategy);
    json_write_key(w, "synthetic");
    json_write_bool(w, r->synthetic);
    utc(w, "from", r->from_ns);
    utc(w, "to", r->to_ns);
    text(w, "interval", tstamp_interval_format(interval, r->interval_ns));
    count(w, "seed", r->seed);
    count(w, "bars", r->bars);
    count(w, "symbols", r->symbols);
    text(w, "symbols_text", r->symbols_text);
    count(w, "instruments_inferred", r->instruments_inferred);
    count(w, "funding_assumed", r->funding_assumed);
    text(w, "model_window", r->model_window);
    text(w, "cost_model", r->cost_model);
    count(w, "signals", r->signals);
    count(w, "intents", r->intents);
    count(w, "orders", r->orders);
    count(w, "fills", r->fills);
}

static void write_trades(struct json_writer *w, const struct report *r) {
    count(w, "trades", r->trades);
    count(w, "wins", r->wins);
    real(w, "win_rate", r->win_rate);
    real(w, "win_rate_low", r->win_rate_low);
    real(w, "win_rate_high", r->win_rate_high);
    real(w, "expectancy", r->expectancy);
    real(w, "expectancy_low", r->expectancy_low);
    real(w, "expectancy_high", r->expectancy_high);
    real(w, "expectancy_r", r->expectancy_r);
    real(w, "profit_factor", r->profit_factor);
    real(w, "average_win", r->average_win);
    real(w, "average_loss", r->average_loss);
    json_write_key(w, "exits");
    json_write_object_begin(w);
    for (int i = 0; i < EXIT_REASON_COUNT; i++) {
        if (r->exits[i].count == 0) continue;
        json_write_key(w, exit_reason_text((enum exit_reason)i));
        json_write_object_begin(w);
        count(w, "trades", r->exits[i].count);
        count(w, "wins", r->exits[i].wins);
        integer(w, "net_pnl_e8", r->exits[i].net_pnl.e8);
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

static void write_money(struct json_writer *w, const struct report *r) {
    real(w, "sharpe", r->sharpe.value);
    real(w, "sharpe_low", r->sharpe.low);
    real(w, "sharpe_high", r->sharpe.high);
    count(w, "sharpe_days", r->sharpe.n);
    real(w, "max_drawdown", r->max_drawdown);
    real(w, "drawdown_beyond_stops", r->drawdown_beyond_stops);
    real(w, "drawdown_costs", r->drawdown_costs);
    json_write_key(w, "drawdown_span");
    if (r->drawdown_to_ns) {
        json_write_object_begin(w);
        utc(w, "from", r->drawdown_from_ns);
        utc(w, "to", r->drawdown_to_ns);
        json_write_object_end(w);
    } else {
        json_write_null(w);
    }
    json_write_key(w, "entries_end_at");
    json_write_object_begin(w);
    real(w, "below_day_high", r->breaker_loss_max);
    real(w, "daily_loss", r->breaker_daily_loss_max);
    real(w, "below_highest", r->breaker_drawdown_max);
    json_write_object_end(w);
    count(w, "beyond_stops", r->beyond_stops);
    integer(w, "beyond_stops_sum_e8", r->beyond_stops_sum.e8);
    integer(w, "beyond_stops_max_e8", r->beyond_stops_max.e8);
    real(w, "exposure", r->exposure);
    count(w, "equity_points", r->equity_points);
    integer(w, "wallet_start_e8", r->wallet_start.e8);
    integer(w, "wallet_end_e8", r->wallet_end.e8);
    integer(w, "realized_pnl_e8", r->realized_pnl.e8);
    integer(w, "fees_e8", r->fees.e8);
    integer(w, "funding_e8", r->funding.e8);
    integer(w, "wallet_change_e8", r->wallet_change.e8);
    integer(w, "identity_error_e8", r->identity_error.e8);
    count(w, "ledger_fills", r->ledger_fills);
    count(w, "ledger_fundings", r->ledger_fundings);
}

static void write_protection(struct json_writer *w, const struct report *r) {
    count(w, "positions", r->positions);
    count(w, "unprotected_positions", r->unprotected_positions);
    count(w, "unprotected_at_end", r->unprotected_at_end);
    json_write_key(w, "time_to_protected_ms");
    json_write_object_begin(w);
    milliseconds(w, "p50", r->ttp_p50_ns);
    milliseconds(w, "p99", r->ttp_p99_ns);
    milliseconds(w, "max", r->ttp_max_ns);
    json_write_object_end(w);
    json_write_key(w, "time_to_protected_uninterrupted");
    json_write_object_begin(w);
    count(w, "count", r->protected_whole);
    milliseconds(w, "p99_ms", r->protected_whole ? r->protected_p99_ns : -1);
    milliseconds(w, "max_ms", r->protected_whole ? r->protected_max_ns : -1);
    json_write_object_end(w);
    json_write_key(w, "time_to_protected_interrupted");
    json_write_object_begin(w);
    count(w, "count", r->protected_interrupted);
    milliseconds(w, "max_ms", r->protected_interrupted ? r->interrupted_max_ns : -1);
    json_write_object_end(w);
    json_write_key(w, "time_to_protected_histogram");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < r->ttp_bucket_count; i++) {
        json_write_object_begin(w);
        int64_t edge = r->ttp_buckets[i].up_to_ns;
        milliseconds(w, "up_to_ms", edge == INT64_MAX ? -1 : edge); /* null: no upper edge */
        count(w, "count", r->ttp_buckets[i].count);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void write_baselines(struct json_writer *w, const struct report *r) {
    json_write_key(w, "baselines");
    json_write_object_begin(w);
    for (uint32_t i = 0; i < r->baseline_count; i++) {
        const struct report_baseline *b = &r->baselines[i];
        json_write_key(w, b->name);
        json_write_object_begin(w);
        count(w, "trades", b->trades);
        integer(w, "net_pnl_e8", b->net_pnl.e8);
        real(w, "total_return", b->total_return);
        real(w, "win_rate", b->win_rate);
        real(w, "sharpe", b->sharpe);
        real(w, "sharpe_low", b->sharpe_low);
        real(w, "sharpe_high", b->sharpe_high);
        real(w, "max_drawdown", b->max_drawdown);
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

static void write_models(struct json_writer *w, const struct report *r) {
    json_write_key(w, "models");
    json_write_object_begin(w);
    for (uint32_t i = 0; i < r->model_count; i++) {
        const struct report_model *m = &r->models[i];
        json_write_key(w, m->kind);
        json_write_object_begin(w);
        text(w, "state", m->state);
        text(w, "params", m->params);
        count(w, "rounds", m->rounds);
        real(w, "logloss_test", m->logloss_test);
        real(w, "logloss_prior", m->logloss_prior);
        real(w, "skill_t", m->skill_t);
        real(w, "side_t", m->side_t);
        real(w, "balanced_accuracy", m->balanced_accuracy);
        real(w, "ece", m->ece);
        json_write_key(w, "weights");
        if (m->weights)
            json_write_u64(w, m->weights);
        else
            json_write_null(w);
        real(w, "mse_path", m->mse_path);
        real(w, "mse_persistence", m->mse_persistence);
        real(w, "mse_dlinear", m->mse_dlinear);
        json_write_object_end(w);
    }
    json_write_object_end(w);
    const struct report_disagreement *d = &r->disagreement;
    json_write_key(w, "disagreement");
    json_write_object_begin(w);
    count(w, "decisions", d->decisions);
    count(w, "differ", d->differ);
    real(w, "differ_share", d->decisions ? (double)d->differ / (double)d->decisions : (double)NAN);
    real(w, "p_distance", d->distance);
    json_write_object_end(w);
}

void report_write_json(struct json_writer *w, const struct report *r) {
    char hex[17];
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)r->fingerprint);
    json_write_object_begin(w);
    write_run(w, r);
    write_trades(w, r);
    write_money(w, r);
    write_protection(w, r);
    counts(w, "venue_rejects", r->rejects, r->reject_count);
    counts(w, "refusals", r->refusals, r->refusal_count);
    write_baselines(w, r);
    write_models(w, r);
    text(w, "fingerprint", hex);
    json_write_object_end(w);
}

void report_print_json(FILE *out, const struct report *r) {
    /* 96 keys of 31 characters, each 6 long when escaped, are 21 kB; the rest is below 8 kB. */
    char buffer[64 * 1024];
    struct json_writer w;
    json_writer_init(&w, buffer, sizeof buffer);
    report_write_json(&w, r);
    enum status st = json_writer_finish(&w);
    ASSERT(st == ST_OK);
    fprintf(out, "%s\n", buffer);
}
