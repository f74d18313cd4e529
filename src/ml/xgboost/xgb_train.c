/* Training by the library: sets in, its own model bytes out. */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xgboost/c_api.h>

#include "base/log.h"
#include "ml/xgboost/xgb_internal.h"

enum { ARRAY_TEXT_SIZE = 200, SETS = 2 };
static const char *const set_names[SETS] = {"train", "valid"};

struct job {
    struct xgb_config config;
    const struct train_set *sets[SETS]; /* the second may be NULL */
    uint32_t outputs;
    const char **types; /* (columns) or NULL */
    DMatrixHandle matrices[SETS];
    BoosterHandle booster,
        best; /* best: the first rounds of booster, once early stopping has cut it */
    uint32_t set_count;
};

/* Messages of the library begin with time, file and line, and end in a stack trace. */
static const char *message_core(char *text) {
    char *trace = strstr(text, "\nStack trace");
    if (trace) *trace = 0;
    for (char *at = text; (at = strchr(at, ':')) != NULL; at++) {
        size_t digits = strspn(at + 1, "0123456789");
        bool behind_file =
            at - text > 2 && (!strncmp(at - 2, "cc", 2) || !strncmp(at - 2, ".h", 2));
        if (!behind_file || digits == 0 || at[1 + digits] != ':') continue;
        text = at + 2 + digits;
        break;
    }
    size_t n = strlen(text);
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' ')) text[--n] = 0;
    for (size_t i = 0; i < n; i++)
        if (text[i] == '\n') text[i] = ' ';
    return text + strspn(text, " ");
}

static enum status external(struct err *err, const char *what) {
    char text[ERR_TEXT_SIZE];
    snprintf(text, sizeof text, "%s", XGBGetLastError());
    return err_set(err, ST_EXTERNAL, "xgboost: %s: %s", what, message_core(text));
}

/* Warnings, of parameters that have no effect for one. */
static void on_message(const char *text) {
    char copy[ERR_TEXT_SIZE], quoted[ERR_TEXT_SIZE];
    snprintf(copy, sizeof copy, "%s", text);
    log_warn("xgboost", "the library says", "text=%s",
             log_quote(quoted, sizeof quoted, message_core(copy)));
}

/* OpenMP is told too, as some of the library's loops ask it and not `nthread`, and a team once made stays and
 * spins. Its limit belongs to the calling thread; it is looked up, as the library brings OpenMP and we do not
 * link one ourselves. */
static void library_init(uint32_t threads) {
    void (*set_threads)(int);
    void *symbol = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    memcpy(&set_threads, &symbol, sizeof set_threads);
    if (set_threads) set_threads((int)threads);
    XGBRegisterLogCallback(on_message);
    XGBSetGlobalConfig("{\"verbosity\":1}");
}

/* ---- sets ---- */

static bool starts_with(const char *text, const char *head) {
    return strncmp(text, head, strlen(head)) == 0;
}

static enum status labels_check(const struct job *j, const struct train_set *s, const char *name,
                                struct err *err) {
    const char *objective = j->config.objective;
    bool classes = starts_with(objective, "multi:");
    bool shares = starts_with(objective, "binary:") || !strcmp(objective, "reg:logistic");
    for (size_t i = 0; i < s->rows; i++) {
        double y = s->labels[i];
        if (!isfinite(y))
            return err_set(err, ST_INVALID, "%s row %zu: the label is not a number", name, i);
        if (classes && !(y >= 0 && y < (double)j->outputs && y == floor(y)))
            return err_set(err, ST_INVALID, "%s row %zu: label %g is not a class below %u", name, i,
                           y, j->outputs);
        if (shares && !(y >= 0 && y <= 1))
            return err_set(err, ST_INVALID, "%s row %zu: label %g is not in 0..1 for %s", name, i,
                           y, objective);
    }
    return ST_OK;
}

static enum status set_check(const struct job *j, const struct train_set *s, const char *name,
                             struct err *err) {
    if (s->rows == 0 || s->columns == 0) return err_set(err, ST_INVALID, "%s: no rows", name);
    if (!s->labels || (!s->x64 && !s->x32)) return err_set(err, ST_INVALID, "%s: no data", name);
    if (starts_with(j->config.objective, "rank:") && s->groups == 0)
        return err_set(err, ST_INVALID, "%s: %s needs the rows of each query", name,
                       j->config.objective);
    size_t grouped = 0;
    for (size_t g = 0; g < s->groups; g++) grouped += s->group_rows[g];
    if (s->groups && grouped != s->rows)
        return err_set(err, ST_INVALID, "%s: groups hold %zu rows, there are %zu", name, grouped,
                       s->rows);
    for (size_t i = 0; s->weights && i < s->rows; i++)
        if (!(s->weights[i] >= 0 && isfinite(s->weights[i])))
            return err_set(err, ST_INVALID, "%s row %zu: weight %g", name, i, s->weights[i]);
    return labels_check(j, s, name, err);
}

