/* Networks from training to votes: one file, the same bytes, the same bits, and no number out of nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "learn/net_internal.h"
#include "learn/test_market.h"

/* ---- allocations, counted by the linker's --wrap ---- */

static size_t allocations;
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size) {
    allocations++;
    return __real_malloc(size);
}
void *__wrap_calloc(size_t n, size_t size) {
    allocations++;
    return __real_calloc(n, size);
}
void *__wrap_aligned_alloc(size_t alignment, size_t size) {
    allocations++;
    return __real_aligned_alloc(alignment, size);
}

/* ---- a trained network ---- */

enum { SYMBOLS = 4, BARS = 1300 };

static struct market market;
static struct learn_config config;
static struct learn_report trained;
static char model_path[256], scratch_path[256];
static enum model_kind kind; /* of this round of the tests */

static int setup(void **state) {
    (void)state;
    struct err err = {0};
    print_message("%s\n", model_kind_text(kind));
    market_make(&market, SYMBOLS, BARS, market_seed(), 0.7);
    config = learn_config_defaults();
    config.kind = kind;
    config.epochs = 1;
    config.threads = 1;
    market_path(model_path, sizeof model_path, "net.safetensors");
    market_path(scratch_path, sizeof scratch_path, "changed.safetensors");
    if (learn_train(&trained, model_path, market.series, SYMBOLS, &config, NULL, NULL, &err)) {
        print_message("%s\n", err.text);
        return -1;
    }
    print_message("%s\n%s\n", trained.verdict, trained.params);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    market_free(&market);
    unlink(model_path);
    unlink(scratch_path);
    return 0;
}

static struct served_model *load(const char *path) {
    struct served_model *m = NULL;
    struct err err = {0};
    if (served_model_load(&m, path, &err) != ST_OK) fail_msg("%s", err.text);
    return m;
}

static void assert_same_file(const char *a, const char *b, bool same) {
    size_t a_size, b_size;
    char *a_bytes = market_slurp(a, &a_size), *b_bytes = market_slurp(b, &b_size);
    assert_int_equal(a_size == b_size && memcmp(a_bytes, b_bytes, a_size) == 0, same);
    free(a_bytes);
    free(b_bytes);
}

/* Twice, on two threads, with the symbols in another order; but not with another seed. */
static void same_input_same_bytes(void **state) {
    (void)state;
    struct learn_config c = config;
    struct learn_series turned[SYMBOLS];
    struct learn_report r;
    struct err err;
    for (size_t s = 0; s < SYMBOLS; s++) turned[s] = market.series[SYMBOLS - 1 - s];
    c.threads = 2;
    assert_int_equal(learn_train(&r, scratch_path, turned, SYMBOLS, &c, NULL, NULL, &err), ST_OK);
    assert_same_file(model_path, scratch_path, true);
    c.seed++;
    c.rows_max = 3000;
    assert_int_equal(learn_train(&r, scratch_path, turned, SYMBOLS, &c, NULL, NULL, &err), ST_OK);
    assert_same_file(model_path, scratch_path, false);
}

static void what_was_trained_is_what_is_served(void **state) {
    (void)state;
    struct served_model *m = load(model_path);
    const struct learn_report *r = served_model_report(m);
    assert_int_equal(served_model_kind(m), kind);
    assert_true(served_model_reads_history(m));
    assert_true(r->skill_t == trained.skill_t && r->logloss_test == trained.logloss_test);
    assert_true(r->mse_path == trained.mse_path && r->mse_dlinear == trained.mse_dlinear);
    assert_true(r->mse_persistence == trained.mse_persistence && r->rounds == 1);
    assert_true(isfinite(r->mse_path) && isfinite(r->mse_dlinear));
    assert_string_equal(r->verdict, trained.verdict);
    assert_string_equal(r->params, trained.params);
    assert_true(strlen(r->params) > 100 && strlen(r->params) + 20 < LEARN_PARAMS_SIZE);
    assert_non_null(strstr(r->verdict, "DLinear"));
    assert_true(strlen(r->verdict) + 1 < sizeof r->verdict);
    assert_int_equal(served_model_interval_ns(m), NS_PER_HOUR);
    int64_t end = MARKET_START_NS + (int64_t)BARS * NS_PER_HOUR;
    assert_int_equal(served_model_data_end_ns(m), end);
    size_t size;
    char *bytes = market_slurp(model_path, &size);
    assert_true(served_model_hash(m) == hash64(bytes, size));
    free(bytes);
    served_model_destroy(m);
}

