/* quantum model predict: rows of a file through a model, in memory that does not grow with the file. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/cmd_data.h"
#include "app/cmd_model.h"
#include "app/command.h"
#include "ml/forest/shap.h"
#include "ml/model_io/model_io.h"

static const char usage[] =
    "usage: quantum model predict --model FILE --input FILE [options]\n"
    "Writes one line a row, without a header, numbers with 17 digits: one value, or one a class.\n"
    "  --model FILE       XGBoost JSON or UBJSON, LightGBM text; also .gz or .zst\n"
    "  --input FILE       CSV, TSV or LibSVM, also .gz or .zst; -: standard input\n"
    "  --output FILE      default and -: standard output; .gz and .zst compress\n"
    "  --raw              margins, before sigmoid, softmax and the like\n"
    "  --leaf             the leaf of each tree\n"
    "  --contrib          TreeSHAP: a value a column, last the expectation; classes one after the "
    "other\n"
    "  --iterations A:B   only the iterations A to B-1; A: to the end, :B from the first\n"
    "  --header H         auto, yes, no (default: auto)\n"
    "  --by-name          columns by the header's names, in any order; others are left out\n"
    "  --ignore A,B       columns that are no features, by name or number (0 is the first)\n"
    "Without --by-name the columns stand as the model's. LibSVM: the label is left out, absent "
    "reads 0.\n"
    "example: quantum model predict --model m.txt.gz --input rows.csv --ignore label --output "
    "p.csv\n";

enum predict_kind { PREDICT_VALUE = 0, PREDICT_RAW, PREDICT_LEAF, PREDICT_CONTRIB };

enum { ROWS_MAX = 4096, BATCH_VALUES = 1 << 18, NUMBER_SIZE = 32 };

struct options {
    const char *model, *input, *output, *iterations, *ignore;
    enum predict_kind kind;
    int kinds_given;
    enum table_header header;
    bool by_name;
};

struct predict {
    struct tree_model *model;
    uint32_t first, last;
    struct forest *forest;
    void *forest_memory;
    struct table_reader *reader;
    struct model_columns columns;
    struct model_output *output;
    enum predict_kind kind;
    uint32_t width;    /* values a row gives */
    size_t batch_rows; /* rows at a time */
    double *row;       /* of the file */
    double *rows;      /* (batch_rows, columns) */
    double *values;    /* (batch_rows, width) */
    int32_t *leaves;   /* the same, for leaves */
    void *scratch;
    char *text;
    uint64_t rows_done;
};

/* ---- options ---- */

enum {
    OPTION_MODEL = 1,
    OPTION_INPUT,
    OPTION_OUTPUT,
    OPTION_RAW,
    OPTION_LEAF,
    OPTION_CONTRIB,
    OPTION_ITERATIONS,
    OPTION_HEADER,
    OPTION_BY_NAME,
    OPTION_IGNORE
};

static const struct option long_options[] = {
    {"model", required_argument, NULL, OPTION_MODEL},
    {"input", required_argument, NULL, OPTION_INPUT},
    {"output", required_argument, NULL, OPTION_OUTPUT},
    {"raw", no_argument, NULL, OPTION_RAW},
    {"leaf", no_argument, NULL, OPTION_LEAF},
    {"contrib", no_argument, NULL, OPTION_CONTRIB},
    {"iterations", required_argument, NULL, OPTION_ITERATIONS},
    {"header", required_argument, NULL, OPTION_HEADER},
    {"by-name", no_argument, NULL, OPTION_BY_NAME},
    {"ignore", required_argument, NULL, OPTION_IGNORE},
    {"help", no_argument, NULL, COMMAND_HELP},
    {NULL, 0, NULL, 0}};

static bool option_apply(void *options, int option) {
    struct options *o = options;
    switch (option) {
    case OPTION_MODEL:
        o->model = optarg;
        return *optarg != 0;
    case OPTION_INPUT:
        o->input = optarg;
        return *optarg != 0;
    case OPTION_OUTPUT:
        o->output = optarg;
        return *optarg != 0;
    case OPTION_RAW:
    case OPTION_LEAF:
    case OPTION_CONTRIB:
        o->kind = (enum predict_kind)(option - OPTION_RAW + PREDICT_RAW);
        o->kinds_given++;
        return true;
    case OPTION_ITERATIONS:
        o->iterations = optarg;
        return strchr(optarg, ':') != NULL;
    case OPTION_HEADER:
        return model_header_parse(&o->header, optarg);
    case OPTION_BY_NAME:
        o->by_name = true;
        return true;
    case OPTION_IGNORE:
        o->ignore = optarg;
        return *optarg != 0;
    default:
        return false;
    }
}

