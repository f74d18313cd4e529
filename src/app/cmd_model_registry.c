/* quantum model add, list, promote, rollback: the models that were ever served, and who serves. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/cmd_data.h"
#include "app/cmd_model.h"
#include "app/cmd_model_registry.h"
#include "app/command.h"
#include "app/run.h"
#include "base/tstamp.h"

static const char add_usage[] =
    "usage: quantum model add [--state DIR] [--parent ID] [--reason TEXT] [--json] FILE\n"
    "Keeps a trained voter in the registry, as a candidate.\n"
    "  --parent ID    the model it was warm-started from\n"
    "  --reason TEXT  for the audit\n" MODEL_STATE_USAGE
    "example: quantum model add ~/models/xgboost-1h.json\n";

static const char list_usage[] =
    "usage: quantum model list [--state DIR] [--kind K] [--only STATE] [--verify] [--json]\n"
    "Every model the registry knows.\n"
    "  --kind K       xgboost, lightgbm, nhits, patchtst\n"
    "  --only STATE   candidate, shadow, accepted, rejected, serving, retired, demoted, "
    "rolled_back\n"
    "  --verify       check everything: each file against its hash, states against the "
    "audit\n" MODEL_STATE_USAGE
    "example: quantum model list --only serving --json | jq '.models[].hash'\n";

static const char promote_usage[] =
    "usage: quantum model promote [--state DIR] [--reason TEXT] [--json] ID\n"
    "Gives a model its kind's seat, without asking the validator; who held it is retired.\n"
    "ID: 7, #7, or the first digits of its hash (4 at least).\n"
    "  --reason TEXT  for the audit\n" MODEL_STATE_USAGE
    "example: quantum model promote 7 --reason 'the last one missed half the symbols'\n";

static const char rollback_usage[] =
    "usage: quantum model rollback [--state DIR] [--reason TEXT] [--json] KIND\n"
    "Takes a kind's seat back to whoever held it before.\n"
    "KIND: xgboost, lightgbm, nhits, patchtst.\n"
    "  --reason TEXT  for the audit\n" MODEL_STATE_USAGE
    "example: quantum model rollback xgboost\n";

enum {
    OPTION_STATE = 1,
    OPTION_JSON,
    OPTION_REASON,
    OPTION_PARENT,
    OPTION_KIND,
    OPTION_ONLY,
    OPTION_VERIFY
};

struct options {
    const char *state, *reason, *parent, *argument;
    bool json, verify, has_kind, has_only;
    enum model_kind kind;
    enum promotion_state only;
};

static bool option_apply(void *options, int option) {
    struct options *o = options;
    switch (option) {
    case OPTION_STATE:
        o->state = optarg;
        return *optarg != 0;
    case OPTION_JSON:
        o->json = true;
        return true;
    case OPTION_REASON:
        o->reason = optarg;
        return *optarg != 0 && strlen(optarg) < REGISTRY_REASON_SIZE;
    case OPTION_PARENT:
        o->parent = optarg;
        return *optarg != 0;
    case OPTION_KIND:
        o->has_kind = true;
        return model_kind_parse(&o->kind, optarg, strlen(optarg));
    case OPTION_ONLY:
        o->has_only = true;
        return promotion_state_parse(&o->only, optarg);
    case OPTION_VERIFY:
        o->verify = true;
        return true;
    default:
        return false;
    }
}

/* what: the argument it wants, NULL for none. -1: go on; else the exit code. */
static int options_read(struct options *o, int argc, char **argv, const struct option *table,
                        const char *help, const char *what) {
    *o = (struct options){.reason = "by hand", .argument = ""};
    const struct command_options line = {"model", help, table, option_apply};
    int code = command_options_read(o, &line, argc, argv);
    if (code >= 0) return code;
    int extra = optind + (what != NULL);
    if (extra < argc)
        return command_usage_error("model", help, "'%s' is one too many", argv[extra]);
    if (extra > argc) return command_usage_error("model", help, "which %s?", what);
    if (what) o->argument = argv[optind];
    return -1;
}

#define OPTIONS_COMMON                                                                             \
    {"state", required_argument, NULL, OPTION_STATE}, {"json", no_argument, NULL, OPTION_JSON},    \
        {"help", no_argument, NULL, COMMAND_HELP}, {                                               \
        NULL, 0, NULL, 0                                                                           \
    }

