/* A run made by hand, whose every figure is known, through the whole report: read from a journal of trades, measured,
 * written in three forms. */
#include "backtest/test_tape.h"

#include <math.h>

#include "chart/test_svg.h"
#include "walk/report.h"

enum { SYMBOLS = 6, DAYS = 40, BARS = DAYS * 24, TRADES = 30 };

static char root[TAPE_PATH_SIZE], db_path[TAPE_PATH_SIZE + 16], trials_path[TAPE_PATH_SIZE + 16];
static struct bar bars[SYMBOLS][BARS + 48];
static struct learn_series series[SYMBOLS];
static struct walk_decision records[BARS * SYMBOLS];
static struct walk_close closes[BARS];
static struct walk_decisions decisions;
static struct trade_closed trades[TRADES];

static int64_t open_of(int bar) {
    return TAPE_START_NS + (int64_t)bar * NS_PER_HOUR;
}

/* 48 bars before the window. */
static void make_bars(void) {
    static const char *const names[SYMBOLS] = {"AUSDT", "BUSDT", "CUSDT",
                                               "DUSDT", "EUSDT", "FUSDT"};
    struct rng r = rng_init(5);
    for (int s = 0; s < SYMBOLS; s++) {
        double px = 100;
        for (int i = 0; i < BARS + 48; i++) {
            double open = px;
            px *= 1 + 0.008 * rng_normal(&r);
            double high = fmax(open, px) * 1.001, low = fmin(open, px) * 0.999;
            bars[s][i] = (struct bar){.open_ts_ns = open_of(i - 48),
                                      .open = px_e8((int64_t)(open * 1e8)),
                                      .high = px_e8((int64_t)(high * 1e8)),
                                      .low = px_e8((int64_t)(low * 1e8)),
                                      .close = px_e8((int64_t)(px * 1e8)),
                                      .volume = 1e5,
                                      .quote_volume = (double)NAN};
        }
        series[s] = (struct learn_series){names[s], bars[s], BARS + 48};
    }
}

/* XGBoost knows the next twelve hours' direction, LightGBM answers noise and has no vote. */
static void make_decisions(void) {
    struct rng r = rng_init(6);
    decisions = (struct walk_decisions){
        .interval_ns = NS_PER_HOUR, .symbol_count = SYMBOLS, .closes = closes};
    memset(records, 0, sizeof records);
    for (int i = 0; i < BARS; i++) {
        closes[decisions.close_count++] = (struct walk_close){
            open_of(i + 1), &records[decisions.count], SYMBOLS, 0, decisions.count};
        for (uint32_t s = 0; s < SYMBOLS; s++) {
            struct walk_decision *d = &records[decisions.count++];
            int at = i + 48, later = at + 12 < BARS + 48 ? at + 12 : BARS + 47;
            bool up = bars[s][later].close.e8 > bars[s][at].close.e8;
            float noise = (float)rng_f64(&r) * 0.4f;
            *d = (struct walk_decision){
                .symbol = s,
                .voters = 1,
                .says = up ? LABEL_BUY : LABEL_SELL,
                .answered = {VOTE_PRESENT, VOTE_NO_SKILL, VOTE_ABSENT, VOTE_ABSENT},
                .counted = {VOTE_PRESENT, VOTE_NO_SKILL, VOTE_ABSENT, VOTE_ABSENT},
                .weights = {1},
                .p = {up ? 0.25f : 0.5f, 0.25f, up ? 0.5f : 0.25f},
                .expected = up ? 0.01f : -0.01f,
                .has_interval = 1,
                .low = -0.04f,
                .high = 0.04f,
                .distance = 0.02f,
                .model_p = {{up ? 0.25f : 0.5f, 0.25f, up ? 0.5f : 0.25f},
                            {0.3f + noise, 0.3f, 0.4f - noise}},
                .model_move = {0.04f, 0.04f}};
        }
    }
}

