#include "forecast/config.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/numtext.h"
#include "forecast/config_internal.h"

const char *const forecast_kind_names[FORECAST_KINDS] = {"patchtst", "nhits", "dlinear"};

bool forecast_kind_parse(enum forecast_kind *out, const char *text) {
    for (int i = 0; i < FORECAST_KINDS; i++)
        if (strcmp(text, forecast_kind_names[i]) == 0) {
            *out = (enum forecast_kind)i;
            return true;
        }
    return false;
}

/* ---- tables ---- */

#define AT(member) offsetof(struct forecast_config, member)

static const struct option_field patchtst_fields[] = {
    {"patch_len", OPTION_COUNT, AT(patchtst.patch_len), {0}},
    {"stride", OPTION_COUNT, AT(patchtst.stride), {0}},
    {"padding_patch", OPTION_CHOICE, AT(patchtst.padding_patch), {"None|none|0", "end|1"}},
    {"d_model", OPTION_COUNT, AT(patchtst.d_model), {0}},
    {"n_heads", OPTION_COUNT, AT(patchtst.n_heads), {0}},
    {"e_layers", OPTION_COUNT, AT(patchtst.e_layers), {0}},
    {"d_ff", OPTION_COUNT, AT(patchtst.d_ff), {0}},
    {"norm", OPTION_CHOICE, AT(patchtst.norm), {"BatchNorm", "LayerNorm"}},
    {"pre_norm", OPTION_FLAG, AT(patchtst.pre_norm), {0}},
    {"revin", OPTION_FLAG, AT(patchtst.revin), {0}},
    {"affine", OPTION_FLAG, AT(patchtst.affine), {0}},
    {"subtract_last", OPTION_FLAG, AT(patchtst.subtract_last), {0}},
    {"decomposition", OPTION_FLAG, AT(patchtst.decomposition), {0}},
    {"kernel_size", OPTION_COUNT, AT(patchtst.kernel_size), {0}},
    {"individual", OPTION_FLAG, AT(patchtst.individual), {0}},
    {"res_attention", OPTION_FLAG, AT(patchtst.res_attention), {0}},
    {"activation", OPTION_CHOICE, AT(patchtst.activation), {"gelu", "relu"}},
    {"pe",
     OPTION_CHOICE,
     AT(patchtst.pe),
     {"zeros", "none|None", "zero", "normal|gauss", "uniform", "sincos"}},
    {"learn_pe", OPTION_FLAG, AT(patchtst.learn_pe), {0}},
    {"dropout", OPTION_REAL, AT(patchtst.dropout), {0}},
    {"head_dropout", OPTION_REAL, AT(patchtst.head_dropout), {0}},
};
static const struct option_field dlinear_fields[] = {
    {"kernel_size", OPTION_COUNT, AT(dlinear.kernel_size), {0}},
    {"individual", OPTION_FLAG, AT(dlinear.individual), {0}},
};

struct table_of {
    const struct option_field *fields;
    size_t count;
};

static struct table_of fields_of(enum forecast_kind kind) {
    switch (kind) {
    case FORECAST_PATCHTST:
        return (struct table_of){patchtst_fields, sizeof patchtst_fields / sizeof *patchtst_fields};
    case FORECAST_NHITS:
        return (struct table_of){config_nhits_fields, config_nhits_field_count};
    case FORECAST_DLINEAR:
    case FORECAST_KINDS:
        break;
    }
    return (struct table_of){dlinear_fields, sizeof dlinear_fields / sizeof *dlinear_fields};
}

/* Choices are enums or, with two values, flags. */
static int choice_get(const struct forecast_config *c, const struct option_field *f) {
    const char *at = (const char *)c + f->offset;
    if (f->offset == AT(patchtst.padding_patch)) return *(const bool *)(const void *)at;
    return (int)*(const unsigned *)(const void *)at;
}

static void choice_put(struct forecast_config *c, const struct option_field *f, int value) {
    char *at = (char *)c + f->offset;
    if (f->offset == AT(patchtst.padding_patch))
        *(bool *)(void *)at = value != 0;
    else
        *(unsigned *)(void *)at = (unsigned)value;
}
_Static_assert(sizeof(enum patchtst_pe) == sizeof(unsigned) &&
                   sizeof(enum nn_activation) == sizeof(unsigned),
               "choices are read as unsigned");

