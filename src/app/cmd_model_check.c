/* quantum model check, convert: proof that a file says what we take it to say. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/cmd_data.h"
#include "app/cmd_model.h"
#include "app/command.h"
#include "base/rng.h"
#include "ml/forest/shap.h"
#include "ml/model_io/model_io.h"

static const char check_usage[] =
    "usage: quantum model check [--rows N] [--seed N] [--json] FILE\n"
    "Reads the file, proves its structure, and walks rows that lie on its own thresholds: every\n"
    "kernel of this machine must give the bits of the plain walk.\n"
    "  --rows N     default: 1000\n"
    "  --seed N     of the rows (default: 1)\n"
    "  --json       as JSON\n"
    "example: quantum model check m.json.gz\n";

static const char convert_usage[] =
    "usage: quantum model convert [--format F] IN OUT\n"
    "Writes a model in another format, if that, read back, predicts the same.\n"
    "  --format F   xgboost-json, xgboost-ubj, lightgbm-text; default: by OUT's name (.json, "
    ".ubj,\n"
    "               .txt, each also .gz or .zst), else IN's own\n"
    "example: quantum model convert m.ubj m.json.gz\n";

enum { OPTION_ROWS = 1, OPTION_SEED, OPTION_JSON, OPTION_FORMAT };
enum { ROWS_DEFAULT = 1000, CONVERT_ROWS = 256, BATCH = 37 };

struct options {
    const char *in, *out;
    uint32_t rows, seed;
    bool json;
    enum model_format format;
};

static bool format_parse(enum model_format *out, const char *text) {
    static const char *const texts[] = {"xgboost-json", "xgboost-ubj", "lightgbm-text"};
    for (int i = 0; i < 3; i++)
        if (strcmp(text, texts[i]) == 0) {
            *out = (enum model_format)(MODEL_XGBOOST_JSON + i);
            return true;
        }
    return false;
}

static bool option_apply(void *options, int option) {
    struct options *o = options;
    switch (option) {
    case OPTION_ROWS:
        return command_u32_parse(&o->rows, optarg, 1, 100000000);
    case OPTION_SEED:
        return command_u32_parse(&o->seed, optarg, 0, UINT32_MAX);
    case OPTION_JSON:
        o->json = true;
        return true;
    case OPTION_FORMAT:
        return format_parse(&o->format, optarg);
    default:
        return false;
    }
}

/* -1: go on; else the exit code. */
static int options_read(struct options *o, int argc, char **argv, const struct option *table,
                        const char *help, int files) {
    *o = (struct options){.rows = ROWS_DEFAULT, .seed = 1};
    const struct command_options line = {"model", help, table, option_apply};
    int code = command_options_read(o, &line, argc, argv);
    if (code >= 0) return code;
    if (argc - optind != files) {
        command_usage_error("model", help, files == 1 ? "which file?" : "IN and OUT, please");
        return EXIT_USAGE;
    }
    o->in = argv[optind];
    if (files == 2) o->out = argv[optind + 1];
    return -1;
}

/* ---- check ---- */

struct check {
    const struct options *o;
    const struct tree_model *m;
    uint32_t first, last;
    double *rows, *expected, *got, *contributions;
    int32_t *leaves_expected, *leaves_got;
    void *scratch;
    size_t trees;
    bool kernels[FOREST_KERNEL_COUNT]; /* compared */
    bool explains;                     /* contributions were summed */
    double sum_error;                  /* of contributions, the largest */
};

static enum status check_memory(struct check *c, struct err *err) {
    const struct tree_model *m = c->m;
    size_t outputs = m->outputs, columns = m->columns;
    c->trees = (size_t)(c->last - c->first) * m->trees_per_iteration;
    c->rows = calloc(BATCH * columns, sizeof *c->rows);
    c->expected = calloc(BATCH * outputs, sizeof *c->expected);
    c->got = calloc(BATCH * outputs, sizeof *c->got);
    c->contributions = calloc(outputs * (columns + 1), sizeof *c->contributions);
    c->leaves_expected = calloc(BATCH * c->trees + 1, sizeof *c->leaves_expected);
    c->leaves_got = calloc(BATCH * c->trees + 1, sizeof *c->leaves_got);
    c->scratch = malloc(shap_scratch_size(m));
    bool all = c->rows && c->expected && c->got && c->contributions && c->leaves_expected &&
               c->leaves_got && c->scratch;
    return all ? ST_OK : err_set(err, ST_NO_MEMORY, "no memory to walk %zu trees", c->trees);
}