/* A trade begins every 30 hours, lasts 6, and gains 20 or loses 10 of 10,000 in turn. */
static void make_journal(void) {
    struct err err = {0};
    struct tradedb *db = NULL;
    static struct report r;
    tape_ok(tradedb_open(&db, db_path, false, &err), &err);
    tape_ok(tradedb_begin(db, &err), &err);
    int64_t equity = 10000 * FX_ONE;
    int next = 0;
    for (int h = 1; h <= BARS; h++) {
        if (next < TRADES && h == 30 * next + 10) {
            int64_t net = (next % 2 ? -10 : 20) * FX_ONE;
            struct trade_closed *t = &trades[next++];
            *t = (struct trade_closed){.trade_id = (uint64_t)next,
                                       .intent_id = (uint64_t)next,
                                       .instrument_index = (uint32_t)(next % SYMBOLS),
                                       .side = SIDE_BUY,
                                       .exit_reason = EXIT_TAKE_PROFIT,
                                       .strategy = STRATEGY_ENSEMBLE,
                                       .leverage = 1,
                                       .entry_ts_ns = open_of(h - 6),
                                       .exit_ts_ns = open_of(h),
                                       .entry_px = px_e8(100 * FX_ONE),
                                       .exit_px = px_e8(100 * FX_ONE),
                                       .qty = {10 * FX_ONE},
                                       .realized_pnl = {net + FX_ONE},
                                       .fees = {FX_ONE},
                                       .net_pnl = {net},
                                       .risk = {10 * FX_ONE},
                                       .time_to_protected_ns = NS_PER_MS};
            snprintf(t->symbol, sizeof t->symbol, "%s", series[t->instrument_index].symbol);
            tape_ok(tradedb_trade_put(db, t, &err), &err);
            equity += net;
        }
        tape_ok(tradedb_equity_put(db, open_of(h), money_e8(equity), money_e8(equity), money_e8(0),
                                   &err),
                &err);
    }
    snprintf(r.mode, sizeof r.mode, "replay");
    snprintf(r.strategy, sizeof r.strategy, "ensemble");
    r.from_ns = TAPE_START_NS;
    r.to_ns = open_of(BARS);
    r.interval_ns = NS_PER_HOUR;
    r.wallet_start = money_e8(10000 * FX_ONE);
    tape_ok(report_save(&r, db, &err), &err);
    tape_ok(tradedb_commit(db, &err), &err);
    tradedb_close(db);
}

static int setup(void **state) {
    (void)state;
    tape_folder(root);
    snprintf(db_path, sizeof db_path, "%s/trades.sqlite", root);
    snprintf(trials_path, sizeof trials_path, "%s/trials.jsonl", root);
    make_bars();
    make_decisions();
    make_journal();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    tape_remove(root);
    return 0;
}

static struct walk_report *make(void) {
    struct label_spec labels = label_spec_defaults();
    struct promotion_config rule = promotion_config_defaults();
    const struct walk_trial t = {WALK_TRIAL_MODEL, 99, NAN, 0};
    struct walk_report *r = calloc(1, sizeof *r);
    struct err err = {0};
    assert_non_null(r);
    snprintf(r->command, sizeof r->command, "quantum walk-forward --data <a> & b");
    snprintf(r->data, sizeof r->data, "by hand");
    r->from_ns = TAPE_START_NS;
    r->to_ns = open_of(BARS);
    r->interval_ns = NS_PER_HOUR;
    r->symbols = SYMBOLS;
    r->horizon = labels.horizon_bars;
    r->alpha = 0.1;
    r->wall_seconds = NAN;
    r->seed = 3;
    r->changes = calloc(2, sizeof *r->changes);
    assert_non_null(r->changes);
    r->changes[0] =
        (struct walk_change){open_of(5), MODEL_XGBOOST, 7, "add", "", "candidate", "trained", ""};
    r->changes[1] = (struct walk_change){open_of(6),  MODEL_XGBOOST, 7,          "reject",
                                         "candidate", "rejected",    "no_skill", ""};
    r->change_count = 2;
    const struct walk_inputs in = {.decisions = &decisions,
                                   .series = series,
                                   .labels = &labels,
                                   .rule = &rule,
                                   .run_db = db_path,
                                   .baselines = {{"other", "the same once more", db_path}},
                                   .baseline_count = 1,
                                   .trials_path = trials_path,
                                   .trials = &t,
                                   .trial_count = 1,
                                   .run_id = 5,
                                   .draws = 200};
    tape_ok(walk_report_make(r, &in, &err), &err);
    return r;
}

