/* quantum model train: rows of a file to a model file. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "app/cmd_data.h"
#include "app/cmd_model.h"
#include "app/command.h"
#include "ml/model/model.h"

static const char usage[] =
    "usage: quantum model train --kind xgboost|lightgbm --data FILE --label COL --out FILE "
    "[options]\n"
    "  --kind K           xgboost: the library itself; lightgbm: a trainer of its class, its model "
    "format\n"
    "  --data FILE        CSV, TSV or LibSVM, also .gz or .zst; -: standard input\n"
    "  --label COL        what to learn, by name or number (0 is the first); LibSVM has its own\n"
    "  --out FILE         XGBoost JSON (or UBJSON: .ubj), LightGBM text; .gz and .zst compress\n"
    "  --valid FILE       rows to measure on after each round, and to stop early by\n"
    "  --params K=V,...   the library's own parameters, under its names\n"
    "  --weight COL       weight of a row        --ignore A,B     columns that are no features\n"
    "  --query COL        ranking: rows of one query stand together; LibSVM: its qid\n"
    "  --group FILE       ranking: rows of each query, a number a line (--valid-group: of "
    "--valid)\n"
    "  --header H         auto, yes, no (default: auto)\n"
    "  --by-name          --valid's columns by the names of --data's header, in any order\n"
    "  --threads N        default: 1; the model does not depend on it\n"
    "  --memory-max SIZE  refuse to use more, as 4G (default: what the system has available)\n"
    "  --json             summary as JSON\n"
    "example: quantum model train --kind lightgbm --data train.csv --label y --valid test.csv\n"
    "           --params objective=binary,num_leaves=63,early_stopping_round=20 --out m.txt\n";

struct options {
    bool has_kind;
    enum booster kind;
    const char *data, *label, *valid, *out, *params, *weight, *ignore, *query, *group, *valid_group;
    enum table_header header;
    bool by_name, json;
    uint32_t threads;
    uint64_t memory_max;
};

/* One file as a training set; what it holds is freed together. */
struct rows {
    struct table table; /* values become the features alone, (rows, columns.count) */
    struct model_columns columns;
    double *labels, *weights;
    uint32_t *group_rows;
    struct train_set set;
};

struct plan {
    uint64_t rows;        /* of both files together; 0: not known before reading */
    uint64_t data_bytes;  /* the two tables and what is cut out of them */
    uint64_t train_bytes; /* the trainer's own, and the program's */
    uint64_t allowed;
};

struct run {
    const struct options *o;
    struct model_bar bar;
    double *metrics; /* (rounds, 2): train, valid */
    uint32_t rounds, capacity, rounds_max;
    double read_s, train_s;
    struct plan plan;
    uint64_t taken; /* of the plan, by what has been read */
};

/* ---- options ---- */

enum {
    OPTION_KIND = 1,
    OPTION_DATA,
    OPTION_LABEL,
    OPTION_VALID,
    OPTION_OUT,
    OPTION_PARAMS,
    OPTION_WEIGHT,
    OPTION_IGNORE,
    OPTION_QUERY,
    OPTION_GROUP,
    OPTION_VALID_GROUP,
    OPTION_HEADER,
    OPTION_BY_NAME,
    OPTION_THREADS,
    OPTION_MEMORY_MAX,
    OPTION_JSON
};

static const struct option long_options[] = {
    {"kind", required_argument, NULL, OPTION_KIND},
    {"data", required_argument, NULL, OPTION_DATA},
    {"label", required_argument, NULL, OPTION_LABEL},
    {"valid", required_argument, NULL, OPTION_VALID},
    {"out", required_argument, NULL, OPTION_OUT},
    {"params", required_argument, NULL, OPTION_PARAMS},
    {"weight", required_argument, NULL, OPTION_WEIGHT},
    {"ignore", required_argument, NULL, OPTION_IGNORE},
    {"query", required_argument, NULL, OPTION_QUERY},
    {"group", required_argument, NULL, OPTION_GROUP},
    {"valid-group", required_argument, NULL, OPTION_VALID_GROUP},
    {"header", required_argument, NULL, OPTION_HEADER},
    {"by-name", no_argument, NULL, OPTION_BY_NAME},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"memory-max", required_argument, NULL, OPTION_MEMORY_MAX},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, COMMAND_HELP},
    {NULL, 0, NULL, 0}};