static void check_free(struct check *c) {
    free(c->rows);
    free(c->expected);
    free(c->got);
    free(c->contributions);
    free(c->leaves_expected);
    free(c->leaves_got);
    free(c->scratch);
}

static void walk_reference(struct check *c, size_t count) {
    const struct tree_model *m = c->m;
    for (size_t i = 0; i < count; i++) {
        const double *row = c->rows + i * m->columns;
        tree_margin_ref(c->expected + i * m->outputs, m, c->first, c->last, row);
        for (size_t k = 0; k < c->trees; k++) {
            const struct tree *t = &m->trees[(size_t)c->first * m->trees_per_iteration + k];
            uint32_t leaf = tree_walk_ref(m, t, row);
            c->leaves_expected[i * c->trees + k] = t->leaf_id ? t->leaf_id[leaf] : (int32_t)leaf;
        }
    }
}

static enum status compare_kernel(struct check *c, const struct forest *f, size_t count,
                                  struct err *err) {
    const struct tree_model *m = c->m;
    forest_margin_f64(c->got, f, c->rows, count, m->columns);
    forest_leaf_f64(c->leaves_got, f, c->rows, count, m->columns);
    if (memcmp(c->got, c->expected, count * m->outputs * sizeof *c->got) == 0 &&
        memcmp(c->leaves_got, c->leaves_expected, count * c->trees * sizeof *c->leaves_got) == 0)
        return ST_OK;
    return err_set(err, ST_MISMATCH, "%s: kernel %s differs from the plain walk (seed %u)",
                   c->o->in, forest_kernel_text(forest_kernel_used(f)), c->o->seed);
}

/* Contributions of one row of the batch must sum to its margin, leaves summed in double. */
static void sum_contributions(struct check *c) {
    const struct tree_model *m = c->m;
    if (shap_contributions(c->contributions, m, c->first, c->last, c->rows, c->scratch) != ST_OK)
        return; /* linear leaves, or no cover: nothing to explain by */
    c->explains = true;
    memcpy(c->got, m->base_margin, m->outputs * sizeof *c->got);
    for (size_t k = 0; k < c->trees; k++) {
        const struct tree *t = &m->trees[(size_t)c->first * m->trees_per_iteration + k];
        c->got[t->class_index] += tree_output_ref(m, t, tree_walk_ref(m, t, c->rows), c->rows);
    }
    for (uint32_t k = 0; k < m->outputs; k++) {
        double sum = 0;
        for (uint32_t i = 0; i <= m->columns; i++)
            sum += c->contributions[(size_t)k * (m->columns + 1) + i];
        c->sum_error = fmax(c->sum_error, fabs(sum - c->got[k]));
    }
}

static enum status check_walk(struct check *c, struct err *err) {
    struct forest *forests[FOREST_KERNEL_COUNT] = {NULL};
    void *memory[FOREST_KERNEL_COUNT] = {NULL};
    enum status st = check_memory(c, err);
    for (int k = FOREST_KERNEL_REF; k < FOREST_KERNEL_COUNT && st == ST_OK; k++) {
        if (!forest_kernel_available((enum forest_kernel)k)) continue;
        struct forest_options options = {c->first, c->last, (enum forest_kernel)k};
        st = model_forest_build(&forests[k], &memory[k], c->m, &options, err);
        c->kernels[k] = true;
    }
    struct rng rng = rng_init(c->o->seed);
    for (size_t done = 0; done < c->o->rows && st == ST_OK; done += BATCH) {
        size_t count = c->o->rows - done < BATCH ? c->o->rows - done : BATCH;
        for (size_t i = 0; i < count; i++) model_row_draw(c->rows + i * c->m->columns, c->m, &rng);
        walk_reference(c, count);
        for (int k = FOREST_KERNEL_REF; k < FOREST_KERNEL_COUNT && st == ST_OK; k++)
            if (forests[k]) st = compare_kernel(c, forests[k], count, err);
        if (st == ST_OK) sum_contributions(c);
        if (data_interrupted) st = err_set(err, ST_INTERRUPTED, "interrupted");
    }
    for (int k = 0; k < FOREST_KERNEL_COUNT; k++) free(memory[k]);
    return st;
}