static enum status put_floats(DMatrixHandle matrix, const char *field, const double *values,
                              size_t count, struct err *err) {
    float *copy = malloc(count * sizeof *copy);
    if (!copy) return err_set(err, ST_NO_MEMORY, "%s of %zu rows", field, count);
    for (size_t i = 0; i < count; i++) copy[i] = (float)values[i];
    enum status st = ST_OK;
    if (XGDMatrixSetFloatInfo(matrix, field, copy, count)) st = external(err, field);
    free(copy);
    return st;
}

/* In ranking the library weighs queries, not rows. */
static enum status put_weights(DMatrixHandle matrix, const struct train_set *s, struct err *err) {
    if (s->groups == 0) return put_floats(matrix, "weight", s->weights, s->rows, err);
    double *of_group = malloc(s->groups * sizeof *of_group);
    if (!of_group) return err_set(err, ST_NO_MEMORY, "weights of %zu groups", s->groups);
    enum status st = ST_OK;
    size_t row = 0;
    for (size_t g = 0; g < s->groups && st == ST_OK; g++) {
        size_t end = row + s->group_rows[g];
        of_group[g] = row < end ? s->weights[row] : 1;
        for (; row < end && st == ST_OK; row++)
            if (s->weights[row] != of_group[g])
                st = err_set(err, ST_INVALID,
                             "row %zu: XGBoost weighs whole queries, the weights within query %zu "
                             "differ",
                             row, g);
    }
    if (st == ST_OK) st = put_floats(matrix, "weight", of_group, s->groups, err);
    free(of_group);
    return st;
}

/* "q,c,float" or the same in brackets, one a column. */
static enum status types_split(struct job *j, struct err *err) {
    uint32_t columns = j->sets[0]->columns, count = 0;
    j->types = calloc(columns, sizeof *j->types);
    if (!j->types) return err_set(err, ST_NO_MEMORY, "feature_types");
    char *rest = NULL;
    for (char *at = strtok_r(j->config.feature_types, "[](), '\"", &rest); at;
         at = strtok_r(NULL, "[](), '\"", &rest), count++) {
        static const char *const allowed[] = {"q", "c", "float", "int", "i"};
        bool ok = false;
        for (size_t k = 0; k < sizeof allowed / sizeof allowed[0]; k++)
            ok = ok || !strcmp(at, allowed[k]);
        if (!ok)
            return err_set(err, ST_INVALID, "feature_types: '%.20s' is none of q c float int i",
                           at);
        if (count < columns) j->types[count] = at;
    }
    if (count != columns)
        return err_set(err, ST_INVALID, "feature_types: %u given, there are %u columns", count,
                       columns);
    return ST_OK;
}

static enum status matrix_create(struct job *j, uint32_t which, struct err *err) {
    const struct train_set *s = j->sets[which];
    size_t value = s->x64 ? sizeof *s->x64 : sizeof *s->x32;
    size_t stride = s->stride ? s->stride : s->columns;
    char array[ARRAY_TEXT_SIZE], config[64];
    snprintf(array, sizeof array,
             "{\"data\":[%zu,true],\"shape\":[%zu,%u],\"strides\":[%zu,%zu],\"typestr\":\"<f%zu\","
             "\"version\":3}",
             (size_t)(s->x64 ? (uintptr_t)s->x64 : (uintptr_t)s->x32), s->rows, s->columns,
             stride * value, value, value);
    snprintf(config, sizeof config, "{\"missing\":NaN,\"nthread\":%u}", j->config.threads);
    DMatrixHandle *m = &j->matrices[which];
    if (XGDMatrixCreateFromDense(array, config, m)) return external(err, "rows");
    enum status st = put_floats(*m, "label", s->labels, s->rows, err);
    if (st == ST_OK && s->groups && XGDMatrixSetUIntInfo(*m, "group", s->group_rows, s->groups))
        st = external(err, "groups");
    if (st == ST_OK && s->weights) st = put_weights(*m, s, err);
    if (st == ST_OK && s->init_margin)
        st = put_floats(*m, "base_margin", s->init_margin, s->rows * j->outputs, err);
    if (st == ST_OK && s->names &&
        XGDMatrixSetStrFeatureInfo(*m, "feature_name", (const char **)s->names, s->columns))
        st = external(err, "column names");
    if (st == ST_OK && j->types &&
        XGDMatrixSetStrFeatureInfo(*m, "feature_type", j->types, s->columns))
        st = external(err, "feature_types");
    return st;
}

