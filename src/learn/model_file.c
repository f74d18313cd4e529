/* What travels in the model file as text a person can read: a tree model's attributes, a safetensors file's metadata. One
 * table of fields serves writing and reading, so that neither can forget one. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learn/learn_internal.h"
#include "ml/model_io/model_io.h"
#include "ml/xgboost/xgb.h"

/* 3: with the evidence for service. */
static const char format_version[] = "3";

enum field_kind { FIELD_F64, FIELD_I64, FIELD_U64, FIELD_U32, FIELD_SIZE, FIELD_BOOL };

struct field {
    const char *key;
    enum field_kind kind;
    size_t offset;
};

#define META(member)   offsetof(struct model_meta, member)
#define REPORT(member) META(report.member)

static const struct field fields[] = {
    {"quantum.interval_ns", FIELD_I64, META(interval_ns)},
    {"quantum.data_end_ns", FIELD_I64, META(data_end_ns)},
    {"quantum.seed", FIELD_U64, META(seed)},
    {"quantum.shuffled", FIELD_BOOL, REPORT(shuffled)},
    {"quantum.label.horizon_bars", FIELD_U32, META(labels.horizon_bars)},
    {"quantum.label.barrier_atr", FIELD_F64, META(labels.barrier_atr)},
    {"quantum.label.barrier_cost_multiple", FIELD_F64, META(labels.barrier_cost_multiple)},
    {"quantum.label.cost_round_trip", FIELD_F64, META(labels.cost_round_trip)},
    {"quantum.train.from_ns", FIELD_I64, REPORT(train_from_ns)},
    {"quantum.train.to_ns", FIELD_I64, REPORT(train_to_ns)},
    {"quantum.valid.from_ns", FIELD_I64, REPORT(valid_from_ns)},
    {"quantum.valid.to_ns", FIELD_I64, REPORT(valid_to_ns)},
    {"quantum.test.from_ns", FIELD_I64, REPORT(test_from_ns)},
    {"quantum.test.to_ns", FIELD_I64, REPORT(test_to_ns)},
    {"quantum.train.rows", FIELD_SIZE, REPORT(rows_train)},
    {"quantum.valid.rows", FIELD_SIZE, REPORT(rows_valid)},
    {"quantum.test.rows", FIELD_SIZE, REPORT(rows_test)},
    {"quantum.symbols", FIELD_SIZE, REPORT(symbols)},
    {"quantum.share.SELL", FIELD_F64, REPORT(share[LABEL_SELL])},
    {"quantum.share.HOLD", FIELD_F64, REPORT(share[LABEL_HOLD])},
    {"quantum.share.BUY", FIELD_F64, REPORT(share[LABEL_BUY])},
    {"quantum.test.logloss", FIELD_F64, REPORT(logloss_test)},
    {"quantum.test.logloss_prior", FIELD_F64, REPORT(logloss_prior)},
    {"quantum.test.skill_t", FIELD_F64, REPORT(skill_t)},
    {"quantum.test.side_t", FIELD_F64, REPORT(side_t)},
    {"quantum.test.accuracy", FIELD_F64, REPORT(accuracy)},
    {"quantum.test.balanced_accuracy", FIELD_F64, REPORT(balanced_accuracy)},
    {"quantum.test.ece", FIELD_F64, REPORT(ece)},
    {"quantum.test.predicted.SELL", FIELD_F64, REPORT(predicted_share[LABEL_SELL])},
    {"quantum.test.predicted.HOLD", FIELD_F64, REPORT(predicted_share[LABEL_HOLD])},
    {"quantum.test.predicted.BUY", FIELD_F64, REPORT(predicted_share[LABEL_BUY])},
    {"quantum.rounds", FIELD_U32, REPORT(rounds)},
    {"quantum.has_skill", FIELD_BOOL, REPORT(has_skill)},
};
/* And of a network. */
static const struct field net_fields[] = {
    {"quantum.weights_to_ns", FIELD_I64, META(weights_to_ns)},
    {"quantum.test.mse_path", FIELD_F64, REPORT(mse_path)},
    {"quantum.test.mse_persistence", FIELD_F64, REPORT(mse_persistence)},
    {"quantum.test.mse_dlinear", FIELD_F64, REPORT(mse_dlinear)},
};
enum {
    FIELD_COUNT = sizeof fields / sizeof fields[0],
    NET_FIELD_COUNT = sizeof net_fields / sizeof net_fields[0],
    CALIBRATION_TEXT_SIZE = 64 * 64
};

