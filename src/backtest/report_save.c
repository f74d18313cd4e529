/* The caller's half of a report in the journal's meta table: one readable entry per field. */
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "backtest/report.h"

enum kind { TEXT, U64, I64, BOOL, F64 };

struct field {
    const char *key;
    enum kind kind;
    size_t offset, size;
};

#define FIELD(name, kind)                                                                          \
    { "report." #name, kind, offsetof(struct report, name), sizeof(((struct report *)0)->name) }

static const struct field FIELDS[] = {
    FIELD(mode, TEXT),
    FIELD(strategy, TEXT),
    FIELD(symbols_text, TEXT),
    FIELD(synthetic, BOOL),
    FIELD(from_ns, I64),
    FIELD(to_ns, I64),
    FIELD(interval_ns, I64),
    FIELD(bars, U64),
    FIELD(symbols, U64),
    FIELD(signals, U64),
    FIELD(intents, U64),
    FIELD(orders, U64),
    FIELD(fills, U64),
    FIELD(instruments_inferred, U64),
    FIELD(funding_assumed, U64),
    FIELD(seed, U64),
    FIELD(model_window, TEXT),
    FIELD(cost_model, TEXT),
    FIELD(wallet_start.e8, I64),
    FIELD(unprotected_at_end, U64),
    FIELD(fingerprint, U64),
    /* From here on: not in a journal of an earlier version. */
    FIELD(protected_whole, U64),
    FIELD(protected_interrupted, U64),
    FIELD(protected_p99_ns, I64),
    FIELD(protected_max_ns, I64),
    FIELD(interrupted_max_ns, I64),
    FIELD(breaker_loss_max, F64),
    FIELD(breaker_daily_loss_max, F64),
    FIELD(breaker_drawdown_max, F64),
};
enum { FIELD_COUNT = sizeof FIELDS / sizeof *FIELDS, FIELD_NEW = 21, VALUE_SIZE = 512 };

static void field_format(char out[VALUE_SIZE], const struct field *f, const char *at) {
    uint64_t u;
    int64_t i;
    double d;
    bool b;
    switch (f->kind) {
    case TEXT:
        snprintf(out, VALUE_SIZE, "%.*s", (int)f->size, at);
        return;
    case U64:
        memcpy(&u, at, sizeof u);
        snprintf(out, VALUE_SIZE, "%" PRIu64, u);
        return;
    case I64:
        memcpy(&i, at, sizeof i);
        snprintf(out, VALUE_SIZE, "%" PRId64, i);
        return;
    case BOOL:
        memcpy(&b, at, sizeof b);
        snprintf(out, VALUE_SIZE, "%d", b);
        return;
    case F64:
        memcpy(&d, at, sizeof d);
        snprintf(out, VALUE_SIZE, "%.17g", d);
        return;
    }
}

static bool field_parse(char *at, const struct field *f, const char *text) {
    char *end = NULL;
    uint64_t u;
    int64_t i;
    double d;
    switch (f->kind) {
    case TEXT:
        if (strlen(text) >= f->size) return false;
        memcpy(at, text, strlen(text) + 1);
        return true;
    case U64:
        u = strtoull(text, &end, 10);
        memcpy(at, &u, sizeof u);
        break;
    case I64:
        i = strtoll(text, &end, 10);
        memcpy(at, &i, sizeof i);
        break;
    case BOOL:
        *(bool *)(void *)at = text[0] == '1';
        return (text[0] == '0' || text[0] == '1') && text[1] == '\0';
    case F64:
        d = strtod(text, &end);
        memcpy(at, &d, sizeof d);
        break;
    }
    return end != text && *end == '\0';
}

static enum status put_counts(struct tradedb *db, const char *name,
                              const struct report_count *counts, uint32_t n, struct err *err) {
    char key[48], value[VALUE_SIZE];
    snprintf(key, sizeof key, "report.%s", name);
    snprintf(value, sizeof value, "%" PRIu32, n);
    enum status st = tradedb_meta_put(db, key, value, err);
    for (uint32_t i = 0; st == ST_OK && i < n; i++) {
        snprintf(key, sizeof key, "report.%s.%02" PRIu32, name, i);
        snprintf(value, sizeof value, "%" PRIu64 " %.*s", counts[i].count, REPORT_KEY_SIZE,
                 counts[i].key);
        st = tradedb_meta_put(db, key, value, err);
    }
    return st;
}

static enum status get_number(struct tradedb *db, const char *name, uint32_t max, uint32_t *out,
                              struct err *err) {
    char key[48], value[VALUE_SIZE];
    snprintf(key, sizeof key, "report.%s", name);
    enum status st = tradedb_meta_get(db, key, value, sizeof value, err);
    if (st != ST_OK) return st;
    char *end;
    unsigned long long n = strtoull(value, &end, 10);
    if (end == value || *end || n > max)
        return err_set(err, ST_CORRUPT, "journal: meta %s is \"%s\"", key, value);
    *out = (uint32_t)n;
    return ST_OK;
}

static enum status get_counts(struct tradedb *db, const char *name, struct report_count *counts,
                              uint32_t *n, struct err *err) {
    enum status st = get_number(db, name, REPORT_KEYS_MAX, n, err);
    for (uint32_t i = 0; st == ST_OK && i < *n; i++) {
        char key[48], value[VALUE_SIZE], *end;
        snprintf(key, sizeof key, "report.%s.%02" PRIu32, name, i);
        st = tradedb_meta_get(db, key, value, sizeof value, err);
        if (st != ST_OK) return st;
        counts[i].count = strtoull(value, &end, 10);
        if (end == value || *end != ' ' || strlen(end + 1) >= REPORT_KEY_SIZE)
            return err_set(err, ST_CORRUPT, "journal: meta %s is \"%s\"", key, value);
        memcpy(counts[i].key, end + 1, strlen(end + 1) + 1);
    }
    return st;
}

/* %.17g reads back as the same double, and "nan" as NaN. */
static enum status put_baseline(struct tradedb *db, const struct report_baseline *b, uint32_t index,
                                struct err *err) {
    char key[48], value[VALUE_SIZE];
    snprintf(key, sizeof key, "report.baselines.%02" PRIu32, index);
    snprintf(value, sizeof value,
             "%.23s trades=%" PRIu64 " net_pnl_e8=%" PRId64 " total_return=%.17g sharpe=%.17g"
             " low=%.17g high=%.17g max_drawdown=%.17g win_rate=%.17g",
             b->name, b->trades, b->net_pnl.e8, b->total_return, b->sharpe, b->sharpe_low,
             b->sharpe_high, b->max_drawdown, b->win_rate);
    return tradedb_meta_put(db, key, value, err);
}

static enum status get_baseline(struct tradedb *db, struct report_baseline *b, uint32_t index,
                                struct err *err) {
    char key[48], value[VALUE_SIZE];
    snprintf(key, sizeof key, "report.baselines.%02" PRIu32, index);
    enum status st = tradedb_meta_get(db, key, value, sizeof value, err);
    if (st != ST_OK) return st;
    if (sscanf(value,
               "%23s trades=%" SCNu64 " net_pnl_e8=%" SCNd64 " total_return=%lf sharpe=%lf"
               " low=%lf high=%lf max_drawdown=%lf win_rate=%lf",
               b->name, &b->trades, &b->net_pnl.e8, &b->total_return, &b->sharpe, &b->sharpe_low,
               &b->sharpe_high, &b->max_drawdown, &b->win_rate) != 9)
        return err_set(err, ST_CORRUPT, "journal: meta %s is \"%s\"", key, value);
    return ST_OK;
}

/* Three entries a voter: figures, what only a network has, and the parameters, which are free text. */
static enum status put_model(struct tradedb *db, const struct report_model *m, uint32_t index,
                             struct err *err) {
    char key[48], value[VALUE_SIZE];
    snprintf(key, sizeof key, "report.models.%02" PRIu32, index);
    snprintf(value, sizeof value,
             "%.15s %.15s rounds=%" PRIu64 " logloss_test=%.17g logloss_prior=%.17g skill_t=%.17g"
             " side_t=%.17g balanced_accuracy=%.17g ece=%.17g",
             m->kind, m->state, m->rounds, m->logloss_test, m->logloss_prior, m->skill_t, m->side_t,
             m->balanced_accuracy, m->ece);
    enum status st = tradedb_meta_put(db, key, value, err);
    if (st != ST_OK) return st;
    snprintf(key, sizeof key, "report.models.%02" PRIu32 ".network", index);
    snprintf(value, sizeof value,
             "weights=%" PRIu64 " mse_path=%.17g mse_persistence=%.17g mse_dlinear=%.17g",
             m->weights, m->mse_path, m->mse_persistence, m->mse_dlinear);
    st = tradedb_meta_put(db, key, value, err);
    snprintf(key, sizeof key, "report.models.%02" PRIu32 ".params", index);
    return st == ST_OK ? tradedb_meta_put(db, key, m->params, err) : st;
}

static enum status get_network(struct tradedb *db, struct report_model *m, uint32_t index,
                               struct err *err) {
    char key[48], value[VALUE_SIZE];
    snprintf(key, sizeof key, "report.models.%02" PRIu32 ".network", index);
    enum status st = tradedb_meta_get(db, key, value, sizeof value, NULL);
    if (st == ST_NOT_FOUND) { /* of a run before there were any */
        m->weights = 0;
        m->mse_path = m->mse_persistence = m->mse_dlinear = (double)NAN;
        return ST_OK;
    }
    if (st != ST_OK ||
        sscanf(value, "weights=%" SCNu64 " mse_path=%lf mse_persistence=%lf mse_dlinear=%lf",
               &m->weights, &m->mse_path, &m->mse_persistence, &m->mse_dlinear) != 4)
        return err_set(err, ST_CORRUPT, "journal: meta %s is \"%s\"", key, value);
    return ST_OK;
}

static enum status get_model(struct tradedb *db, struct report_model *m, uint32_t index,
                             struct err *err) {
    char key[48], value[VALUE_SIZE];
    snprintf(key, sizeof key, "report.models.%02" PRIu32, index);
    enum status st = tradedb_meta_get(db, key, value, sizeof value, err);
    if (st != ST_OK) return st;
    if (sscanf(value,
               "%15s %15s rounds=%" SCNu64 " logloss_test=%lf logloss_prior=%lf skill_t=%lf"
               " side_t=%lf balanced_accuracy=%lf ece=%lf",
               m->kind, m->state, &m->rounds, &m->logloss_test, &m->logloss_prior, &m->skill_t,
               &m->side_t, &m->balanced_accuracy, &m->ece) != 9)
        return err_set(err, ST_CORRUPT, "journal: meta %s is \"%s\"", key, value);
    st = get_network(db, m, index, err);
    if (st != ST_OK) return st;
    snprintf(key, sizeof key, "report.models.%02" PRIu32 ".params", index);
    return tradedb_meta_get(db, key, m->params, sizeof m->params, err);
}

static enum status put_models(struct tradedb *db, const struct report *r, struct err *err) {
    char value[VALUE_SIZE];
    snprintf(value, sizeof value, "%" PRIu32, r->model_count);
    enum status st = tradedb_meta_put(db, "report.models", value, err);
    for (uint32_t i = 0; st == ST_OK && i < r->model_count; i++)
        st = put_model(db, &r->models[i], i, err);
    const struct report_disagreement *d = &r->disagreement;
    snprintf(value, sizeof value, "decisions=%" PRIu64 " differ=%" PRIu64 " distance=%.17g",
             d->decisions, d->differ, d->distance);
    return st == ST_OK ? tradedb_meta_put(db, "report.disagreement", value, err) : st;
}

static enum status get_models(struct tradedb *db, struct report *out, struct err *err) {
    char value[VALUE_SIZE];
    struct err why = {0};
    enum status st = get_number(db, "models", REPORT_MODELS_MAX, &out->model_count, &why);
    if (st == ST_NOT_FOUND) { /* a run of a version that did not know of it */
        out->disagreement.distance = (double)NAN;
        return ST_OK;
    }
    if (st != ST_OK) return err_set(err, st, "%s", why.text);
    for (uint32_t i = 0; st == ST_OK && i < out->model_count; i++)
        st = get_model(db, &out->models[i], i, err);
    if (st != ST_OK) return st;
    st = tradedb_meta_get(db, "report.disagreement", value, sizeof value, err);
    if (st != ST_OK) return st;
    struct report_disagreement *d = &out->disagreement;
    if (sscanf(value, "decisions=%" SCNu64 " differ=%" SCNu64 " distance=%lf", &d->decisions,
               &d->differ, &d->distance) != 3)
        return err_set(err, ST_CORRUPT, "journal: meta report.disagreement is \"%s\"", value);
    return ST_OK;
}

enum status report_save(const struct report *r, struct tradedb *db, struct err *err) {
    char value[VALUE_SIZE];
    enum status st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < FIELD_COUNT; i++) {
        field_format(value, &FIELDS[i], (const char *)r + FIELDS[i].offset);
        st = tradedb_meta_put(db, FIELDS[i].key, value, err);
    }
    if (st == ST_OK) st = put_counts(db, "rejects", r->rejects, r->reject_count, err);
    if (st == ST_OK) st = put_counts(db, "refusals", r->refusals, r->refusal_count, err);
    snprintf(value, sizeof value, "%" PRIu32, r->baseline_count);
    if (st == ST_OK) st = tradedb_meta_put(db, "report.baselines", value, err);
    for (uint32_t i = 0; st == ST_OK && i < r->baseline_count; i++)
        st = put_baseline(db, &r->baselines[i], i, err);
    if (st == ST_OK) st = put_models(db, r, err);
    return st == ST_OK ? ST_OK : err_wrap(err, st, "saving the report");
}

