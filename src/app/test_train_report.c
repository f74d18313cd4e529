/* The report of `quantum train`: what it measures is what training told and what service would say, and the page says it, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/train_report_internal.h"
#include "base/json.h"
#include "brain/promotion/validator.h"
#include "chart/test_svg.h"
#include "learn/test_market.h"

enum { SYMBOLS = 4, BARS = 2200 };

static struct market market;
static struct learn_config config;
static struct train_report report; /* of all four */
static char paths[MODEL_COUNT][256];

static bool curve_progress(void *context, const char *stage, uint32_t done, uint32_t total,
                           double train, double valid) {
    struct train_model *m = context;
    (void)total;
    if (strcmp(stage, "train") == 0)
        train_curve_add(&m->curve, m - report.models >= MODEL_NHITS, done, train, valid);
    return true;
}

static int setup(void **state) {
    (void)state;
    struct err err = {0};
    market_make(&market, SYMBOLS, BARS, market_seed(), 0.7);
    snprintf(market.names[1], sizeof market.names[1], "B<i>&\"'USDT");
    config = learn_config_defaults();
    config.epochs = 1;
    config.threads = 2;
    report.config = &config;
    report.series = market.series;
    report.series_count = SYMBOLS;
    for (int k = 0; k < MODEL_COUNT; k++) {
        struct train_model *m = &report.models[k];
        struct learn_report trained;
        config.kind = (enum model_kind)k;
        market_path(paths[k], sizeof paths[k], model_kind_text(config.kind));
        m->path = paths[k];
        if (learn_train(&trained, m->path, market.series, SYMBOLS, &config, curve_progress, m,
                        &err) ||
            served_model_load(&m->model, m->path, &err)) {
            print_message("%s\n", err.text);
            return -1;
        }
        print_message("%s: %s\n", model_kind_text(config.kind), trained.verdict);
    }
    if (train_report_measure(&report, NULL, NULL, &err)) {
        print_message("%s\n", err.text);
        return -1;
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    train_report_free(&report);
    market_free(&market);
    for (int k = 0; k < MODEL_COUNT; k++) unlink(paths[k]);
    return 0;
}

/* ---- scores ---- */

/* What service would say scores as training reported, for each kind. */
static void what_is_served_repeats_the_report(void **state) {
    (void)state;
    for (int k = 0; k < MODEL_COUNT; k++) {
        const struct learn_report *l = served_model_report(report.models[k].model);
        const struct train_scores *s = &report.models[k].scores;
        assert_int_equal(s->rows, l->rows_test);
        if (!(fabs(s->logloss - l->logloss_test) <= 1e-12))
            fail_msg("%s: %.17g, report %.17g", model_kind_text((enum model_kind)k), s->logloss,
                     l->logloss_test);
        assert_true(fabs(s->accuracy - l->accuracy) <= 1e-12);
        assert_true(fabs(reliability_ece(&s->best) - l->ece) <= 1e-9);
    }
}

/* Bars it was not trained on tell on it. */
static void other_bars_are_noticed(void **state) {
    (void)state;
    struct err err = {0};
    struct market other;
    market_make(&other, SYMBOLS, BARS, 4711, 0.7);
    struct train_report r = {.config = &config, .series = other.series, .series_count = SYMBOLS};
    r.models[MODEL_XGBOOST] = report.models[MODEL_XGBOOST];
    r.models[MODEL_XGBOOST].curve = (struct train_curve){0};
    assert_int_equal(train_report_measure(&r, NULL, NULL, &err), ST_CORRUPT);
    assert_non_null(strstr(err.text, "xgboost: log-loss"));
    r.models[MODEL_XGBOOST].model = NULL; /* ours */
    train_report_free(&r);
    for (size_t i = 0; i < SYMBOLS; i++) other.series[i].count -= 100;
    r = (struct train_report){.config = &config, .series = other.series, .series_count = SYMBOLS};
    r.models[MODEL_XGBOOST].model = report.models[MODEL_XGBOOST].model;
    assert_int_equal(train_report_measure(&r, NULL, NULL, &err), ST_CORRUPT);
    assert_non_null(strstr(err.text, "test rows in its report"));
    r.models[MODEL_XGBOOST].model = NULL;
    train_report_free(&r);
    market_free(&other);
}

static bool refuse(void *context, const char *stage, uint32_t done, uint32_t total, double train,
                   double valid) {
    (void)context, (void)done, (void)total, (void)train, (void)valid;
    assert_string_equal(stage, "measure");
    return false;
}

static void an_interrupt_ends_it(void **state) {
    (void)state;
    struct err err = {0};
    struct train_report r = {.config = &config, .series = market.series, .series_count = SYMBOLS};
    r.models[MODEL_LIGHTGBM].model = report.models[MODEL_LIGHTGBM].model;
    assert_int_equal(train_report_measure(&r, refuse, NULL, &err), ST_INTERRUPTED);
    assert_false(r.is_measured);
    r.models[MODEL_LIGHTGBM].model = NULL;
    train_report_free(&r);
}

/* Where training thinned, all of the test part's rows are measured. */
static void thinned_training_is_no_error(void **state) {
    (void)state;
    struct err err = {0};
    struct learn_report trained;
    struct learn_config thin = config;
    char path[256], *json, *page;
    size_t size;
    thin.kind = MODEL_LIGHTGBM;
    thin.rows_max = 3500;
    market_path(path, sizeof path, "thin.txt");
    assert_int_equal(learn_train(&trained, path, market.series, SYMBOLS, &thin, NULL, NULL, &err),
                     ST_OK);
    struct train_report r = {.config = &thin, .series = market.series, .series_count = SYMBOLS};
    r.models[MODEL_LIGHTGBM].path = path;
    assert_int_equal(served_model_load(&r.models[MODEL_LIGHTGBM].model, path, &err), ST_OK);
    assert_int_equal(train_report_measure(&r, NULL, NULL, &err), ST_OK);
    assert_true(r.models[MODEL_LIGHTGBM].scores.rows > 3 * trained.rows_test / 2);
    assert_true(fabs(r.models[MODEL_LIGHTGBM].scores.logloss - trained.logloss_test) < 0.05);
    assert_int_equal(train_report_json(&json, &size, &r, &err), ST_OK);
    assert_int_equal(train_report_page(&page, &size, &r, json, &err), ST_OK);
    assert_non_null(strstr(page, "Training thinned its rows"));
    free(json);
    free(page);
    train_report_free(&r);
    unlink(path);
}

/* The pools against their formula: the product of the members' probabilities to the power of 1 / members. */
static void pools_are_the_members_product(void **state) {
    (void)state;
    struct train_report r = report; /* votes are looked at, nothing is freed */
    r.trained = MODEL_COUNT;
    for (uint32_t skilled = 1; skilled < 1U << MODEL_COUNT; skilled++) {
        struct model_vote votes[MODEL_COUNT];
        struct train_rows rows = {.votes = votes, .count = 1};
        struct train_answer answer;
        r.voters = (uint32_t)__builtin_popcount(skilled);
        for (int all = 0; all < 2; all++) {
            double product[LABEL_COUNT] = {1, 1, 1}, sum = 0, move = 0;
            uint32_t members = 0;
            for (int k = 0; k < MODEL_COUNT; k++) {
                bool has_skill = skilled >> k & 1;
                votes[k] = (struct model_vote){.state = has_skill ? VOTE_PRESENT : VOTE_NO_SKILL,
                                               .p = {0.1 + 0.05 * k, 0.5 - 0.1 * k, 0.4 + 0.05 * k},
                                               .move = 0.01 * (k + 1)};
                members += has_skill || all;
            }
            for (int k = 0; k < MODEL_COUNT; k++) {
                if (votes[k].state != VOTE_PRESENT && !all) continue;
                move += votes[k].move / members;
                for (int l = 0; l < LABEL_COUNT; l++)
                    product[l] *= pow(votes[k].p[l], 1.0 / members);
            }
            for (int l = 0; l < LABEL_COUNT; l++) sum += product[l];
            uint32_t entry = all ? TRAIN_POOL_ALL : TRAIN_POOL_SERVED;
            bool said = train_answer(&answer, &r, &rows, entry, 0);
            assert_int_equal(said, !all || r.voters < MODEL_COUNT); /* the same pool twice: once */
            if (!said) continue;
            for (int l = 0; l < LABEL_COUNT; l++)
                assert_true(fabs(answer.p[l] - product[l] / sum) < 1e-12);
            double edge = move * (product[LABEL_BUY] - product[LABEL_SELL]) / sum;
            assert_true(fabs(answer.expected - edge) < 1e-12);
        }
    }
    r.voters = 0;
    struct train_answer none;
    assert_false(train_answer(&none, &r, &report.rows, TRAIN_POOL_SERVED, 0));
}

static void confidences_are_counted(void **state) {
    (void)state;
    for (int k = 0; k < MODEL_COUNT; k++) {
        const struct train_scores *s = &report.models[k].scores;
        uint64_t sum = 0;
        for (int b = 0; b < TRAIN_BINS; b++) sum += s->histogram[b];
        assert_int_equal(sum, s->rows);
        assert_true(s->distinct > s->rows / 20); /* distinct inputs, distinct confidences */
        assert_true(s->p_min >= 1.0 / 3 - 1e-12 && s->p_max <= 1 && s->p_min < s->p_mean &&
                    s->p_mean < s->p_max && s->p_deviation > 0);
    }
}

static void curves_keep_rounds_and_looks(void **state) {
    (void)state;
    struct train_curve c = {0};
    train_curve_add(&c, true, 1, 3, NAN); /* before the first look */
    train_curve_add(&c, true, 2, 2.5, 2.8);
    train_curve_add(&c, true, 3, 2.4, 2.8); /* a step after it */
    train_curve_add(&c, true, 4, 2.2, 2.6);
    assert_int_equal(c.count, 2);
    assert_true(c.at[1] == 4 && c.train[1] == 2.2 && c.valid[1] == 2.6);
    for (int i = 0; i < 200; i++) train_curve_add(&c, false, i, 1, 2.6); /* a forest's rounds */
    assert_int_equal(c.count, 202);
    free(c.at);
    free(c.train);
    free(c.valid);
    for (int k = 0; k < MODEL_COUNT; k++) {
        const struct train_curve *own = &report.models[k].curve;
        uint32_t rounds = served_model_report(report.models[k].model)->rounds;
        assert_true(own->count >= rounds);
        double best = own->valid[rounds - 1];
        for (size_t i = 0; i < own->count; i++) assert_true(own->valid[i] >= best - 1e-6);
    }
}

/* ---- trading ---- */

/* Each symbol's rule by itself, net as promotion reckons it; means over the symbols, compounded. */
static double naive_total(uint32_t entry, double *returns) {
    struct promotion_position positions[SYMBOLS] = {0};
    struct promotion_config rule = promotion_config_defaults();
    double equity = 1;
    size_t times = 0;
    rule.cost_side = config.labels.cost_round_trip / 2;
    rule.horizon_bars = config.labels.horizon_bars;
    for (size_t t = 0; t < report.rows.times; t++) {
        double net = 0;
        size_t begin = report.rows.first[t], end = report.rows.first[t + 1];
        int64_t at = report.rows.rows[begin].decision_ns;
        if (at < report.from_ns || at >= report.to_ns) continue;
        for (size_t i = begin; i < end; i++) {
            struct train_answer answer;
            const struct train_row *row = &report.rows.rows[i];
            bool said = train_answer(&answer, &report, &report.rows, entry, i);
            net += promotion_position_step(&positions[row->symbol], &rule,
                                           said ? answer.expected : NAN, row->next);
        }
        returns[times++] = net / (double)(end - begin);
        equity *= 1 + net / (double)(end - begin);
    }
    assert_int_equal(times, report.bars);
    return equity - 1;
}

static void trading_is_promotions_rule(void **state) {
    (void)state;
    double *returns = malloc(report.bars * sizeof *returns);
    uint64_t trades = 0;
    for (uint32_t e = 0; e <= TRAIN_MOMENTUM; e++) {
        const struct train_trading *t = &report.trading[e];
        if (!t->is_traded) continue;
        double total = naive_total(e, returns);
        if (!(fabs(t->total - total) < 1e-10))
            fail_msg("%s: %.15g, twin %.15g", train_entry_name(e), t->total, total);
        struct sharpe sharpe = stat_sharpe(returns, report.bars, 365.25 * 24);
        assert_true(isnan(sharpe.value) || fabs(sharpe.value - t->sharpe.value) < 1e-6);
        assert_true(t->equity[0] == 1);
        assert_true(fabs(t->equity[report.points - 1] - 1 - t->total) < 1e-12);
        assert_true(t->costs >= 0 && t->longs + t->shorts <= 1);
        trades += t->trades;
    }
    assert_true(trades > 50); /* something was compared */
    free(returns);
}

static void buying_and_holding_is_the_mean_of_the_prices(void **state) {
    (void)state;
    double worth = 0;
    size_t first = 0, last = report.rows.times - 1;
    while (report.rows.rows[report.rows.first[first]].decision_ns < report.from_ns) first++;
    while (report.rows.rows[report.rows.first[last]].decision_ns >= report.to_ns) last--;
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        const struct train_row *a = &report.rows.rows[report.rows.first[first] + s];
        const struct train_row *b = &report.rows.rows[report.rows.first[last] + s];
        const struct bar *bars = NULL; /* of the symbol with that name's rank */
        struct train_walk w;
        struct err err;
        assert_int_equal(train_walk_init(&w, &report, &err), ST_OK);
        bars = train_walk_series(&w, s)->bars;
        worth += px_to_f64(bars[b->bar + 1].close) / px_to_f64(bars[a->bar].close) / SYMBOLS;
        train_walk_free(&w);
    }
    const struct train_trading *t = &report.trading[TRAIN_HOLD];
    assert_true(fabs(t->total - (worth * (1 - report.cost_side) - 1)) < 1e-10);
    assert_int_equal(t->trades, SYMBOLS);
    assert_true(t->longs == 1 && t->shorts == 0);
}

