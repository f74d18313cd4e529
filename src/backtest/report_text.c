#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "backtest/report.h"
#include "base/tstamp.h"

enum { CELL_SIZE = 96, WIDTH = 78 };

static void section(FILE *out, const char *title) {
    int rest = WIDTH - 4 - (int)strlen(title);
    fprintf(out, "\n-- %s ", title);
    for (int i = 0; i < rest; i++) fputc('-', out);
    fputc('\n', out);
}

static void line(FILE *out, const char *label, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void line(FILE *out, const char *label, const char *format, ...) {
    va_list args;
    fprintf(out, "  %-22s ", label);
    va_start(args, format);
    vfprintf(out, format, args);
    va_end(args);
    fputc('\n', out);
}

/* 1234567.8 as "1,234,567.80": sums of money are read in groups. */
static const char *money(char out[CELL_SIZE], int64_t e8) {
    char plain[32];
    uint64_t magnitude = e8 < 0 ? (uint64_t)0 - (uint64_t)e8 : (uint64_t)e8;
    uint64_t cents = (magnitude + 500000) / 1000000;
    int n = snprintf(plain, sizeof plain, "%" PRIu64, cents / 100);
    char *p = out;
    if (e8 < 0 && cents > 0) *p++ = '-';
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0) *p++ = ',';
        *p++ = plain[i];
    }
    snprintf(p, 8, ".%02d", (int)(cents % 100));
    return out;
}

/* A figure, or why there is none. */
static const char *figure(char out[CELL_SIZE], double x, double scale, int decimals,
                          const char *unit, const char *why) {
    if (isnan(x))
        snprintf(out, CELL_SIZE, "n/a (%s)", why);
    else
        snprintf(out, CELL_SIZE, "%.*f%s", decimals, x * scale, unit);
    return out;
}

/* " [low, high]", or nothing. */
static const char *bounds(char out[CELL_SIZE], double low, double high, double scale, int decimals,
                          const char *unit) {
    out[0] = '\0';
    if (!isnan(low) && !isnan(high))
        snprintf(out, CELL_SIZE, "  [%.*f, %.*f]%s", decimals, low * scale, decimals, high * scale,
                 unit);
    return out;
}

static const char *duration(char out[CELL_SIZE], int64_t ns) {
    if (ns == INT64_MAX)
        snprintf(out, CELL_SIZE, "longer");
    else if (ns < NS_PER_SECOND)
        snprintf(out, CELL_SIZE, "%.*f ms", ns % NS_PER_MS ? 3 : 0, (double)ns / (double)NS_PER_MS);
    else if (ns < NS_PER_MINUTE)
        snprintf(out, CELL_SIZE, "%.*f s", ns % NS_PER_SECOND ? 3 : 0,
                 (double)ns / (double)NS_PER_SECOND);
    else if (ns < NS_PER_HOUR)
        snprintf(out, CELL_SIZE, "%.*f min", ns % NS_PER_MINUTE ? 2 : 0,
                 (double)ns / (double)NS_PER_MINUTE);
    else
        snprintf(out, CELL_SIZE, "%.*f h", ns % NS_PER_HOUR ? 2 : 0,
                 (double)ns / (double)NS_PER_HOUR);
    return out;
}

static const char *minute(char out[TSTAMP_TEXT_SIZE], int64_t ns) {
    tstamp_format(out, ns);
    out[10] = ' ';
    out[16] = '\0';
    return out;
}

static const char *or_unknown(const char *text) {
    return text[0] ? text : "not recorded";
}

/* Each seat of the ensemble as its own held-out test judged it, and how far the seats are apart. */
static void print_models(FILE *out, const struct report *r) {
    char distance[CELL_SIZE], path[CELL_SIZE], still[CELL_SIZE], linear[CELL_SIZE];
    for (uint32_t i = 0; i < r->model_count; i++) {
        const struct report_model *m = &r->models[i];
        char name[32];
        snprintf(name, sizeof name, "Voter %s", m->kind);
        line(out, name,
             "%s: log-loss %.4f against %.4f of the prior, t %.1f (direction %.1f), %" PRIu64
             " rounds",
             m->state, m->logloss_test, m->logloss_prior, m->skill_t, m->side_t, m->rounds);
        if (m->weights)
            line(out, "  its price path",
                 "mean squared error %s; standing still %s, linear %s; %" PRIu64 " weights",
                 figure(path, m->mse_path, 1, 4, "", "not measured"),
                 figure(still, m->mse_persistence, 1, 4, "", "not measured"),
                 figure(linear, m->mse_dlinear, 1, 4, "", "not measured"), m->weights);
        line(out, "  trained with", "%s", m->params);
    }
    const struct report_disagreement *d = &r->disagreement;
    if (d->decisions > 0)
        line(out, "Voters disagree",
             "on the best label in %" PRIu64 " of %" PRIu64 " decisions (%.1f %%), by %s in "
             "probability",
             d->differ, d->decisions, 100 * (double)d->differ / (double)d->decisions,
             figure(distance, d->distance, 1, 4, "", "nobody answered"));
}