static void field_text(char *out, size_t size, const struct field *f, const void *at) {
    switch (f->kind) {
    case FIELD_F64:
        snprintf(out, size, "%.17g", *(const double *)at);
        break;
    case FIELD_I64:
        snprintf(out, size, "%" PRId64, *(const int64_t *)at);
        break;
    case FIELD_U64:
        snprintf(out, size, "%" PRIu64, *(const uint64_t *)at);
        break;
    case FIELD_U32:
        snprintf(out, size, "%" PRIu32, *(const uint32_t *)at);
        break;
    case FIELD_SIZE:
        snprintf(out, size, "%zu", *(const size_t *)at);
        break;
    case FIELD_BOOL:
        snprintf(out, size, "%s", *(const bool *)at ? "true" : "false");
        break;
    }
}

bool model_u64_parse(uint64_t *out, const char *text, int base, uint64_t max) {
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, base);
    *out = v;
    return errno == 0 && end != text && *end == 0 && *text != '-' && *text != ' ' && v <= max;
}

static bool i64_parse(int64_t *out, const char *text) {
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    *out = v;
    return errno == 0 && end != text && *end == 0;
}

bool model_f64_parse(double *out, const char **at) {
    char *end;
    *out = strtod(*at, &end);
    bool is_number = end != *at && isfinite(*out);
    *at = end;
    return is_number;
}

static bool field_parse(void *at, const struct field *f, const char *text) {
    uint64_t u;
    bool ok = false;
    switch (f->kind) {
    case FIELD_F64:
        return model_f64_parse(at, &text) && *text == 0;
    case FIELD_I64:
        return i64_parse(at, text);
    case FIELD_U64:
        return model_u64_parse(at, text, 10, UINT64_MAX);
    case FIELD_U32:
        ok = model_u64_parse(&u, text, 10, UINT32_MAX);
        if (ok) *(uint32_t *)at = (uint32_t)u;
        return ok;
    case FIELD_SIZE:
        ok = model_u64_parse(&u, text, 10, SIZE_MAX);
        if (ok) *(size_t *)at = (size_t)u;
        return ok;
    case FIELD_BOOL:
        *(bool *)at = !strcmp(text, "true");
        return *(bool *)at || !strcmp(text, "false");
    }
    return ok;
}

/* "x:y x:y …"; empty: identity. */
static void calibration_text(char out[CALIBRATION_TEXT_SIZE], const struct calibration *c) {
    size_t used = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < c->knot_count; i++)
        used += (size_t)snprintf(out + used, CALIBRATION_TEXT_SIZE - used, "%s%.17g:%.17g",
                                 i ? " " : "", c->x[i], c->y[i]);
}

static bool calibration_parse(struct calibration *c, const char *text) {
    memset(c, 0, sizeof *c);
    while (*text) {
        uint32_t i = c->knot_count;
        if (i == CALIBRATION_KNOTS_MAX) return false;
        if (!model_f64_parse(&c->x[i], &text) || *text++ != ':') return false;
        if (!model_f64_parse(&c->y[i], &text) || (*text && *text != ' ')) return false;
        if (!(c->y[i] > 0 && c->y[i] <= 1)) return false;
        if (i > 0 && !(c->x[i] > c->x[i - 1] && c->y[i] >= c->y[i - 1])) return false;
        c->knot_count++;
        text += *text != 0;
    }
    return true;
}

static void calibration_key(char out[48], uint32_t label) {
    snprintf(out, 48, "quantum.calibration.%s", label_text((enum label)label));
}

static const char calibration_method_key[] = "quantum.calibration.method";

/* Who trained it. */
static const char *library(enum model_kind kind, char text[CALIBRATION_TEXT_SIZE]) {
    if (learn_is_network(kind)) return "quantum";
    return kind == MODEL_XGBOOST ? xgb_version(text) : "quantum, LightGBM text format";
}

static enum status fields_write(const struct attributes *a, const struct model_meta *meta,
                                const struct field *list, size_t count, struct err *err) {
    char text[64];
    enum status st = ST_OK;
    for (size_t i = 0; i < count && st == ST_OK; i++) {
        field_text(text, sizeof text, &list[i], (const char *)meta + list[i].offset);
        st = a->set(a->context, list[i].key, text, err);
    }
    return st;
}

static enum status required_write(const struct attributes *a, const struct model_meta *meta,
                                  struct err *err) {
    char text[FEATURE_COUNT_MAX + 1];
    uint32_t columns = feature_count();
    for (uint32_t k = 0; k < columns; k++) text[k] = meta->required[k] ? '1' : '0';
    text[columns] = 0;
    return a->set(a->context, "quantum.columns_required", text, err);
}