/* -1: go on; else the exit code. */
static int options_read(struct options *o, int argc, char **argv) {
    *o = (struct options){.output = "-"};
    const struct command_options line = {"model", usage, long_options, option_apply};
    int code = command_options_read(o, &line, argc, argv);
    if (code >= 0) return code;
    if (optind < argc)
        return command_usage_error("model", usage, "'%s' is not an option", argv[optind]);
    if (!o->model || !o->input)
        return command_usage_error("model", usage, "--%s is missing", o->model ? "input" : "model");
    if (o->kinds_given > 1)
        return command_usage_error("model", usage,
                                   "--raw, --leaf and --contrib exclude each other");
    return -1;
}

/* ---- preparation ---- */

static enum status columns_find(struct predict *p, const struct options *o, struct err *err) {
    const struct tree_model *m = p->model;
    struct model_roles roles;
    enum status st = model_roles_init(&roles, table_reader_columns(p->reader),
                                      table_reader_names(p->reader), err);
    if (st != ST_OK) return st;
    if (table_reader_is_libsvm(p->reader)) roles.taken[0] = true;
    if (table_reader_has_query(p->reader)) roles.taken[1] = true;
    st = model_roles_ignore(&roles, o->ignore, err);
    if (st == ST_OK && o->by_name) {
        st = m->feature_names
                 ? model_columns_by_name(&p->columns, &roles, m->feature_names, m->columns, err)
                 : err_set(err, ST_INVALID, "--by-name: model %s does not name its columns",
                           o->model);
    } else if (st == ST_OK) {
        st = model_columns_rest(&p->columns, &roles, err);
        if (st == ST_OK && p->columns.count != m->columns)
            st = err_set(err, ST_MISMATCH,
                         "%s has %u columns, the model wants %u: --ignore leaves some out, "
                         "--by-name takes those it names",
                         o->input, p->columns.count, m->columns);
    }
    model_roles_free(&roles);
    return st;
}

static enum status memory_take(struct predict *p, struct err *err) {
    const struct tree_model *m = p->model;
    size_t outputs = m->outputs, columns = m->columns;
    size_t trees = (size_t)(p->last - p->first) * m->trees_per_iteration;
    size_t width = p->kind == PREDICT_CONTRIB ? outputs * (columns + 1)
                   : p->kind == PREDICT_LEAF  ? trees
                   : p->kind == PREDICT_RAW   ? outputs
                                              : tree_prediction_columns(m);
    size_t widest = width > columns ? width : columns;
    if (outputs > widest) widest = outputs;
    if (width > UINT32_MAX / NUMBER_SIZE)
        return err_set(err, ST_RANGE, "a row would give %zu values", width);
    p->width = (uint32_t)width;
    p->batch_rows = widest < BATCH_VALUES ? BATCH_VALUES / (widest ? widest : 1) : 1;
    if (p->batch_rows > ROWS_MAX) p->batch_rows = ROWS_MAX;
    size_t margins = outputs > width ? outputs : width;
    p->row = calloc(table_reader_columns(p->reader), sizeof *p->row);
    p->rows = calloc(p->batch_rows * columns + 1, sizeof *p->rows);
    if (p->kind == PREDICT_LEAF)
        p->leaves = calloc(p->batch_rows * width + 1, sizeof *p->leaves);
    else
        p->values = calloc(p->batch_rows * margins + 1, sizeof *p->values);
    p->text = malloc((width + 1) * NUMBER_SIZE);
    if (p->kind == PREDICT_CONTRIB) p->scratch = malloc(shap_scratch_size(m));
    bool all = p->row && p->rows && p->text && (p->leaves || p->values) &&
               (p->scratch || p->kind != PREDICT_CONTRIB);
    return all ? ST_OK : err_set(err, ST_NO_MEMORY, "no memory for %zu rows", p->batch_rows);
}

static enum status prepare(struct predict *p, const struct options *o, struct err *err) {
    p->kind = o->kind;
    enum status st = model_read(&p->model, o->model, err);
    if (st == ST_OK) st = model_iterations(&p->first, &p->last, p->model, o->iterations, err);
    if (st != ST_OK) return st;
    struct forest_options range = {.first_iteration = p->first, .last_iteration = p->last};
    /* No iterations at all cannot be said to the forest: last 0 means all. */
    if (p->kind != PREDICT_CONTRIB)
        st = model_forest_build(&p->forest, &p->forest_memory, p->model, &range, err);
    const struct table_options table = {.header = o->header, .libsvm_features = p->model->columns};
    if (st == ST_OK) st = table_open(&p->reader, o->input, &table, err);
    if (st == ST_OK) st = columns_find(p, o, err);
    if (st == ST_OK) st = memory_take(p, err);
    if (st == ST_OK) st = model_output_open(&p->output, o->output, err);
    return st;
}

