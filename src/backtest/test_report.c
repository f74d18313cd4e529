#include "backtest/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/tstamp.h"

struct place {
    char dir[64], path[96];
    struct err err;
    struct tradedb *db;
};

static int setup(void **state) {
    static struct place place;
    memset(&place, 0, sizeof place);
    snprintf(place.dir, sizeof place.dir, "/tmp/report-test-XXXXXX");
    if (!mkdtemp(place.dir)) return -1;
    snprintf(place.path, sizeof place.path, "%s/trades.sqlite", place.dir);
    if (tradedb_open(&place.db, place.path, false, &place.err) != ST_OK) return -1;
    *state = &place;
    return 0;
}

static int teardown(void **state) {
    struct place *p = *state;
    tradedb_close(p->db);
    unlink(p->path);
    return rmdir(p->dir);
}

static void assert_ok(const struct place *p, enum status st) {
    if (st != ST_OK) print_error("%s: %s\n", status_name(st), p->err.text);
    assert_int_equal(st, ST_OK);
}

static void assert_near(double got, double want) {
    if (!(fabs(got - want) <= 1e-12 * fmax(1, fabs(want))))
        fail_msg("got %.17g, want %.17g", got, want);
}

static const int64_t START = INT64_C(1730073600000000000); /* 2024-10-28T00:00:00Z by date(1) */

static money_t usdt(double x) {
    return money_e8(fx_from_f64(x));
}

static void put_trade(struct place *p, uint64_t id, double realized, double fees, double funding,
                      int reason, double risk, int64_t protected_ms) {
    struct trade_closed t = {.trade_id = id, .side = SIDE_BUY, .symbol = "BTCUSDT"};
    t.exit_reason = (uint8_t)reason;
    t.entry_ts_ns = START + (int64_t)id * NS_PER_HOUR;
    t.exit_ts_ns = t.entry_ts_ns + NS_PER_HOUR;
    t.realized_pnl = usdt(realized);
    t.fees = usdt(fees);
    t.funding = usdt(funding);
    t.net_pnl = usdt(realized - fees + funding);
    t.risk = usdt(risk);
    t.time_to_protected_ns = protected_ms < 0 ? -1 : protected_ms * NS_PER_MS;
    assert_ok(p, tradedb_trade_put(p->db, &t, &p->err));
}

static void put_equity(struct place *p, int64_t ts_ns, double wallet, double equity,
                       double exposure) {
    assert_ok(
        p, tradedb_equity_put(p->db, ts_ns, usdt(wallet), usdt(equity), usdt(exposure), &p->err));
}

/* Four trades over three days, small enough to do on paper:
 *   net  +9 (11 - 1 - 1), -6 (-5 - 1), +3 (4 - 1), -4 (-4 - 1 + 1); sum 2; gains 12, losses 10
 *   equity at day ends 1010, 999.9, 1002: returns +1 %, -1 %, +0.210021... % */
static void put_example(struct place *p) {
    put_trade(p, 1, 11, 1, -1, EXIT_TAKE_PROFIT, 6, 80);
    put_trade(p, 2, -5, 1, 0, EXIT_STOP, 6, 90);
    put_trade(p, 3, 4, 1, 0, EXIT_TAKE_PROFIT, 6, 2500);
    put_trade(p, 4, -4, 1, 1, EXIT_TIME, 0, -1);
    put_equity(p, START, 1000, 1000, 0);
    put_equity(p, START + 6 * NS_PER_HOUR, 1000, 1020, 500); /* 6 h to 12 h */
    put_equity(p, START + 12 * NS_PER_HOUR, 1009, 1010, 0);
    put_equity(p, START + NS_PER_DAY + 12 * NS_PER_HOUR, 1003, 999.9, 0);
    put_equity(p, START + 2 * NS_PER_DAY + 12 * NS_PER_HOUR, 1002, 1002, 0);
}

static struct report from_db(struct place *p) {
    static struct report r;
    memset(&r, 0, sizeof r);
    assert_ok(p, report_from_db(&r, p->db, &p->err));
    return r;
}