enum status model_attributes_write(const struct attributes *a, const struct model_meta *meta,
                                   struct err *err) {
    char text[CALIBRATION_TEXT_SIZE], hash[32], key[48];
    snprintf(hash, sizeof hash, "%016" PRIx64, feature_list_hash());
    const char *const texts[][2] = {
        {"quantum.format", format_version},
        {"quantum.feature_hash", hash},
        {"quantum.label_map", "SELL,HOLD,BUY"},
        {"quantum.library", library(a->kind, text)},
        {"quantum.verdict", meta->report.verdict},
        {"quantum.params", meta->report.params},
        {calibration_method_key,
         learn_calibration_text((enum learn_calibration)meta->report.calibration)}};
    enum status st = ST_OK;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && st == ST_OK; i++)
        st = a->set(a->context, texts[i][0], texts[i][1], err);
    if (st == ST_OK && !learn_is_network(a->kind)) st = required_write(a, meta, err);
    if (st == ST_OK) st = fields_write(a, meta, fields, FIELD_COUNT, err);
    if (st == ST_OK && learn_is_network(a->kind))
        st = fields_write(a, meta, net_fields, NET_FIELD_COUNT, err);
    for (uint32_t l = 0; l < LABEL_COUNT && st == ST_OK; l++) {
        calibration_key(key, l);
        calibration_text(text, &meta->calibration[l]);
        st = a->set(a->context, key, text, err);
    }
    return st == ST_OK ? model_evidence_write(a, &meta->evidence, err) : st;
}

enum status model_attribute_need(const char **out, const struct attributes *m, const char *key,
                                 struct err *err) {
    *out = m->get(m->context, key);
    if (*out) return ST_OK;
    return err_set(err, ST_CORRUPT, "no attribute %s: not a model made by `quantum train`", key);
}

enum status model_attribute_bad(struct err *err, const char *key, const char *text) {
    return err_set(err, ST_CORRUPT, "attribute %s: '%.60s' is not valid", key, text);
}

static enum status hash_check(const struct attributes *m, struct err *err) {
    const char *text;
    uint64_t hash = 0, ours = feature_list_hash();
    enum status st = model_attribute_need(&text, m, "quantum.feature_hash", err);
    if (st != ST_OK) return st;
    if (strlen(text) != 16 || !model_u64_parse(&hash, text, 16, UINT64_MAX))
        return model_attribute_bad(err, "quantum.feature_hash", text);
    if (hash != ours)
        return err_set(err, ST_MISMATCH,
                       "trained on features %016" PRIx64 ", this program has %016" PRIx64
                       ": train it anew",
                       hash, ours);
    return ST_OK;
}

/* "SELL,HOLD,BUY" in any order: the file says which class is which. */
static enum status label_map_read(uint8_t *column, const struct attributes *m, struct err *err) {
    const char *text;
    enum status st = model_attribute_need(&text, m, "quantum.label_map", err);
    if (st != ST_OK) return st;
    uint32_t seen = 0;
    const char *at = text;
    for (uint32_t k = 0; k < LABEL_COUNT; k++) {
        size_t length = strcspn(at, ",");
        for (uint32_t l = 0; l < LABEL_COUNT; l++) {
            const char *name = label_text((enum label)l);
            if (strlen(name) != length || memcmp(name, at, length) != 0) continue;
            column[l] = (uint8_t)k;
            seen |= 1u << l;
        }
        at += length;
        if (*at == ',' && k + 1 < LABEL_COUNT) at++;
    }
    if (seen != (1u << LABEL_COUNT) - 1 || *at)
        return model_attribute_bad(err, "quantum.label_map", text);
    return ST_OK;
}

static enum status required_read(bool *required, const struct attributes *m, struct err *err) {
    const char *text;
    enum status st = model_attribute_need(&text, m, "quantum.columns_required", err);
    if (st != ST_OK) return st;
    uint32_t columns = feature_count();
    if (strlen(text) != columns || strspn(text, "01") != columns)
        return model_attribute_bad(err, "quantum.columns_required", text);
    for (uint32_t k = 0; k < columns; k++) required[k] = text[k] == '1';
    return ST_OK;
}

static enum status ranges_check(const struct model_meta *meta, struct err *err) {
    const struct label_spec *s = &meta->labels;
    if (meta->interval_ns <= 0)
        return err_set(err, ST_CORRUPT, "quantum.interval_ns is not above 0");
    if (s->horizon_bars == 0 || !(s->barrier_atr > 0) || !(s->barrier_cost_multiple >= 0) ||
        !(s->cost_round_trip >= 0))
        return err_set(err, ST_CORRUPT, "quantum.label.* is out of range");
    return ST_OK;
}