static void release(struct predict *p) {
    model_output_abandon(p->output);
    table_close(p->reader);
    model_columns_free(&p->columns);
    tree_model_destroy(p->model);
    free(p->forest_memory);
    free(p->row);
    free(p->rows);
    free(p->values);
    free(p->leaves);
    free(p->scratch);
    free(p->text);
}

/* ---- rows ---- */

/* Up to batch_rows; *ended with the file. */
static enum status batch_read(struct predict *p, size_t *count, bool *ended, struct err *err) {
    uint32_t columns = p->columns.count;
    for (*count = 0; *count < p->batch_rows; ++*count) {
        enum status st = table_next(p->reader, p->row, err);
        *ended = st == ST_END;
        if (st != ST_OK) return *ended ? ST_OK : st;
        double *to = p->rows + *count * columns;
        for (uint32_t i = 0; i < columns; i++) to[i] = p->row[p->columns.source[i]];
    }
    return ST_OK;
}

static enum status contributions(struct predict *p, size_t count, struct err *err) {
    const struct tree_model *m = p->model;
    for (size_t i = 0; i < count; i++) {
        enum status st = shap_contributions(p->values + i * p->width, m, p->first, p->last,
                                            p->rows + i * m->columns, p->scratch);
        if (st == ST_UNSUPPORTED)
            return err_set(err, st, "--contrib: a model with linear leaves has no contributions");
        if (st != ST_OK)
            return err_set(err, st,
                           "--contrib: the model does not say how many rows its nodes saw");
    }
    return ST_OK;
}

static enum status batch_predict(struct predict *p, size_t count, struct err *err) {
    const struct tree_model *m = p->model;
    switch (p->kind) {
    case PREDICT_CONTRIB:
        return contributions(p, count, err);
    case PREDICT_LEAF:
        forest_leaf_f64(p->leaves, p->forest, p->rows, count, m->columns);
        return ST_OK;
    case PREDICT_RAW:
    case PREDICT_VALUE:
        forest_margin_f64(p->values, p->forest, p->rows, count, m->columns);
        if (p->kind == PREDICT_VALUE) forest_transform(p->values, p->forest, p->values, count);
    }
    return ST_OK;
}

static enum status batch_write(struct predict *p, size_t count, struct err *err) {
    for (size_t i = 0; i < count; i++) {
        char *to = p->text;
        for (size_t k = i * p->width; k < (i + 1) * p->width; k++) {
            /* printf tells the signs of NaNs apart, which mean nothing. */
            int size = p->kind == PREDICT_LEAF
                           ? snprintf(to, NUMBER_SIZE, "%" PRId32 ",", p->leaves[k])
                       : isnan(p->values[k]) ? snprintf(to, NUMBER_SIZE, "nan,")
                                             : snprintf(to, NUMBER_SIZE, "%.17g,", p->values[k]);
            to += size;
        }
        if (to > p->text) to--; /* the last comma */
        *to++ = '\n';
        enum status st = model_output_write(p->output, p->text, (size_t)(to - p->text), err);
        if (st != ST_OK) return st;
    }
    return ST_OK;
}

static void show_progress(struct predict *p, struct model_bar *bar) {
    char note[48];
    uint64_t size, at = table_reader_bytes(p->reader, &size);
    snprintf(note, sizeof note, "%" PRIu64 " rows", p->rows_done);
    model_bar_draw(bar, size ? (double)at / (double)size : -1, note);
}

static enum status predict_all(struct predict *p, struct model_bar *bar, struct err *err) {
    bool ended = false;
    while (!ended) {
        if (data_interrupted) return err_set(err, ST_INTERRUPTED, "interrupted");
        size_t count;
        enum status st = batch_read(p, &count, &ended, err);
        if (st == ST_OK && count > 0) st = batch_predict(p, count, err);
        if (st == ST_OK) st = batch_write(p, count, err);
        if (st != ST_OK) return st;
        p->rows_done += count;
        show_progress(p, bar);
    }
    struct model_output *output = p->output;
    p->output = NULL;
    return model_output_commit(output, err);
}

int model_predict_command(int argc, char **argv) {
    struct options o;
    int code = options_read(&o, argc, argv);
    if (code >= 0) return code;
    struct predict p = {0};
    struct model_bar bar;
    struct err err = {0};
    model_bar_init(&bar, "predict");
    data_interrupts_begin();
    enum status st = prepare(&p, &o, &err);
    if (st == ST_OK) st = predict_all(&p, &bar, &err);
    data_interrupts_end();
    model_bar_end(&bar);
    release(&p);
    return st == ST_OK ? EXIT_DONE : model_failed(&err);
}