/* The options that are kept as text. */
static const char **option_text(struct options *o, int option) {
    switch (option) {
    case OPTION_DATA:
        return &o->data;
    case OPTION_LABEL:
        return &o->label;
    case OPTION_VALID:
        return &o->valid;
    case OPTION_OUT:
        return &o->out;
    case OPTION_PARAMS:
        return &o->params;
    case OPTION_WEIGHT:
        return &o->weight;
    case OPTION_IGNORE:
        return &o->ignore;
    case OPTION_QUERY:
        return &o->query;
    case OPTION_GROUP:
        return &o->group;
    case OPTION_VALID_GROUP:
        return &o->valid_group;
    default:
        return NULL;
    }
}

static bool option_apply(void *options, int option) {
    struct options *o = options;
    const char **text = option_text(o, option);
    if (text) {
        *text = optarg;
        return *optarg != 0 || option == OPTION_PARAMS;
    }
    switch (option) {
    case OPTION_KIND:
        o->has_kind = true;
        return booster_parse(&o->kind, optarg, NULL) == ST_OK;
    case OPTION_HEADER:
        return model_header_parse(&o->header, optarg);
    case OPTION_BY_NAME:
        o->by_name = true;
        return true;
    case OPTION_THREADS:
        return command_u32_parse(&o->threads, optarg, 1, 1024);
    case OPTION_MEMORY_MAX:
        return model_bytes_parse(&o->memory_max, optarg);
    case OPTION_JSON:
        o->json = true;
        return true;
    default:
        return false;
    }
}

static const char *option_missing(const struct options *o) {
    if (!o->has_kind) return "--kind is missing";
    if (!o->data) return "--data is missing";
    if (!o->out) return "--out is missing";
    if (o->query && o->group) return "--query and --group exclude each other";
    if (o->valid_group && !o->valid) return "--valid-group without --valid";
    if (o->valid && !o->group != !o->valid_group)
        return "--group and --valid-group belong together";
    return NULL;
}

/* -1: go on; else the exit code. */
static int options_read(struct options *o, int argc, char **argv) {
    *o = (struct options){.params = ""};
    const struct command_options line = {"model", usage, long_options, option_apply};
    int code = command_options_read(o, &line, argc, argv);
    if (code >= 0) return code;
    if (optind < argc)
        return command_usage_error("model", usage, "'%s' is not an option", argv[optind]);
    const char *missing = option_missing(o);
    return missing ? command_usage_error("model", usage, "%s", missing) : -1;
}

/* ---- columns ---- */

/* What each column is for. */
struct parts {
    struct model_roles roles;
    uint32_t label, weight, query;
    bool has_weight, has_query;
};

static enum status parts_find(struct parts *p, const struct options *o, uint32_t columns,
                              const char *const *names, bool is_libsvm, bool has_qid,
                              struct err *err) {
    *p = (struct parts){0};
    enum status st = model_roles_init(&p->roles, columns, names, err);
    if (st != ST_OK) return st;
    if (is_libsvm) {
        p->roles.taken[0] = true;
        if (o->label) st = err_set(err, ST_INVALID, "--label: LibSVM text has its label in front");
    } else if (o->label) {
        st = model_roles_take(&p->label, &p->roles, "--label", o->label, err);
    } else {
        st = err_set(err, ST_INVALID, "--label is missing: which column is to be learned?");
    }
    if (st == ST_OK && has_qid) {
        p->has_query = !o->group;
        p->query = 1;
        p->roles.taken[1] = true;
    } else if (st == ST_OK && o->query) {
        p->has_query = true;
        st = model_roles_take(&p->query, &p->roles, "--query", o->query, err);
    }
    if (st == ST_OK && o->weight) {
        p->has_weight = true;
        st = model_roles_take(&p->weight, &p->roles, "--weight", o->weight, err);
    }
    if (st == ST_OK) st = model_roles_ignore(&p->roles, o->ignore, err);
    return st;
}

/* Validation rows must have the training rows' columns: by name, or the same by position. */
static enum status columns_match(struct model_columns *out, const struct parts *p,
                                 const struct options *o, const struct model_columns *train,
                                 struct err *err) {
    if (o->by_name) {
        if (!train->names) return err_set(err, ST_INVALID, "--by-name: --data has no header");
        return model_columns_by_name(out, &p->roles, train->names, train->count, err);
    }
    enum status st = model_columns_rest(out, &p->roles, err);
    if (st == ST_OK && out->count != train->count)
        st = err_set(err, ST_MISMATCH, "%u columns to learn from, %u in --data", out->count,
                     train->count);
    for (uint32_t i = 0; st == ST_OK && out->names && train->names && i < out->count; i++)
        if (strcmp(out->names[i], train->names[i]) != 0)
            st = err_set(err, ST_MISMATCH,
                         "column %u is '%s', in --data '%s': --by-name takes them by name", i,
                         out->names[i], train->names[i]);
    return st;
}

