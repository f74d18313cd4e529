/* The engine over HTTP: decisions, batches, explanations, figures, retraining, health's contract. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "api/test_http.h"
#include "learn/explain.h"
#include "learn/learn_internal.h"
#include "learn/test_market.h"

static _Atomic uint32_t retrain_request;

static int engine_setup(void **state) {
    struct world *w = malloc(sizeof *w);
    assert_non_null(w);
    atomic_store(&retrain_request, 0);
    world_open(w, &(struct api_config){.retrain_request = &retrain_request});
    publish_engine(w);
    *state = w;
    return 0;
}

static void near(json_t *object, const char *key, double wanted) {
    double got = number_at(object, key);
    if (fabs(got - wanted) > 1e-9) fail_msg("%s is %.12g, not %.12g", key, got, wanted);
}

static json_t *post_json(struct world *w, const char *body) {
    struct reply r = post(w->port, body);
    if (r.code != 200) fail_msg("%d: %s", r.code, r.body);
    json_t *root = parsed(&r);
    reply_free(&r);
    return root;
}

/* ---- a signal ---- */

static void an_entry_is_told_in_full(void **state) {
    json_t *s = post_json(*state, "{\"symbol\":\"BTCUSDT\"}");
    assert_string_equal(text_at(s, "action"), "BUY");
    assert_string_equal(text_at(s, "reason"), "allow");
    assert_true(json_is_null(at(s, "reason_detail")));
    assert_string_equal(text_at(s, "meta_strategy"), "scalp");
    assert_string_equal(text_at(s, "regime"), "trend_up");
    near(s, "regime_confidence", 0.82);
    near(s, "position_fraction", 0.04);
    near(s, "leverage", 2);
    near(s, "edge_gross", 0.0042);
    near(s, "cost", 0.0014);
    near(s, "edge_net", 0.0028);
    near(s, "edge_error", 0.0011);
    near(s, "trust", 0.75);
    near(at(s, "interval"), "low", -0.011);
    near(at(s, "interval"), "high", 0.018);
    near(at(s, "interval"), "nominal", 0.9);
    json_t *targets = at(s, "targets"); /* 82789 times 1.03, 1.045, 1.0625 */
    assert_int_equal(json_array_size(targets), 3);
    assert_true(fabs(json_number_value(json_array_get(targets, 0)) - 85272.67) < 1e-6);
    assert_true(fabs(json_number_value(json_array_get(targets, 1)) - 86514.505) < 1e-6);
    assert_true(fabs(json_number_value(json_array_get(targets, 2)) - 87963.3125) < 1e-6);
    json_t *votes = at(s, "model_votes");
    assert_string_equal(text_at(at(votes, "nhits"), "state"), "excluded");
    near(at(at(votes, "nhits"), "p"), "SELL", 0.5); /* what it would have said */
    near(at(s, "weights"), "lightgbm", 0.4);
    json_t *from = at(s, "provenance");
    char hash[17];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)feature_list_hash());
    assert_string_equal(text_at(from, "feature_hash"), hash);
    assert_true(json_integer_value(at(from, "bar_time")) == FIXTURE_MARKET_NS / NS_PER_MS);
    json_t *model = at(at(from, "models"), "xgboost");
    assert_string_equal(text_at(model, "hash"), "0123456789abcdef");
    assert_true(number_at(model, "data_end") > 0);
    assert_true(json_is_null(at(at(from, "models"), "patchtst")));
    json_decref(s);
}

static void what_the_engine_refuses_is_hold_with_its_reason(void **state) {
    json_t *s = post_json(*state, "{\"symbol\":\"ETHUSDT\",\"include_reasoning\":true}");
    assert_string_equal(text_at(s, "action"), "HOLD");
    assert_string_equal(text_at(s, "voters_action"), "BUY");
    assert_string_equal(text_at(s, "reason"), "portfolio");
    assert_string_equal(text_at(s, "reason_detail"), "correlated");
    near(s, "confidence", 0.5); /* of HOLD */
    near(s, "position_size_usd", 0);
    near(s, "leverage", 0);
    assert_true(json_is_null(at(s, "stop_loss")));
    assert_int_equal(json_array_size(at(s, "targets")), 0);
    assert_non_null(strstr(text_at(s, "reasoning"), "No entry: portfolio, correlated."));
    json_decref(s);
}

