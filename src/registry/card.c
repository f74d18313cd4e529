/* Cards and verdicts as text. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/numtext.h"
#include "base/tstamp.h"
#include "registry/registry_internal.h"

static void write_text(struct json_writer *w, const char *key, const char *text) {
    json_write_key(w, key);
    json_write_string(w, text);
}

static void write_f64(struct json_writer *w, const char *key, double value) {
    json_write_key(w, key);
    json_write_f64(w, value);
}

static void write_u64(struct json_writer *w, const char *key, uint64_t value) {
    json_write_key(w, key);
    json_write_u64(w, value);
}

static void write_time(struct json_writer *w, const char *key, int64_t ns) {
    char text[TSTAMP_TEXT_SIZE];
    write_text(w, key, tstamp_format(text, ns));
}

static void write_hash(struct json_writer *w, const char *key, uint64_t hash) {
    char text[REGISTRY_HASH_SIZE];
    json_write_key(w, key);
    if (hash)
        json_write_string(w, registry_hash_text(text, hash));
    else
        json_write_null(w);
}

static void write_shares(struct json_writer *w, const char *key, const double *share) {
    json_write_key(w, key);
    json_write_object_begin(w);
    for (int l = 0; l < LABEL_COUNT; l++) write_f64(w, label_text((enum label)l), share[l]);
    json_write_object_end(w);
}

static void write_training(struct json_writer *w, const struct registry_card *card) {
    const struct learn_report *l = card->report;
    json_write_key(w, "training");
    json_write_object_begin(w);
    write_time(w, "train_from", l->train_from_ns);
    write_time(w, "train_to", l->train_to_ns);
    write_time(w, "valid_from", l->valid_from_ns);
    write_time(w, "valid_to", l->valid_to_ns);
    write_time(w, "data_end", card->data_end_ns);
    write_u64(w, "rows_train", l->rows_train);
    write_u64(w, "rows_valid", l->rows_valid);
    write_u64(w, "symbols", l->symbols);
    write_u64(w, "rounds", l->rounds);
    write_text(w, "params", l->params);
    write_shares(w, "share", l->share);
    json_write_key(w, "shuffled");
    json_write_bool(w, l->shuffled);
    json_write_object_end(w);
}

static void write_test(struct json_writer *w, const struct learn_report *l) {
    json_write_key(w, "test");
    json_write_object_begin(w);
    write_time(w, "from", l->test_from_ns);
    write_time(w, "to", l->test_to_ns);
    write_u64(w, "rows", l->rows_test);
    write_f64(w, "logloss", l->logloss_test);
    write_f64(w, "logloss_prior", l->logloss_prior);
    write_f64(w, "skill_t", l->skill_t);
    write_f64(w, "side_t", l->side_t);
    write_f64(w, "accuracy", l->accuracy);
    write_f64(w, "balanced_accuracy", l->balanced_accuracy);
    write_f64(w, "ece", l->ece);
    write_shares(w, "predicted_share", l->predicted_share);
    write_f64(w, "mse_path", l->mse_path); /* of networks; null for forests */
    write_f64(w, "mse_persistence", l->mse_persistence);
    write_f64(w, "mse_dlinear", l->mse_dlinear);
    json_write_key(w, "has_skill");
    json_write_bool(w, l->has_skill);
    write_text(w, "verdict", l->verdict);
    json_write_object_end(w);
}

static void write_labels(struct json_writer *w, const struct label_spec *spec) {
    json_write_key(w, "labels");
    json_write_object_begin(w);
    write_u64(w, "horizon_bars", spec->horizon_bars);
    write_f64(w, "barrier_atr", spec->barrier_atr);
    write_f64(w, "barrier_cost_multiple", spec->barrier_cost_multiple);
    write_f64(w, "cost_round_trip", spec->cost_round_trip);
    json_write_object_end(w);
}

enum status registry_card_json(char out[REGISTRY_CARD_SIZE], uint64_t hash,
                               const struct registry_card *card, struct err *err) {
    struct json_writer w;
    char interval[16];
    json_writer_init(&w, out, REGISTRY_CARD_SIZE);
    json_write_object_begin(&w);
    json_write_key(&w, "model");
    json_write_object_begin(&w);
    write_text(&w, "kind", model_kind_text(card->kind));
    write_hash(&w, "hash", hash);
    write_hash(&w, "parent", card->parent);
    write_text(&w, "interval", tstamp_interval_format(interval, card->interval_ns));
    write_text(&w, "trigger", card->trigger);
    json_write_object_end(&w);
    write_training(&w, card);
    write_test(&w, card->report);
    write_labels(&w, card->labels);
    json_write_object_end(&w);
    if (json_writer_finish(&w) == ST_OK) return ST_OK;
    return err_set(err, ST_RANGE, "model card: more than %d bytes", REGISTRY_CARD_SIZE);
}