/* Rows by hand: one voter, whose answers are given. */
struct made {
    struct train_report r;
    struct learn_config config;
    struct train_row *rows;
    struct model_vote *votes;
    size_t *first;
};

static void made_init(struct made *m, size_t times, uint32_t symbols) {
    memset(m, 0, sizeof *m);
    m->config = learn_config_defaults();
    m->rows = calloc(times * symbols, sizeof *m->rows);
    m->votes = calloc(times * symbols * MODEL_COUNT, sizeof *m->votes);
    m->first = calloc(times + 1, sizeof *m->first);
    for (size_t i = 0; i < times * symbols; i++) {
        m->rows[i] = (struct train_row){.decision_ns =
                                            MARKET_START_NS + (int64_t)(i / symbols) * NS_PER_HOUR,
                                        .symbol = (uint32_t)(i % symbols),
                                        .is_usable = true};
        m->votes[i * MODEL_COUNT].state = VOTE_PRESENT;
        m->votes[i * MODEL_COUNT].move = 0.02;
    }
    for (size_t t = 0; t <= times; t++) m->first[t] = t * symbols;
    m->r = (struct train_report){.config = &m->config,
                                 .trained = 1,
                                 .voters = 1,
                                 .from_ns = m->rows[0].decision_ns,
                                 .to_ns = INT64_MAX,
                                 .cost_side = 0.0007,
                                 .horizon_bars = 3,
                                 .rows = {.rows = m->rows,
                                          .votes = m->votes,
                                          .count = times * symbols,
                                          .first = m->first,
                                          .times = times,
                                          .symbols = symbols}};
    m->r.models[0].model = report.models[0].model; /* is there; not asked */
}

