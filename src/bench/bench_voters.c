#include "bench/bench_voters.h"

#include <stdio.h>
#include <string.h>

#include "base/tstamp.h"
#include "bench/bench_folder.h"

/* What a forecast costs depends on a network's size, which is the voter's own, and on how many trees a forest has. Networks see
 * few rows once; forests so many that they grow as they do on candles: up to 150 rounds of 3 trees of depth 4, up to 200 of
 * 3 trees of 7 leaves. */
enum { NETWORK_ROWS = 20000, FOREST_ROUNDS_MIN = 40 };

struct learn_config bench_voters_config(const struct bench_voters *v, enum model_kind kind) {
    struct learn_config c = learn_config_defaults();
    c.kind = kind;
    c.interval_ns = v->market.interval_ns;
    c.from_ns = v->market.start_ts_ns;
    c.to_ns = c.from_ns + BENCH_VOTERS_TRAIN_BARS * c.interval_ns;
    if (kind == MODEL_NHITS || kind == MODEL_PATCHTST) {
        c.rows_max = NETWORK_ROWS;
        c.epochs = 1;
    }
    return c;
}

static enum status voter_make(struct bench_voters *v, enum model_kind kind, struct err *err) {
    char path[256];
    struct learn_report report;
    const struct learn_config c = bench_voters_config(v, kind);
    int64_t from = tstamp_monotonic_ns();
    snprintf(path, sizeof path, "%s/%s%s", v->folder, model_kind_text(kind),
             learn_file_suffix(kind));
    enum status st =
        learn_train(&report, path, v->series, BENCH_VOTERS_TRAIN_SYMBOLS, &c, NULL, NULL, err);
    if (st == ST_OK) st = served_model_load(&v->models[kind], path, err);
    if (st != ST_OK) return st;
    bool is_forest = served_model_weights(v->models[kind]) == 0;
    fprintf(stderr, "%s: %u %s, %zu rows, %.1f s: %s\n", model_kind_text(kind), report.rounds,
            is_forest ? "rounds of 3 trees" : "epoch", report.rows_train,
            (double)(tstamp_monotonic_ns() - from) * 1e-9, report.verdict);
    if (is_forest && report.rounds < FOREST_ROUNDS_MIN)
        return err_set(err, ST_RANGE, "%s of %u rounds: too few for a figure of its cost",
                       model_kind_text(kind), report.rounds);
    return ST_OK;
}

enum status bench_voters_make(struct bench_voters *v, struct err *err) {
    memset(v, 0, sizeof *v);
    v->market = synth_config_defaults();
    v->market.seed = 7;
    v->market.symbol_count = BENCH_VOTERS_TRAIN_SYMBOLS;
    v->market.interval_ns = NS_PER_HOUR;
    enum status st = bench_folder_make(v->folder, sizeof v->folder, err);
    if (st == ST_OK) st = bench_synth_make(&v->past, &v->market, BENCH_VOTERS_TRAIN_BARS, err);
    for (size_t i = 0; i < BENCH_VOTERS_TRAIN_SYMBOLS && st == ST_OK; i++)
        v->series[i] = (struct learn_series){v->past.instruments[i].symbol,
                                             v->past.bars + i * v->past.count, v->past.count};
    for (uint32_t k = 0; k < MODEL_COUNT && st == ST_OK; k++)
        st = voter_make(v, (enum model_kind)k, err);
    return st;
}

void bench_voters_free(struct bench_voters *v) {
    for (uint32_t k = 0; k < MODEL_COUNT; k++) served_model_destroy(v->models[k]);
    bench_synth_free(&v->past);
    bench_folder_remove(v->folder);
}

enum status bench_voters_session(struct session_options *out, char run_dir[256],
                                 const struct bench_voters *v, uint32_t symbols, struct err *err) {
    struct synth_config market = v->market;
    market.symbol_count = symbols;
    *out = session_options_defaults();
    snprintf(run_dir, 256, "%s/run", v->folder);
    bench_folder_remove(run_dir);
    out->run_dir = run_dir;
    out->labels = served_model_labels(v->models[MODEL_XGBOOST]);
    memcpy(out->models, v->models, sizeof out->models);
    return feed_open_synth(&out->feed, &market,
                           market.start_ts_ns + BENCH_VOTERS_TRAIN_BARS * market.interval_ns, err);
}