/* ---- service: bars come one by one ---- */

struct service {
    struct feature_series *series[SYMBOLS];
    struct net_history *histories[SYMBOLS];
    const struct net_history *asked[SYMBOLS];
    float rows[SYMBOLS * FEATURE_COUNT_MAX];
    size_t bar;
};

static void service_begin(struct service *s) {
    *s = (struct service){0};
    for (size_t i = 0; i < SYMBOLS; i++) {
        s->series[i] = aligned_alloc(64, (feature_series_size() + 63) / 64 * 64);
        s->histories[i] = malloc(net_history_size());
        assert_true(s->series[i] && s->histories[i]);
        feature_series_init(s->series[i], NS_PER_HOUR);
        net_history_init(s->histories[i], NS_PER_HOUR);
        s->asked[i] = s->histories[i];
    }
}

static void service_end(struct service *s) {
    for (size_t i = 0; i < SYMBOLS; i++) {
        free(s->series[i]);
        free(s->histories[i]);
    }
}

static void service_step(struct service *s) {
    const struct bar *bar = NULL;
    for (size_t i = 0; i < SYMBOLS; i++) {
        bar = &market.bars[i][s->bar];
        feature_step(s->rows + i * feature_count(), s->series[i], bar);
    }
    feature_cross(s->rows, SYMBOLS, feature_count());
    for (size_t i = 0; i < SYMBOLS; i++)
        net_history_push(s->histories[i], bar->open_ts_ns + NS_PER_HOUR,
                         s->rows + i * feature_count());
    s->bar++;
}

static void service_run(struct service *s, size_t bars) {
    while (s->bar < bars) service_step(s);
}

static void vote(struct model_vote *out, struct served_model *m, const struct service *s) {
    struct err err;
    assert_int_equal(served_model_vote(out, m, s->rows, s->asked, SYMBOLS, feature_count(), &err),
                     ST_OK);
}

/* Training's own forecasts of the same decisions, calibrated as service does it. */
static double *expected_votes(const struct learn_rows *rows) {
    struct net *net;
    struct model_meta meta;
    struct err err;
    assert_int_equal(net_load(&net, &meta, NULL, model_path, NET_BATCH, false, NULL, &err), ST_OK);
    double *p = malloc(rows->count * LABEL_COUNT * sizeof *p);
    net_rows_predict(p, NULL, net, rows, (struct learn_range){0, rows->count}, &config.labels);
    for (size_t i = 0; i < rows->count; i++)
        calibration_apply(p + i * LABEL_COUNT, meta.calibration);
    net_destroy(net);
    return p;
}

/* Votes from histories pushed bar by bar are the forecasts that training made of the same decisions, bit for bit; their loss on the
 * test rows is the reported one. Before the histories are full they are WARMING and say nothing. */