static void small_example_by_hand(void **state) {
    struct place *p = *state;
    put_example(p);
    struct report r = from_db(p);
    assert_int_equal(r.trades, 4);
    assert_int_equal(r.wins, 2);
    assert_near(r.win_rate, 0.5);
    assert_true(r.win_rate_low > 0.14 && r.win_rate_low < 0.16); /* Wilson, 2 of 4: 0.150..0.850 */
    assert_near(r.win_rate_low + r.win_rate_high, 1);
    assert_near(r.expectancy, 0.5);
    assert_near(r.expectancy_r, (9.0 - 6 + 3) / 6 / 3); /* the trade without risk is left out */
    assert_near(r.profit_factor, 1.2);
    assert_near(r.average_win, 6);
    assert_near(r.average_loss, -5);
    assert_int_equal(r.exits[EXIT_TAKE_PROFIT].count, 2);
    assert_int_equal(r.exits[EXIT_TAKE_PROFIT].wins, 2);
    assert_int_equal(r.exits[EXIT_TIME].net_pnl.e8, -4 * FX_ONE);
    assert_near(r.max_drawdown, (1020 - 999.9) / 1020);
    /* 60 h in all, 6 h of them with 500 / 1020 at risk */
    assert_near(r.exposure, 500.0 / 1020 * 6 / 60);
    assert_int_equal(r.sharpe.n, 3);
    const double returns[] = {0.01, 999.9 / 1010 - 1, 1002 / 999.9 - 1};
    assert_near(r.sharpe.value, stat_sharpe(returns, 3, 365).value);
    assert_int_equal(r.from_ns, START);
    assert_int_equal(r.to_ns, START + 2 * NS_PER_DAY + 12 * NS_PER_HOUR);
    assert_int_equal(r.wallet_start.e8, 1000 * FX_ONE);
    assert_int_equal(r.wallet_change.e8, 2 * FX_ONE);
    assert_int_equal(r.realized_pnl.e8, 6 * FX_ONE);
    assert_int_equal(r.fees.e8, 4 * FX_ONE);
    assert_int_equal(r.funding.e8, 0);
    assert_int_equal(r.identity_error.e8, 0);
    assert_int_equal(r.positions, 4);
    assert_int_equal(r.unprotected_positions, 1);
    assert_int_equal(r.ttp_p50_ns, 90 * NS_PER_MS);
    assert_int_equal(r.ttp_p99_ns, 2500 * NS_PER_MS);
    assert_int_equal(r.ttp_max_ns, 2500 * NS_PER_MS);
    assert_int_equal(r.ttp_buckets[0].up_to_ns, 100 * NS_PER_MS);
    assert_int_equal(r.ttp_buckets[0].count, 2);
    assert_int_equal(r.ttp_buckets[r.ttp_bucket_count - 1].up_to_ns, 3 * NS_PER_SECOND);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < r.ttp_bucket_count; i++) sum += r.ttp_buckets[i].count;
    assert_int_equal(sum, 3);
}

static void computing_twice_gives_the_same(void **state) {
    struct place *p = *state;
    put_example(p);
    struct report once = from_db(p), twice = once;
    assert_ok(p, report_from_db(&twice, p->db, &p->err));
    assert_int_equal(twice.trades, 4);
    assert_int_equal(twice.unprotected_positions, 1);
    assert_int_equal(twice.ttp_bucket_count, once.ttp_bucket_count);
    assert_int_equal(twice.exits[EXIT_STOP].count, 1);
    assert_true(twice.sharpe.value == once.sharpe.value);
}

static void put_ledger(struct place *p, uint8_t kind, uint64_t id, int64_t ts, double realized,
                       double amount) {
    struct venue_event e = {.kind = kind, .side = SIDE_BUY, .trade_id = id, .ts_event_ns = ts};
    e.realized_pnl = usdt(realized);
    if (kind == VENUE_FUNDING)
        e.funding = usdt(amount);
    else
        e.commission = usdt(amount);
    assert_ok(p, tradedb_fill_put(p->db, &e, "BTCUSDT", &p->err));
}

