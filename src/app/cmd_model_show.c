/* quantum model show, importance: what a file holds, and which columns it leans on. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/cmd_data.h"
#include "app/cmd_model.h"
#include "app/cmd_model_registry.h"
#include "app/command.h"
#include "ml/model_io/model_io.h"

static const char show_usage[] =
    "usage: quantum model show [--tree N] [--state DIR] [--json] FILE|ID\n"
    "What a file holds; or, of a registered model, where it comes from, how it was judged and "
    "what\n"
    "was decided. ID: 7, #7, or the first digits of its hash (4 at least); a file goes before an "
    "id.\n"
    "  --tree N       that tree, split by split\n" MODEL_STATE_USAGE
    "example: quantum model show --json m.json | jq .iterations\n";

static const char importance_usage[] =
    "usage: quantum model importance [--by gain|split] [--top N] [--json] FILE\n"
    "Splits that use a column, and the loss they took away, over all trees.\n"
    "  --by KEY     order (default: gain)\n"
    "  --top N      only the first N; the default shows those that are used\n"
    "  --json       as JSON\n"
    "example: quantum model importance --top 10 m.txt\n";

enum { OPTION_TREE = 1, OPTION_JSON, OPTION_BY, OPTION_TOP, OPTION_STATE, NAMES_SHOWN = 8 };

struct options {
    const char *path, *state;
    bool json, has_tree, by_split;
    uint32_t tree, top;
};

static bool option_apply(void *options, int option) {
    struct options *o = options;
    switch (option) {
    case OPTION_TREE:
        o->has_tree = true;
        return command_u32_parse(&o->tree, optarg, 0, UINT32_MAX);
    case OPTION_JSON:
        o->json = true;
        return true;
    case OPTION_STATE:
        o->state = optarg;
        return *optarg != 0;
    case OPTION_BY:
        o->by_split = strcmp(optarg, "split") == 0;
        return o->by_split || strcmp(optarg, "gain") == 0;
    case OPTION_TOP:
        return command_u32_parse(&o->top, optarg, 1, UINT32_MAX);
    default:
        return false;
    }
}

/* -1: go on; else the exit code. */
static int options_read(struct options *o, int argc, char **argv, const struct option *table,
                        const char *help) {
    *o = (struct options){0};
    const struct command_options line = {"model", help, table, option_apply};
    int code = command_options_read(o, &line, argc, argv);
    if (code >= 0) return code;
    if (optind + 1 != argc)
        return command_usage_error("model", help,
                                   optind < argc ? "one file, please" : "which file?");
    o->path = argv[optind];
    return -1;
}

/* ---- show ---- */

struct summary {
    const struct tree_model *m;
    const char *path;
    uint64_t leaves;
    uint32_t leaves_max, depth_max, categorical_splits, linear_trees;
};

/* Depth of a tree; depths is scratch of split_count words. */
static uint32_t tree_depth(const struct tree *t, uint32_t *depths) {
    uint32_t deepest = 0;
    if (t->split_count > 0) depths[0] = 1;
    for (uint32_t i = 0; i < t->split_count; i++) {
        if (depths[i] > deepest) deepest = depths[i];
        if (t->left[i] >= 0) depths[t->left[i]] = depths[i] + 1;
        if (t->right[i] >= 0) depths[t->right[i]] = depths[i] + 1;
    }
    return deepest;
}

static enum status summarise(struct summary *s, struct err *err) {
    uint32_t most = 1;
    for (uint32_t i = 0; i < s->m->tree_count; i++)
        if (s->m->trees[i].split_count > most) most = s->m->trees[i].split_count;
    uint32_t *depths = calloc(most, sizeof *depths);
    if (!depths) return err_set(err, ST_NO_MEMORY, "no memory");
    for (uint32_t i = 0; i < s->m->tree_count; i++) {
        const struct tree *t = &s->m->trees[i];
        uint32_t depth = tree_depth(t, depths);
        s->leaves += t->split_count + 1;
        if (t->split_count + 1 > s->leaves_max) s->leaves_max = t->split_count + 1;
        if (depth > s->depth_max) s->depth_max = depth;
        for (uint32_t k = 0; k < t->split_count; k++)
            s->categorical_splits += t->decision[k] & DECISION_CATEGORICAL;
        s->linear_trees += t->is_linear;
    }
    free(depths);
    return ST_OK;
}

