/* The honest report: everything from fills, with sample size, interval and baselines.
 *
 * Life of a report: the run fills in its counters, calls report_from_db for what the journal knows,
 * adds baselines and fingerprint, and report_save keeps the rest in the journal, so that
 * `quantum report` later is report_load, report_from_db, report_print. docs/report.md explains every
 * figure. */
#ifndef BACKTEST_REPORT_H
#define BACKTEST_REPORT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "backtest/stat.h"
#include "base/err.h"
#include "base/json.h"
#include "domain/trade.h"
#include "store/tradedb.h"

enum {
    REPORT_KEYS_MAX = 48,
    REPORT_KEY_SIZE = 32,
    REPORT_BASELINES_MAX = 4,
    REPORT_MODELS_MAX = 4,
    REPORT_BUCKETS_MAX = 24
};

struct report_count {
    char key[REPORT_KEY_SIZE];
    uint64_t count;
};

/* What the same bars gave to somebody who did nothing clever, costs included. NaN where there is no
 * answer. */
struct report_baseline {
    char name[24]; /* "buy_and_hold", "random_entry" */
    uint64_t trades;
    money_t net_pnl;
    double total_return, sharpe, sharpe_low, sharpe_high, max_drawdown, win_rate;
};

struct report_exit {
    uint64_t count, wins;
    money_t net_pnl;
};

struct report_bucket {
    int64_t up_to_ns; /* inclusive; the last may be INT64_MAX */
    uint64_t count;
};

/* A voter of the run, as its own held-out test judged it. */
struct report_model {
    char kind[16], state[16]; /* "xgboost"; "present", or "no_skill": does not vote */
    char params[320];         /* it was trained with */
    uint64_t rounds;
    double logloss_test, logloss_prior, skill_t, side_t, balanced_accuracy, ece;
    /* A network's alone: number of weights (0: it is none); mean squared error of its price path, of one that stands
     * still, of a linear one. NaN: none. */
    uint64_t weights;
    double mse_path, mse_persistence, mse_dlinear;
};

/* Decisions that two or more voters answered, with skill or without. */
struct report_disagreement {
    uint64_t decisions, differ; /* differ: their best labels are not the same */
    double distance;            /* mean of |p - p'| over labels, pairs and decisions; NaN: none */
};

struct report {
    /* The caller's, not kept: 0 all, else the run's first so many closed trades, with the money up to the last equity
     * point that is not behind the last of them. */
    uint64_t trades_max;

    /* The caller's; kept by report_save. */
    char mode[16], strategy[16], symbols_text[16];
    bool synthetic;
    int64_t from_ns, to_ns, interval_ns; /* from, to: taken from the equity curve if both are 0 */
    uint64_t bars, symbols, signals, intents, orders, fills;
    uint64_t instruments_inferred, funding_assumed;
    uint64_t seed;
    char model_window[512]; /* training and calibration window of each voter, or "none" */
    char cost_model[160];   /* fees, spread, slippage, latency, in words */
    money_t wallet_start;   /* 0: the wallet of the first equity point */
    uint64_t unprotected_at_end;
    /* Of the kernel's own count, open positions included: spans from fill to confirmed stop that nothing interrupted
     * (p99 within 1/16), and those with an outage of the venue or a death of the process in between. 0: none. */
    uint64_t protected_whole, protected_interrupted;
    int64_t protected_p99_ns, protected_max_ns, interrupted_max_ns;
    /* Falls at which entries end: below the day's highest equity, of the day's first, below the highest ever. 0: off,
     * or a run of a version that did not keep them. */
    double breaker_loss_max, breaker_daily_loss_max, breaker_drawdown_max;
    uint32_t reject_count, refusal_count, baseline_count;
    struct report_count rejects[REPORT_KEYS_MAX], refusals[REPORT_KEYS_MAX];
    struct report_baseline baselines[REPORT_BASELINES_MAX];
    uint32_t model_count;
    struct report_model models[REPORT_MODELS_MAX];
    struct report_disagreement disagreement;
    uint64_t fingerprint;

    /* From the journal, by report_from_db. */
    uint64_t trades, wins;
    double win_rate, win_rate_low, win_rate_high; /* net_pnl > 0; Wilson */
    double expectancy, expectancy_low,
        expectancy_high; /* mean net PnL per trade in USDT; NaN without trades */
    double expectancy_r; /* mean net PnL / risk, over trades with risk > 0 */
    double profit_factor;
    double average_win, average_loss; /* USDT, loss < 0; NaN without any */
    struct sharpe sharpe;             /* of daily equity returns, 365 a year */
    double max_drawdown;
    int64_t drawdown_from_ns, drawdown_to_ns; /* peak and bottom of it; 0 none */
    /* Of it, as shares of the peak, of the trades that closed in between: what they lost at prices beyond their first
     * stop, which no limit can hold; their fees and funding. */
    double drawdown_beyond_stops, drawdown_costs;
    uint64_t beyond_stops; /* trades that lost more than their first stop allowed, costs aside */
    money_t beyond_stops_sum, beyond_stops_max;
    double exposure; /* time-weighted notional / equity */
    struct report_exit exits[EXIT_REASON_COUNT];
    money_t wallet_end, realized_pnl, fees, funding, wallet_change;
    money_t identity_error; /* wallet_change - (realized_pnl - fees + funding): must be 0 */
    uint64_t ledger_fills, ledger_fundings, equity_points;
    uint64_t positions, unprotected_positions;  /* closed trades; those never confirmed protected */
    int64_t ttp_p50_ns, ttp_p99_ns, ttp_max_ns; /* over the protected; -1 if there are none */
    uint32_t ttp_bucket_count;
    struct report_bucket ttp_buckets[REPORT_BUCKETS_MAX];
};

/* Fills the second half. Money: sums over the journal's fills and funding rows up to its last equity
 * point, so that open positions and a running writer add up too; a journal without fill rows is summed
 * over its closed trades. ST_NO_MEMORY or what the journal says. */
enum status report_from_db(struct report *inout, struct tradedb *db, struct err *err);

/* The caller's half into the journal's meta table and back. load leaves the other half zero.
 * ST_NOT_FOUND if no report was saved. Save inside a transaction if one is open is fine. */
enum status report_save(const struct report *r, struct tradedb *db, struct err *err);
enum status report_load(struct report *out, struct tradedb *db, struct err *err);

/* XXH3 chain over the explicit little-endian fields of all trades in order; a run's fingerprint is
 * built on it. Depends on no path, clock, compiler or file layout. */
uint64_t report_trade_hash(uint64_t running, const struct trade_closed *trade);
enum status report_trades_hash(uint64_t *out, struct tradedb *db, struct err *err);

/* Adds to the count of key (cut to fit), in order of first appearance; what does not fit any more is
 * counted under "other". */
void report_count_add(struct report_count *counts, uint32_t *inout_count, const char *key,
                      uint64_t by);

/* Text for people; one JSON object for machines (keys in docs/report.md). A figure that has no answer
 * is "n/a (why)" in text and null in JSON. */
void report_print(FILE *out, const struct report *r);
void report_print_json(FILE *out, const struct report *r);
void report_write_json(struct json_writer *w, const struct report *r);

#endif