/* An open position has paid a fee that no closed trade knows: fills add up, trades cannot. */
static void fills_are_the_books_while_a_position_is_open(void **state) {
    struct place *p = *state;
    put_trade(p, 1, 11, 1, -1, EXIT_TAKE_PROFIT, 6, 80);
    put_ledger(p, VENUE_ORDER_TRADE, 1, START + 1, 0, 0.5);
    put_ledger(p, VENUE_ORDER_TRADE, 2, START + 3, 11, 0.5);
    put_ledger(p, VENUE_FUNDING, 0, START + 2, 0, -1);
    put_ledger(p, VENUE_ORDER_TRADE, 3, START + 4, 0, 0.7); /* the open one's entry */
    put_equity(p, START, 1000, 1000, 0);
    put_equity(p, START + 5, 1008.3, 1009, 700);
    struct report r = from_db(p);
    assert_int_equal(r.ledger_fills, 3);
    assert_int_equal(r.ledger_fundings, 1);
    assert_int_equal(r.fees.e8, usdt(1.7).e8);
    assert_int_equal(r.funding.e8, -FX_ONE);
    assert_int_equal(r.wallet_change.e8, usdt(8.3).e8);
    assert_int_equal(r.identity_error.e8, 0);
    put_ledger(p, VENUE_ORDER_TRADE, 4, START + 9, 0, 5); /* behind the last point: not yet */
    assert_int_equal(from_db(p).identity_error.e8, 0);
    put_equity(p, START + 10, 1003.3 + 0.00000001, 1003.3, 0); /* one unit too much is seen */
    assert_int_equal(from_db(p).identity_error.e8, 1);
}

static void days_without_points_keep_the_day_before(void **state) {
    struct place *p = *state;
    put_equity(p, START, 100, 100, 0);
    put_equity(p, START + NS_PER_DAY - 1, 110, 110, 0);
    put_equity(p, START + 3 * NS_PER_DAY, 99, 99, 0);
    struct report r = from_db(p);
    const double returns[] = {0.1, 0, 0, 99.0 / 110 - 1};
    assert_int_equal(r.sharpe.n, 4);
    assert_near(r.sharpe.value, stat_sharpe(returns, 4, 365).value);
    r.wallet_start = usdt(200); /* known by the caller: the first return is against it */
    assert_ok(p, report_from_db(&r, p->db, &p->err));
    const double from_start[] = {110.0 / 200 - 1, 0, 0, 99.0 / 110 - 1};
    assert_near(r.sharpe.value, stat_sharpe(from_start, 4, 365).value);
    assert_near(r.max_drawdown, 0.505);
}

static void text_of(char *out, size_t size, const struct report *r, bool json) {
    FILE *f = fmemopen(out, size, "w");
    assert_non_null(f);
    (json ? report_print_json : report_print)(f, r);
    assert_int_equal(fclose(f), 0);
}

static void empty_journal_says_why(void **state) {
    struct place *p = *state;
    struct report r = from_db(p);
    assert_true(isnan(r.win_rate) && isnan(r.expectancy) && isnan(r.profit_factor));
    assert_true(isnan(r.sharpe.value) && isnan(r.max_drawdown) && isnan(r.exposure));
    assert_int_equal(r.ttp_max_ns, -1);
    static char text[32768];
    text_of(text, sizeof text, &r, false);
    assert_non_null(strstr(text, "n/a (no closed trade)"));
    assert_non_null(strstr(text, "n/a (fewer than 2 days)"));
    assert_non_null(strstr(text, "n/a (no position was protected)"));
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "SYNTHETIC"));
    text_of(text, sizeof text, &r, true);
    assert_non_null(strstr(text, "\"profit_factor\":null"));
    assert_non_null(
        strstr(text, "\"time_to_protected_ms\":{\"p50\":null,\"p99\":null,\"max\":null}"));
    put_trade(p, 1, 5, 1, 0, EXIT_TAKE_PROFIT, 6, 80);
    r = from_db(p);
    text_of(text, sizeof text, &r, false);
    assert_non_null(strstr(text, "n/a (no losing trade)"));
}