static void drop(struct walk_report *r) {
    walk_report_free(r);
    free(r);
}

static void near(double a, double b, double within) {
    if (!(fabs(a - b) <= within)) fail_msg("%.17g is not %.17g", a, b);
}

static void money_is_what_the_journal_says(void **state) {
    (void)state;
    struct walk_report *r = make();
    const struct walk_variant *v = &r->variants[0];
    assert_string_equal(v->name, "run");
    assert_int_equal(v->trades, TRADES);
    near(v->win_rate, 0.5, 0);
    near(v->total_return, 150.0 / 10000, 1e-12);
    assert_int_equal(v->days.count, DAYS);
    /* The first day: trade 0 gains at 10:00. The second: trade 1 loses at 16:00 of it. */
    near(v->days.returns[0], 20.0 / 10000, 1e-12);
    near(v->days.returns[1], 10010.0 / 10020 - 1, 1e-12);
    /* The run's own report has one day more: to it a point at midnight begins a day. */
    near(v->sharpe.value, r->run.sharpe.value, 0.02 * v->sharpe.value);
    near(r->moments.sharpe * sqrt(365), v->sharpe.value, 1e-9);
    assert_true(v->blocks.draws == 200 && v->blocks.low <= v->sharpe.value &&
                v->sharpe.value <= v->blocks.high);
    near(r->turnover, 30 * 2000.0 / 10000 * 365 / DAYS, 1e-9);
    near(r->dice.own, 0.015, 2e-4); /* net over the equity each trade began with */
    assert_int_equal(r->dice.draws, 200);
    assert_int_equal(r->capacity.orders, 60);
    /* 1,000 of some 2.4e8 a day at 4 % a day: about 0.8 bps. */
    assert_true(r->capacity.impact_bps > 0.3 && r->capacity.impact_bps < 2);
    near(r->capacity.capital[1] / r->capacity.capital[0], 25, 1e-9);
    drop(r);
}

static void answers_are_told_apart(void **state) {
    (void)state;
    struct walk_report *r = make();
    const struct walk_subject_report *x = &r->subjects[WALK_XGBOOST],
                                     *l = &r->subjects[WALK_LIGHTGBM];
    assert_int_equal(r->closes, BARS);
    assert_int_equal(r->closes_missing, 0);
    assert_int_equal(r->outcomes, (BARS - 12) * SYMBOLS);
    assert_int_equal(x->all.rows, r->outcomes);
    assert_int_equal(x->voted.rows, r->outcomes);
    assert_int_equal(l->all.rows, r->outcomes);
    assert_int_equal(l->voted.rows, 0); /* measured, but it had no vote */
    assert_int_equal(l->states[VOTE_NO_SKILL], BARS * SYMBOLS);
    assert_int_equal(r->subjects[WALK_NHITS].all.rows, 0);
    assert_int_equal(r->subjects[WALK_NHITS].states[VOTE_ABSENT], BARS * SYMBOLS);
    assert_true(x->all.auc_side > 0.8 && x->all.ic.value > 0.5 && x->all.gain.t > 5);
    near(l->all.auc_side, 0.5, 0.05);
    assert_true(fabs(l->all.ic.t) < 4);
    near(r->subjects[WALK_ENSEMBLE].all.auc_side, x->all.auc_side, 1e-12);
    assert_true(x->rule.net > 10 * fabs(l->rule.net));
    assert_int_equal(r->coverage.given, r->outcomes);
    assert_int_equal(r->coverage.inside,
                     r->outcomes); /* a settled one ends at 2 % or little beyond */
    assert_true(r->coverage.inside_horizon < r->outcomes);
    assert_int_equal(r->month_count, 2); /* January, nine days of February */
    near(r->months[0].weights[MODEL_XGBOOST], 1, 0);
    near(r->months[0].net + r->months[1].net, 0.015, 2e-4);
    assert_int_equal(r->months[0].of[WALK_XGBOOST].rows, 31 * 24 * SYMBOLS);
    assert_int_equal(r->seats[MODEL_XGBOOST].trained, 1);
    assert_int_equal(r->seats[MODEL_XGBOOST].no_skill, 1);
    drop(r);
}