/* train NULL: these are the training rows. */
static enum status columns_find(struct model_columns *out, struct parts *p, const struct options *o,
                                uint32_t columns, const char *const *names, bool is_libsvm,
                                bool has_qid, const struct model_columns *train, struct err *err) {
    enum status st = parts_find(p, o, columns, names, is_libsvm, has_qid, err);
    if (st == ST_OK)
        st = train ? columns_match(out, p, o, train, err) : model_columns_rest(out, &p->roles, err);
    if (st == ST_OK && out->count == 0)
        st = err_set(err, ST_INVALID, "no columns are left to learn from");
    return st;
}

/* ---- memory, before anything is taken ---- */

/* The program and its libraries before the first row, measured with room to spare. */
static const uint64_t program_bytes = 32 << 20;

/* A file opened to see what it will be. */
struct peek {
    struct table_reader *reader;
    struct model_columns columns;
    uint64_t rows, bytes;
};

static enum status peek_open(struct peek *k, const struct options *o, const char *path,
                             const struct model_columns *train, struct err *err) {
    const struct table_options options = {.header = o->header,
                                          .libsvm_features = train ? train->count : 0};
    struct parts parts = {0};
    enum status st = table_open(&k->reader, path, &options, err);
    if (st != ST_OK) return st;
    uint32_t columns = table_reader_columns(k->reader);
    st = columns_find(&k->columns, &parts, o, columns, table_reader_names(k->reader),
                      table_reader_is_libsvm(k->reader), table_reader_has_query(k->reader), train,
                      err);
    model_roles_free(&parts.roles);
    if (st != ST_OK) return err_wrap(err, st, "%s", path);
    st = table_reader_rows(&k->rows, k->reader, err);
    k->bytes = k->rows * sizeof(double) * ((uint64_t)columns + 3); /* labels, weights, queries */
    return st;
}

static void peek_close(struct peek *k) {
    model_columns_free(&k->columns);
    table_close(k->reader);
}