static void check_text(const struct check *c) {
    printf("%s: %u trees, %u iterations used, %u columns, %u outputs: structure holds\n", c->o->in,
           c->m->tree_count, c->last - c->first, c->m->columns, c->m->outputs);
    printf("%u rows walked, the same bits from", c->o->rows);
    for (int k = 0, printed = 0; k < FOREST_KERNEL_COUNT; k++)
        if (c->kernels[k])
            printf("%s %s", printed++ ? "," : "", forest_kernel_text((enum forest_kernel)k));
    puts("");
    if (c->explains)
        printf("contributions sum to the margin within %.2g\n", c->sum_error);
    else
        puts("contributions: not for this model (linear leaves, or nodes without cover)");
}

static void check_json(struct json_writer *w, const void *subject) {
    const struct check *c = subject;
    json_write_object_begin(w);
    data_write_text(w, "model", c->o->in);
    json_write_key(w, "ok");
    json_write_bool(w, true);
    data_write_u64(w, "trees", c->m->tree_count);
    data_write_u64(w, "iterations_used", c->last - c->first);
    data_write_u64(w, "columns", c->m->columns);
    data_write_u64(w, "outputs", c->m->outputs);
    data_write_u64(w, "rows", c->o->rows);
    json_write_key(w, "kernels");
    json_write_array_begin(w);
    for (int k = 0; k < FOREST_KERNEL_COUNT; k++)
        if (c->kernels[k]) json_write_string(w, forest_kernel_text((enum forest_kernel)k));
    json_write_array_end(w);
    json_write_key(w, "contribution_sum_error");
    json_write_f64(w, c->explains ? c->sum_error : (double)NAN);
    json_write_object_end(w);
}

int model_check_command(int argc, char **argv) {
    static const struct option table[] = {{"rows", required_argument, NULL, OPTION_ROWS},
                                          {"seed", required_argument, NULL, OPTION_SEED},
                                          {"json", no_argument, NULL, OPTION_JSON},
                                          {"help", no_argument, NULL, COMMAND_HELP},
                                          {NULL, 0, NULL, 0}};
    struct options o;
    int code = options_read(&o, argc, argv, table, check_usage, 1);
    if (code >= 0) return code;
    struct err err = {0};
    struct tree_model *m = NULL;
    data_interrupts_begin();
    enum status st = model_read(&m, o.in, &err);
    struct check c = {.o = &o, .m = m};
    if (st == ST_OK) st = model_iterations(&c.first, &c.last, m, NULL, &err);
    if (st == ST_OK) st = check_walk(&c, &err);
    data_interrupts_end();
    code = EXIT_DONE;
    if (st == ST_OK && o.json)
        code = data_print_json(check_json, &c);
    else if (st == ST_OK)
        check_text(&c);
    check_free(&c);
    tree_model_destroy(m);
    return st == ST_OK ? code : model_failed(&err);
}

/* ---- convert ---- */

/* By the name, without .gz or .zst; AUTO if it says nothing. */
static enum model_format format_of_name(const char *path) {
    static const struct {
        const char *tail;
        enum model_format format;
    } tails[] = {
        {".json", MODEL_XGBOOST_JSON}, {".ubj", MODEL_XGBOOST_UBJ}, {".txt", MODEL_LIGHTGBM_TEXT}};
    static const char *const packings[] = {"", ".gz", ".zst"};
    char tail[16];
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++)
        for (size_t k = 0; k < sizeof packings / sizeof *packings; k++) {
            int size = snprintf(tail, sizeof tail, "%s%s", tails[i].tail, packings[k]);
            size_t length = strlen(path);
            if (length > (size_t)size && strcmp(path + length - (size_t)size, tail) == 0)
                return tails[i].format;
        }
    return MODEL_FORMAT_AUTO;
}

/* How far margins may lie apart: not at all, or, where one library sums floats and the other doubles, by
 * (trees + 1) half units of the last place of a float of the largest sum there can be. */