static struct report full_report(struct place *p) {
    put_example(p);
    static struct report r;
    memset(&r, 0, sizeof r);
    strcpy(r.mode, "backtest");
    strcpy(r.strategy, "momentum");
    strcpy(r.symbols_text, "BTC,ETH");
    strcpy(r.model_window, "2023-01-01 to 2023-12-31");
    strcpy(r.cost_model, "taker 0.05 %, half spread 1 bp, latency 50 ms");
    r.synthetic = true;
    r.interval_ns = NS_PER_HOUR;
    r.bars = 8760;
    r.symbols = 2;
    r.signals = 20;
    r.intents = 9;
    r.orders = 24;
    r.fills = 17;
    r.seed = 42;
    r.instruments_inferred = 1;
    r.funding_assumed = 2;
    r.unprotected_at_end = 3;
    r.fingerprint = 0xfedcba9876543210u;
    report_count_add(r.rejects, &r.reject_count, "-4006", 2);
    report_count_add(r.refusals, &r.refusal_count, "edge_below_cost", 5);
    report_count_add(r.refusals, &r.refusal_count, "cooldown", 1);
    report_count_add(r.refusals, &r.refusal_count, "edge_below_cost", 2);
    r.baselines[0] = (struct report_baseline){.name = "buy_and_hold",
                                              .trades = 2,
                                              .net_pnl = usdt(-12345678.995),
                                              .total_return = 0.1 + 0.2,
                                              .sharpe = NAN,
                                              .sharpe_low = NAN,
                                              .sharpe_high = NAN,
                                              .max_drawdown = 1.0 / 3,
                                              .win_rate = 0.5};
    r.baselines[1] = r.baselines[0];
    strcpy(r.baselines[1].name, "random_entry");
    r.baseline_count = 2;
    r.models[0] = (struct report_model){.kind = "xgboost",
                                        .state = "present",
                                        .params = "objective=multi:softprob,eta=0.1",
                                        .rounds = 87,
                                        .logloss_test = 1.0 / 3,
                                        .logloss_prior = 1.0986,
                                        .skill_t = 4.25,
                                        .side_t = 3.5,
                                        .balanced_accuracy = 0.37,
                                        .ece = 0.01,
                                        .mse_path = NAN,
                                        .mse_persistence = NAN,
                                        .mse_dlinear = NAN};
    r.models[1] = r.models[0];
    strcpy(r.models[1].kind, "lightgbm");
    strcpy(r.models[1].state, "no_skill");
    r.models[2] = r.models[0];
    strcpy(r.models[2].kind, "patchtst");
    r.models[2].weights = 123456;
    r.models[2].mse_path = 0.1 + 0.2;
    r.models[2].mse_persistence = 1.25;
    r.model_count = 3;
    r.disagreement = (struct report_disagreement){.decisions = 800, .differ = 96, .distance = 0.1};
    assert_ok(p, report_from_db(&r, p->db, &p->err));
    return r;
}

