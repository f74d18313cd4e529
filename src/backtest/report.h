/* The honest report: everything from fills, with sample size, interval and baselines. */
#ifndef BACKTEST_REPORT_H
#define BACKTEST_REPORT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "domain/trade.h"
#include "store/tradedb.h"

/* Statistics of a series of simple returns per period. Annualised with periods_per_year; the 95 %
 * interval is Lo's (2002) with the Newey-West variance, said in docs/report.md. NaN if n < 2 or the
 * standard deviation is 0. */
struct sharpe { double value, low, high; size_t n; };
struct sharpe stat_sharpe(const double *returns, size_t n, double periods_per_year);
/* Largest fall from a running peak, as a fraction of the peak (0..1). */
double stat_drawdown(const double *equity, size_t n);

enum { REPORT_KEYS_MAX = 48, REPORT_KEY_SIZE = 32, REPORT_BASELINES_MAX = 4 };
struct report_count { char key[REPORT_KEY_SIZE]; uint64_t count; };

/* What the same bars gave to somebody who did nothing clever, costs included. */
struct report_baseline {
    char name[24]; /* "buy_and_hold", "random_entry" */
    uint64_t trades;
    money_t net_pnl;
    double total_return, sharpe, sharpe_low, sharpe_high, max_drawdown, win_rate;
};

struct report {
    char mode[16], strategy[16], symbols_text[16];
    bool synthetic;
    int64_t from_ns, to_ns, interval_ns;
    uint64_t bars, symbols, signals, intents, orders, fills, trades;
    uint64_t instruments_inferred, funding_assumed;
    char model_window[128]; /* training and calibration window, or "none" */
    uint64_t wins;
    double win_rate, expectancy, profit_factor; /* expectancy: mean net PnL per trade in USDT; NaN without trades */
    struct sharpe sharpe;                       /* of daily equity returns */
    double max_drawdown, exposure;              /* exposure: time-weighted share of equity at risk (notional / equity) */
    money_t wallet_start, wallet_end, realized_pnl, fees, funding, wallet_change, identity_error;
    uint64_t positions, unprotected_positions, unprotected_at_end;
    int64_t ttp_p50_ns, ttp_p99_ns, ttp_max_ns;
    uint32_t ttp_bucket_count;
    struct { int64_t up_to_ns; uint64_t count; } ttp_buckets[24];
    uint32_t reject_count, refusal_count, baseline_count;
    struct report_count rejects[REPORT_KEYS_MAX], refusals[REPORT_KEYS_MAX];
    struct report_baseline baselines[REPORT_BASELINES_MAX];
    uint64_t fingerprint;
};

/* Fills what can be computed from the trade journal: trades … max_drawdown, wallet figures, time to
 * protected. The rest is the caller's (counters, baselines, fingerprint). */
enum status report_from_db(struct report *inout, struct tradedb *db, struct err *err);

/* Text for people; one JSON object for machines (keys as the issue names them). */
void report_print(FILE *out, const struct report *r);
void report_print_json(FILE *out, const struct report *r);

#endif