static enum status list_read(struct model_meta *out, const struct attributes *m,
                             const struct field *list, size_t count, struct err *err) {
    const char *text;
    for (size_t i = 0; i < count; i++) {
        enum status st = model_attribute_need(&text, m, list[i].key, err);
        if (st != ST_OK) return st;
        if (!field_parse((char *)out + list[i].offset, &list[i], text))
            return model_attribute_bad(err, list[i].key, text);
    }
    return ST_OK;
}

/* The method, and knots for each label unless it is the identity. */
static enum status calibrations_read(struct model_meta *out, const struct attributes *m,
                                     struct err *err) {
    const char *text;
    char key[48];
    enum status st = model_attribute_need(&text, m, calibration_method_key, err);
    if (st != ST_OK) return st;
    uint32_t method = 0;
    while (method < LEARN_CALIBRATION_COUNT &&
           strcmp(text, learn_calibration_text((enum learn_calibration)method)) != 0)
        method++;
    if (method == LEARN_CALIBRATION_COUNT)
        return model_attribute_bad(err, calibration_method_key, text);
    out->report.calibration = method;
    for (uint32_t l = 0; l < LABEL_COUNT; l++) {
        calibration_key(key, l);
        if ((st = model_attribute_need(&text, m, key, err)) != ST_OK) return st;
        if (!calibration_parse(&out->calibration[l], text) ||
            (out->calibration[l].knot_count == 0) != (method == LEARN_IDENTITY))
            return model_attribute_bad(err, key, text);
    }
    return ST_OK;
}

static enum status fields_read(struct model_meta *out, const struct attributes *m,
                               struct err *err) {
    const char *text;
    enum status st = list_read(out, m, fields, FIELD_COUNT, err);
    if (st == ST_OK && learn_is_network(m->kind))
        st = list_read(out, m, net_fields, NET_FIELD_COUNT, err);
    if (st == ST_OK) st = calibrations_read(out, m, err);
    if (st == ST_OK) st = model_attribute_need(&text, m, "quantum.verdict", err);
    if (st != ST_OK) return st;
    snprintf(out->report.verdict, sizeof out->report.verdict, "%s", text);
    if ((st = model_attribute_need(&text, m, "quantum.params", err)) != ST_OK) return st;
    snprintf(out->report.params, sizeof out->report.params, "%s", text);
    return ST_OK;
}

enum status model_attributes_read(struct model_meta *out, const struct attributes *m,
                                  struct err *err) {
    memset(out, 0, sizeof *out);
    struct learn_report *r = &out->report;
    r->mse_path = r->mse_persistence = r->mse_dlinear = NAN;
    const char *text;
    enum status st = hash_check(m, err);
    if (st == ST_OK) st = model_attribute_need(&text, m, "quantum.format", err);
    if (st == ST_OK && strcmp(text, format_version) != 0)
        st = err_set(err, ST_VERSION, "model format %.20s, this program reads %s: train it again",
                     text, format_version);
    if (st == ST_OK) st = label_map_read(out->label_column, m, err);
    if (st == ST_OK && !learn_is_network(m->kind)) st = required_read(out->required, m, err);
    if (st == ST_OK) st = fields_read(out, m, err);
    if (st == ST_OK) st = ranges_check(out, err);
    if (st == ST_OK) st = model_evidence_read(&out->evidence, m, out->report.rows_test, err);
    return st;
}

/* ---- trees ---- */

static enum status tree_set(void *m, const char *key, const char *value, struct err *err) {
    return tree_model_attribute_set(m, key, value, err);
}

static const char *tree_get(const void *m, const char *key) {
    return tree_model_attribute(m, key);
}

static enum model_kind kind_of(const struct tree_model *m) {
    return m->dialect == TREES_LIGHTGBM ? MODEL_LIGHTGBM : MODEL_XGBOOST;
}

enum status model_meta_write(struct tree_model *m, const struct model_meta *meta, struct err *err) {
    return model_attributes_write(&(struct attributes){kind_of(m), m, tree_set, tree_get}, meta,
                                  err);
}

enum status model_meta_read(struct model_meta *out, const struct tree_model *m, struct err *err) {
    /* Read from only: `context` is not const because others write. */
    const struct attributes a = {kind_of(m), (void *)(uintptr_t)m, tree_set, tree_get};
    enum status st = model_attributes_read(out, &a, err);
    if (st != ST_OK) return st;
    if (m->columns != feature_count())
        return err_set(err, ST_MISMATCH, "has %u columns, this program has %u", m->columns,
                       feature_count());
    if (m->outputs != LABEL_COUNT || m->transform != TRANSFORM_SOFTMAX)
        return err_set(err, ST_MISMATCH, "is no softmax over %d classes: %s", LABEL_COUNT,
                       m->objective ? m->objective : "no objective");
    return ST_OK;
}