static void made_free(struct made *m) {
    m->r.models[0].model = NULL;
    train_report_free(&m->r); /* rows, votes and first, too */
}

static void made_answer(struct made *m, size_t row, double buy) {
    struct model_vote *v = &m->votes[row * MODEL_COUNT];
    v->p[LABEL_BUY] = buy;
    v->p[LABEL_SELL] = 1 - buy;
}

/* Who knows what comes is beaten by no moved twin; who always buys is what its twins are. */
static void chance_knows_knowing_from_holding(void **state) {
    (void)state;
    enum { TIMES = 400, EACH = 3 };
    struct err err;
    struct rng rng = rng_init(99);
    for (int knows = 0; knows < 2; knows++) {
        struct made m;
        made_init(&m, TIMES, EACH);
        for (size_t t = 0; t < TIMES; t++) {
            double drift = t % 40 < 20 ? 0.004 : -0.004;
            for (size_t s = 0; s < EACH; s++) {
                size_t i = t * EACH + s;
                m.rows[i].next = drift + 0.002 * rng_normal(&rng);
                made_answer(&m, i, knows && drift < 0 ? 0.1 : 0.9);
            }
        }
        assert_int_equal(train_trading_measure(&m.r, MODEL_XGBOOST, &err), ST_OK);
        const struct train_trading *t = &m.r.trading[MODEL_XGBOOST];
        assert_int_equal(m.r.bars, TIMES);
        assert_true(t->shifts > 300 && t->low && t->high);
        double end = t->equity[m.r.points - 1];
        if (knows) {
            assert_true(t->total > 1);
            /* The market repeats itself every 40 bars: twins moved by that many know it, too. */
            assert_true(t->p_random > 0.01 && t->p_random < 0.2);
            assert_true(t->low[m.r.points - 1] < 0.5 && t->random_total < 0.5 * t->total);
            assert_true(t->trades == 3 * TIMES / 20 && t->longs > 0.4 && t->shorts > 0.4);
        } else {
            assert_true(t->p_random == 1 && t->longs == 1 && t->trades == EACH);
            for (size_t p = 0; p < m.r.points; p++)
                assert_true(t->low[p] == t->equity[p] && t->high[p] == t->equity[p]);
            assert_true(fabs(t->costs - 0.0007) < 1e-15);
        }
        assert_true(end == 1 + t->total);
        made_free(&m);
    }
}