static void service_equals_training(void **state) {
    (void)state;
    struct learn_rows rows;
    struct service s;
    struct model_vote votes[SYMBOLS];
    struct err err;
    assert_int_equal(learn_rows_build(&rows, market.series, SYMBOLS, &config, NULL, NULL, &err),
                     ST_OK);
    double *p = expected_votes(&rows);
    struct served_model *m = load(model_path);
    uint32_t state_then = trained.has_skill ? VOTE_PRESENT : VOTE_NO_SKILL;
    double loss = 0;
    size_t row = 0, tests = 0;
    service_begin(&s);
    while (s.bar < BARS) {
        service_step(&s);
        vote(votes, m, &s);
        int64_t close = s.histories[0]->close_ns;
        for (size_t i = 0; i < SYMBOLS; i++) {
            assert_int_equal(votes[i].state == VOTE_WARMING, s.bar < 96 + NET_WINDOW);
            if (votes[i].state == VOTE_WARMING)
                assert_true(votes[i].p[0] == 0 && votes[i].p[1] == 0 && votes[i].p[2] == 0 &&
                            votes[i].move == 0);
            if (row == rows.count || rows.decision_ns[row] != close) continue;
            assert_int_equal(rows.series[row], i);
            assert_int_equal(votes[i].state, state_then);
            assert_memory_equal(votes[i].p, p + row * LABEL_COUNT, sizeof votes[i].p);
            assert_true(votes[i].move == label_barrier(&config.labels, (double)rows.atr[row]));
            if (close >= trained.test_from_ns) {
                loss -= log(votes[i].p[(size_t)rows.labels[row]]);
                tests++;
            }
            row++;
        }
    }
    assert_int_equal(row, rows.count);
    assert_int_equal(tests, trained.rows_test);
    assert_true(fabs(loss / (double)tests - trained.logloss_test) < 1e-12);
    service_end(&s);
    served_model_destroy(m);
    learn_rows_free(&rows);
    free(p);
}

/* One row, many rows (more than fit one batch), a wider stride: the same votes. */
static void batch_and_stride_do_not_matter(void **state) {
    (void)state;
    enum { N = 150, WIDER = 5 };
    struct served_model *m = load(model_path);
    struct service s;
    struct model_vote votes[SYMBOLS], many[N], one;
    struct err err;
    uint32_t columns = feature_count(), stride = columns + WIDER;
    const struct net_history *asked[N];
    float *wide = malloc(N * stride * sizeof *wide);
    service_begin(&s);
    service_run(&s, 400);
    vote(votes, m, &s);
    for (size_t i = 0; i < N; i++) {
        memcpy(wide + i * stride, s.rows + i % SYMBOLS * columns, columns * sizeof *wide);
        asked[i] = i % 7 ? s.asked[i % SYMBOLS] : NULL;
    }
    assert_int_equal(served_model_vote(many, m, wide, asked, N, stride, &err), ST_OK);
    for (size_t i = 0; i < N; i++)
        if (i % 7)
            assert_memory_equal(&many[i], &votes[i % SYMBOLS], sizeof one);
        else
            assert_int_equal(many[i].state, VOTE_WARMING); /* no history */
    assert_int_equal(served_model_vote(&one, m, wide, asked + 1, 1, stride, &err), ST_OK);
    assert_memory_equal(
        one.p,
        served_model_vote(&one, m, s.rows + columns, s.asked + 1, 1, columns, &err) == ST_OK
            ? votes[1].p
            : NULL,
        sizeof one.p);
    assert_int_equal(served_model_vote(&one, m, wide, NULL, 1, stride, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "histories"));
    assert_int_equal(served_model_vote(&one, m, wide, asked, 1, columns - 1, &err), ST_INVALID);
    free(wide);
    service_end(&s);
    served_model_destroy(m);
}

static void assert_silent(const struct model_vote *v) {
    assert_int_equal(v->state, VOTE_WARMING);
    assert_true(v->p[0] == 0 && v->p[1] == 0 && v->p[2] == 0 && v->move == 0);
}

/* NaN, infinity and holes: no vote and no path, for that symbol alone. */
static void nonsense_has_no_vote(void **state) {
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    struct served_model *m = load(model_path);
    struct service s;
    struct model_vote before[SYMBOLS], votes[SYMBOLS];
    double path[NET_HORIZON_MAX * NET_QUANTILES];
    service_begin(&s);
    service_run(&s, 400);
    vote(before, m, &s);
    for (size_t b = 0; b < 3; b++)
        for (size_t at = 0; at < NET_WINDOW * NET_CHANNELS; at += 101) {
            float *value = &s.histories[1]->values[at / NET_CHANNELS][at % NET_CHANNELS],
                  was = *value;
            *value = bad[b];
            vote(votes, m, &s);
            assert_silent(&votes[1]);
            assert_int_equal(served_model_path(path, m, s.histories[1]), ST_AGAIN);
            assert_true(isnan(path[0]));
            assert_memory_equal(&votes[0], &before[0], sizeof votes[0]);
            assert_memory_equal(&votes[2], &before[2], sizeof votes[2]);
            *value = was;
        }
    float *atr = &s.rows[feature_count() + FEATURE_ATR_FRACTION], was = *atr;
    *atr = NAN;
    vote(votes, m, &s);
    assert_silent(&votes[1]);
    *atr = was;
    /* The next bar is missing: the one behind it begins the history anew. */
    net_history_push(s.histories[2], s.histories[2]->close_ns + 2 * NS_PER_HOUR,
                     s.rows + 2 * feature_count());
    vote(votes, m, &s);
    assert_silent(&votes[2]);
    assert_int_equal(served_model_path(path, m, s.histories[2]), ST_AGAIN);
    assert_memory_equal(&votes[1], &before[1], sizeof votes[1]);
    /* A history of other bars than the model's. */
    s.histories[3]->interval_ns = NS_PER_MINUTE;
    vote(votes, m, &s);
    assert_silent(&votes[3]);
    service_end(&s);
    served_model_destroy(m);
}