/* Excluded by the supervisor, all of them: an answer; still warming: none. */
static void silenced_voters_are_an_answer(void **state) {
    struct world *w = *state;
    struct view *v = view_begin(w->box);
    fixture_fill(v, tstamp_wall_ns());
    fixture_engine(v);
    struct view_symbol *s = &v->symbols[0];
    s->warm = 0;
    s->decision = (struct view_decision){
        .reason = ENGINE_NO_VOTER, .action = LABEL_HOLD, .arm = STRATEGY_NONE, .was_decided = 1};
    s->decision.states[MODEL_XGBOOST] = VOTE_EXCLUDED;
    s->signal = (struct ensemble_signal){.action = LABEL_HOLD};
    view_publish(w->box);
    json_t *a = post_json(w, "{\"symbol\":\"BTCUSDT\"}");
    assert_string_equal(text_at(a, "action"), "HOLD");
    assert_string_equal(text_at(a, "reason"), "no_voter");
    assert_true(json_is_null(at(a, "edge_net"))); /* not reached */
    assert_true(json_is_null(at(a, "interval")));
    json_decref(a);
    v = view_begin(w->box);
    fixture_fill(v, tstamp_wall_ns());
    fixture_engine(v);
    v->symbols[0].warm = 0;
    memset(v->symbols[0].decision.states, 0, sizeof v->symbols[0].decision.states);
    v->symbols[0].decision.states[MODEL_XGBOOST] = VOTE_WARMING;
    view_publish(w->box);
    expect_error(post(w->port, "{\"symbol\":\"BTCUSDT\"}"), 503, "warming");
}

/* ---- batches ---- */

static void a_batch_answers_each_in_its_place(void **state) {
    json_t *b = post_json(
        *state, "{\"symbols\":[\"ETHUSDT\",\"NOSUCH\",\"SOLUSDT\",\"BTCUSDT\",\"ETHUSDT\"]}");
    json_t *rows = at(b, "signals");
    assert_int_equal(json_array_size(rows), 5);
    assert_int_equal((int)number_at(b, "count"), 5);
    assert_true(json_is_integer(at(b, "as_of")));
    static const char *const symbols[] = {"ETHUSDT", "NOSUCH", "SOLUSDT", "BTCUSDT", "ETHUSDT"};
    static const int codes[] = {0, 404, 503, 0, 0};
    for (size_t i = 0; i < 5; i++) {
        json_t *row = json_array_get(rows, i);
        assert_string_equal(text_at(row, "symbol"), symbols[i]);
        if (codes[i])
            assert_int_equal((int)number_at(row, "status"), codes[i]);
        else
            assert_string_equal(text_at(row, "action"), i == 3 ? "BUY" : "HOLD");
    }
    assert_non_null(strstr(text_at(json_array_get(rows, 1), "error"), "unknown symbol NOSUCH"));
    json_decref(b);
    struct world *w = *state;
    b = get_json(w->port, "/api/ai/signals", 200); /* all there are */
    assert_int_equal(json_array_size(at(b, "signals")), 3);
    assert_string_equal(text_at(json_array_get(at(b, "signals"), 0), "symbol"), "BTCUSDT");
    json_decref(b);
}