/* By hand: two symbols, five bars, horizon 3, cost 0.0007; the second has no bar at the third time and no answer. */
static void a_few_bars_by_hand(void **state) {
    (void)state;
    struct err err;
    struct made m;
    made_init(&m, 5, 2);
    static const double next[5] = {0.01, 0.02, -0.01, 0.03, 0.05};
    for (size_t t = 0; t < 5; t++) {
        m.rows[2 * t].next = next[t];
        m.rows[2 * t + 1].next = t == 2 ? (double)NAN : 0.5;
        made_answer(&m, 2 * t, 0.52); /* expects 0.0008: not worth it */
        m.votes[(2 * t + 1) * MODEL_COUNT].state = VOTE_WARMING;
    }
    made_answer(&m, 2, 0.9); /* bars 1, 2, 3 */
    assert_int_equal(train_trading_measure(&m.r, MODEL_XGBOOST, &err), ST_OK);
    const struct train_trading *t = &m.r.trading[MODEL_XGBOOST];
    const double c = 0.0007;
    double equity = (1 + (0.02 - c) / 2) * (1 - 0.01) * (1 + 0.03 / 2) * (1 - c / 2);
    assert_true(fabs(t->total - (equity - 1)) < 1e-14);
    assert_true(t->trades == 1 && fabs(t->longs - 3.0 / 9) < 1e-15 && t->shorts == 0);
    assert_true(fabs(t->costs - c) < 1e-15);
    assert_int_equal(m.r.points, 6);
    assert_true(t->equity[1] == 1 && t->shifts == 0 && t->low == NULL); /* too short for twins */
    assert_true(m.r.seconds[5] - m.r.seconds[0] == 5 * 3600);
    made_free(&m);
}