static void trials_add_up_once(void **state) {
    (void)state;
    struct walk_report *r = make();
    /* The model, the run; other, holder, five subjects that answered less N-HiTS and PatchTST. */
    assert_int_equal(r->variant_count, 1 + 1 + 1 + 4);
    assert_int_equal(r->trials.count, 1 + r->variant_count);
    assert_int_equal(r->trials.by_kind[WALK_TRIAL_MODEL], 1);
    assert_int_equal(r->deflated.trials, r->trials.count);
    assert_int_equal(r->pbo.variants, r->variant_count);
    assert_int_equal(r->pbo.parts, 10); /* of four days each */
    assert_true(r->deflated.single > r->deflated.probability);
    struct walk_report *again = make();
    assert_int_equal(again->trials.count, r->trials.count);
    drop(again);
    drop(r);
}

static void the_same_bytes_in_three_forms(void **state) {
    (void)state;
    struct walk_report *a = make(), *b = make();
    struct text md[2] = {0}, page[2] = {0};
    static char json[2][1 << 19];
    struct json_writer w[2];
    struct err err = {0};
    const struct walk_report *const both[] = {a, b};
    for (int i = 0; i < 2; i++) {
        walk_report_markdown(&md[i], both[i]);
        tape_ok(walk_report_page(&page[i], both[i], &err), &err);
        json_writer_init(&w[i], json[i], sizeof json[i]);
        walk_report_json(&w[i], both[i]);
        assert_int_equal(json_writer_finish(&w[i]), ST_OK);
    }
    assert_string_equal(md[0].data, md[1].data);
    assert_string_equal(page[0].data, page[1].data);
    assert_string_equal(json[0], json[1]);
    struct json_reader reader;
    json_reader_init(&reader, json[0], w[0].size);
    json_skip(&reader);
    assert_int_equal(json_finish(&reader), ST_OK);
    assert_non_null(strstr(json[0], "\"rows\":5688"));
    assert_null(strstr(md[0].data, "nan"));
    assert_null(strstr(page[0].data, "nan"));
    assert_non_null(strstr(md[0].data, "| nhits | 0 | n/a"));
    assert_non_null(strstr(page[0].data, "--data &lt;a&gt; &amp; b"));
    assert_null(strstr(page[0].data, "<a>"));
    assert_int_equal(svg_count(page[0].data, "<table>"), svg_count(page[0].data, "</table>"));
    assert_int_equal(svg_count(page[0].data, "<tr>"), svg_count(page[0].data, "</tr>"));
    assert_true(svg_count(page[0].data, "<svg") == 5);
    for (int i = 0; i < 2; i++) {
        free(md[i].data);
        free(page[i].data);
    }
    drop(a);
    drop(b);
}

static void a_hole_in_the_log_is_counted(void **state) {
    (void)state;
    struct walk_close kept = closes[100];
    memmove(&closes[100], &closes[101], (BARS - 101) * sizeof *closes);
    decisions.close_count--;
    struct walk_report *r = make();
    assert_int_equal(r->closes_missing, 1);
    drop(r);
    memmove(&closes[101], &closes[100], (BARS - 101) * sizeof *closes);
    closes[100] = kept;
    decisions.close_count++;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(money_is_what_the_journal_says), cmocka_unit_test(answers_are_told_apart),
        cmocka_unit_test(trials_add_up_once), cmocka_unit_test(the_same_bytes_in_three_forms),
        cmocka_unit_test(a_hole_in_the_log_is_counted)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
