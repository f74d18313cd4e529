/* `quantum bench NAME --json`: one line per figure. Every bench measures the function the product
 * calls, next to the peer it names, in the same process and run. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct bench_figure {
    const char *name;  /* exactly the bench's NAME for its main figure; NAME.qualifier for others */
    double value;      /* a rate per second, a latency's p50 in ns, or a job's seconds */
    const char *unit;  /* "1/s", "ns", "s", "ns/bar" */
    uint64_t n;        /* how many were measured */
    const char *peer;  /* "" if none */
    double peer_value; /* 0 if none */
};

/* Figures as JSON lines instead of text. */
void bench_json_set(bool on);

/* Prints one figure (text or JSON as asked on the command line); ratio = value / peer_value. */
void bench_emit(const struct bench_figure *figure);

/* What may be asked of benches that take it; 0: the bench's own default. */
struct bench_parameters {
    uint32_t rows, cols, trees, threads;
};

/* X(name, what it measures) */
#define BENCH_TABLE(X)                                                                             \
    X(feature_bar, "full registry rows of one symbol after one closed bar")                        \
    X(replay_rule, "bar-steps of the whole engine under the momentum rule, journal on")            \
    X(replay_model, "bar-steps of the whole engine with XGBoost answering")                        \
    X(decision_1, "a candle's close to its intents: one symbol, four voters; also while training") \
    X(decision_100, "the same for 100 symbols at once")                                            \
    X(bus_hop, "publish to delivery through the bus, next to raw hiredis")                         \
    X(journal_append, "durable appends under group commit, next to Redis appendonly always")       \
    X(json_frame, "market frames parsed, next to jansson")                                         \
    X(match, "order book operations, on the peers' workload")                                      \
    X(sign_order, "an order's parameters to the signed request")                                   \
    X(parse_trade, "stream frame of a trade to the client's event, next to jansson")               \
    X(parse_depth20, "stream frame of 20 levels a side to the client's event, next to jansson")    \
    X(rest_order, "a signed order's round trip to `quantum exchange` over loopback, and the rate") \
    X(ws_fanout, "messages to 20 clients over the streams of 300 contracts, none lost")            \
    X(signal_http, "a signal over HTTP at 1,000 requests a second, from when each is due")         \
    X(restart_10m, "a killed trader's restart, reconciled: ten million journal records, last "     \
                   "snapshot as old as can be")                                                    \
    X(sim_rate, "simulated time to real time of the whole system, with a rule and with four "      \
                "voters")

/* The same; these take parameters. */
#define BENCH_TABLE_PARAMETERS(X)                                                                  \
    X(forest_row, "margin of one row (60 columns, 300 trees of depth 6), next to libxgboost")      \
    X(forest_batch, "margins of 10000 rows by the same trees, next to libxgboost")                 \
    X(train_lightgbm, "a training of our trainer (100000 x 50, 200 trees), next to libxgboost")    \
    X(train_xgboost, "the same through ml/xgboost, next to libxgboost called directly")            \
    X(nhits_train, "windows trained, N-HiTS of the paper's size and of trading's (--threads)")     \
    X(nhits_row, "one window's forecast by N-HiTS of trading's size and of the paper's")           \
    X(patchtst_train, "windows trained, PatchTST small and large, paper's size and trading's")     \
    X(patchtst_row, "one window's forecast by small PatchTST of trading's size and the paper's")   \
    X(nn_batch100, "windows forecast a hundred at once by PatchTST (--threads)")                   \
    X(retrain_networks, "seconds of a warm retraining of both networks on 60 days of 50 symbols")  \
    X(retrain_50, "seconds of a retraining of all four voters on a year of 50 symbols' hours")

#define BENCH_DECLARE(name, about) enum status bench_##name(struct err *err);
#define BENCH_DECLARE_PARAMETERS(name, about)                                                      \
    enum status bench_##name(const struct bench_parameters *p, struct err *err);
BENCH_TABLE(BENCH_DECLARE)
BENCH_TABLE_PARAMETERS(BENCH_DECLARE_PARAMETERS)
#undef BENCH_DECLARE
#undef BENCH_DECLARE_PARAMETERS

/* Ascending. */
void bench_sort(double *values, size_t n);
/* Median of n doubles (sorts them). */
double bench_median(double *values, uint32_t n);
/* Figures NAME, the p50 of n times in ns, and NAME.p99 (sorts them). */
void bench_latency(const char *name, double *ns, size_t n);

#endif