/* ---- importance ---- */

static double importance_of(const struct train_importance *imp, const char *name) {
    for (uint32_t i = 0; i < imp->count; i++)
        if (strcmp(feature_at(imp->columns[i])->name, name) == 0) return imp->values[i];
    return NAN;
}

static void importance_is_ordered_and_of_columns_read(void **state) {
    (void)state;
    for (int k = 0; k < MODEL_COUNT; k++) {
        const struct train_importance *imp = &report.models[k].importance;
        bool is_network = k >= MODEL_NHITS;
        double sum = 0;
        assert_int_equal(imp->by_gain, !is_network);
        assert_true(imp->count >= 5);
        for (uint32_t i = 0; i < imp->count; i++) {
            assert_true(i == 0 || imp->values[i] <= imp->values[i - 1]);
            sum += imp->values[i];
        }
        if (!is_network) assert_true(fabs(sum - 1) < 1e-9);
        if (is_network) {
            assert_true(imp->rows == TRAIN_SAMPLE && imp->count <= 9);
            assert_true(isfinite(importance_of(imp, "taker_imbalance")) != 0);
            assert_true(isfinite(importance_of(imp, "atr_fraction")) != 0);
            assert_true(isnan(importance_of(imp, "momentum_20")) != 0); /* no channel */
        }
    }
}

/* ---- the page ---- */

