/* quantum model: train, use and look at models of trees; keep voters, and say which serves. */
#include "app/cmd_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/command.h"

static const char usage[] =
    "usage: quantum model train|predict|show|importance|check|convert [options] ...\n"
    "       quantum model add|list|show|promote|rollback [options] ...\n"
    "  train        rows of a file to a model, by XGBoost or by the LightGBM-class trainer\n"
    "  predict      rows of a file through a model: values, margins, leaves or contributions\n"
    "  show         what a model file holds; what is known of a registered model\n"
    "  importance   splits and gain of each column\n"
    "  check        reads a model, proves its structure, walks it\n"
    "  convert      one format to another\n"
    "  add          keeps a trained voter in the registry\n"
    "  list         every registered model, with its state\n"
    "  promote      gives a registered model its kind's seat\n"
    "  rollback     takes a kind's seat back to whoever held it before\n"
    "Models: XGBoost JSON and UBJSON, LightGBM text. Data: CSV, TSV, LibSVM. All plain, .gz or "
    ".zst.\n"
    "`quantum model COMMAND --help` tells more.\n"
    "example: quantum model predict --model m.json --input rows.csv --output -\n";

int model_failed(const struct err *err) {
    fprintf(stderr, "model: %s\n", err->text);
    return EXIT_FAILED;
}

/* ---- values of options ---- */

bool model_header_parse(enum table_header *out, const char *text) {
    static const char *const texts[] = {"auto", "yes", "no"};
    for (int i = 0; i < 3; i++)
        if (strcmp(text, texts[i]) == 0) {
            *out = (enum table_header)i;
            return true;
        }
    return false;
}

bool model_bytes_parse(uint64_t *out, const char *text) {
    static const char units[] = "KMGT";
    uint64_t value = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (value > UINT64_MAX / 100) return false;
        value = value * 10 + (uint64_t)(*p - '0');
    }
    const char *unit = *p ? strchr(units, *p) : NULL;
    if (p == text || (*p && (!unit || p[1]))) return false;
    int shift = unit ? 10 * (int)(unit - units + 1) : 0;
    if (value == 0 || value > UINT64_MAX >> shift) return false;
    *out = value << shift;
    return true;
}

/* ---- columns ---- */

enum status model_roles_init(struct model_roles *r, uint32_t columns, const char *const *names,
                             struct err *err) {
    *r = (struct model_roles){calloc(columns, sizeof *r->taken), columns, names};
    return r->taken ? ST_OK : err_set(err, ST_NO_MEMORY, "no memory for %u columns", columns);
}

void model_roles_free(struct model_roles *r) {
    free(r->taken);
    r->taken = NULL;
}

enum status model_roles_take(uint32_t *out, struct model_roles *r, const char *option,
                             const char *name, struct err *err) {
    enum status st = table_column(out, r->names, r->columns, name, err);
    if (st == ST_OK && r->taken[*out])
        st = err_set(err, ST_INVALID, "column '%s' has another part already", name);
    if (st != ST_OK) return err_wrap(err, st, "%s", option);
    r->taken[*out] = true;
    return ST_OK;
}

enum status model_roles_ignore(struct model_roles *r, const char *list, struct err *err) {
    if (!list) return ST_OK;
    char *copy = strdup(list), *rest = copy, *name;
    if (!copy) return err_set(err, ST_NO_MEMORY, "no memory");
    enum status st = ST_OK;
    uint32_t column;
    while (st == ST_OK && (name = strsep(&rest, ",")))
        st = model_roles_take(&column, r, "--ignore", name, err);
    free(copy);
    return st;
}

static enum status columns_init(struct model_columns *c, uint32_t room, bool named,
                                struct err *err) {
    c->count = 0;
    c->source = calloc(room, sizeof *c->source);
    c->names = named ? calloc(room, sizeof *c->names) : NULL;
    if (c->source && (c->names || !named)) return ST_OK;
    free(c->source);
    free(c->names);
    *c = (struct model_columns){0};
    return err_set(err, ST_NO_MEMORY, "no memory for %u columns", room);
}

void model_columns_free(struct model_columns *c) {
    free(c->source);
    free(c->names);
    *c = (struct model_columns){0};
}

enum status model_columns_rest(struct model_columns *out, const struct model_roles *r,
                               struct err *err) {
    enum status st = columns_init(out, r->columns, r->names != NULL, err);
    if (st != ST_OK) return st;
    for (uint32_t i = 0; i < r->columns; i++) {
        if (r->taken[i]) continue;
        if (r->names) out->names[out->count] = r->names[i];
        out->source[out->count++] = i;
    }
    return ST_OK;
}

enum status model_columns_by_name(struct model_columns *out, const struct model_roles *r,
                                  const char *const *names, uint32_t count, struct err *err) {
    if (!r->names) return err_set(err, ST_INVALID, "--by-name: the file has no header");
    enum status st = columns_init(out, count, true, err);
    for (uint32_t i = 0; i < count && st == ST_OK; i++) {
        uint32_t found = r->columns;
        for (uint32_t k = 0; k < r->columns && st == ST_OK; k++) {
            if (strcmp(r->names[k], names[i]) != 0) continue;
            if (found < r->columns)
                st = err_set(err, ST_INVALID, "--by-name: the header names '%s' twice", names[i]);
            found = k;
        }
        if (st == ST_OK && found == r->columns)
            st = err_set(err, ST_NOT_FOUND, "--by-name: the header does not name '%s'", names[i]);
        if (st == ST_OK && r->taken[found])
            st = err_set(err, ST_INVALID, "--by-name: '%s' is wanted, but has another part",
                         names[i]);
        if (st != ST_OK) break;
        out->names[out->count] = names[i];
        out->source[out->count++] = found;
    }
    if (st != ST_OK) model_columns_free(out);
    return st;
}

/* ---- progress ---- */

static int64_t monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void model_bar_init(struct model_bar *b, const char *what) {
    *b = (struct model_bar){.is_terminal = isatty(STDERR_FILENO), .what = what};
}

void model_bar_draw(struct model_bar *b, double fraction, const char *note) {
    enum { WIDTH = 30, PAUSE_NS = 50000000 };
    if (!b->is_terminal) return;
    int64_t now = monotonic_ns();
    if (b->drawn && now - b->drawn_ns < PAUSE_NS && fraction < 1) return;
    b->drawn = true;
    b->drawn_ns = now;
    fprintf(stderr, "\r%-8s", b->what);
    if (fraction >= 0) {
        int filled = (int)(WIDTH * (fraction < 1 ? fraction : 1));
        fprintf(stderr, " [%.*s%*s]", filled, "##############################", WIDTH - filled, "");
    }
    fprintf(stderr, " %s\033[K", note);
    fflush(stderr);
}

void model_bar_end(struct model_bar *b) {
    if (b->drawn) fputc('\n', stderr);
    b->drawn = false;
}

int cmd_model(int argc, char **argv) {
    static const struct {
        char name[12];
        int (*run)(int, char **);
    } commands[] = {{"train", model_train_command},     {"predict", model_predict_command},
                    {"show", model_show_command},       {"importance", model_importance_command},
                    {"check", model_check_command},     {"convert", model_convert_command},
                    {"add", model_add_command},         {"list", model_list_command},
                    {"promote", model_promote_command}, {"rollback", model_rollback_command}};
    if (argc < 2) return command_usage_error("model", usage, "what?");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fputs(usage, stdout);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);
    return command_usage_error("model", usage, "no such command: %s", argv[1]);
}