/* ---- the registry ---- */

int model_registry_open(struct registry **out, const char *state, bool read_only, struct err *err) {
    char dir[REGISTRY_PATH_SIZE - 64], path[REGISTRY_PATH_SIZE];
    *out = NULL;
    if (state_dir(dir, sizeof dir, state) != 0) return EXIT_FAILED;
    /* A run that retrains keeps its models with itself: the current one's are those a user means. */
    char run[REGISTRY_PATH_SIZE - 64];
    struct err nothing = {0};
    bool has_own = run_current(run, sizeof run, dir, &nothing) == ST_OK;
    snprintf(path, sizeof path, "%s/models/registry.sqlite", run);
    has_own = has_own && access(path, F_OK) == 0;
    snprintf(path, sizeof path, "%s/models", has_own ? run : dir);
    enum status st = registry_open(out, path, read_only, err);
    if (st == ST_OK || (read_only && st == ST_NOT_FOUND)) return -1;
    return model_failed(err);
}

static int failed(enum status st, const struct err *err) {
    int code = model_failed(err);
    return st == ST_REFUSED ? EXIT_REFUSED : code;
}

static struct registry_change change_by_hand(const struct options *o) {
    return (struct registry_change){
        .actor = "cli", .reason = o->reason, .now_ns = tstamp_wall_ns()};
}

/* ---- add ---- */

static enum status add(struct registry_entry *out, struct registry *r, const struct options *o,
                       struct err *err) {
    struct served_model *m = NULL;
    struct registry_entry parent = {0};
    struct registry_change change = change_by_hand(o);
    enum status st = ST_OK;
    if (o->parent && (st = registry_find(r, &parent, o->parent, err)) != ST_OK)
        return err_wrap(err, st, "--parent");
    st = served_model_load(&m, o->argument, err);
    if (st != ST_OK) return err_wrap(err, st, "%.300s", o->argument);
    struct registry_card card = {.kind = served_model_kind(m),
                                 .interval_ns = served_model_interval_ns(m),
                                 .data_end_ns = served_model_data_end_ns(m),
                                 .report = served_model_report(m),
                                 .labels = served_model_labels(m),
                                 .parent = parent.hash,
                                 .trigger = "hand"};
    st = registry_add(r, out, o->argument, &card, &change, err);
    served_model_destroy(m);
    return st;
}

static void one_json(struct json_writer *w, const void *subject) {
    model_entry_json(w, subject);
}

int model_add_command(int argc, char **argv) {
    static const struct option table[] = {{"parent", required_argument, NULL, OPTION_PARENT},
                                          {"reason", required_argument, NULL, OPTION_REASON},
                                          OPTIONS_COMMON};
    struct options o;
    struct registry *r;
    struct registry_entry entry;
    struct err err = {0};
    int code = options_read(&o, argc, argv, table, add_usage, "file");
    if (code < 0) code = model_registry_open(&r, o.state, false, &err);
    if (code >= 0) return code;
    enum status st = add(&entry, r, &o, &err);
    registry_close(r);
    if (st != ST_OK) return failed(st, &err);
    if (o.json) return data_print_json(one_json, &entry);
    printf("#%" PRId64 " %s %016" PRIx64 " is a candidate\n", entry.id, model_kind_text(entry.kind),
           entry.hash);
    return EXIT_DONE;
}

/* ---- list ---- */

struct listing {
    const struct options *o;
    struct registry_entry *entries;
    size_t count, capacity;
    char (*problems)[ERR_TEXT_SIZE];
    size_t problem_count, problem_capacity;
    bool full; /* no memory */
};

static bool list_take(void *context, const struct registry_entry *entry) {
    struct listing *l = context;
    if (l->o->has_kind && entry->kind != l->o->kind) return true;
    if (l->o->has_only && entry->state != l->o->only) return true;
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? 2 * l->capacity : 64;
        struct registry_entry *more = realloc(l->entries, capacity * sizeof *more);
        if (!more) return !(l->full = true);
        l->entries = more;
        l->capacity = capacity;
    }
    l->entries[l->count++] = *entry;
    return true;
}

