/* What a model file brings with it for service: it is what happened, it comes back as the same bits, and a damaged piece is
 * refused by name. All four voters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <xgboost/c_api.h>

#include "learn/net_internal.h"
#include "learn/test_market.h"
#include "ml/model/model.h"
#include "ml/model_io/model_io.h"

enum { NET_SYMBOLS = 4, NET_BARS = 1300, FOREST_SYMBOLS = 10, FOREST_BARS = 2500 };

static struct market market;
static struct learn_config config;
static struct learn_report trained;
static struct learn_rows rows;
static struct served_model *model;
static char model_path[256], scratch_path[256];
static enum model_kind kind; /* of this round of the tests */

static int setup(void **state) {
    (void)state;
    struct err err = {0};
    print_message("%s\n", model_kind_text(kind));
    if (learn_is_network(kind))
        market_make(&market, NET_SYMBOLS, NET_BARS, market_seed(), 0.7);
    else
        market_make(&market, FOREST_SYMBOLS, FOREST_BARS, market_seed(), 0.7);
    config = learn_config_defaults();
    config.kind = kind;
    config.epochs = 1;
    config.threads = 1;
    market_path(model_path, sizeof model_path, "evidence.model");
    market_path(scratch_path, sizeof scratch_path, "damaged.model");
    if (learn_train(&trained, model_path, market.series, market.count, &config, NULL, NULL, &err) ||
        learn_rows_build(&rows, market.series, market.count, &config, NULL, NULL, &err) ||
        served_model_load(&model, model_path, &err)) {
        print_message("%s\n", err.text);
        return -1;
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    served_model_destroy(model);
    learn_rows_free(&rows);
    market_free(&market);
    unlink(model_path);
    unlink(scratch_path);
    return 0;
}

/* ---- twins ---- */

/* Calibrated answers to all rows, as service gives them. The caller frees. */
static double *answers_to(const struct learn_rows *r) {
    double *p = malloc(r->count * LABEL_COUNT * sizeof *p);
    struct err err;
    if (learn_is_network(kind)) {
        struct net *net;
        struct model_meta meta;
        assert_int_equal(net_load(&net, &meta, NULL, model_path, NET_BATCH, false, NULL, &err),
                         ST_OK);
        net_rows_predict(p, NULL, net, r, (struct learn_range){0, r->count}, &config.labels);
        for (size_t i = 0; i < r->count; i++)
            calibration_apply(p + i * LABEL_COUNT, meta.calibration);
        net_destroy(net);
        return p;
    }
    struct model_vote *votes = malloc(r->count * sizeof *votes);
    assert_int_equal(served_model_vote(votes, model, r->features, NULL, r->count, r->columns, &err),
                     ST_OK);
    for (size_t i = 0; i < r->count; i++)
        memcpy(p + i * LABEL_COUNT, votes[i].p, sizeof votes[i].p);
    free(votes);
    return p;
}

static double move_of(const struct learn_rows *r, size_t row) {
    double atr = r->features ? (double)r->features[row * r->columns + FEATURE_ATR_FRACTION]
                             : (double)r->atr[row];
    return fmax(config.labels.barrier_atr * atr,
                config.labels.barrier_cost_multiple * config.labels.cost_round_trip);
}

/* What the price did, looked up in the bars by hand. names sort as they are numbered. */
static double return_of(const struct market *m, const struct learn_rows *r, size_t row) {
    const struct bar *bars = m->bars[r->series[row]], *end = &bars[r->end[row]];
    double close = (double)bars[r->bar[row]].close.e8, move = move_of(r, row), open;
    open = (double)end->open.e8 / close - 1;
    if (r->labels[row] == LABEL_HOLD) return (double)end->close.e8 / close - 1;
    if (r->labels[row] == LABEL_BUY) return open > move ? open : move;
    return open < -move ? open : -move;
}

static double residual_of(const struct market *m, const struct learn_rows *r, size_t row,
                          const double *q) {
    double move = move_of(r, row);
    return fabs(return_of(m, r, row) - move * (q[LABEL_BUY] - q[LABEL_SELL])) / move;
}

static size_t first_test_row(void) {
    size_t i = 0;
    while (rows.decision_ns[i] < trained.test_from_ns) i++;
    assert_int_equal(rows.count - i, trained.rows_test);
    return i;
}

static enum label best_of(const double *q) {
    if (q[0] > q[1] && q[0] > q[2]) return LABEL_SELL;
    return q[2] > q[0] && q[2] > q[1] ? LABEL_BUY : LABEL_HOLD;
}

static void assert_close(double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance)) fail_msg("%.17g is not %.17g", a, b);
}