static void saved_report_prints_the_same(void **state) {
    struct place *p = *state;
    struct report r = full_report(p);
    static char before[32768], after[32768];
    assert_int_equal(report_load(&r, p->db, &p->err), ST_NOT_FOUND);
    r = full_report(p);
    assert_ok(p, report_save(&r, p->db, &p->err));
    static struct report loaded;
    memset(&loaded, 0xff, sizeof loaded);
    assert_ok(p, report_load(&loaded, p->db, &p->err));
    assert_ok(p, report_from_db(&loaded, p->db, &p->err));
    for (int json = 0; json < 2; json++) {
        memset(before, 0, sizeof before);
        memset(after, 0, sizeof after);
        text_of(before, sizeof before, &r, json);
        text_of(after, sizeof after, &loaded, json);
        assert_string_equal(before, after);
    }
    assert_true(loaded.baselines[0].total_return == 0.1 + 0.2); /* to the last bit */
    assert_true(loaded.models[1].logloss_test == 1.0 / 3 && loaded.disagreement.distance == 0.1);
    text_of(after, sizeof after, &loaded, false);
    assert_non_null(strstr(after, "Voter lightgbm"));
    assert_non_null(strstr(after, "96 of 800 decisions (12.0 %), by 0.1000 in probability"));
    assert_true(loaded.models[2].mse_path == 0.1 + 0.2 && isnan(loaded.models[0].mse_path));
    assert_non_null(
        strstr(after, "0.3000; standing still 1.2500, linear n/a (not measured); 123456"));
    text_of(after, sizeof after, &loaded, true);
    assert_non_null(strstr(after, "\"weights\":null,\"mse_path\":null"));
    assert_non_null(strstr(after, "\"weights\":123456,\"mse_path\":0.30000000000000004"));
    assert_int_equal(loaded.refusals[0].count, 7);
    /* A voter as kept before there were networks. */
    char entry[512];
    assert_ok(p, tradedb_meta_get(p->db, "report.models.00", entry, sizeof entry, &p->err));
    assert_ok(p, tradedb_meta_put(p->db, "report.models.03", entry, &p->err));
    assert_ok(p, tradedb_meta_put(p->db, "report.models.03.params", "", &p->err));
    assert_ok(p, tradedb_meta_put(p->db, "report.models", "4", &p->err));
    assert_ok(p, report_load(&loaded, p->db, &p->err));
    assert_true(loaded.models[3].weights == 0 && isnan(loaded.models[3].mse_dlinear));
    assert_ok(p, tradedb_meta_put(p->db, "report.models.03.network", "weights=-", &p->err));
    assert_int_equal(report_load(&loaded, p->db, &p->err), ST_CORRUPT);
    assert_non_null(strstr(p->err.text, "report.models.03.network"));
    assert_ok(p, tradedb_meta_put(p->db, "report.models", "3", &p->err));
    assert_ok(p, tradedb_meta_put(p->db, "report.bars", "many", &p->err));
    assert_int_equal(report_load(&loaded, p->db, &p->err), ST_CORRUPT);
    assert_non_null(strstr(p->err.text, "report.bars"));
}

/* Raw text of a member of the one object. */
static struct json_text member(const char *text, const char *name) {
    struct json_reader reader;
    struct json_text key, found = {0};
    json_reader_init(&reader, text, strlen(text));
    json_object_begin(&reader);
    while (json_object_next(&reader, &key)) {
        bool is = json_text_is(&key, name);
        struct json_text value = json_raw(&reader);
        if (is) found = value;
    }
    if (json_finish(&reader) != ST_OK) fail_msg("%s", reader.error);
    if (!found.data) fail_msg("no member %s in %s", name, text);
    return found;
}

static void assert_member(const char *text, const char *name, const char *value) {
    struct json_text got = member(text, name);
    if (got.size != strlen(value) || memcmp(got.data, value, got.size) != 0)
        fail_msg("%s is %.*s, not %s", name, (int)got.size, got.data, value);
}

/* Of the example: trade 2 lost 5 where its first stop allowed 6, nothing beyond; then one that lost 50 of 20. */
static void a_fall_is_taken_apart(void **state) {
    struct place *p = *state;
    put_example(p);
    put_trade(p, 5, -50, 2, 0.5, EXIT_STOP, 20, 10); /* ends 6 h behind START */
    put_trade(p, 6, -25, 1, 0, EXIT_STOP, 20, 10);   /* 7 h */
    put_trade(p, 90, -30, 1, 0, EXIT_STOP, 20, 10);  /* behind the bottom of the fall */
    put_equity(p, START + 8 * NS_PER_HOUR, 900, 900, 0);
    struct report r = from_db(p);
    assert_int_equal(r.beyond_stops, 3);
    assert_int_equal(r.beyond_stops_sum.e8, 45 * FX_ONE);
    assert_int_equal(r.beyond_stops_max.e8, 30 * FX_ONE);
    assert_near(r.max_drawdown, 120.0 / 1020);
    assert_int_equal(r.drawdown_from_ns, START + 6 * NS_PER_HOUR);
    assert_int_equal(r.drawdown_to_ns, START + 8 * NS_PER_HOUR);
    assert_near(r.drawdown_beyond_stops,
                5.0 / 1020); /* trade 6: what ended with the peak was before it */
    assert_near(r.drawdown_costs, 1.0 / 1020);
}