enum status registry_verdict_json(char *out, size_t size, const struct promotion_verdict *v,
                                  struct err *err) {
    struct json_writer w;
    json_writer_init(&w, out, size);
    json_write_object_begin(&w);
    write_text(&w, "outcome", promotion_outcome_text((enum promotion_outcome)v->outcome));
    write_text(&w, "reason", promotion_reason_text((enum promotion_reason)v->reason));
    write_f64(&w, "mape_old", v->mape_old);
    write_f64(&w, "mape_new", v->mape_new);
    write_f64(&w, "sharpe_old", v->sharpe_old);
    write_f64(&w, "sharpe_new", v->sharpe_new);
    write_f64(&w, "wealth", v->wealth);
    write_f64(&w, "p", v->p);
    write_u64(&w, "forecasts", v->pairs);
    write_u64(&w, "bars", v->bars);
    write_u64(&w, "observations", v->samples);
    json_write_object_end(&w);
    if (json_writer_finish(&w) == ST_OK) return ST_OK;
    return err_set(err, ST_RANGE, "verdict: more than %zu bytes", size);
}

enum status registry_verdict_figures(char out[REGISTRY_FIGURES_SIZE],
                                     const struct promotion_verdict *v, struct err *err) {
    out[0] = '\0';
    if (!v) return ST_OK;
    int n = snprintf(out, REGISTRY_FIGURES_SIZE,
                     "outcome=%s why=%s mape_old=%.6g mape_new=%.6g sharpe_old=%.6g "
                     "sharpe_new=%.6g wealth=%.6g p=%.3g forecasts=%llu observations=%llu",
                     promotion_outcome_text((enum promotion_outcome)v->outcome),
                     promotion_reason_text((enum promotion_reason)v->reason), v->mape_old,
                     v->mape_new, v->sharpe_old, v->sharpe_new, v->wealth, v->p,
                     (unsigned long long)v->pairs, (unsigned long long)v->samples);
    if (n >= 0 && n < REGISTRY_FIGURES_SIZE) return ST_OK;
    return err_set(err, ST_RANGE, "verdict: more than %d bytes", REGISTRY_FIGURES_SIZE);
}

/* Members of the stored card, and the verdict behind them. */
static enum status compose(char out[REGISTRY_CARD_SIZE], const char *card, const char *verdict) {
    struct json_reader in;
    struct json_writer w;
    struct json_text key;
    json_reader_init(&in, card, strlen(card));
    json_writer_init(&w, out, REGISTRY_CARD_SIZE);
    json_write_object_begin(&w);
    json_object_begin(&in);
    while (json_object_next(&in, &key)) {
        char name[32];
        struct json_text value = json_raw(&in);
        if (json_text_copy(name, sizeof name, NULL, &key) != ST_OK) return ST_CORRUPT;
        json_write_key(&w, name);
        json_write_raw(&w, value.data, value.size);
    }
    if (json_finish(&in) != ST_OK) return ST_CORRUPT;
    json_write_key(&w, "validator");
    if (verdict)
        json_write_raw(&w, verdict, strlen(verdict));
    else
        json_write_null(&w);
    json_write_object_end(&w);
    return json_writer_finish(&w) == ST_OK ? ST_OK : ST_CORRUPT;
}

enum status registry_card_read(struct registry *r, char out[REGISTRY_CARD_SIZE], int64_t id,
                               struct err *err) {
    sqlite3_stmt *s;
    enum status st =
        registry_sql_prepare(r, &s, "SELECT card, verdict FROM models WHERE id = ?", err);
    if (st != ST_OK) return st;
    sqlite3_bind_int64(s, 1, id);
    int code = sqlite3_step(s);
    const char *card = code == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0) : NULL;
    if (code == SQLITE_DONE)
        st = err_set(err, ST_NOT_FOUND, "no model #%lld", (long long)id);
    else if (code != SQLITE_ROW)
        st = registry_sql_failed(r, "card", err);
    else if (!card || compose(out, card, (const char *)sqlite3_column_text(s, 1)) != ST_OK)
        st = err_set(err, ST_CORRUPT, "model #%lld: its card is not readable", (long long)id);
    sqlite3_finalize(s);
    return st;
}