static char *page_of(const struct train_report *r, char **json) {
    struct err err = {0};
    char *page;
    size_t size, json_size;
    if (train_report_json(json, &json_size, r, &err) != ST_OK) fail_msg("%s", err.text);
    if (train_report_page(&page, &size, r, *json, &err) != ST_OK) fail_msg("%s", err.text);
    assert_int_equal(strlen(page), size);
    assert_int_equal(strlen(*json), json_size);
    return page;
}

static const char doctype[] = "<!DOCTYPE html>\n";

static void page_is_well_formed_and_escaped(void **state) {
    (void)state;
    char *json, *again, *page = page_of(&report, &json), *twin = page_of(&report, &again);
    assert_string_equal(page, twin);
    free(again);
    free(twin);
    assert_int_equal(strncmp(page, doctype, strlen(doctype)), 0);
    const char *problem = svg_document_problem(page + strlen(doctype), "<html");
    if (problem) fail_msg("%s", problem);
    assert_int_equal(svg_count(page, "B&lt;i&gt;&amp;&quot;'USDT"), 1);
    assert_null(strstr(page, "<i>"));
    assert_int_equal(svg_count(page, "<script"), 1); /* figures; nothing runs */
    assert_int_equal(svg_count(page, "<script type=\"application/json\""), 1);
    static const char *const fetches[] = {"src=", "href=", "@import", "url("};
    for (size_t i = 0; i < sizeof fetches / sizeof *fetches; i++)
        assert_null(strstr(page, fetches[i]));
    /* Reliability, confidences, curve, importance and equity of four; the pools' three; all together. */
    uint32_t pools = 0;
    for (uint32_t e = TRAIN_POOL_SERVED; e <= TRAIN_POOL_ALL; e++)
        pools += report.common[e].rows > 0;
    assert_int_equal(svg_count(page, "<svg"), 1 + 4 * 5 + 3 * pools);
    free(page);
    free(json);
}

/* The figures on the page are those of the JSON: the tables' cells, and the copy it holds. */
static void page_and_json_agree(void **state) {
    (void)state;
    char *json, *page = page_of(&report, &json), words[128];
    struct json_reader r;
    struct json_text key;
    json_reader_init(&r, json, strlen(json));
    uint32_t models = 0;
    assert_true(json_object_begin(&r));
    while (json_object_next(&r, &key)) {
        if (!json_text_is(&key, "models")) {
            json_skip(&r);
            continue;
        }
        assert_true(json_array_begin(&r));
        while (json_array_next(&r)) {
            const char *kind = model_kind_text((enum model_kind)models++);
            assert_true(json_object_begin(&r));
            while (json_object_next(&r, &key)) {
                if (json_text_is(&key, "logloss_test")) {
                    snprintf(words, sizeof words, "data-model=\"%s\"><td>%.5f</td>", kind,
                             json_f64(&r));
                    if (!strstr(page, words)) fail_msg("no %s", words);
                } else {
                    json_skip(&r);
                }
            }
        }
    }
    assert_int_equal(json_finish(&r), ST_OK);
    assert_int_equal(models, MODEL_COUNT);
    const char *begin = strstr(page, "id=\"figures\">"), *at = json;
    assert_non_null(begin);
    for (begin += strlen("id=\"figures\">"); *begin != '<'; at++) {
        unsigned code;
        if (*begin == *at)
            begin++;
        else if (sscanf(begin, "\\u%4x", &code) == 1 && code == (unsigned char)*at)
            begin += 6;
        else
            fail_msg("the page's figures differ at %.40s", at);
    }
    assert_int_equal(*at, 0);
    free(page);
    free(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_served_repeats_the_report),
        cmocka_unit_test(other_bars_are_noticed),
        cmocka_unit_test(an_interrupt_ends_it),
        cmocka_unit_test(thinned_training_is_no_error),
        cmocka_unit_test(pools_are_the_members_product),
        cmocka_unit_test(confidences_are_counted),
        cmocka_unit_test(curves_keep_rounds_and_looks),
        cmocka_unit_test(trading_is_promotions_rule),
        cmocka_unit_test(buying_and_holding_is_the_mean_of_the_prices),
        cmocka_unit_test(chance_knows_knowing_from_holding),
        cmocka_unit_test(a_few_bars_by_hand),
        cmocka_unit_test(importance_is_ordered_and_of_columns_read),
        cmocka_unit_test(page_is_well_formed_and_escaped),
        cmocka_unit_test(page_and_json_agree),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