static void list_problem(void *context, const char *text) {
    struct listing *l = context;
    if (l->problem_count == l->problem_capacity) {
        size_t capacity = l->problem_capacity ? 2 * l->problem_capacity : 16;
        char(*more)[ERR_TEXT_SIZE] = realloc(l->problems, capacity * sizeof *more);
        l->full = !more;
        if (!more) return;
        l->problems = more;
        l->problem_capacity = capacity;
    }
    snprintf(l->problems[l->problem_count++], ERR_TEXT_SIZE, "%s", text);
}

static void list_text(const struct listing *l) {
    char a[TSTAMP_TEXT_SIZE], b[TSTAMP_TEXT_SIZE];
    printf("%6s  %-8s  %-11s  %-16s  %-23s  %s\n", "id", "kind", "state", "hash", "learned from",
           "skill");
    for (size_t i = 0; i < l->count; i++) {
        const struct registry_entry *e = &l->entries[i];
        printf("%6" PRId64 "  %-8s  %-11s  %016" PRIx64 "  %.10s - %.10s  %s%s\n", e->id,
               model_kind_text(e->kind), promotion_state_text(e->state), e->hash,
               tstamp_format(a, e->train_from_ns), tstamp_format(b, e->data_end_ns),
               e->has_skill ? "yes" : "no", e->removed_ns ? ", file removed" : "");
    }
}

static void list_json(struct json_writer *w, const void *subject) {
    const struct listing *l = subject;
    json_write_object_begin(w);
    json_write_key(w, "models");
    json_write_array_begin(w);
    for (size_t i = 0; i < l->count; i++) model_entry_json(w, &l->entries[i]);
    json_write_array_end(w);
    if (l->o->verify) {
        json_write_key(w, "problems");
        json_write_array_begin(w);
        for (size_t i = 0; i < l->problem_count; i++) json_write_string(w, l->problems[i]);
        json_write_array_end(w);
    }
    json_write_object_end(w);
}

int model_list_command(int argc, char **argv) {
    static const struct option table[] = {{"kind", required_argument, NULL, OPTION_KIND},
                                          {"only", required_argument, NULL, OPTION_ONLY},
                                          {"verify", no_argument, NULL, OPTION_VERIFY},
                                          OPTIONS_COMMON};
    struct options o;
    struct registry *r;
    struct err err = {0};
    int code = options_read(&o, argc, argv, table, list_usage, NULL);
    if (code < 0) code = model_registry_open(&r, o.state, true, &err);
    if (code >= 0) return code;
    struct listing l = {.o = &o};
    size_t problems = 0;
    enum status st = r ? registry_list(r, list_take, &l, &err) : ST_OK;
    if (st == ST_OK && r && o.verify) st = registry_check(r, &problems, list_problem, &l, &err);
    registry_close(r);
    if (st == ST_OK && l.full) st = err_set(&err, ST_NO_MEMORY, "no memory for the list");
    code = EXIT_DONE;
    if (st == ST_OK && o.json)
        code = data_print_json(list_json, &l);
    else if (st == ST_OK)
        list_text(&l);
    for (size_t i = 0; i < l.problem_count && !o.json; i++)
        fprintf(stderr, "model: %s\n", l.problems[i]);
    free(l.entries);
    free(l.problems);
    if (st != ST_OK) return failed(st, &err);
    return problems > 0 ? EXIT_FAILED : code;
}

/* ---- promote, rollback ---- */

struct swap {
    struct registry_entry before, after; /* id 0: nobody */
};

static void swap_json(struct json_writer *w, const void *subject) {
    const struct swap *s = subject;
    json_write_object_begin(w);
    json_write_key(w, "serving");
    model_entry_json(w, &s->after);
    json_write_key(w, "before");
    if (s->before.id)
        model_entry_json(w, &s->before);
    else
        json_write_null(w);
    json_write_object_end(w);
}