static bool can_peek(const char *path) {
    struct stat info;
    return strcmp(path, "-") != 0 && stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static enum status plan_train(struct plan *plan, const struct options *o, uint64_t rows,
                              uint64_t data_bytes, const struct model_columns *columns,
                              struct err *err) {
    size_t train_bytes;
    enum status st = model_train_memory(&train_bytes, o->kind, o->params, rows, columns->count,
                                        columns->names, err);
    if (st != ST_OK) return st;
    plan->rows = rows;
    plan->data_bytes = data_bytes;
    plan->train_bytes = train_bytes + program_bytes;
    if (data_bytes <= plan->allowed && plan->train_bytes <= plan->allowed - data_bytes)
        return ST_OK;
    return err_set(err, ST_RANGE,
                   "%" PRIu64 " rows of %u columns need up to %" PRIu64
                   " MiB of memory (data %" PRIu64 ", training %" PRIu64 "); %" PRIu64
                   " MiB may be taken",
                   rows, columns->count, ((data_bytes + plan->train_bytes) >> 20) + 1,
                   data_bytes >> 20, plan->train_bytes >> 20, plan->allowed >> 20);
}

/* Refuses with the figure before anything is read. Compressed files and pipes tell their rows only when they
 * are read: for them the same is asked then. */
static enum status plan_make(struct plan *plan, const struct options *o, struct err *err) {
    *plan = (struct plan){.allowed = o->memory_max ? o->memory_max : table_memory_available()};
    if (!can_peek(o->data) || (o->valid && !can_peek(o->valid))) return ST_OK;
    struct peek train = {0}, valid = {0};
    enum status st = peek_open(&train, o, o->data, NULL, err);
    if (st == ST_OK && o->valid) st = peek_open(&valid, o, o->valid, &train.columns, err);
    bool known = train.rows > 0 && (valid.rows > 0 || !o->valid);
    if (st == ST_OK && known)
        st = plan_train(plan, o, train.rows + valid.rows, train.bytes + valid.bytes, &train.columns,
                        err);
    peek_close(&train);
    peek_close(&valid);
    return st;
}

/* ---- reading ---- */

static bool show_reading(void *context, uint64_t read, uint64_t size) {
    struct run *run = context;
    char note[32];
    snprintf(note, sizeof note, "%" PRIu64 " MB", read / 1000000);
    run->bar.what = "reading";
    model_bar_draw(&run->bar, size ? (double)read / (double)size : -1, note);
    return !data_interrupted;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Runs of equal query ids; a query that comes back is an error. */
static enum status groups_of_ids(struct rows *r, const double *ids, struct err *err) {
    size_t rows = r->table.rows, groups = 0;
    r->group_rows = calloc(rows + 1, sizeof *r->group_rows);
    double *seen = calloc(rows + 1, sizeof *seen);
    enum status st =
        r->group_rows && seen ? ST_OK : err_set(err, ST_NO_MEMORY, "no memory for queries");
    for (size_t i = 0; i < rows && st == ST_OK; i++) {
        if (isnan(ids[i])) st = err_set(err, ST_INVALID, "row %zu has no query", i);
        if (i == 0 || ids[i] != ids[i - 1]) seen[groups++] = ids[i];
        r->group_rows[groups - 1]++;
    }
    if (st == ST_OK) qsort(seen, groups, sizeof *seen, compare_doubles);
    for (size_t i = 1; i < groups && st == ST_OK; i++)
        if (seen[i] == seen[i - 1])
            st = err_set(err, ST_INVALID, "rows of query %g do not stand together", seen[i]);
    free(seen);
    r->set.group_rows = r->group_rows;
    r->set.groups = groups;
    return st;
}

static enum status groups_of_file(struct rows *r, const char *path, struct err *err) {
    static const struct table_options options = {.header = TABLE_HEADER_NO};
    struct table t;
    enum status st = table_read(&t, path, &options, NULL, NULL, err);
    if (st != ST_OK) return st;
    uint64_t sum = 0;
    r->group_rows = calloc(t.rows + 1, sizeof *r->group_rows);
    if (!r->group_rows) st = err_set(err, ST_NO_MEMORY, "%s: no memory", path);
    if (st == ST_OK && t.columns != 1)
        st = err_set(err, ST_INVALID, "%s: %u columns, not one", path, t.columns);
    for (size_t i = 0; i < t.rows && st == ST_OK; i++) {
        double count = t.values[i];
        if (!(count >= 1 && count <= 1e9) || count != floor(count))
            st = err_set(err, ST_INVALID, "%s: row %zu is no number of rows", path, i);
        else
            sum += r->group_rows[i] = (uint32_t)count;
    }
    if (st == ST_OK && sum != r->table.rows)
        st = err_set(err, ST_MISMATCH, "%s: %" PRIu64 " rows in all, the data have %zu", path, sum,
                     r->table.rows);
    r->set.group_rows = r->group_rows;
    r->set.groups = t.rows;
    table_free(&t);
    return st;
}

/* Labels, weights and queries leave the table; the features move together. */
static enum status rows_split(struct rows *r, const struct parts *p, struct err *err) {
    struct table *t = &r->table;
    uint32_t count = r->columns.count;
    r->labels = calloc(t->rows + 1, sizeof *r->labels);
    if (p->has_weight) r->weights = calloc(t->rows + 1, sizeof *r->weights);
    double *ids = p->has_query ? calloc(t->rows + 1, sizeof *ids) : NULL;
    double *row = calloc(count, sizeof *row);
    bool all = r->labels && row && (r->weights || !p->has_weight) && (ids || !p->has_query);
    for (size_t i = 0; i < t->rows && all; i++) {
        const double *from = t->values + i * t->columns;
        r->labels[i] = from[p->label];
        if (r->weights) r->weights[i] = from[p->weight];
        if (ids) ids[i] = from[p->query];
        for (uint32_t c = 0; c < count; c++) row[c] = from[r->columns.source[c]];
        /* Never beyond what has been taken: count <= t->columns. */
        memcpy(t->values + i * count, row, count * sizeof *row);
    }
    free(row);
    enum status st = all ? ST_OK : err_set(err, ST_NO_MEMORY, "no memory for %zu rows", t->rows);
    if (st == ST_OK && ids) st = groups_of_ids(r, ids, err);
    free(ids);
    double *fitted = t->rows ? realloc(t->values, t->rows * count * sizeof *fitted) : NULL;
    if (fitted) t->values = fitted;
    return st;
}

static enum status rows_read(struct rows *r, struct run *run, const char *path, const char *group,
                             const struct model_columns *train, struct err *err) {
    const struct options *o = run->o;
    uint64_t left = run->plan.allowed > run->taken ? run->plan.allowed - run->taken : 0;
    const struct table_options options = {.header = o->header,
                                          .memory_max = left ? left : 1, /* 0: no bound */
                                          .libsvm_features = train ? train->count : 0};
    struct parts parts = {0};
    enum status st = table_read(&r->table, path, &options, show_reading, run, err);
    if (st != ST_OK) return st;
    struct table *t = &r->table;
    st = columns_find(&r->columns, &parts, o, t->columns, (const char *const *)t->names,
                      t->is_libsvm, t->has_query, train, err);
    if (st == ST_OK && t->rows == 0) st = err_set(err, ST_INVALID, "no rows");
    if (st == ST_OK) st = rows_split(r, &parts, err);
    if (st == ST_OK && group) st = groups_of_file(r, group, err);
    model_roles_free(&parts.roles);
    if (st != ST_OK) return err_wrap(err, st, "%s", path);
    run->taken += t->rows * ((uint64_t)r->columns.count + 3) * sizeof(double);
    r->set.x64 = t->values;
    r->set.rows = t->rows;
    r->set.columns = r->columns.count;
    r->set.labels = r->labels;
    r->set.weights = r->weights;
    r->set.names = r->columns.names;
    return ST_OK;
}

static void rows_free(struct rows *r) {
    table_free(&r->table);
    model_columns_free(&r->columns);
    free(r->labels);
    free(r->weights);
    free(r->group_rows);
}

/* ---- training ---- */

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static bool show_round(void *context, uint32_t round, uint32_t rounds_max, double train_metric,
                       double valid_metric) {
    (void)round;
    struct run *run = context;
    if (run->rounds == run->capacity) {
        uint32_t capacity = run->capacity ? 2 * run->capacity : 256;
        double *grown = realloc(run->metrics, 2 * sizeof *grown * capacity);
        if (!grown) return false;
        run->metrics = grown;
        run->capacity = capacity;
    }
    run->metrics[2 * run->rounds] = train_metric;
    run->metrics[2 * run->rounds + 1] = valid_metric;
    run->rounds++;
    run->rounds_max = rounds_max;
    char note[96];
    int n = snprintf(note, sizeof note, "%u/%u", run->rounds, rounds_max);
    if (!isnan(train_metric))
        n += snprintf(note + n, sizeof note - (size_t)n, "  train %.5g", train_metric);
    if (!isnan(valid_metric))
        snprintf(note + n, sizeof note - (size_t)n, "  valid %.5g", valid_metric);
    run->bar.what = "training";
    model_bar_draw(&run->bar, rounds_max ? (double)run->rounds / rounds_max : -1, note);
    return !data_interrupted;
}

/* The parameters, with the threads put behind in the library's own word. */
static char *params_with_threads(const struct options *o) {
    const char *name = o->kind == BOOSTER_XGBOOST ? "nthread" : "num_threads";
    char *text = NULL;
    int n = o->threads
                ? asprintf(&text, "%s%s%s=%u", o->params, *o->params ? "," : "", name, o->threads)
                : asprintf(&text, "%s", o->params);
    return n < 0 ? NULL : text;
}

static double metric_at(const struct run *run, const struct model *m, uint32_t which) {
    const struct tree_model *trees = model_trees(m);
    uint32_t used = trees->best_iterations ? trees->best_iterations : model_iteration_count(trees);
    bool known = used > 0 && used <= run->rounds;
    return known ? run->metrics[2 * (size_t)(used - 1) + which] : (double)NAN;
}

struct summary {
    const struct run *run;
    const struct model *model;
    const struct rows *train, *valid;
};

static void summary_text(const struct summary *s) {
    const struct options *o = s->run->o;
    const struct tree_model *m = model_trees(s->model);
    uint64_t leaves = 0;
    for (uint32_t i = 0; i < m->tree_count; i++) leaves += m->trees[i].split_count + 1;
    printf("model      %s: %s, %s\n", o->out, booster_text(o->kind), m->objective);
    printf("data       %zu rows, %u columns", s->train->set.rows, s->train->set.columns);
    if (o->valid) printf("; %zu rows to validate on", s->valid->set.rows);
    printf("\nrounds     %u of %u", model_iteration_count(m), s->run->rounds_max);
    if (m->best_iterations && m->best_iterations != model_iteration_count(m))
        printf(", the first %u used", m->best_iterations);
    printf("; %u trees, %" PRIu64 " leaves\n", m->tree_count, leaves);
    double train = metric_at(s->run, s->model, 0), valid = metric_at(s->run, s->model, 1);
    if (!isnan(train)) printf("metric     %.6g in training\n", train);
    if (!isnan(valid)) printf("metric     %.6g in validation\n", valid);
    printf("memory     up to %" PRIu64 " MiB planned: data %" PRIu64 ", training %" PRIu64 "\n",
           ((s->run->plan.data_bytes + s->run->plan.train_bytes) >> 20) + 1,
           s->run->plan.data_bytes >> 20, s->run->plan.train_bytes >> 20);
    printf("time       %.2f s reading, %.2f s training\n", s->run->read_s, s->run->train_s);
}

static void write_f64(struct json_writer *w, const char *key, double value) {
    json_write_key(w, key);
    json_write_f64(w, value);
}

static void summary_json(struct json_writer *w, const void *subject) {
    const struct summary *s = subject;
    const struct tree_model *m = model_trees(s->model);
    json_write_object_begin(w);
    data_write_text(w, "model", s->run->o->out);
    data_write_text(w, "kind", booster_text(s->run->o->kind));
    data_write_text(w, "objective", m->objective);
    data_write_u64(w, "rows", s->train->set.rows);
    data_write_u64(w, "rows_valid", s->valid->set.rows);
    data_write_u64(w, "columns", s->train->set.columns);
    data_write_u64(w, "rounds", model_iteration_count(m));
    data_write_u64(w, "rounds_used",
                   m->best_iterations ? m->best_iterations : model_iteration_count(m));
    data_write_u64(w, "rounds_max", s->run->rounds_max);
    data_write_u64(w, "trees", m->tree_count);
    write_f64(w, "metric_train", metric_at(s->run, s->model, 0));
    write_f64(w, "metric_valid", metric_at(s->run, s->model, 1));
    data_write_u64(w, "memory_data_bytes", s->run->plan.data_bytes);
    data_write_u64(w, "memory_training_bytes", s->run->plan.train_bytes);
    write_f64(w, "reading_seconds", s->run->read_s);
    write_f64(w, "training_seconds", s->run->train_s);
    json_write_object_end(w);
}

static enum status read_both(struct run *run, struct rows *train, struct rows *valid,
                             struct err *err) {
    const struct options *o = run->o;
    double begin = seconds();
    enum status st = plan_make(&run->plan, o, err);
    if (st == ST_OK) st = rows_read(train, run, o->data, o->group, NULL, err);
    if (st == ST_OK && o->valid)
        st = rows_read(valid, run, o->valid, o->valid_group, &train->columns, err);
    if (st == ST_OK && run->plan.rows == 0) {
        uint64_t rows = train->set.rows + valid->set.rows;
        uint64_t bytes = rows * sizeof(double) * ((uint64_t)train->table.columns + 3);
        st = plan_train(&run->plan, o, rows, bytes, &train->columns, err);
    }
    run->read_s = seconds() - begin;
    return st;
}

static enum status train_and_save(struct model **out, struct run *run, const struct rows *train,
                                  const struct rows *valid, struct err *err) {
    const struct options *o = run->o;
    char *params = params_with_threads(o);
    if (!params) return err_set(err, ST_NO_MEMORY, "no memory");
    double begin = seconds();
    enum status st = model_train(out, o->kind, params, &train->set, o->valid ? &valid->set : NULL,
                                 show_round, run, err);
    run->train_s = seconds() - begin;
    free(params);
    if (st == ST_INTERRUPTED) return err_set(err, st, "interrupted after %u rounds", run->rounds);
    return st == ST_OK ? model_save(*out, o->out, err) : st;
}

int model_train_command(int argc, char **argv) {
    struct options o;
    int code = options_read(&o, argc, argv);
    if (code >= 0) return code;
    struct run run = {.o = &o};
    struct rows train = {0}, valid = {0};
    struct model *model = NULL;
    struct err err = {0};
    model_bar_init(&run.bar, "reading");
    data_interrupts_begin();
    enum status st = read_both(&run, &train, &valid, &err);
    if (st == ST_OK) st = train_and_save(&model, &run, &train, &valid, &err);
    data_interrupts_end();
    model_bar_end(&run.bar);
    code = EXIT_DONE;
    if (st == ST_OK) {
        const struct summary s = {&run, model, &train, &valid};
        if (o.json)
            code = data_print_json(summary_json, &s);
        else
            summary_text(&s);
    }
    model_destroy(model);
    rows_free(&train);
    rows_free(&valid);
    free(run.metrics);
    return st == ST_OK ? code : model_failed(&err);
}