static void votes_and_paths_allocate_nothing(void **state) {
    (void)state;
    struct served_model *m = load(model_path);
    struct service s;
    struct model_vote votes[SYMBOLS];
    double path[NET_HORIZON_MAX * NET_QUANTILES];
    service_begin(&s);
    service_run(&s, 300);
    size_t before = allocations;
    for (int i = 0; i < 20; i++) {
        service_step(&s);
        vote(votes, m, &s);
        assert_int_equal(served_model_path(path, m, s.histories[0]), ST_OK);
    }
    assert_int_equal(allocations, before);
    void *volatile one = malloc(1);
    free(one);
    assert_int_equal(allocations, before + 1); /* the count does count */
    service_end(&s);
    served_model_destroy(m);
}

/* Quantiles in order, in log returns: about as wide as the market moves. */
static void paths_are_log_returns(void **state) {
    (void)state;
    struct served_model *m = load(model_path);
    struct service s;
    uint32_t horizon = config.labels.horizon_bars;
    double path[NET_HORIZON_MAX * NET_QUANTILES];
    service_begin(&s);
    size_t inside = 0, asked = 0;
    while (s.bar + horizon < BARS) {
        service_step(&s);
        if (!net_history_is_full(s.histories[0])) continue;
        assert_int_equal(served_model_path(path, m, s.histories[0]), ST_OK);
        for (uint32_t k = 0; k < horizon; k++)
            assert_true(path[3 * k] <= path[3 * k + 1] && path[3 * k + 1] <= path[3 * k + 2]);
        const struct bar *b = &market.bars[0][s.bar - 1];
        double move = log((double)b[horizon].close.e8 / (double)b->close.e8);
        inside += move > path[3 * (horizon - 1)] && move < path[3 * (horizon - 1) + 2];
        asked++;
    }
    print_message("inside the outer quantiles: %.3f of %zu\n", (double)inside / (double)asked,
                  asked);
    assert_true((double)inside > 0.4 * (double)asked && (double)inside < 0.95 * (double)asked);
    service_end(&s);
    served_model_destroy(m);
}

/* ---- warm start ---- */

static bool note_first_loss(void *context, const char *stage, uint32_t done, uint32_t total,
                            double train_loss, double valid_loss) {
    double *first = context;
    (void)total;
    (void)valid_loss;
    if (!strcmp(stage, "train") && done == 1) *first = train_loss;
    return true;
}

static enum status train_warm(struct learn_report *r, const struct learn_config *c, double *first,
                              struct err *err) {
    enum status st =
        learn_train(r, scratch_path, market.series, SYMBOLS, c, note_first_loss, first, err);
    if (st != ST_OK) print_message("%s\n", err->text);
    return st;
}