static int swap_print(const struct swap *s, bool json) {
    if (!s->after.has_skill)
        fprintf(stderr,
                "model: #%" PRId64 " has shown no skill on its test rows: it will not vote\n",
                s->after.id);
    if (json) return data_print_json(swap_json, s);
    printf("#%" PRId64 " %s %016" PRIx64 " serves", s->after.id, model_kind_text(s->after.kind),
           s->after.hash);
    if (s->before.id)
        printf(", #%" PRId64 " is %s", s->before.id, promotion_state_text(s->before.state));
    putchar('\n');
    return EXIT_DONE;
}

/* A file this program cannot serve must not get a seat. */
static enum status servable(struct registry *r, const struct registry_entry *entry,
                            struct err *err) {
    char path[REGISTRY_PATH_SIZE];
    struct served_model *m = NULL;
    enum status st = registry_verify(r, entry, err);
    if (st == ST_OK) st = registry_path(r, path, entry, err);
    if (st != ST_OK) return st;
    st = served_model_load(&m, path, err);
    served_model_destroy(m);
    return st == ST_OK ? st : err_wrap(err, st, "model #%" PRId64, entry->id);
}

static enum status seat_before(struct registry *r, struct registry_entry *out, enum model_kind kind,
                               struct err *err) {
    enum status st = registry_serving(r, out, kind, err);
    if (st != ST_NOT_FOUND) return st;
    out->id = 0;
    return ST_OK;
}

static enum status promote(struct swap *out, struct registry *r, const struct options *o,
                           struct err *err) {
    struct registry_change change = change_by_hand(o);
    enum promotion_state to;
    enum promotion_event event = PROMOTION_INSTALL;
    enum status st = registry_find(r, &out->after, o->argument, err);
    if (st == ST_OK) st = seat_before(r, &out->before, out->after.kind, err);
    if (st != ST_OK) return st;
    static const enum promotion_event ways[] = {PROMOTION_PROMOTE, PROMOTION_RESTORE};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        if (promotion_transition(&to, out->after.state, ways[i])) event = ways[i];
    bool legal = promotion_transition(&to, out->after.state, event);
    if (legal) st = servable(r, &out->after, err);
    if (st == ST_OK) st = registry_promote(r, out->after.id, event, &change, err);
    if (st == ST_OK) st = registry_get(r, &out->after, out->after.id, err);
    if (st == ST_OK && out->before.id) st = registry_get(r, &out->before, out->before.id, err);
    return st;
}

static enum status roll_back(struct swap *out, struct registry *r, const struct options *o,
                             struct err *err) {
    struct registry_change change = change_by_hand(o);
    struct registry_entry next;
    enum status st = registry_serving(r, &out->before, o->kind, err);
    if (st == ST_OK && out->before.predecessor) {
        st = registry_get(r, &next, out->before.predecessor, err);
        if (st == ST_OK) st = servable(r, &next, err);
    }
    if (st == ST_OK)
        st = registry_retreat(r, &out->after, o->kind, PROMOTION_ROLL_BACK, &change, err);
    return st == ST_OK ? registry_get(r, &out->before, out->before.id, err) : st;
}

static const struct option swap_options[] = {{"reason", required_argument, NULL, OPTION_REASON},
                                             OPTIONS_COMMON};

int model_promote_command(int argc, char **argv) {
    struct options o;
    struct registry *r;
    struct err err = {0};
    struct swap swap = {0};
    int code = options_read(&o, argc, argv, swap_options, promote_usage, "model");
    if (code < 0) code = model_registry_open(&r, o.state, false, &err);
    if (code >= 0) return code;
    enum status st = promote(&swap, r, &o, &err);
    registry_close(r);
    return st == ST_OK ? swap_print(&swap, o.json) : failed(st, &err);
}

int model_rollback_command(int argc, char **argv) {
    struct options o;
    struct registry *r;
    struct err err = {0};
    struct swap swap = {0};
    int code = options_read(&o, argc, argv, swap_options, rollback_usage, "kind");
    if (code < 0 && !model_kind_parse(&o.kind, o.argument, strlen(o.argument)))
        return command_usage_error("model", rollback_usage, "'%s' is not a kind", o.argument);
    if (code < 0) code = model_registry_open(&r, o.state, false, &err);
    if (code >= 0) return code;
    enum status st = roll_back(&swap, r, &o, &err);
    registry_close(r);
    return st == ST_OK ? swap_print(&swap, o.json) : failed(st, &err);
}