static void bad_batches_are_named(void **state) {
    struct world *w = *state;
    static const struct {
        const char *body, *part;
    } rows[] = {
        {"{\"symbols\":[]}", "symbols is empty"},
        {"{\"symbols\":\"BTCUSDT\"}", "symbols must be an array, not a string"},
        {"{\"symbols\":null}", "symbols must be an array, not null"},
        {"{\"symbols\":[\"A\",5]}", "symbols[1] must be a string, not a number"},
        {"{\"symbols\":[\"A\",\"b\"]}", "symbols[1]: character 1"},
        {"{\"symbols\":[\"A\"],\"symbol\":\"A\"}", "one of them is meant"},
        {"{\"symbols\":[\"A\"],\"symbols\":[\"B\"]}", "symbols is given twice"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_error(post(w->port, rows[i].body), 422, rows[i].part);
    char body[8192] = "{\"symbols\":[";
    for (int i = 0; i <= INSTRUMENTS_MAX; i++) strcat(body, i ? ",\"A\"" : "\"A\"");
    strcat(body, "]}");
    expect_error(post(w->port, body), 422, "more than 512");
    expect_error(post(w->port, "{\"symbols\":[\"A\",}"), 400, "JSON");
}

/* ---- explanations ---- */

enum { ROW = 100 };
static char forest_paths[2][256];
static float explained_row[FEATURE_COUNT_MAX];

static int forests_train(void **state) {
    (void)state;
    struct market m;
    struct learn_rows rows;
    struct learn_report report;
    struct err err = {0};
    struct learn_config c = learn_config_defaults();
    market_make(&m, 3, 1500, 42, 0.7);
    for (int k = 0; k < 2; k++) {
        c.kind = k ? MODEL_LIGHTGBM : MODEL_XGBOOST;
        market_path(forest_paths[k], sizeof forest_paths[k], k ? "api.txt" : "api.json");
        if (learn_train(&report, forest_paths[k], m.series, 3, &c, NULL, NULL, &err)) {
            print_message("%s\n", err.text);
            return -1;
        }
    }
    if (learn_rows_build(&rows, m.series, 3, &c, NULL, NULL, &err)) return -1;
    memcpy(explained_row, rows.features + (size_t)ROW * rows.columns, rows.columns * sizeof(float));
    learn_rows_free(&rows);
    market_free(&m);
    return 0;
}

static int forests_remove(void **state) {
    (void)state;
    unlink(forest_paths[0]);
    unlink(forest_paths[1]);
    return 0;
}

static uint64_t hash_of(const char *path) {
    struct served_model *m;
    struct err err;
    assert_int_equal(served_model_load(&m, path, &err), ST_OK);
    uint64_t hash = served_model_hash(m);
    served_model_destroy(m);
    return hash;
}

static void publish_forests(struct world *w, bool is_other) {
    struct view *v = view_begin(w->box);
    fixture_fill(v, tstamp_wall_ns());
    fixture_engine(v);
    fixture_network(&v->models[MODEL_NHITS]);
    for (int k = 0; k < 2; k++) {
        struct view_model *m = &v->models[k ? MODEL_LIGHTGBM : MODEL_XGBOOST];
        fixture_model(m);
        fixture_copy(m->file, sizeof m->file, forest_paths[k]);
        m->hash = hash_of(forest_paths[k]) ^ (is_other && k == 0);
    }
    for (int i = 0; i < 2; i++) memcpy(v->symbols[i].row, explained_row, sizeof explained_row);
    view_publish(w->box);
}

static void contributions_are_whole(json_t *e) {
    double sum = number_at(e, "expectation") + number_at(e, "rest");
    json_t *features = at(e, "features");
    assert_true(json_array_size(features) > 2);
    for (size_t i = 0; i < json_array_size(features); i++) {
        json_t *f = json_array_get(features, i);
        sum += number_at(f, "contribution");
        assert_true(strlen(text_at(f, "name")) > 2);
    }
    assert_true(fabs(sum - number_at(e, "margin")) < 1e-9);
    assert_string_equal(text_at(e, "label"), "BUY"); /* what the voters say together */
    assert_true(json_array_size(at(e, "flips")) + json_array_size(at(e, "no_flip")) > 0);
}

static void reasons_come_with_contributions_and_flips(void **state) {
    struct world *w = *state;
    publish_forests(w, false);
    json_t *s = post_json(w, "{\"symbol\":\"BTCUSDT\",\"include_reasoning\":true}");
    json_t *e = at(s, "explanations");
    contributions_are_whole(at(e, "xgboost"));
    contributions_are_whole(at(e, "lightgbm"));
    assert_non_null(strstr(text_at(at(e, "nhits"), "error"), "a network reads the path"));
    assert_true(json_is_null(at(e, "patchtst")));
    /* The same as the model says when it is asked here. */
    struct served_model *m;
    struct model_explanation wanted;
    struct err err;
    assert_int_equal(served_model_load(&m, forest_paths[0], &err), ST_OK);
    assert_int_equal(served_model_explain(&wanted, m, LABEL_BUY, explained_row, &err), ST_OK);
    json_t *first = json_array_get(at(at(e, "xgboost"), "features"), 0);
    assert_string_equal(text_at(first, "name"), feature_at(wanted.features[0].index)->name);
    assert_true(number_at(first, "contribution") == wanted.features[0].contribution);
    assert_true(number_at(at(e, "xgboost"), "margin") == wanted.margin);
    served_model_destroy(m);
    json_decref(s);
    s = post_json(w, "{\"symbol\":\"BTCUSDT\"}");
    assert_null(json_object_get(s, "explanations"));
    json_decref(s);
}

static void a_batch_explains_each_and_a_changed_file_none(void **state) {
    struct world *w = *state;
    publish_forests(w, true);
    json_t *b = post_json(
        w, "{\"symbols\":[\"BTCUSDT\",\"NOSUCH\",\"ETHUSDT\"],\"include_reasoning\":true}");
    json_t *rows = at(b, "signals");
    assert_null(json_object_get(json_array_get(rows, 1), "explanations"));
    for (size_t i = 0; i < 3; i += 2) {
        json_t *e = at(json_array_get(rows, i), "explanations");
        assert_non_null(strstr(text_at(at(e, "xgboost"), "error"), "not any more the one"));
        contributions_are_whole(at(e, "lightgbm"));
    }
    json_decref(b);
    publish_forests(w, false); /* and when it serves again, it is loaded again */
    b = get_json(w->port, "/api/ai/signals?include_reasoning=true", 200);
    contributions_are_whole(at(at(json_array_get(at(b, "signals"), 0), "explanations"), "xgboost"));
    json_decref(b);
    publish(w); /* a rule trades: there is no row to explain */
    b = post_json(w, "{\"symbol\":\"BTCUSDT\",\"include_reasoning\":true}");
    assert_true(json_is_null(at(b, "explanations")));
    json_decref(b);
}

/* Askers that leave, askers that come by the dozen, a server that stops meanwhile. */
static void explanations_survive_their_askers(void **state) {
    struct world *w = *state;
    static const char body[] = "{\"symbols\":[\"BTCUSDT\",\"ETHUSDT\"],\"include_reasoning\":true}";
    char request[512];
    int n = snprintf(request, sizeof request,
                     "POST /api/ai/signal HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                     "%zu\r\n\r\n%s",
                     sizeof body - 1, body);
    publish_forests(w, false);
    for (int i = 0; i < 20; i++) {
        int fd = dial(w->port);
        put(fd, request, (size_t)n);
        close(fd);
    }
    json_decref(get_json(w->port, "/health/live", 200));
    int fds[60], answered = 0, told_to_wait = 0;
    for (int i = 0; i < 60; i++) {
        fds[i] = dial(w->port);
        put(fds[i], request, (size_t)n);
    }
    for (int i = 0; i < 60; i++) {
        struct reply r = take(fds[i], false);
        answered += r.code == 200;
        told_to_wait += r.code == 503;
        reply_free(&r);
        close(fds[i]);
    }
    assert_int_equal(answered + told_to_wait, 60);
    assert_true(answered > 0);
    for (int i = 0; i < 5; i++) put(fds[i] = dial(w->port), request, (size_t)n);
    /* teardown stops the server while they wait */
    for (int i = 0; i < 5; i++) close(fds[i]);
}

/* ---- figures ---- */

static void the_ensemble_is_counted(void **state) {
    struct world *w = *state;
    json_t *e = get_json(w->port, "/api/ai/metrics/ensemble", 200);
    near(e, "consensus_rate", 0.75); /* 600 of 800 with two voters or more */
    near(e, "average_confidence", (300 * 0.42 + 600 * 0.47) / 900);
    json_t *c = at(e, "confidence");
    assert_true(fabs(number_at(c, "sd") - 0.05 * sqrt(2.0) / 3) < 1e-9);
    near(c, "p10", 0.4 + 0.05 * 90 / 300);
    near(c, "p50", 0.45 + 0.05 * 150 / 600);
    assert_int_equal(json_array_size(at(c, "histogram")), VIEW_CONFIDENCE_BINS);
    near(json_array_get(at(c, "histogram"), 8), "count", 300);
    json_t *m = at(e, "models");
    near(at(m, "xgboost"), "agreement", 0.875);
    assert_true(json_is_null(at(at(m, "nhits"), "agreement"))); /* never voted: not 0 */
    near(at(e, "by_reason"), "hold", 860);
    near(at(e, "by_portfolio_reason"), "correlated", 60);
    assert_null(json_object_get(at(e, "by_reason"), "no_bar"));
    near(e, "ece", 0.0125);
    near(e, "interval_coverage", 0.905);
    near(e, "interval_nominal", 0.9);
    json_decref(e);
    publish(w); /* without an engine nothing was counted, and nothing is made up */
    e = get_json(w->port, "/api/ai/metrics/ensemble", 200);
    assert_true(json_is_false(at(e, "enabled")));
    assert_true(json_is_null(at(e, "consensus_rate")));
    assert_true(json_is_null(at(at(e, "confidence"), "p50")));
    assert_true(json_is_null(at(e, "ece")));
    json_decref(e);
}

static void strategies_and_sizes_are_counted(void **state) {
    struct world *w = *state;
    json_t *s = get_json(w->port, "/api/ai/metrics/meta-strategy", 200);
    near(s, "exploration_rate", 0.1);
    assert_string_equal(text_at(s, "algorithm"), "thompson");
    json_t *arms = at(s, "strategies");
    assert_int_equal(json_object_size(arms), STRATEGY_ARMS);
    near(at(arms, "scalp"), "chosen", 30);
    near(at(arms, "scalp"), "share", 0.75);
    near(at(arms, "scalp"), "win_rate", 0.4);
    near(at(arms, "scalp"), "mean_r", -0.12);
    assert_true(json_is_null(at(at(arms, "trend_rider"), "mean_r")));
    assert_string_equal(text_at(s, "policy"), "sharp");
    near(s, "policy_reviews", 3);
    near(at(s, "policy_verdicts"), "no_overlap", 4);
    assert_int_equal(json_object_size(at(s, "policies")), 1); /* the others have no rows */
    near(at(at(s, "policies"), "own"), "gain", -0.04);
    assert_string_equal(text_at(at(at(s, "policies"), "own"), "verdict"), "not_better");
    json_decref(s);
    s = get_json(w->port, "/api/ai/metrics/rl-sizing", 200);
    near(s, "average_fraction", 0.04);
    near(s, "average_size_usd", 0.04 * 9989.54321);
    near(s, "average_leverage", 2);
    near(s, "average_risk", 0.0008);
    near(s, "average_multiplier", 0.5);
    near(at(s, "bound_by"), "evidence", 40);
    near(at(s, "refused_by"), "edge_below_cost", 40);
    near(s, "rows_trained", 6);
    json_decref(s);
}

static void the_engine_pleases_promtool(void **state) {
    struct world *w = *state;
    struct reply r = get(w->port, "/metrics");
    static const char *const lines[] = {
        "quantum_model_weight{model=\"xgboost\"} 0.6\n",
        "quantum_supervisor_level{model=\"nhits\"} 2\n",
        "quantum_supervisor_reason{model=\"xgboost\",reason=\"error_rise\"} 1\n",
        "quantum_supervisor_reason{model=\"xgboost\",reason=\"constant\"} 0\n",
        "quantum_supervisor_alarms_total{model=\"xgboost\",of=\"input\"} 3\n",
        "quantum_model_agreements_total{model=\"xgboost\",agreed=\"no\"} 100\n",
        "quantum_engine_decisions_total{reason=\"portfolio\"} 60\n",
        "quantum_engine_decisions_total{reason=\"no_bar\"} 0\n",
        "quantum_strategy_chosen_total{arm=\"scalp\"} 30\n",
        "quantum_signal_confidence_bucket{le=\"0.45\"} 300\n",
        "quantum_signal_confidence_bucket{le=\"+Inf\"} 900\n",
        "quantum_regime_symbols{regime=\"trend_up\"} 2\n",
        "quantum_ensemble_ece 0.0125",
        "quantum_interval_coverage 0.905",
        "quantum_seat_events_total{model=\"xgboost\",event=\"rejected\"} 2\n",
        "quantum_seat_challenger{model=\"xgboost\"} 1\n",
        "quantum_retrain_runs_total{result=\"failed\"} 1\n",
        "quantum_retrain_period_seconds 14400\n",
        "quantum_component_up{component=\"governance\"} 1\n",
        "quantum_models_loaded 10\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (!strstr(r.body, lines[i])) fail_msg("no line %s in\n%s", lines[i], r.body);
    FILE *tool = popen("promtool check metrics 2>&1 >&2", "w"); /* missing: 127, a failure */
    assert_non_null(tool);
    assert_int_equal(fwrite(r.body, 1, r.body_size, tool), r.body_size);
    int status = pclose(tool);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    reply_free(&r);
    publish(w);
    r = get(w->port, "/metrics");
    assert_null(strstr(r.body, "quantum_supervisor_level"));
    reply_free(&r);
}

/* ---- retraining ---- */

static struct reply post_retrain(struct world *w, const char *headers, const char *body) {
    return post_to(w->port, "/api/ai/retrain", headers, body, strlen(body));
}

static void retraining_is_asked_for(void **state) {
    struct world *w = *state;
    json_t *r = get_json(w->port, "/api/ai/retrain", 200);
    assert_true(json_is_true(at(r, "enabled")));
    assert_true(json_is_false(at(r, "requested")));
    assert_string_equal(text_at(r, "training"), "none");
    near(r, "period_seconds", 14400);
    near(r, "next_in_seconds", 3 * 3600 - 60);
    json_t *seat = at(at(r, "seats"), "xgboost");
    assert_string_equal(text_at(seat, "served"), "0123456789abcdef");
    assert_string_equal(text_at(seat, "challenger"), "fedcba9876543210");
    assert_string_equal(text_at(seat, "challenger_state"), "shadow");
    near(seat, "mape_in_service", 0.9);
    assert_string_equal(text_at(at(seat, "verdict"), "reason"), "not_significant_yet");
    near(at(seat, "verdict"), "wealth", 17.5);
    assert_true(json_is_null(at(at(at(r, "seats"), "nhits"), "served")));
    json_decref(r);

    struct reply a = post_retrain(w, "", "");
    assert_int_equal(a.code, 202);
    r = parsed(&a);
    assert_string_equal(text_at(r, "status"), "requested");
    assert_string_equal(text_at(r, "starts"), "at the next close");
    assert_true(json_integer_value(at(r, "starts_at")) ==
                (FIXTURE_MARKET_NS + NS_PER_HOUR) / NS_PER_MS);
    json_decref(r);
    reply_free(&a);
    assert_int_equal(atomic_load(&retrain_request), 1);
    r = get_json(w->port, "/api/ai/retrain", 200);
    assert_true(json_is_true(at(r, "requested")));
    json_decref(r);
    a = post_retrain(w, "Content-Type: application/json\r\n", "{}");
    assert_int_equal(a.code, 202);
    r = parsed(&a);
    assert_string_equal(text_at(r, "status"), "requested before");
    json_decref(r);
    reply_free(&a);
}

static void retraining_is_refused_where_nothing_retrains(void **state) {
    struct world *w = *state;
    expect_error(post_retrain(w, "", "{"), 400, "JSON");
    expect_error(post_retrain(w, "", "[]"), 422, "object");
    expect_error(post_retrain(w, "Content-Type: text/plain\r\n", "{}"), 415, "json");
    expect_error(post_retrain(w, "Origin: http://evil.example\r\n", ""), 403, "another origin");
    expect_error(post_retrain(w, "Origin: http://127.0.0.1:9\r\n", ""), 403, "another origin");
    expect_error(post_retrain(w, "Origin: null\r\n", ""), 403, "another origin");
    assert_int_equal(atomic_load(&retrain_request), 0);
    struct reply own = post_retrain(w, "Origin: http://127.0.0.1\r\n", "");
    assert_int_equal(own.code, 202);
    reply_free(&own);
    atomic_store(&retrain_request, 0);
    publish(w); /* without a retrainer */
    expect_error(post_retrain(w, "", ""), 409, "no retrainer runs");
    struct view *v = view_begin(w->box);
    fixture_fill(v, tstamp_wall_ns());
    fixture_engine(v);
    v->running = 0;
    view_publish(w->box);
    expect_error(post_retrain(w, "", ""), 409, "ended");
    assert_int_equal(atomic_load(&retrain_request), 0);
    struct world none;
    world_open(&none, NULL);
    publish_engine(&none);
    expect_error(post_retrain(&none, "", ""), 409, "no retrainer runs");
    world_close(&none);
}

/* ---- health ---- */

static json_t *component(json_t *h, const char *name) {
    return at(at(h, "components"), name);
}

static void twelve_components_are_checked(void **state) {
    struct world *w = *state;
    json_t *h = get_json(w->port, "/health", 200);
    assert_string_equal(text_at(h, "status"), "OK");
    assert_int_equal((int)number_at(h, "models_loaded"),
                     10); /* two voters of four, and the eight */
    assert_int_equal((int)number_at(h, "voters_loaded"), 2);
    assert_true(json_is_true(at(h, "meta_strategy_enabled")));
    assert_true(json_is_true(at(h, "rl_sizing_enabled")));
    assert_true(json_is_true(at(h, "governance_active")));
    static const char *const names[] = {"meta_strategy",  "rl_sizing",  "regime_detector",
                                        "memory_manager", "supervisor", "governance",
                                        "retrainer",      "validator"};
    for (int i = 0; i < 8; i++)
        assert_string_equal(text_at(component(h, names[i]), "state"), "loaded");
    assert_non_null(strstr(text_at(component(h, "memory_manager"), "evidence"), "passed"));
    assert_non_null(strstr(text_at(component(h, "validator"), "evidence"), "known answers hold"));
    json_decref(h);
}

static void expect_faulty(struct world *w, const char *name) {
    view_publish(w->box);
    json_t *h = get_json(w->port, "/health", 200);
    assert_string_equal(text_at(component(h, name), "state"), "faulty");
    assert_string_equal(text_at(h, "status"), "DEGRADED");
    assert_non_null(strstr(json_string_value(json_array_get(at(h, "reasons"), 0)), name));
    assert_int_equal((int)number_at(h, "models_loaded"), 9);
    json_decref(h);
}

static struct view *engine_begin(struct world *w) {
    struct view *v = view_begin(w->box);
    fixture_fill(v, tstamp_wall_ns());
    fixture_engine(v);
    return v;
}

static void a_component_that_does_not_work_is_not_counted(void **state) {
    struct world *w = *state;
    struct view *v = engine_begin(w);
    v->engine.weights[MODEL_XGBOOST] = 0.5; /* sum 1.05 */
    expect_faulty(w, "governance");
    v = engine_begin(w);
    v->learned.supervisor[MODEL_XGBOOST].steps = 0;
    expect_faulty(w, "supervisor");
    v = engine_begin(w);
    v->retrain.next_ns = v->market_ts_ns - v->retrain.period_ns - 1;
    expect_faulty(w, "retrainer");
    v = engine_begin(w);
    v->retrain.next_ns = v->market_ts_ns - v->retrain.period_ns - 1;
    v->retrain.running = PROMOTION_PERIOD; /* it is at it */
    view_publish(w->box);
    json_t *h = get_json(w->port, "/health", 200);
    assert_string_equal(text_at(h, "status"), "OK");
    json_decref(h);
    v = engine_begin(w);
    memset(&v->retrain, 0, sizeof v->retrain);
    view_publish(w->box);
    h = get_json(w->port, "/health", 200);
    assert_string_equal(text_at(component(h, "validator"), "state"), "absent");
    assert_string_equal(text_at(h, "status"), "OK"); /* not there is no fault */
    assert_int_equal((int)number_at(h, "models_loaded"), 8);
    json_decref(h);
}

static void health_has_the_form_of_the_contract(void **state) {
    struct world *w = *state;
    json_t *h = get_json(w->port, "/health", 200);
    json_t *m = at(h, "metrics");
    json_t *g = at(m, "governance");
    near(g, "active_models", 2);
    near(g, "retrain_interval", 14400);
    near(g, "drift_threshold", 0.25);
    assert_true(json_is_integer(at(g, "last_retrain")));
    json_t *x = at(at(g, "models"), "xgboost");
    near(x, "weight", 0.6); /* of the two seats that are taken: 0.45 of 0.75 */
    near(at(at(g, "models"), "patchtst"), "weight", 0);
    near(x, "last_mape", 0.9);
    near(x, "drift_count", 5);
    near(x, "retrain_count", 4);
    assert_true(json_is_null(at(x, "avg_pnl"))); /* no sample */
    assert_string_equal(text_at(x, "level"), "down_weight");
    assert_string_equal(json_string_value(json_array_get(at(x, "reasons"), 0)), "error_rise");
    assert_int_equal(json_array_size(at(x, "reasons")), 2);
    json_t *r = at(m, "adaptive_retrainer");
    assert_true(json_is_true(at(r, "enabled")));
    near(r, "retrain_interval_seconds", 14400);
    near(r, "retrain_count", 4);
    near(r, "time_since_last_seconds", 3660);
    near(r, "time_until_next_seconds", 3 * 3600 - 60);
    assert_string_equal(text_at(at(r, "model_paths"), "xgboost"), "models/xgboost.ubj");
    json_t *v = at(m, "model_validator");
    assert_int_equal(json_array_size(at(v, "recent_validations")), 1);
    assert_string_equal(text_at(json_array_get(at(v, "recent_validations"), 0), "outcome"),
                        "undecided");
    near(at(v, "criteria"), "improvement", 0.97);
    json_t *trend = at(at(m, "exit_brain"), "trend");
    assert_true(number_at(trend, "chosen") == 7 && number_at(trend, "closes") == 55);
    assert_true(number_at(trend, "gain_r") == 0.125 && number_at(trend, "gain_r_low") == 0.0625);
    json_t *memory = at(m, "strategic_memory");
    assert_string_equal(text_at(memory, "preferred_regime"), "trend_up");
    assert_string_equal(text_at(memory, "updated_policy"), "BALANCED");
    near(at(m, "rl_agent"), "rewarded", 30);
    near(at(at(m, "meta_regime"), "symbols"), "trend_up", 2);
    json_decref(h);
    json_t *s = get_json(w->port, "/api/state", 200); /* what the page draws */
    near(at(at(at(s, "engine"), "models"), "xgboost"), "weight", 0.6);
    json_t *refused = json_array_get(at(s, "signals"), 1);
    assert_string_equal(text_at(refused, "action"), "HOLD");
    assert_string_equal(text_at(refused, "voters_action"), "BUY");
    assert_string_equal(text_at(refused, "reason"), "portfolio");
    assert_string_equal(text_at(at(at(at(s, "retrain"), "seats"), "xgboost"), "challenger_state"),
                        "shadow");
    json_decref(s);
    publish(w);
    s = get_json(w->port, "/api/state", 200);
    assert_true(json_is_null(at(s, "engine")));
    json_decref(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, engine_setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_entry_is_told_in_full),
        TEST(what_the_engine_refuses_is_hold_with_its_reason),
        TEST(silenced_voters_are_an_answer),
        TEST(a_batch_answers_each_in_its_place),
        TEST(bad_batches_are_named),
        TEST(reasons_come_with_contributions_and_flips),
        TEST(a_batch_explains_each_and_a_changed_file_none),
        TEST(explanations_survive_their_askers),
        TEST(the_ensemble_is_counted),
        TEST(strategies_and_sizes_are_counted),
        TEST(the_engine_pleases_promtool),
        TEST(retraining_is_asked_for),
        TEST(retraining_is_refused_where_nothing_retrains),
        TEST(twelve_components_are_checked),
        TEST(a_component_that_does_not_work_is_not_counted),
        TEST(health_has_the_form_of_the_contract),
    };
    return cmocka_run_group_tests(tests, forests_train, forests_remove);
}