/* ---- rounds ---- */

/* Of "[3]\ttrain-auc:0.9\ttrain-logloss:0.5\tvalid-…": the last metric of a set, as the library's own
 * early stopping takes it. NaN if there is none. */
static double metric_of(const char *text, const char *set, char name[64]) {
    double value = NAN;
    size_t head = strlen(set);
    for (const char *at = strchr(text, '\t'); at; at = strchr(at, '\t')) {
        at++;
        if (strncmp(at, set, head) != 0 || at[head] != '-') continue;
        const char *colon = strchr(at, ':');
        if (!colon) break;
        snprintf(name, 64, "%.*s", (int)(colon - at - (ptrdiff_t)head - 1), at + head + 1);
        value = strtod(colon + 1, NULL);
    }
    return value;
}

static enum status evaluate(double out[SETS], char name[64], struct job *j, uint32_t round,
                            struct err *err) {
    const char *text = NULL;
    const char *names[SETS] = {set_names[0], set_names[1]};
    if (XGBoosterEvalOneIter(j->booster, (int)round - 1, j->matrices, names, j->set_count, &text))
        return external(err, "evaluate");
    for (uint32_t i = 0; i < SETS; i++) out[i] = metric_of(text, set_names[i], name);
    return ST_OK;
}

/* Metrics that are better when higher, by the beginning of their names ("ndcg@3-", "auc").
 * Source: XGBoost 1.7's own list in its early stopping. */
static bool is_maximized(const struct xgb_config *c, const char *name) {
    static const char *const heads[] = {"auc", "pre", "map", "ndcg",
                                        "interval-regression-accuracy"};
    if (c->maximize_given) return c->maximize;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        if (starts_with(name, heads[i])) return true;
    return false;
}

struct stopper {
    double best;
    uint32_t best_round;
};

/* Boosts all rounds, or until the valid metric has not improved for early_stopping_rounds. */
static enum status boost(struct stopper *s, struct job *j, train_progress_fn progress,
                         void *context, struct err *err) {
    const struct xgb_config *c = &j->config;
    for (uint32_t round = 1; round <= c->rounds; round++) {
        if (XGBoosterUpdateOneIter(j->booster, (int)round - 1, j->matrices[0]))
            return external(err, "train");
        double metric[SETS] = {NAN, NAN};
        char name[64] = "";
        if (progress || c->early_stopping_rounds) {
            enum status st = evaluate(metric, name, j, round, err);
            if (st != ST_OK) return st;
        }
        double now = is_maximized(c, name) ? -metric[1] : metric[1];
        if (s->best_round == 0 ? !isnan(now) : now < s->best) {
            s->best = now;
            s->best_round = round;
        }
        if (progress && !progress(context, round, c->rounds, metric[0], metric[1]))
            return err_set(err, ST_INTERRUPTED, "training stopped in round %u", round);
        if (c->early_stopping_rounds && round - s->best_round >= c->early_stopping_rounds) break;
    }
    if (c->early_stopping_rounds && s->best_round == 0)
        return err_set(err, ST_INVALID,
                       "early stopping: the validation set has no metric that is a number");
    return ST_OK;
}

static enum status params_set(struct job *j, struct err *err) {
    const struct xgb_config *c = &j->config;
    char threads[16];
    snprintf(threads, sizeof threads, "%u", c->threads);
    if (XGBoosterSetParam(j->booster, "nthread", threads) ||
        XGBoosterSetParam(j->booster, "validate_parameters", "1"))
        return external(err, "parameters");
    for (size_t i = 0; i < c->pair_count; i++)
        if (XGBoosterSetParam(j->booster, c->pairs[i].key, c->pairs[i].value))
            return external(err, c->pairs[i].key);
    return ST_OK;
}

static enum status job_check(struct job *j, struct err *err) {
    const struct xgb_config *c = &j->config;
    j->outputs = 1;
    if (starts_with(c->objective, "multi:")) {
        if (c->class_count < 2)
            return err_set(err, ST_INVALID, "%s needs num_class of 2 or more", c->objective);
        j->outputs = c->class_count;
    }
    if (c->early_stopping_rounds && !j->sets[1])
        return err_set(err, ST_INVALID, "early_stopping_rounds needs a validation set");
    if (j->sets[1] && j->sets[1]->columns != j->sets[0]->columns)
        return err_set(err, ST_MISMATCH, "%u columns to train, %u to validate", j->sets[0]->columns,
                       j->sets[1]->columns);
    for (uint32_t i = 0; i < SETS && j->sets[i]; i++) {
        enum status st = set_check(j, j->sets[i], set_names[i], err);
        if (st != ST_OK) return st;
    }
    return ST_OK;
}