static void a_report_of_the_first_trades_stays_the_same(void **state) {
    struct place *p = *state;
    put_example(p);
    struct report early = from_db(p);
    put_trade(p, 15, 5, 1, 0, EXIT_STOP, 6, 80); /* 16 h behind START */
    put_trade(p, 16, -50, 1, 0, EXIT_STOP, 6, 80);
    put_equity(p, START + 17 * NS_PER_HOUR, 900, 900, 0);
    static struct report r;
    memset(&r, 0, sizeof r);
    r.trades_max = 4;
    assert_ok(p, report_from_db(&r, p->db, &p->err));
    assert_int_equal(r.trades, 4);
    assert_int_equal(r.wins, early.wins);
    assert_near(r.win_rate_low, early.win_rate_low);
    assert_near(r.expectancy, early.expectancy);
    assert_int_equal(r.to_ns, START + 5 * NS_PER_HOUR); /* the fourth's end */
    assert_int_equal(r.equity_points, 1);               /* the only one before it */
    assert_int_equal(r.wallet_end.e8, 1000 * FX_ONE);
    r.trades_max = 7; /* more than there are: all of it */
    r.to_ns = r.from_ns = 0;
    assert_ok(p, report_from_db(&r, p->db, &p->err));
    assert_int_equal(r.trades, 6);
    assert_int_equal(r.equity_points, 6);
}

/* The keys of the version before: figures it did not keep are none, and nothing is wrong with its journal. */
static void a_journal_of_before_is_read(void **state) {
    struct place *p = *state;
    static const char *const rows[][2] = {{"mode", "paper"},
                                          {"strategy", "momentum"},
                                          {"symbols_text", ""},
                                          {"synthetic", "1"},
                                          {"from_ns", "1"},
                                          {"to_ns", "2"},
                                          {"interval_ns", "3"},
                                          {"bars", "4"},
                                          {"symbols", "5"},
                                          {"signals", "6"},
                                          {"intents", "7"},
                                          {"orders", "8"},
                                          {"fills", "9"},
                                          {"instruments_inferred", "0"},
                                          {"funding_assumed", "0"},
                                          {"seed", "1"},
                                          {"model_window", "none"},
                                          {"cost_model", "none"},
                                          {"wallet_start.e8", "10"},
                                          {"unprotected_at_end", "2"},
                                          {"fingerprint", "11"},
                                          {"rejects", "0"},
                                          {"refusals", "0"},
                                          {"baselines", "0"}};
    char key[64];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(key, sizeof key, "report.%s", rows[i][0]);
        assert_ok(p, tradedb_meta_put(p->db, key, rows[i][1], &p->err));
    }
    static struct report got;
    assert_ok(p, report_load(&got, p->db, &p->err));
    assert_int_equal(got.unprotected_at_end, 2);
    assert_int_equal(got.protected_whole, 0);
    assert_true(got.breaker_loss_max == 0);
}

static void figures_of_protection_are_kept(void **state) {
    struct place *p = *state;
    struct report r = full_report(p);
    r.protected_whole = 7;
    r.protected_p99_ns = 250 * NS_PER_MS;
    r.interrupted_max_ns = 31 * NS_PER_SECOND;
    r.breaker_loss_max = 0.04;
    assert_ok(p, report_save(&r, p->db, &p->err));
    static struct report got;
    assert_ok(p, report_load(&got, p->db, &p->err));
    assert_int_equal(got.protected_whole, 7);
    assert_int_equal(got.protected_p99_ns, 250 * NS_PER_MS);
    assert_int_equal(got.interrupted_max_ns, 31 * NS_PER_SECOND);
    assert_true(got.breaker_loss_max == 0.04);
}