enum status report_load(struct report *out, struct tradedb *db, struct err *err) {
    memset(out, 0, sizeof *out);
    char value[VALUE_SIZE];
    enum status st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < FIELD_COUNT; i++) {
        st = tradedb_meta_get(db, FIELDS[i].key, value, sizeof value, err);
        if (st == ST_NOT_FOUND && i >= FIELD_NEW) {
            st = ST_OK;
            continue;
        }
        if (st == ST_OK && !field_parse((char *)out + FIELDS[i].offset, &FIELDS[i], value))
            st = err_set(err, ST_CORRUPT, "journal: meta %s is \"%s\"", FIELDS[i].key, value);
    }
    if (st == ST_OK) st = get_counts(db, "rejects", out->rejects, &out->reject_count, err);
    if (st == ST_OK) st = get_counts(db, "refusals", out->refusals, &out->refusal_count, err);
    if (st == ST_OK)
        st = get_number(db, "baselines", REPORT_BASELINES_MAX, &out->baseline_count, err);
    for (uint32_t i = 0; st == ST_OK && i < out->baseline_count; i++)
        st = get_baseline(db, &out->baselines[i], i, err);
    if (st == ST_OK) st = get_models(db, out, err);
    return st == ST_OK ? ST_OK : err_wrap(err, st, "loading the report");
}