static const char *dialect_text(const struct tree_model *m) {
    return m->dialect == TREES_XGBOOST ? "xgboost" : "lightgbm";
}

static uint32_t iterations_used(const struct tree_model *m) {
    return m->best_iterations ? m->best_iterations : model_iteration_count(m);
}

static void show_text(const struct summary *s) {
    const struct tree_model *m = s->m;
    printf("model        %s\n", s->path);
    printf("format       %s%s%s\n", dialect_text(m), *m->version ? " " : "", m->version);
    printf("objective    %s\n", m->objective);
    printf("outputs      %u\n", m->outputs);
    printf("columns      %u", m->columns);
    for (uint32_t c = 0; m->feature_names && c < m->columns && c < NAMES_SHOWN; c++)
        printf("%s%s", c ? ", " : ": ", m->feature_names[c]);
    puts(m->feature_names && m->columns > NAMES_SHOWN ? ", ..." : "");
    printf("trees        %u in %u iterations", m->tree_count, model_iteration_count(m));
    if (iterations_used(m) != model_iteration_count(m)) printf(", %u used", iterations_used(m));
    printf("%s%s\n", m->is_dart ? ", DART" : "", m->average_output ? ", averaged" : "");
    printf("leaves       %" PRIu64 ", at most %u a tree, depth at most %u\n", s->leaves,
           s->leaves_max, s->depth_max);
    if (s->categorical_splits) printf("categorical  %u splits\n", s->categorical_splits);
    if (s->linear_trees) printf("linear       %u trees\n", s->linear_trees);
    printf("base margin ");
    for (uint32_t k = 0; k < m->outputs && k < NAMES_SHOWN; k++) printf(" %.9g", m->base_margin[k]);
    puts(m->outputs > NAMES_SHOWN ? " ..." : "");
    for (uint32_t i = 0; m->dialect == TREES_XGBOOST && i < m->attribute_count; i++)
        printf("attribute    %s = %.200s\n", m->attributes[i].key, m->attributes[i].value);
}