static void json_has_the_promised_members(void **state) {
    struct place *p = *state;
    struct report r = full_report(p);
    static char text[32768];
    text_of(text, sizeof text, &r, true);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1); /* one line */
    static const char *const promised[] = {"win_rate",   "expectancy",  "profit_factor", "sharpe",
                                           "sharpe_low", "sharpe_high", "max_drawdown"};
    for (size_t i = 0; i < sizeof promised / sizeof *promised; i++) member(text, promised[i]);
    assert_member(text, "mode", "\"backtest\"");
    assert_member(text, "synthetic", "true");
    assert_member(text, "from", "\"2024-10-28T00:00:00Z\"");
    assert_member(text, "to", "\"2024-10-30T12:00:00Z\"");
    assert_member(text, "bars", "8760");
    assert_member(text, "symbols", "2");
    assert_member(text, "signals", "20");
    assert_member(text, "intents", "9");
    assert_member(text, "orders", "24");
    assert_member(text, "fills", "17");
    assert_member(text, "trades", "4");
    assert_member(text, "win_rate", "0.5");
    assert_member(text, "fees_e8", "400000000");
    assert_member(text, "funding_e8", "0");
    assert_member(text, "wallet_change_e8", "200000000");
    assert_member(text, "identity_error_e8", "0");
    assert_member(text, "unprotected_positions", "1");
    struct json_text ttp = member(text, "time_to_protected_ms");
    assert_true(ttp.size > 2 && strncmp(ttp.data, "{\"p50\":90", 9) == 0);
    assert_member(text, "venue_rejects", "{\"-4006\":2}");
    assert_member(text, "refusals", "{\"edge_below_cost\":7,\"cooldown\":1}");
    assert_member(text, "fingerprint", "\"fedcba9876543210\"");
    struct json_text baselines = member(text, "baselines");
    char copy[2048];
    assert_true(baselines.size < sizeof copy);
    memcpy(copy, baselines.data, baselines.size);
    copy[baselines.size] = '\0';
    member(copy, "buy_and_hold");
    member(copy, "random_entry");
    assert_non_null(strstr(copy, "\"sharpe\":null"));
}