/* ---- setting ---- */

bool config_count_parse(uint32_t *out, const char **at, uint32_t lo, uint32_t hi) {
    uint64_t value = 0;
    const char *p = *at;
    for (; *p >= '0' && *p <= '9'; p++)
        if (value <= UINT32_MAX) value = value * 10 + (uint64_t)(*p - '0');
    if (p == *at || value < lo || value > hi) return false;
    *out = (uint32_t)value;
    *at = p;
    return true;
}

static bool flag_parse(bool *out, const char *text) {
    static const char *const words[2][2] = {{"0", "false"}, {"1", "true"}};
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++)
            if (strcmp(text, words[i][k]) == 0) {
                *out = i == 1;
                return true;
            }
    return false;
}

static bool real_parse(double *out, const char *text) {
    char *end;
    *out = strtod(text, &end);
    return ((*text >= '0' && *text <= '9') || *text == '.') && *end == 0 && isfinite(*out);
}

/* Whether one of the names in "a|b" is text. */
static bool is_named(const char *names, const char *text) {
    size_t size = strlen(text);
    for (const char *p = names; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
        if (strncmp(p, text, size) == 0 && (p[size] == 0 || p[size] == '|')) return true;
    return false;
}

static enum status field_set(struct forecast_config *c, const struct option_field *f,
                             const char *value, struct err *err) {
    char *at = (char *)c + f->offset;
    const char *wanted = "a number", *end = value;
    bool ok = false;
    switch (f->kind) {
    case OPTION_COUNT:
        ok = config_count_parse((uint32_t *)(void *)at, &end, 0, UINT32_MAX) && *end == 0;
        break;
    case OPTION_FLAG:
        wanted = "0 or 1";
        ok = flag_parse((bool *)(void *)at, value);
        break;
    case OPTION_REAL:
        ok = real_parse((double *)(void *)at, value);
        break;
    case OPTION_CHOICE:
        for (int i = 0; i < OPTION_NAMES_MAX && f->names[i] && !ok; i++) {
            ok = is_named(f->names[i], value);
            if (ok) choice_put(c, f, i);
        }
        wanted = NULL;
        break;
    }
    if (ok) return ST_OK;
    if (wanted) return err_set(err, ST_INVALID, "%s: '%s' is not %s", f->name, value, wanted);
    char list[256];
    struct config_text t = {list, sizeof list, 0, false};
    for (int i = 0; i < OPTION_NAMES_MAX && f->names[i]; i++)
        config_print(&t, "%s%.*s", i ? ", " : "", (int)strcspn(f->names[i], "|"), f->names[i]);
    return err_set(err, ST_INVALID, "%s: '%s' is none of %s", f->name, value, list);
}

static enum status unknown(const struct forecast_config *c, const char *name, struct err *err) {
    static const char *const shapes[][2] = {{"seq_len", "--input"},    {"input_size", "--input"},
                                            {"pred_len", "--horizon"}, {"h", "--horizon"},
                                            {"c_in", "--target"},      {"enc_in", "--target"}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (strcmp(name, shapes[i][0]) == 0)
            return err_set(err, ST_INVALID, "'%s' follows from %s", name, shapes[i][1]);
    char list[400];
    struct config_text t = {list, sizeof list, 0, false};
    struct table_of table = fields_of(c->kind);
    for (size_t i = 0; i < table.count; i++)
        config_print(&t, "%s%s", i ? " " : "", table.fields[i].name);
    for (size_t i = 0; c->kind == FORECAST_NHITS && i < config_nhits_list_count; i++)
        config_print(&t, " %s", config_nhits_list_names[i]);
    return err_set(err, ST_NOT_FOUND, "%s has no option '%.40s'; it has %s",
                   forecast_kind_names[c->kind], name, list);
}

static enum status set_one(struct forecast_config *c, struct nhits_lists *lists, char *pair,
                           struct err *err) {
    char *value = strchr(pair, '=');
    if (!value) return err_set(err, ST_INVALID, "'%.60s' is not NAME=VALUE", pair);
    *value++ = 0;
    struct table_of table = fields_of(c->kind);
    for (size_t i = 0; i < table.count; i++)
        if (strcmp(pair, table.fields[i].name) == 0)
            return field_set(c, &table.fields[i], value, err);
    enum status st = c->kind == FORECAST_NHITS
                         ? config_nhits_list_set(&c->nhits, lists, pair, value, err)
                         : ST_END;
    return st == ST_END ? unknown(c, pair, err) : st;
}

enum status forecast_config_set(struct forecast_config *c, const char *text, struct err *err) {
    char *copy = strdup(text), *rest = copy, *pair;
    if (!copy) return err_set(err, ST_NO_MEMORY, "no memory");
    struct forecast_config changed = *c;
    struct nhits_lists lists = {0};
    enum status st = ST_OK;
    while (*text && st == ST_OK && (pair = strsep(&rest, ",")))
        st = set_one(&changed, &lists, pair, err);
    free(copy);
    if (st != ST_OK) return st;
    if (changed.nhits.impl == NHITS_NEURALFORECAST && changed.nhits.mlp_count == 0) {
        const struct nhits_config defaults = nhits_config_defaults();
        changed.nhits.mlp_count = defaults.mlp_count;
        memcpy(changed.nhits.mlp_units, defaults.mlp_units, sizeof defaults.mlp_units);
    }
    *c = changed;
    return ST_OK;
}

/* ---- text ---- */

void config_print(struct config_text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->out + t->used, t->size - t->used, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= t->size - t->used)
        t->over = true; /* what fits stays, ended */
    else
        t->used += (size_t)n;
}

static void field_text(struct config_text *t, const struct forecast_config *c,
                       const struct option_field *f) {
    const char *at = (const char *)c + f->offset;
    char number[NUMTEXT_SIZE];
    config_print(t, "%s%s=", t->used ? "," : "", f->name);
    switch (f->kind) {
    case OPTION_COUNT:
        config_print(t, "%u", *(const uint32_t *)(const void *)at);
        break;
    case OPTION_FLAG:
        config_print(t, "%d", *(const bool *)(const void *)at);
        break;
    case OPTION_REAL:
        numtext_f64(number, *(const double *)(const void *)at);
        config_print(t, "%s", number);
        break;
    case OPTION_CHOICE: {
        const char *name = f->names[choice_get(c, f)];
        config_print(t, "%.*s", (int)strcspn(name, "|"), name);
        break;
    }
    }
}

enum status forecast_config_text(char out[FORECAST_CONFIG_TEXT_SIZE],
                                 const struct forecast_config *c) {
    struct config_text t = {out, FORECAST_CONFIG_TEXT_SIZE, 0, false};
    struct table_of table = fields_of(c->kind);
    for (size_t i = 0; i < table.count; i++) field_text(&t, c, &table.fields[i]);
    if (c->kind == FORECAST_NHITS) config_nhits_list_text(&t, &c->nhits);
    return t.over ? ST_RANGE : ST_OK;
}

/* ---- networks ---- */

struct forecast_config forecast_config_defaults(enum forecast_kind kind) {
    return (struct forecast_config){.kind = kind,
                                    .patchtst = patchtst_config_defaults(),
                                    .nhits = nhits_config_paper(),
                                    .dlinear = dlinear_config_defaults()};
}

bool forecast_config_by_channel(const struct forecast_config *c) {
    return c->kind == FORECAST_NHITS;
}

void forecast_config_shape(struct forecast_config *c, uint32_t input, uint32_t horizon,
                           uint32_t channels) {
    c->patchtst.seq_len = c->nhits.input_size = c->dlinear.seq_len = input;
    c->patchtst.pred_len = c->nhits.h = c->dlinear.pred_len = horizon;
    c->patchtst.c_in = c->dlinear.channels = channels;
}

enum status forecast_config_create(struct network **out, const struct forecast_config *c,
                                   size_t batch_max, bool training, uint64_t seed,
                                   struct workers *workers, struct err *err) {
    switch (c->kind) {
    case FORECAST_PATCHTST:
        return patchtst_create(out, &c->patchtst, batch_max, training, seed, workers, err);
    case FORECAST_NHITS:
        return nhits_create(out, &c->nhits, batch_max, training, seed, workers, err);
    case FORECAST_DLINEAR:
        return dlinear_create(out, &c->dlinear, batch_max, training, seed, workers, err);
    case FORECAST_KINDS:
        break;
    }
    return err_set(err, ST_RANGE, "no such network");
}