static void show_json(struct json_writer *w, const void *subject) {
    const struct summary *s = subject;
    const struct tree_model *m = s->m;
    json_write_object_begin(w);
    data_write_text(w, "model", s->path);
    data_write_text(w, "format", dialect_text(m));
    data_write_text(w, "version", m->version);
    data_write_text(w, "objective", m->objective);
    data_write_u64(w, "outputs", m->outputs);
    data_write_u64(w, "columns", m->columns);
    if (m->feature_names) {
        json_write_key(w, "names");
        json_write_array_begin(w);
        for (uint32_t c = 0; c < m->columns; c++) json_write_string(w, m->feature_names[c]);
        json_write_array_end(w);
    }
    data_write_u64(w, "trees", m->tree_count);
    data_write_u64(w, "iterations", model_iteration_count(m));
    data_write_u64(w, "iterations_used", iterations_used(m));
    data_write_u64(w, "leaves", s->leaves);
    data_write_u64(w, "leaves_max", s->leaves_max);
    data_write_u64(w, "depth_max", s->depth_max);
    data_write_u64(w, "categorical_splits", s->categorical_splits);
    data_write_u64(w, "linear_trees", s->linear_trees);
    json_write_key(w, "dart");
    json_write_bool(w, m->is_dart);
    json_write_key(w, "averaged");
    json_write_bool(w, m->average_output);
    json_write_key(w, "base_margin");
    json_write_array_begin(w);
    for (uint32_t k = 0; k < m->outputs; k++) json_write_f64(w, m->base_margin[k]);
    json_write_array_end(w);
    json_write_key(w, "attributes");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < m->attribute_count; i++) {
        json_write_object_begin(w);
        data_write_text(w, "key", m->attributes[i].key);
        data_write_text(w, "value", m->attributes[i].value);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static void print_node(const struct tree_model *m, const struct tree *t, int32_t node) {
    char name[32];
    if (node < 0) {
        printf("leaf %d: %.17g\n", t->leaf_id ? t->leaf_id[~node] : ~node, t->leaf_value[~node]);
        return;
    }
    uint32_t i = (uint32_t)node;
    printf("%d: %s ", t->split_id ? t->split_id[i] : node,
           model_column_name(name, m, (uint32_t)t->feature[i]));
    if (t->decision[i] & DECISION_CATEGORICAL) {
        uint32_t set = (uint32_t)t->threshold[i], printed = 0;
        printf("%s {", m->dialect == TREES_XGBOOST ? "not in" : "in");
        for (uint32_t w = t->set_begin[set]; w < t->set_begin[set + 1]; w++)
            for (uint32_t bit = 0; bit < 32; bit++)
                if (t->set_words[w] >> bit & 1)
                    printf("%s%u", printed++ ? " " : "", 32 * (w - t->set_begin[set]) + bit);
        putchar('}');
    } else {
        printf("%s %.17g", m->dialect == TREES_XGBOOST ? "<" : "<=", t->threshold[i]);
    }
    printf("  missing %s, gain %.6g\n", t->decision[i] & DECISION_DEFAULT_LEFT ? "left" : "right",
           (double)t->gain[i]);
}

/* Depth first, left before right; a stack, as a tree may be a chain. */
static enum status print_tree(const struct tree_model *m, uint32_t index, struct err *err) {
    if (index >= m->tree_count)
        return err_set(err, ST_RANGE, "--tree %u: the model has the trees 0 to %u", index,
                       m->tree_count - 1);
    const struct tree *t = &m->trees[index];
    struct place {
        int32_t node;
        uint32_t depth;
    } *stack = calloc(t->split_count + 2, sizeof *stack);
    if (!stack) return err_set(err, ST_NO_MEMORY, "no memory");
    size_t used = 0;
    stack[used++] = (struct place){t->split_count ? 0 : -1, 0};
    while (used > 0) {
        struct place at = stack[--used];
        printf("%*s", (int)(at.depth < 60 ? 2 * at.depth : 120), "");
        print_node(m, t, at.node);
        if (at.node < 0) continue;
        stack[used++] = (struct place){t->right[at.node], at.depth + 1};
        stack[used++] = (struct place){t->left[at.node], at.depth + 1};
    }
    free(stack);
    return ST_OK;
}

int model_show_command(int argc, char **argv) {
    static const struct option table[] = {{"tree", required_argument, NULL, OPTION_TREE},
                                          {"state", required_argument, NULL, OPTION_STATE},
                                          {"json", no_argument, NULL, OPTION_JSON},
                                          {"help", no_argument, NULL, COMMAND_HELP},
                                          {NULL, 0, NULL, 0}};
    struct options o;
    int code = options_read(&o, argc, argv, table, show_usage);
    if (code >= 0) return code;
    char path[REGISTRY_PATH_SIZE];
    if (model_registry_names(o.path) && access(o.path, F_OK) != 0) {
        code = model_registry_show(o.state, o.path, o.json, o.has_tree ? path : NULL);
        if (code >= 0) return code;
        o.path = path;
    }
    struct err err = {0};
    struct tree_model *m = NULL;
    enum status st = model_read(&m, o.path, &err);
    struct summary s = {.m = m, .path = o.path};
    code = EXIT_DONE;
    if (st == ST_OK && o.has_tree) {
        st = print_tree(m, o.tree, &err);
    } else if (st == ST_OK) {
        st = summarise(&s, &err);
        if (st == ST_OK && o.json)
            code = data_print_json(show_json, &s);
        else if (st == ST_OK)
            show_text(&s);
    }
    tree_model_destroy(m);
    return st == ST_OK ? code : model_failed(&err);
}

/* ---- importance ---- */

struct column {
    uint32_t index;
    uint64_t splits;
    double gain;
};

struct importance {
    const struct tree_model *m;
    struct column *columns;
    uint32_t count; /* shown */
    double gain_all;
};

static int compare_index(const struct column *a, const struct column *b) {
    return a->index < b->index ? -1 : 1;
}

static int by_gain(const void *a, const void *b) {
    const struct column *x = a, *y = b;
    return x->gain != y->gain ? (x->gain > y->gain ? -1 : 1) : compare_index(x, y);
}

static int by_split(const void *a, const void *b) {
    const struct column *x = a, *y = b;
    return x->splits != y->splits ? (x->splits > y->splits ? -1 : 1) : compare_index(x, y);
}

static enum status importance_make(struct importance *out, const struct options *o,
                                   struct err *err) {
    uint32_t columns = out->m->columns;
    double *gain = calloc(columns, sizeof *gain);
    uint64_t *splits = calloc(columns, sizeof *splits);
    out->columns = calloc(columns, sizeof *out->columns);
    bool full = !gain || !splits || !out->columns;
    if (!full) tree_importance(gain, splits, out->m);
    for (uint32_t c = 0; c < columns && !full; c++) {
        out->columns[c] = (struct column){c, splits[c], gain[c]};
        out->gain_all += gain[c];
        out->count += splits[c] > 0;
    }
    free(gain);
    free(splits);
    if (full) return err_set(err, ST_NO_MEMORY, "no memory for %u columns", columns);
    /* The unused ones come last in both orders. */
    qsort(out->columns, columns, sizeof *out->columns, o->by_split ? by_split : by_gain);
    if (o->top) out->count = o->top < columns ? o->top : columns;
    return ST_OK;
}

static void importance_text(const struct importance *list) {
    char name[32];
    printf("%8s %14s %7s  %s\n", "splits", "gain", "share", "column");
    for (uint32_t i = 0; i < list->count; i++) {
        const struct column *c = &list->columns[i];
        printf("%8" PRIu64 " %14.6g %6.2f%%  %s\n", c->splits, c->gain,
               list->gain_all > 0 ? 100 * c->gain / list->gain_all : 0,
               model_column_name(name, list->m, c->index));
    }
}

static void importance_json(struct json_writer *w, const void *subject) {
    const struct importance *list = subject;
    char name[32];
    json_write_array_begin(w);
    for (uint32_t i = 0; i < list->count; i++) {
        const struct column *c = &list->columns[i];
        json_write_object_begin(w);
        data_write_u64(w, "column", c->index);
        data_write_text(w, "name", model_column_name(name, list->m, c->index));
        data_write_u64(w, "splits", c->splits);
        json_write_key(w, "gain");
        json_write_f64(w, c->gain);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

int model_importance_command(int argc, char **argv) {
    static const struct option table[] = {{"by", required_argument, NULL, OPTION_BY},
                                          {"top", required_argument, NULL, OPTION_TOP},
                                          {"json", no_argument, NULL, OPTION_JSON},
                                          {"help", no_argument, NULL, COMMAND_HELP},
                                          {NULL, 0, NULL, 0}};
    struct options o;
    int code = options_read(&o, argc, argv, table, importance_usage);
    if (code >= 0) return code;
    struct err err = {0};
    struct tree_model *m = NULL;
    enum status st = model_read(&m, o.path, &err);
    struct importance list = {.m = m};
    if (st == ST_OK) st = importance_make(&list, &o, &err);
    code = EXIT_DONE;
    if (st == ST_OK && o.json)
        code = data_print_json(importance_json, &list);
    else if (st == ST_OK)
        importance_text(&list);
    free(list.columns);
    tree_model_destroy(m);
    return st == ST_OK ? code : model_failed(&err);
}