/* Names and types travel in the file only if the booster itself has them. */
static enum status model_bytes(struct xgb_trained *out, struct job *j, BoosterHandle booster,
                               struct err *err) {
    const struct train_set *s = j->sets[0];
    bst_ulong size = 0;
    const char *bytes = NULL;
    if (s->names &&
        XGBoosterSetStrFeatureInfo(booster, "feature_name", (const char **)s->names, s->columns))
        return external(err, "column names");
    if (j->types && XGBoosterSetStrFeatureInfo(booster, "feature_type", j->types, s->columns))
        return external(err, "feature_types");
    if (XGBoosterSaveModelToBuffer(booster, "{\"format\":\"json\"}", &size, &bytes))
        return external(err, "save");
    out->bytes = malloc((size_t)size + 1);
    if (!out->bytes) return err_set(err, ST_NO_MEMORY, "model of %zu bytes", (size_t)size);
    memcpy(out->bytes, bytes, size);
    out->bytes[size] = 0;
    out->size = size;
    return ST_OK;
}

static enum status job_run(struct xgb_trained *out, struct job *j, train_progress_fn progress,
                           void *context, struct err *err) {
    enum status st = job_check(j, err);
    if (st == ST_OK && j->config.feature_types) st = types_split(j, err);
    if (st != ST_OK) return st;
    library_init(j->config.threads);
    for (uint32_t i = 0; i < SETS && j->sets[i]; i++) {
        st = matrix_create(j, i, err);
        if (st != ST_OK) return err_wrap(err, st, "%s", set_names[i]);
    }
    if (XGBoosterCreate(j->matrices, j->set_count, &j->booster)) return external(err, "create");
    st = params_set(j, err);
    struct stopper stopper = {0};
    if (st == ST_OK) st = boost(&stopper, j, progress, context, err);
    if (st != ST_OK) return st;
    bool stops = j->config.early_stopping_rounds > 0;
    out->rounds = stops ? stopper.best_round : j->config.rounds;
    /* Only the rounds up to the best stay, so that the file cannot be read any other way. */
    if (stops && XGBoosterSlice(j->booster, 0, (int)out->rounds, 1, &j->best))
        return external(err, "slice");
    return model_bytes(out, j, stops ? j->best : j->booster, err);
}

enum status xgb_train(struct xgb_trained *out, const char *params, const struct train_set *train,
                      const struct train_set *valid, train_progress_fn progress, void *context,
                      struct err *err) {
    *out = (struct xgb_trained){0};
    struct job j = {.sets = {train, valid}, .set_count = valid ? 2 : 1};
    enum status st = xgb_config_parse(&j.config, params, err);
    if (st == ST_OK) st = job_run(out, &j, progress, context, err);
    if (j.best) XGBoosterFree(j.best);
    if (j.booster) XGBoosterFree(j.booster);
    for (uint32_t i = 0; i < SETS; i++)
        if (j.matrices[i]) XGDMatrixFree(j.matrices[i]);
    free(j.types);
    xgb_config_free(&j.config);
    return st;
}

void xgb_trained_free(struct xgb_trained *t) {
    free(t->bytes);
    *t = (struct xgb_trained){0};
}

const char *xgb_version(char out[XGB_VERSION_SIZE]) {
    int major, minor, patch;
    XGBoostVersion(&major, &minor, &patch);
    snprintf(out, XGB_VERSION_SIZE, "xgboost %d.%d.%d", major, minor, patch);
    return out;
}

/* Per value: an entry of the library's sparse rows (8), its bin by row (4 at most) and by column (4). Per row:
 * offset, label, weight, place in the tree (64 in all); gradient pair and margins of each output. */
enum status xgb_memory(size_t *out, const char *params, size_t rows, uint32_t columns,
                       struct err *err) {
    enum { VALUE_BYTES = 16, ROW_BYTES = 64, OUTPUT_BYTES = 24 };
    struct xgb_config config;
    enum status st = xgb_config_parse(&config, params, err);
    if (st != ST_OK) return st;
    size_t outputs = config.class_count ? config.class_count : 1;
    xgb_config_free(&config);
    *out = rows * ((size_t)columns * VALUE_BYTES + ROW_BYTES + outputs * OUTPUT_BYTES);
    return ST_OK;
}