static void warm_start_goes_on(void **state) {
    (void)state;
    struct learn_config c = config;
    struct learn_report r;
    struct err err;
    double cold = 0, warm = 0;
    c.rows_max = 3000;
    assert_int_equal(train_warm(&r, &c, &cold, &err), ST_OK);
    c.warm_start = model_path;
    assert_int_equal(train_warm(&r, &c, &warm, &err), ST_OK);
    print_message("first batch: %.4f cold, %.4f warm\n", cold, warm);
    assert_true(warm < cold - 0.1);

    c.epochs = 1000; /* would take long; a stop leaves the file as it was */
    c.warm_start = "/nonexistent/model.safetensors";
    assert_int_equal(train_warm(&r, &c, &warm, &err), ST_NOT_FOUND);
    c.warm_start = model_path;
    c.labels.barrier_atr = 3;
    assert_int_equal(train_warm(&r, &c, &warm, &err), ST_MISMATCH);
    c.labels = config.labels;
    c.kind = kind == MODEL_NHITS ? MODEL_PATCHTST : MODEL_NHITS;
    assert_int_equal(train_warm(&r, &c, &warm, &err), ST_MISMATCH);
    assert_non_null(strstr(err.text, model_kind_text(kind)));
    /* It has learned from rows that would now be the judges. */
    c.kind = kind;
    c.to_ns = MARKET_START_NS + (int64_t)BARS * 3 / 4 * NS_PER_HOUR;
    c.rows_max = 0;
    assert_int_equal(train_warm(&r, &c, &warm, &err), ST_REFUSED);
    assert_non_null(strstr(err.text, "behind the start of validation"));
}

static bool stop_in_training(void *context, const char *stage, uint32_t done, uint32_t total,
                             double train_loss, double valid_loss) {
    (void)done;
    (void)total;
    assert_true(strcmp(stage, "train") != 0 || train_loss > 0);
    assert_true(isnan(valid_loss) || !strcmp(stage, "train"));
    return strcmp(stage, context) != 0;
}

static void cancel_leaves_no_file(void **state) {
    (void)state;
    static const char *const stages[] = {"features", "train", "baseline", "validate"};
    struct learn_config c = config;
    struct learn_report r;
    struct err err;
    c.rows_max = 3000;
    unlink(scratch_path);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(learn_train(&r, scratch_path, market.series, SYMBOLS, &c, stop_in_training,
                                     (void *)(uintptr_t)stages[i], &err),
                         ST_INTERRUPTED);
        assert_int_not_equal(access(scratch_path, F_OK), 0);
    }
}

static void long_horizons_are_refused(void **state) {
    (void)state;
    struct learn_config c = config;
    struct learn_report r;
    struct err err;
    c.labels.horizon_bars = NET_HORIZON_MAX + 1;
    c.rows_max = 0;
    assert_int_equal(learn_train(&r, scratch_path, market.series, SYMBOLS, &c, NULL, NULL, &err),
                     ST_UNSUPPORTED);
    assert_non_null(strstr(err.text, "horizon"));
}

/* ---- files ---- */

static void spit(const char *bytes, size_t size) {
    FILE *f = fopen(scratch_path, "wb");
    if (!f || fwrite(bytes, 1, size, f) != size) abort();
    fclose(f);
}

static void assert_refused(enum status expected, const char *needle) {
    struct served_model *m = NULL;
    struct err err = {0};
    enum status st = served_model_load(&m, scratch_path, &err);
    if (st != expected || !strstr(err.text, needle) || !strstr(err.text, scratch_path))
        fail_msg("%s: %s", status_name(st), err.text);
    assert_null(m);
}

/* The character `offset` behind the first `text` of the file becomes `to`. */
static void with_change(const char *text, size_t offset, char to, enum status expected,
                        const char *needle) {
    size_t size;
    char *bytes = market_slurp(model_path, &size);
    char *at = memmem(bytes, size, text, strlen(text));
    if (!at) {
        fail_msg("no %s", text);
        return;
    }
    at[offset] = to;
    spit(bytes, size);
    free(bytes);
    assert_refused(expected, needle);
}

static void missing_attributes_are_named(void **state) {
    (void)state;
    size_t size, tried = 0;
    char *bytes = market_slurp(model_path, &size);
    for (char *at = memmem(bytes, size, "\"quantum.", 9); at;
         at = memmem(at + 9, size - (size_t)(at + 9 - bytes), "\"quantum.", 9)) {
        char key[64] = {0};
        size_t length = strcspn(at + 1, "\"");
        memcpy(key, at + 1, length);
        if (!strcmp(key, "quantum.library")) continue;
        at[9] = '_';
        spit(bytes, size);
        at[9] = key[8];
        assert_refused(ST_CORRUPT, key);
        tried++;
    }
    free(bytes);
    assert_true(tried > 40);
}