static void print_run(FILE *out, const struct report *r) {
    char from[TSTAMP_TEXT_SIZE], to[TSTAMP_TEXT_SIZE], interval[16];
    fprintf(out, "Quantum Trader: report of a %s run, strategy %s\n", or_unknown(r->mode),
            or_unknown(r->strategy));
    if (r->synthetic)
        fprintf(
            out,
            "*** SYNTHETIC: a generator made these prices. No market ever traded them, and ***\n"
            "*** nothing below says anything about one.                                   ***\n");
    section(out, "Run");
    line(out, "Window", "%s to %s UTC (%.1f days)", minute(from, r->from_ns), minute(to, r->to_ns),
         (double)(r->to_ns - r->from_ns) / (double)NS_PER_DAY);
    line(out, "Bars", "%" PRIu64 " of %s, %" PRIu64 " symbols%s%s", r->bars,
         tstamp_interval_format(interval, r->interval_ns), r->symbols,
         r->symbols_text[0] ? ": " : "", r->symbols_text);
    if (r->instruments_inferred || r->funding_assumed)
        line(out, "Assumptions",
             "filters inferred for %" PRIu64 " symbols, funding assumed for %" PRIu64,
             r->instruments_inferred, r->funding_assumed);
    line(out, "Seed", "%" PRIu64, r->seed);
    line(out, "Models fitted on", "%s", or_unknown(r->model_window));
    print_models(out, r);
    line(out, "Costs", "%s", or_unknown(r->cost_model));
    line(out, "Signal to fill",
         "%" PRIu64 " signals, %" PRIu64 " intents, %" PRIu64 " orders, %" PRIu64 " fills",
         r->signals, r->intents, r->orders, r->fills);
}

static void print_trades(FILE *out, const struct report *r) {
    char a[CELL_SIZE], b[CELL_SIZE], c[CELL_SIZE];
    const char *none = "no closed trade";
    section(out, "Trades, net of fees and funding (brackets: 95 %)");
    line(out, "Closed trades", "%" PRIu64 " (%" PRIu64 " won, %" PRIu64 " did not)", r->trades,
         r->wins, r->trades - r->wins);
    line(out, "Win rate", "%s%s", figure(a, r->win_rate, 100, 1, " %", none),
         bounds(b, r->win_rate_low, r->win_rate_high, 100, 1, " %"));
    line(out, "Expectancy", "%s%s", figure(a, r->expectancy, 1, 4, " USDT per trade", none),
         bounds(b, r->expectancy_low, r->expectancy_high, 1, 4, ""));
    line(out, "  in units of risk", "%s",
         figure(a, r->expectancy_r, 1, 3, " R", r->trades ? "no trade had a stop" : none));
    line(out, "Profit factor", "%s",
         figure(a, r->profit_factor, 1, 3, "", r->trades ? "no losing trade" : none));
    line(out, "Average win / loss", "%s / %s USDT",
         figure(a, r->average_win, 1, 4, "", r->trades ? "none won" : none),
         figure(b, r->average_loss, 1, 4, "", r->trades ? "none lost" : none));
    if (r->trades == 0) return;
    fprintf(out, "\n  %-16s %8s %8s %9s %16s\n", "Exit reason", "trades", "won", "won %",
            "net USDT");
    for (int i = 0; i < EXIT_REASON_COUNT; i++) {
        const struct report_exit *e = &r->exits[i];
        if (e->count == 0) continue;
        fprintf(out, "  %-16s %8" PRIu64 " %8" PRIu64 " %8.1f%% %16s\n",
                exit_reason_text((enum exit_reason)i), e->count, e->wins,
                100 * (double)e->wins / (double)e->count, money(c, e->net_pnl.e8));
    }
}