/* ---- what it says ---- */

static void the_test_is_what_happened(void **state) {
    (void)state;
    const struct served_evidence *e = served_model_evidence(model);
    double *p = answers_to(&rows), share[LABEL_COUNT] = {0}, losses = 0, times = 0;
    for (size_t i = first_test_row(); i < rows.count;) {
        double sum = 0, n = 0;
        for (int64_t t = rows.decision_ns[i]; i < rows.count && rows.decision_ns[i] == t; i++) {
            const double *q = p + i * LABEL_COUNT;
            sum -= log(q[(size_t)rows.labels[i]]);
            share[best_of(q)] += 1.0 / (double)trained.rows_test;
            n++;
        }
        losses += sum / n;
        times++;
    }
    assert_close(e->test.loss_mean, losses / times, 1e-9);
    /* One row of each symbol a time here: the mean of means is the report's. */
    assert_close(e->test.loss_mean, trained.logloss_test, 1e-9);
    for (int l = 0; l < LABEL_COUNT; l++) assert_close(e->test.label_share[l], share[l], 1e-9);
    free(p);
}

static void reliability_is_that_of_the_best_label(void **state) {
    (void)state;
    const struct reliability *r = &served_model_evidence(model)->reliability;
    double *p = answers_to(&rows), p_sum[RELIABILITY_BINS] = {0};
    uint64_t count[RELIABILITY_BINS] = {0}, hits[RELIABILITY_BINS] = {0};
    for (size_t i = first_test_row(); i < rows.count; i++) {
        enum label best = best_of(p + i * LABEL_COUNT);
        double q = p[i * LABEL_COUNT + best];
        size_t b = (size_t)(q * RELIABILITY_BINS);
        count[b]++;
        hits[b] += rows.labels[i] == (float)best;
        p_sum[b] += q;
    }
    assert_int_equal(r->count, trained.rows_test);
    for (size_t b = 0; b < RELIABILITY_BINS; b++) {
        assert_int_equal(r->bins[b].count, count[b]);
        assert_int_equal(r->bins[b].hits, hits[b]);
        assert_true(r->bins[b].p_sum == p_sum[b]);
    }
    assert_close(reliability_ece(r), trained.ece, 1e-9);
    free(p);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void residuals_are_those_of_the_test_rows(void **state) {
    (void)state;
    const struct conformal_table *t = &served_model_evidence(model)->residuals;
    size_t begin = first_test_row(), n = rows.count - begin;
    double *p = answers_to(&rows), *residuals = malloc(n * sizeof *residuals);
    for (size_t i = 0; i < n; i++)
        residuals[i] = residual_of(&market, &rows, begin + i, p + (begin + i) * LABEL_COUNT);
    qsort(residuals, n, sizeof *residuals, compare);
    assert_int_equal(t->rows, n);
    for (size_t k = 0; k < CONFORMAL_LEVELS; k++) {
        size_t rank = ((n + 1) * (k + 1) + CONFORMAL_LEVELS) / (CONFORMAL_LEVELS + 1);
        assert_close(t->quantile[k], residuals[rank > n ? n - 1 : rank - 1], 1e-9);
    }
    free(residuals);
    free(p);
}

/* Symbols nobody has seen, of the same kind of market: as many returns as stated stay within the interval. */
static void residuals_cover_rows_never_seen(void **state) {
    (void)state;
    static const double alphas[] = {0.2, 0.1, 0.05};
    const struct conformal_table *t = &served_model_evidence(model)->residuals;
    struct market other;
    struct learn_rows strange;
    struct err err;
    market_make(&other, 8, FOREST_BARS, market_seed() + 4711, 0.7);
    assert_int_equal(
        learn_rows_build(&strange, other.series, other.count, &config, NULL, NULL, &err), ST_OK);
    double *p = answers_to(&strange);
    for (size_t k = 0; k < sizeof alphas / sizeof alphas[0]; k++) {
        double width = conformal_table_width(t, alphas[k]), inside = 0;
        for (size_t i = 0; i < strange.count; i++)
            inside += residual_of(&other, &strange, i, p + i * LABEL_COUNT) <= width;
        inside /= (double)strange.count;
        print_message("alpha %.2f: width %.4f, covers %.4f of %zu\n", alphas[k], width, inside,
                      strange.count);
        /* Rows of one phase of the market are alike, 30 on average. Four standard deviations. */
        double news = (double)trained.rows_test / 30;
        assert_close(inside, 1 - alphas[k], 4 * sqrt(alphas[k] * (1 - alphas[k]) / news));
    }
    free(p);
    learn_rows_free(&strange);
    market_free(&other);
}

/* Columns that splits use, or that windows are made of; and no others. */
static void inputs_are_the_columns_that_are_read(void **state) {
    (void)state;
    const struct served_evidence *e = served_model_evidence(model);
    bool reads[FEATURE_COUNT_MAX] = {false};
    struct err err;
    assert_int_equal(e->features, feature_count());
    if (learn_is_network(kind)) {
        assert_null(e->importance);
        static const uint32_t read[] = {
            FEATURE_LOG_RETURN_1,    FEATURE_HIGH_LOW_RANGE,   FEATURE_CANDLE_BODY,
            FEATURE_VOLUME_MA_RATIO, FEATURE_VOLATILITY_RATIO, FEATURE_TAKER_IMBALANCE,
            FEATURE_MARKET_RETURN_1, FEATURE_RANK_RETURN_1,    FEATURE_ATR_FRACTION};
        assert_int_equal(sizeof read / sizeof read[0], NET_INPUTS);
        for (size_t i = 0; i < NET_INPUTS; i++) reads[read[i]] = true;
    } else {
        struct tree_model *trees;
        double gains[FEATURE_COUNT_MAX] = {0}, sum = 0;
        assert_int_equal(model_read(&trees, model_path, &err), ST_OK);
        for (uint32_t t = 0; t < trees->tree_count; t++)
            for (uint32_t s = 0; s < trees->trees[t].split_count; s++) {
                reads[trees->trees[t].feature[s]] = true;
                gains[trees->trees[t].feature[s]] += (double)trees->trees[t].gain[s];
            }
        for (uint32_t k = 0; k < e->features; k++) sum += gains[k];
        for (uint32_t k = 0; k < e->features; k++)
            assert_close(e->importance[k], gains[k] / sum, 1e-12);
        tree_model_destroy(trees);
    }
    for (uint32_t k = 0; k < e->features; k++) assert_int_equal(e->inputs[k].rows > 0, reads[k]);
}

/* Made again from the same rows: what was read back from the file is that, bit for bit. */
static void inputs_come_back_bit_for_bit(void **state) {
    (void)state;
    const struct served_evidence *e = served_model_evidence(model);
    struct model_evidence *again = calloc(1, sizeof *again);
    bool reads[FEATURE_COUNT_MAX];
    struct err err;
    for (uint32_t k = 0; k < e->features; k++) reads[k] = e->inputs[k].rows > 0;
    struct learn_range train = {0, trained.rows_train};
    assert_int_equal(learn_evidence_inputs(again, &rows, train, reads, &err), ST_OK);
    assert_memory_equal(again->inputs, e->inputs, e->features * sizeof *e->inputs);
    double *p = answers_to(&rows);
    struct learn_range test = {first_test_row(), trained.rows_test};
    assert_int_equal(
        learn_evidence_test(again, &rows, test, p + test.begin * LABEL_COUNT, &config.labels, &err),
        ST_OK);
    assert_memory_equal(&again->test, &e->test, sizeof e->test);
    assert_memory_equal(&again->residuals, &e->residuals, sizeof e->residuals);
    assert_memory_equal(&again->reliability, &e->reliability, sizeof e->reliability);
    free(p);
    free(again);
}

/* ---- drift of inputs ---- */

/* Row i (feature_count()) as the engine sees it; for a network the columns it does not read are NaN. */
static void row_of(float *out, size_t i) {
    uint32_t columns = feature_count();
    for (uint32_t k = 0; k < columns; k++)
        out[k] = rows.features ? rows.features[i * columns + k] : NAN;
    for (uint32_t k = 0; rows.inputs && k < NET_INPUTS; k++)
        out[net_input_column(k)] = rows.inputs[i * NET_INPUTS + k];
}

/* The training rows in the engine's order, every symbol's turn at another time than in the sample, each watched column moved by so
 * many of its own deviations. Largest severe share at the end of a window, and alarms. */
static double severe_share(uint64_t *alarms, double deviations) {
    const struct served_evidence *e = served_model_evidence(model);
    struct drift *drift = malloc(sizeof *drift);
    struct drift_config drift_config = drift_config_defaults();
    struct drift_summary summary;
    float row[FEATURE_COUNT_MAX];
    double worst = 0;
    drift_init(drift, &drift_config, e->inputs, e->features);
    for (size_t i = 0, time = 0; i < trained.rows_train; time++) {
        size_t there = 1;
        while (i + there < trained.rows_train && rows.decision_ns[i + there] == rows.decision_ns[i])
            there++;
        row_of(row, i + time % there);
        for (uint32_t k = 0; k < e->features; k++) {
            const struct drift_reference *r = &e->inputs[k];
            if (r->edge_count < DRIFT_BINS - 1) continue; /* 80 % of a normal lie within 2.56 */
            row[k] += (float)(deviations * (r->edge[8] - r->edge[0]) / 2.56);
        }
        drift_row(drift, row);
        i += there;
        if (drift->rows % DRIFT_WINDOW) continue;
        drift_summarise(&summary, drift, e->importance);
        worst = fmax(worst, summary.severe_share);
    }
    *alarms = drift->alarms;
    free(drift);
    return worst;
}

static void training_rows_are_calm_and_shifted_ones_are_not(void **state) {
    (void)state;
    uint64_t calm_alarms, alarms;
    double calm = severe_share(&calm_alarms, 0), shifted = severe_share(&alarms, 2);
    print_message("severe: %.3f as trained, %.3f shifted; alarms %llu, %llu\n", calm, shifted,
                  (unsigned long long)calm_alarms, (unsigned long long)alarms);
    double limit = supervisor_config_defaults().severe_share;
    assert_true(calm < limit / 2);
    assert_true(shifted > limit);
    assert_int_equal(calm_alarms, 0);
    assert_true(alarms > 0);
}

/* ---- files ---- */

static void assert_refused(enum status expected, const char *needle) {
    struct served_model *m = NULL;
    struct err err = {0};
    enum status st = served_model_load(&m, scratch_path, &err);
    if (st != expected || !strstr(err.text, needle))
        fail_msg("%s expected with %s: %s, %s", status_name(expected), needle, status_name(st),
                 err.text);
    assert_null(m);
}

static void spit(const char *bytes, size_t size) {
    FILE *f = fopen(scratch_path, "wb");
    if (!f || fwrite(bytes, 1, size, f) != size) abort();
    fclose(f);
}

/* Each of them in turn, its first digit made a letter: the error names it. */
static void each_damaged_attribute_is_named(void **state) {
    (void)state;
    static const char head[] = "quantum.evidence.";
    size_t size, tried = 0, watched = 0;
    char *bytes = market_slurp(model_path, &size), *at = bytes;
    while ((at = memmem(at, size - (size_t)(at - bytes), head, sizeof head - 1))) {
        char key[96] = {0};
        size_t length = strcspn(at, "\":");
        memcpy(key, at, length);
        at += length;
        at += strcspn(at, "0123456789");
        char was = *at;
        *at = 'x';
        spit(bytes, size);
        *at = was;
        assert_refused(ST_CORRUPT, key);
        tried++;
    }
    for (uint32_t k = 0; k < feature_count(); k++)
        watched += served_model_evidence(model)->inputs[k].rows > 0;
    assert_int_equal(tried, 1 + LABEL_COUNT + 3 + watched);
    free(bytes);
}

static void an_older_file_is_to_be_trained_again(void **state) {
    (void)state;
    size_t size;
    char *bytes = market_slurp(model_path, &size);
    char *at = memmem(bytes, size, "quantum.format", 14);
    assert_non_null(at);
    at += strcspn(at, "3");
    *at = '2';
    spit(bytes, size);
    free(bytes);
    assert_refused(ST_VERSION, "train it again");
}

/* One number of a list in another's place. */
static void set_number(char *out, size_t size, const char *list, const char *separators,
                       size_t index, const char *value) {
    const char *at = list;
    for (size_t i = 0; i < index; i++) at += strcspn(at, separators) + 1;
    snprintf(out, size, "%.*s%s%s", (int)(at - list), list, value, at + strcspn(at, separators));
}

/* Well-formed numbers that cannot be. */
static void impossible_evidence_is_refused(void **state) {
    (void)state;
    char input[96];
    uint32_t column = 0; /* one that has all edges */
    while (served_model_evidence(model)->inputs[column].edge_count < DRIFT_BINS - 1) column++;
    snprintf(input, sizeof input, "quantum.evidence.input.%s", feature_at(column)->name);
    static const char residuals[] = "quantum.evidence.residuals",
                      reliability[] = "quantum.evidence.reliability",
                      inputs[] = "quantum.evidence.inputs";
    const struct {
        const char *key;
        int index; /* of a number, or -1: the whole text */
        const char *value;
    } bad[] = {{"quantum.evidence.loss", -1, "0"},
               {"quantum.evidence.loss", -1, "-1"},
               {"quantum.evidence.loss", -1, "inf"},
               {"quantum.evidence.loss", -1, "0.9 "},
               {"quantum.evidence.share.BUY", -1, "-0.1"},
               {"quantum.evidence.share.BUY", -1, "1.5"},
               {residuals, 0, "12"},      /* not the report's rows */
               {residuals, 1, "-0.1"},    /* a distance below 0 */
               {residuals, 100, "1e9"},   /* the next is less */
               {residuals, 199, "0.001"}, /* less than the one before */
               {residuals, 50, "nan"},
               {residuals, 199, "7 8"},
               {residuals, -1, "300"},
               {reliability, 21, "1"},      /* bin 7: fewer statements than the report's rows */
               {reliability, 22, "0.001"},  /* sum of p below the bin */
               {reliability, 23, "999999"}, /* more hits than statements */
               {reliability, 21, "10.5"},
               {reliability, -1, "1:1:1"},
               {inputs, -1, "0101"},
               {inputs, -1, ""},
               {input, 0, "0"},
               {input, 0, "7777"}, /* cells do not add up */
               {input, 1, "8"},
               {input, 1, "10"},
               {input, 2, "0.5"}, /* inflation */
               {input, 2, "257"},
               {input, 4, "-9"},     /* edges not ascending */
               {input, 13, "99999"}, /* a cell */
               {input, 23, "-9"},    /* scores: the least one is not that far off */
               {input, 28, "9"},     /* not ascending */
               {input, 32, "1 2"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tree_model *m = NULL;
        struct err err = {0};
        char text[8192];
        assert_int_equal(model_read(&m, model_path, &err), ST_OK);
        const char *was = tree_model_attribute(m, bad[i].key);
        assert_non_null(was);
        if (bad[i].index < 0)
            snprintf(text, sizeof text, "%s", bad[i].value);
        else
            set_number(text, sizeof text, was, " :", (size_t)bad[i].index, bad[i].value);
        assert_int_equal(tree_model_attribute_set(m, bad[i].key, text, &err), ST_OK);
        assert_int_equal(model_write(m, scratch_path, MODEL_FORMAT_AUTO, &err), ST_OK);
        tree_model_destroy(m);
        assert_refused(ST_CORRUPT, bad[i].key);
    }
    struct tree_model *m = NULL;
    struct err err = {0};
    assert_int_equal(model_read(&m, model_path, &err), ST_OK);
    assert_int_equal(tree_model_attribute_set(m, "quantum.evidence.share.BUY", "0.9999", &err),
                     ST_OK);
    assert_int_equal(model_write(m, scratch_path, MODEL_FORMAT_AUTO, &err), ST_OK);
    tree_model_destroy(m);
    assert_refused(ST_CORRUPT, "quantum.evidence.share.*");
}

static void a_method_that_contradicts_its_knots_is_refused(void **state) {
    (void)state;
    bool has_knots = trained.calibration != LEARN_IDENTITY;
    const char *const methods[] = {has_knots ? "identity" : "beta", "platt", ""};
    struct err err = {0};
    assert_int_equal(served_model_report(model)->calibration, trained.calibration);
    print_message("calibration: %s\n",
                  learn_calibration_text((enum learn_calibration)trained.calibration));
    for (size_t i = 0; i < 3; i++) {
        struct tree_model *m = NULL;
        assert_int_equal(model_read(&m, model_path, &err), ST_OK);
        assert_int_equal(
            tree_model_attribute_set(m, "quantum.calibration.method", methods[i], &err), ST_OK);
        assert_int_equal(model_write(m, scratch_path, MODEL_FORMAT_AUTO, &err), ST_OK);
        tree_model_destroy(m);
        assert_refused(ST_CORRUPT, "quantum.calibration.");
    }
}

/* The library loads the file, keeps the texts, and answers as we do. */
static void xgboost_reads_it(void **state) {
    (void)state;
    enum { N = 200 };
    static const char options[] =
        "{\"type\":0,\"training\":false,\"iteration_begin\":0,\"iteration_end\":0,"
        "\"strict_shape\":true,\"missing\":NaN,\"cache_id\":0}";
    if (kind != MODEL_XGBOOST) return;
    BoosterHandle booster;
    const bst_ulong *shape;
    bst_ulong dim;
    const float *q;
    const char *value;
    char array[160];
    int found = 0;
    struct model *m;
    struct err err;
    double *p = malloc(N * LABEL_COUNT * sizeof *p);
    /* By its name the library takes a file for JSON. */
    snprintf(scratch_path + strlen(scratch_path) - 5, 6, "json");
    assert_int_equal(model_load(&m, model_path, &err), ST_OK);
    size_t size;
    char *bytes = market_slurp(model_path, &size);
    spit(bytes, size);
    free(bytes);
    assert_int_equal(XGBoosterCreate(NULL, 0, &booster), 0);
    assert_int_equal(XGBoosterSetParam(booster, "nthread", "1"), 0);
    assert_int_equal(XGBoosterLoadModel(booster, scratch_path), 0);
    assert_int_equal(XGBoosterGetAttr(booster, "quantum.evidence.residuals", &value, &found), 0);
    assert_true(found);
    assert_string_equal(value, tree_model_attribute(model_trees(m), "quantum.evidence.residuals"));
    snprintf(array, sizeof array,
             "{\"data\":[%zu,true],\"shape\":[%d,%u],\"typestr\":\"<f4\",\"version\":3}",
             (size_t)(uintptr_t)rows.features, N, rows.columns);
    assert_int_equal(XGBoosterPredictFromDense(booster, array, options, NULL, &shape, &dim, &q), 0);
    model_predict(p, m, rows.features, N, rows.columns);
    for (size_t i = 0; i < N * LABEL_COUNT; i++) assert_close(p[i], (double)q[i], 2e-7);
    XGBoosterFree(booster);
    model_destroy(m);
    free(p);
    unlink(scratch_path);
    market_path(scratch_path, sizeof scratch_path, "damaged.model");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_test_is_what_happened),
        cmocka_unit_test(reliability_is_that_of_the_best_label),
        cmocka_unit_test(residuals_are_those_of_the_test_rows),
        cmocka_unit_test(residuals_cover_rows_never_seen),
        cmocka_unit_test(inputs_are_the_columns_that_are_read),
        cmocka_unit_test(inputs_come_back_bit_for_bit),
        cmocka_unit_test(training_rows_are_calm_and_shifted_ones_are_not),
        cmocka_unit_test(each_damaged_attribute_is_named),
        cmocka_unit_test(an_older_file_is_to_be_trained_again),
        /* Of forests alone, last. */
        cmocka_unit_test(impossible_evidence_is_refused),
        cmocka_unit_test(a_method_that_contradicts_its_knots_is_refused),
        cmocka_unit_test(xgboost_reads_it),
    };
    enum { FOREST_TESTS = 3, ALL = sizeof tests / sizeof tests[0] };
    struct CMUnitTest of_networks[ALL - FOREST_TESTS];
    memcpy(of_networks, tests, sizeof of_networks);
    kind = MODEL_XGBOOST;
    int failed = cmocka_run_group_tests(tests, setup, teardown);
    kind = MODEL_LIGHTGBM;
    failed += cmocka_run_group_tests(tests, setup, teardown);
    kind = MODEL_NHITS;
    failed += cmocka_run_group_tests(of_networks, setup, teardown);
    kind = MODEL_PATCHTST;
    return failed + cmocka_run_group_tests(of_networks, setup, teardown);
}