static void broken_files_are_refused(void **state) {
    (void)state;
    char hash[40];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)feature_list_hash());
    with_change(hash, 0, hash[0] == '0' ? '1' : '0', ST_MISMATCH, "trained on features");
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)net_channels_hash());
    with_change(hash, 0, hash[0] == '0' ? '1' : '0', ST_MISMATCH, "channels");
    with_change("dropout=", 0, 'D', ST_MISMATCH, "is the network");
    with_change("\"quantum.kind\":\"", 16, '?', ST_CORRUPT, "quantum.kind");
    with_change("\"quantum.interval_ns\":\"", 23, 'x', ST_CORRUPT, "quantum.interval_ns");
    with_change("\"quantum.test.mse_path\":\"", 25, 'x', ST_CORRUPT, "quantum.test.mse_path");
    with_change("\"quantum.label_map\":\"", 21, 'T', ST_CORRUPT, "quantum.label_map");
    with_change("\"quantum.format\":\"", 18, '9', ST_VERSION, "format 9");
    with_change("\"head.bias\"", 1, 'H', ST_NOT_FOUND, "head.bias");

    size_t size;
    char *bytes = market_slurp(model_path, &size);
    float nan = NAN;
    memcpy(bytes + size - sizeof nan, &nan, sizeof nan);
    spit(bytes, size);
    assert_refused(ST_CORRUPT, "head.bias");
    spit(bytes, size - 4);
    assert_refused(ST_CORRUPT, "");
    spit(bytes, 40);
    assert_refused(ST_CORRUPT, "");
    free(bytes);
}

/* Metadata is part of what a reader obeys: a model without skill stays silent. */
static void no_skill_does_not_vote(void **state) {
    (void)state;
    size_t size;
    char *bytes = market_slurp(model_path, &size);
    char *at = memmem(bytes, size, "\"quantum.shuffled\":\"false\"", 26);
    assert_non_null(at);
    memcpy(at, "\"quantum.shuffled\":\"true\" ", 26);
    spit(bytes, size);
    free(bytes);
    struct served_model *m = load(scratch_path);
    struct service s;
    struct model_vote votes[SYMBOLS];
    service_begin(&s);
    service_run(&s, 400);
    vote(votes, m, &s);
    for (size_t i = 0; i < SYMBOLS; i++) {
        assert_int_equal(votes[i].state, VOTE_NO_SKILL);
        assert_true(fabs(votes[i].p[0] + votes[i].p[1] + votes[i].p[2] - 1) < 1e-12);
    }
    service_end(&s);
    served_model_destroy(m);
}

static void names_and_hashes(void **state) {
    (void)state;
    assert_string_equal(learn_file_suffix(kind), ".safetensors");
    assert_true(learn_voter_hash(kind) != 0);
    assert_true(learn_voter_hash(MODEL_NHITS) != learn_voter_hash(MODEL_PATCHTST));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_input_same_bytes),
        cmocka_unit_test(what_was_trained_is_what_is_served),
        cmocka_unit_test(service_equals_training),
        cmocka_unit_test(batch_and_stride_do_not_matter),
        cmocka_unit_test(nonsense_has_no_vote),
        cmocka_unit_test(votes_and_paths_allocate_nothing),
        cmocka_unit_test(paths_are_log_returns),
        cmocka_unit_test(warm_start_goes_on),
        cmocka_unit_test(cancel_leaves_no_file),
        cmocka_unit_test(long_horizons_are_refused),
        cmocka_unit_test(missing_attributes_are_named),
        cmocka_unit_test(broken_files_are_refused),
        cmocka_unit_test(no_skill_does_not_vote),
        cmocka_unit_test(names_and_hashes),
    };
    kind = MODEL_NHITS;
    int failed = cmocka_run_group_tests(tests, setup, teardown);
    kind = MODEL_PATCHTST;
    return failed + cmocka_run_group_tests(tests, setup, teardown);
}