static void print_money(FILE *out, const struct report *r) {
    char a[CELL_SIZE], b[CELL_SIZE], c[CELL_SIZE];
    section(out, "Money (USDT)");
    line(out, "Wallet", "%s to %s (%s)", money(a, r->wallet_start.e8), money(b, r->wallet_end.e8),
         money(c, r->wallet_change.e8));
    line(out, "Price differences", "%16s", money(a, r->realized_pnl.e8));
    line(out, "Fees", "%16s", money(a, -r->fees.e8));
    line(out, "Funding", "%16s", money(a, r->funding.e8));
    char exact[FX_TEXT_SIZE];
    fx_format(exact, r->identity_error.e8);
    line(out, "Wallet less their sum", "%16s%s", exact,
         r->identity_error.e8 == 0 ? "" : "  *** the books do not add up ***");
    if (r->ledger_fills)
        line(out, "Summed over", "%" PRIu64 " fills, %" PRIu64 " funding payments", r->ledger_fills,
             r->ledger_fundings);
    else
        line(out, "Summed over", "%" PRIu64 " closed trades (the journal holds no fills)",
             r->trades);
}

static void print_risk(FILE *out, const struct report *r) {
    char a[CELL_SIZE], b[CELL_SIZE];
    section(out, "Risk");
    line(out, "Sharpe ratio", "%s%s",
         figure(a, r->sharpe.value, 1, 2, " a year",
                r->sharpe.n < 2 ? "fewer than 2 days" : "daily equity never moved"),
         bounds(b, r->sharpe.low, r->sharpe.high, 1, 2, ""));
    line(out, "  computed from", "%zu daily returns of equity, x sqrt(365), no risk-free rate",
         r->sharpe.n);
    line(out, "Largest drawdown", "%s (over %" PRIu64 " equity points)",
         figure(a, r->max_drawdown, 100, 2, " % of the peak", "no equity curve"), r->equity_points);
    if (r->drawdown_to_ns) {
        char from[TSTAMP_TEXT_SIZE], to[TSTAMP_TEXT_SIZE];
        line(out, "  from, to",
             "%s, %s UTC; %.2f %% of it beyond first stops, %.2f %% fees and funding",
             minute(from, r->drawdown_from_ns), minute(to, r->drawdown_to_ns),
             100 * r->drawdown_beyond_stops, 100 * r->drawdown_costs);
    }
    if (r->breaker_loss_max > 0)
        line(out, "  no entries at",
             "%.1f %% below the day's highest equity, a day's loss of %.1f %%, %.1f %% below the "
             "highest ever",
             100 * r->breaker_loss_max, 100 * r->breaker_daily_loss_max,
             100 * r->breaker_drawdown_max);
    line(out, "Beyond first stops",
         "%" PRIu64 " trades, %s USDT in all, %s the largest (gaps, slippage)", r->beyond_stops,
         money(a, r->beyond_stops_sum.e8), money(b, r->beyond_stops_max.e8));
    line(out, "Exposure", "%s",
         figure(a, r->exposure, 100, 1, " % of equity, time-weighted", "no equity curve"));
}

static void print_protection(FILE *out, const struct report *r) {
    char a[CELL_SIZE], b[CELL_SIZE], c[CELL_SIZE];
    section(out, "Protection: first entry fill to confirmed stop");
    line(out, "Positions closed", "%" PRIu64 ", of which %" PRIu64 " never had a confirmed stop",
         r->positions, r->unprotected_positions);
    line(out, "Unprotected at end", "%" PRIu64, r->unprotected_at_end);
    if (r->ttp_max_ns < 0) {
        line(out, "Time to protected", "n/a (no position was protected)");
        return;
    }
    line(out, "Time to protected", "median %s, 99 %% %s, longest %s", duration(a, r->ttp_p50_ns),
         duration(b, r->ttp_p99_ns), duration(c, r->ttp_max_ns));
    if (r->protected_whole)
        line(out, "  nothing in between", "%" PRIu64 " positions, 99 %% %s, longest %s",
             r->protected_whole, duration(a, r->protected_p99_ns),
             duration(b, r->protected_max_ns));
    if (r->protected_interrupted)
        line(out, "  interrupted",
             "%" PRIu64 " positions (venue out of reach, or our process dead), longest %s",
             r->protected_interrupted, duration(a, r->interrupted_max_ns));
    uint64_t most = 1;
    for (uint32_t i = 0; i < r->ttp_bucket_count; i++)
        if (r->ttp_buckets[i].count > most) most = r->ttp_buckets[i].count;
    for (uint32_t i = 0; i < r->ttp_bucket_count; i++) {
        uint64_t count = r->ttp_buckets[i].count;
        int bar = (int)ceil((double)count * 40 / (double)most);
        fprintf(out, "    up to %-10s %8" PRIu64 " %.*s\n", duration(a, r->ttp_buckets[i].up_to_ns),
                count, bar, "########################################");
    }
}