static double margin_bound(const struct tree_model *a, const struct tree_model *b) {
    if (a->dialect == b->dialect) return 0;
    double sum = 0, base = 0;
    for (uint32_t i = 0; i < a->tree_count; i++) {
        const struct tree *t = &a->trees[i];
        double most = 0;
        for (uint32_t leaf = 0; leaf <= t->split_count; leaf++)
            most = fmax(most, fabs(t->leaf_value[leaf] * (double)t->weight));
        sum += most;
    }
    for (uint32_t k = 0; k < a->outputs; k++) base = fmax(base, fabs(a->base_margin[k]));
    return (sum + base) * ((double)a->tree_count + 1) * 0x1p-24;
}

/* NaN equals NaN. */
static bool is_near(double a, double b, double bound) {
    return memcmp(&a, &b, sizeof a) == 0 || fabs(a - b) <= bound;
}

/* Both must predict the same on rows that lie on thresholds, each with the iterations it would use. */
static enum status compare_models(double *bound, const struct tree_model *a,
                                  const struct tree_model *b, struct err *err) {
    if (a->columns != b->columns || a->outputs != b->outputs)
        return err_set(err, ST_MISMATCH, "said so, it is another model");
    double *row = calloc(a->columns, sizeof *row);
    double *margin = calloc(2 * (size_t)a->outputs, sizeof *margin);
    uint32_t first, last_a = 0, last_b = 0;
    enum status st = row && margin ? ST_OK : err_set(err, ST_NO_MEMORY, "no memory");
    if (st == ST_OK) st = model_iterations(&first, &last_a, a, NULL, err);
    if (st == ST_OK) st = model_iterations(&first, &last_b, b, NULL, err);
    *bound = margin_bound(a, b);
    struct rng rng = rng_init(1);
    for (int i = 0; i < CONVERT_ROWS && st == ST_OK; i++) {
        model_row_draw(row, a, &rng);
        /* What LightGBM takes for zero XGBoost does not: no number of people's data is that small. */
        for (uint32_t c = 0; a->dialect != b->dialect && c < a->columns; c++)
            if (fabs(row[c]) <= 1e-35) row[c] = 0;
        tree_margin_ref(margin, a, 0, last_a, row);
        tree_margin_ref(margin + a->outputs, b, 0, last_b, row);
        for (uint32_t k = 0; k < a->outputs; k++)
            if (!is_near(margin[k], margin[a->outputs + k], *bound))
                st = err_set(err, ST_MISMATCH, "said so, it does not predict the same");
    }
    free(row);
    free(margin);
    return st;
}

/* What is to be written is read back before there is a file: one that predicts otherwise never comes to be. */
static enum status convert(const struct options *o, struct err *err) {
    struct tree_model *m = NULL, *back = NULL;
    char *bytes = NULL;
    size_t size;
    double bound = 0;
    enum model_format format = o->format ? o->format : format_of_name(o->out);
    enum status st = model_read(&m, o->in, err);
    if (st != ST_OK) return st;
    st = model_print(&bytes, &size, m, format, err);
    if (st == ST_OK) st = model_parse(&back, bytes, size, o->out, err);
    if (st == ST_OK && (st = compare_models(&bound, m, back, err)) != ST_OK)
        st = err_wrap(err, st, "%s", o->out);
    if (st == ST_OK) st = model_write(m, o->out, format, err);
    if (st == ST_OK && bound > 0)
        printf("%s: %u trees, the same leaves as %s, margins within %.2g: doubles are summed where "
               "XGBoost sums floats\n",
               o->out, back->tree_count, o->in, bound);
    else if (st == ST_OK)
        printf("%s: %u trees, the same predictions as %s\n", o->out, back->tree_count, o->in);
    free(bytes);
    tree_model_destroy(m);
    tree_model_destroy(back);
    return st;
}

int model_convert_command(int argc, char **argv) {
    static const struct option table[] = {{"format", required_argument, NULL, OPTION_FORMAT},
                                          {"help", no_argument, NULL, COMMAND_HELP},
                                          {NULL, 0, NULL, 0}};
    struct options o;
    int code = options_read(&o, argc, argv, table, convert_usage, 2);
    if (code >= 0 || !o.out) return code;
    struct err err = {0};
    return convert(&o, &err) == ST_OK ? EXIT_DONE : model_failed(&err);
}