static void text_shows_what_it_rests_on(void **state) {
    struct place *p = *state;
    struct report r = full_report(p);
    static char text[32768];
    text_of(text, sizeof text, &r, false);
    static const char *const expected[] = {
        "SYNTHETIC",
        "2024-10-28 00:00 to 2024-10-30 12:00 UTC",
        "8760 of 1h, 2 symbols",
        "taker 0.05 %, half spread 1 bp, latency 50 ms",
        "2023-01-01 to 2023-12-31",
        "50.0 %  [15.0, 85.0] %",
        "3 daily returns of equity",
        "take_profit             2        2    100.0%            12.00",
        "-12,345,679.00",
        "edge_below_cost",
        "-4006",
        "random_entry",
        "median 90 ms",
        "4, of which 1 never",
        "fedcba9876543210",
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        if (!strstr(text, expected[i])) fail_msg("no \"%s\" in:\n%s", expected[i], text);
    assert_null(strstr(text, "do not add up"));
    r.identity_error.e8 = -1;
    text_of(text, sizeof text, &r, false);
    assert_non_null(strstr(text, "-0.00000001  *** the books do not add up ***"));
}

static void counts_never_overflow_their_table(void **state) {
    (void)state;
    struct report_count counts[REPORT_KEYS_MAX] = {0};
    uint32_t n = 0;
    uint64_t sum = 0;
    for (int i = 0; i < 100; i++) {
        char key[64];
        snprintf(key, sizeof key, "reason_%d_with_a_name_longer_than_the_field", i);
        report_count_add(counts, &n, key, 1);
        report_count_add(counts, &n, key, 1);
    }
    assert_int_equal(n, REPORT_KEYS_MAX);
    assert_string_equal(counts[REPORT_KEYS_MAX - 1].key, "other");
    for (uint32_t i = 0; i < n; i++) sum += counts[i].count;
    assert_int_equal(sum, 200);
    assert_int_equal(counts[0].count, 2);
    assert_int_equal(strlen(counts[0].key), REPORT_KEY_SIZE - 1);
}

static uint64_t db_hash(struct place *p) {
    uint64_t out;
    assert_ok(p, report_trades_hash(&out, p->db, &p->err));
    return out;
}

static void trade_hash_sees_every_field_and_the_order(void **state) {
    struct place *p = *state;
    assert_true(db_hash(p) == 0);
    struct trade_closed t = {.trade_id = 1, .intent_id = 2, .symbol = "BTCUSDT", .side = 1};
    uint64_t plain = report_trade_hash(0, &t), seen[21];
    struct trade_closed v[20];
    for (size_t i = 0; i < 20; i++) v[i] = t;
    v[0].trade_id++, v[1].intent_id++, v[2].instrument_index++, v[3].side++, v[4].exit_reason++;
    v[5].strategy++, v[6].leverage++, v[7].entry_ts_ns++, v[8].exit_ts_ns++, v[9].entry_px.e8++;
    v[10].exit_px.e8++, v[11].qty.e8++, v[12].realized_pnl.e8++, v[13].fees.e8++;
    v[14].funding.e8++, v[15].net_pnl.e8++, v[16].risk.e8++, v[17].time_to_protected_ns++;
    v[18].confidence = 0.5, v[19].expected_edge = 0.5;
    for (size_t i = 0; i < 20; i++) seen[i] = report_trade_hash(0, &v[i]);
    strcpy(t.symbol, "BTCUSDC");
    seen[20] = report_trade_hash(0, &t);
    for (size_t i = 0; i < 21; i++) {
        assert_true(seen[i] != plain);
        for (size_t j = 0; j < i; j++) assert_true(seen[i] != seen[j]);
    }
    strcpy(t.symbol, "BTCUSDT\0XX"); /* bytes behind the end are not the name */
    memcpy(t.symbol + 8, "XX", 2);
    assert_true(report_trade_hash(0, &t) == plain);
    assert_true(report_trade_hash(plain, &v[0]) != report_trade_hash(seen[0], &t));

    put_example(p);
    uint64_t whole = db_hash(p);
    assert_true(whole != 0 && whole == db_hash(p));
    put_trade(p, 2, -5, 1, 0, EXIT_STOP, 6, 90); /* the same again */
    assert_true(db_hash(p) == whole);
    put_trade(p, 2, -5, 1, 0, EXIT_STOP, 6, 91);
    assert_true(db_hash(p) != whole);
}

/* The chain's bytes are a promise to stored fingerprints. The value was computed with the xxhash
 * package's own command (xxhsum -H3) over the 184 bytes packed by Python. */
static void trade_hash_layout_is_stable(void **state) {
    (void)state;
    struct trade_closed t = {.trade_id = 1,
                             .intent_id = 2,
                             .symbol = "BTCUSDT",
                             .instrument_index = 3,
                             .side = SIDE_SELL,
                             .exit_reason = EXIT_STOP,
                             .strategy = STRATEGY_MOMENTUM,
                             .leverage = 4};
    t.entry_ts_ns = 5, t.exit_ts_ns = 6, t.entry_px.e8 = 7, t.exit_px.e8 = 8, t.qty.e8 = 9;
    t.realized_pnl.e8 = -10, t.fees.e8 = 11, t.funding.e8 = -12, t.net_pnl.e8 = -33;
    t.risk.e8 = 13, t.time_to_protected_ns = -1, t.confidence = 0.5, t.expected_edge = NAN;
    if (report_trade_hash(0, &t) != UINT64_C(0xa30dee9e1afe7ee0))
        fail_msg("%016llx", (unsigned long long)report_trade_hash(0, &t));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(small_example_by_hand),
        TEST(computing_twice_gives_the_same),
        TEST(fills_are_the_books_while_a_position_is_open),
        TEST(days_without_points_keep_the_day_before),
        TEST(empty_journal_says_why),
        TEST(saved_report_prints_the_same),
        TEST(json_has_the_promised_members),
        TEST(text_shows_what_it_rests_on),
        TEST(trade_hash_sees_every_field_and_the_order),
        TEST(a_fall_is_taken_apart),
        TEST(a_report_of_the_first_trades_stays_the_same),
        TEST(a_journal_of_before_is_read),
        TEST(figures_of_protection_are_kept),
        cmocka_unit_test(counts_never_overflow_their_table),
        cmocka_unit_test(trade_hash_layout_is_stable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