static void print_counts(FILE *out, const char *title, const struct report_count *c, uint32_t n) {
    section(out, title);
    if (n == 0) fprintf(out, "  none\n");
    for (uint32_t i = 0; i < n; i++) fprintf(out, "  %-32s %12" PRIu64 "\n", c[i].key, c[i].count);
}

static void cell(FILE *out, double x, double scale, int decimals) {
    if (isnan(x))
        fprintf(out, " %14s", "n/a");
    else
        fprintf(out, " %14.*f", decimals, x * scale);
}

/* The run as one more column, so that it can stand beside the baselines. */
static struct report_baseline as_column(const struct report *r) {
    struct report_baseline b = {.name = "this run",
                                .trades = r->trades,
                                .net_pnl = r->wallet_change,
                                .sharpe = r->sharpe.value,
                                .sharpe_low = r->sharpe.low,
                                .sharpe_high = r->sharpe.high,
                                .max_drawdown = r->max_drawdown,
                                .win_rate = r->win_rate};
    b.total_return =
        r->wallet_start.e8 > 0 ? (double)r->wallet_change.e8 / (double)r->wallet_start.e8 : NAN;
    return b;
}

static void print_baselines(FILE *out, const struct report *r) {
    static const struct {
        const char *label;
        size_t offset;
        double scale;
        int decimals;
    } rows[] = {
        {"Total return %", offsetof(struct report_baseline, total_return), 100, 2},
        {"Win rate %", offsetof(struct report_baseline, win_rate), 100, 1},
        {"Sharpe ratio", offsetof(struct report_baseline, sharpe), 1, 2},
        {"  95 % from", offsetof(struct report_baseline, sharpe_low), 1, 2},
        {"  95 % to", offsetof(struct report_baseline, sharpe_high), 1, 2},
        {"Largest drawdown %", offsetof(struct report_baseline, max_drawdown), 100, 2},
    };
    char a[CELL_SIZE];
    section(out, "Beside doing nothing clever, on the same bars with the same costs");
    struct report_baseline columns[REPORT_BASELINES_MAX + 1] = {as_column(r)};
    uint32_t n = r->baseline_count + 1;
    memcpy(columns + 1, r->baselines, r->baseline_count * sizeof *columns);
    fprintf(out, "  %-18s", "");
    for (uint32_t i = 0; i < n; i++) fprintf(out, " %14s", columns[i].name);
    fprintf(out, "\n  %-18s", "Trades");
    for (uint32_t i = 0; i < n; i++) fprintf(out, " %14" PRIu64, columns[i].trades);
    fprintf(out, "\n  %-18s", "Net USDT");
    for (uint32_t i = 0; i < n; i++) fprintf(out, " %14s", money(a, columns[i].net_pnl.e8));
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        fprintf(out, "\n  %-18s", rows[k].label);
        for (uint32_t i = 0; i < n; i++) {
            double x;
            memcpy(&x, (const char *)&columns[i] + rows[k].offset, sizeof x);
            cell(out, x, rows[k].scale, rows[k].decimals);
        }
    }
    fprintf(out, "\n");
    if (n == 1) fprintf(out, "  no baselines were computed for this run\n");
}

void report_print(FILE *out, const struct report *r) {
    print_run(out, r);
    print_trades(out, r);
    print_money(out, r);
    print_risk(out, r);
    print_protection(out, r);
    print_counts(out, "Refused by our gates", r->refusals, r->refusal_count);
    print_counts(out, "Rejected by the venue", r->rejects, r->reject_count);
    print_baselines(out, r);
    fprintf(out, "\nFingerprint %016" PRIx64 "%s\n", r->fingerprint,
            r->synthetic ? "  (SYNTHETIC market)" : "");
}
