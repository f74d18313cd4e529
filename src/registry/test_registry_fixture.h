/* A registry in a folder of its own, with model files whose content is their number. */
#ifndef REGISTRY_TEST_REGISTRY_FIXTURE_H
#define REGISTRY_TEST_REGISTRY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/rng.h"
#include "base/tstamp.h"
#include "registry/registry.h"

static char scratch[64];
static struct err err;
static struct registry *reg;
static int64_t now = INT64_C(1700000000000000000);

static inline uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 20261102;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static inline void assert_status(enum status st, enum status expected) {
    if (st != expected) print_error("%s: %s\n", status_name(st), err.text);
    assert_int_equal(st, expected);
}
#define assert_ok(st) assert_status(st, ST_OK)

static inline int remove_one(const char *path, const struct stat *info, int type,
                             struct FTW *walk) {
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static inline void scratch_empty(void) {
    registry_close(reg);
    reg = NULL;
    if (scratch[0]) nftw(scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    snprintf(scratch, sizeof scratch, "/tmp/registry-test-XXXXXX");
    assert_non_null(mkdtemp(scratch));
}

static inline int scratch_setup(void **state) {
    (void)state;
    scratch_empty();
    return 0;
}

static inline int scratch_teardown(void **state) {
    (void)state;
    registry_close(reg);
    reg = NULL;
    nftw(scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    scratch[0] = '\0';
    return 0;
}

static inline const char *in_scratch(const char *name) {
    static char path[2][256];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", scratch, name);
    return path[turn];
}

static inline void reopen(bool read_only) {
    registry_close(reg);
    reg = NULL;
    assert_ok(registry_open(&reg, in_scratch("models"), read_only, &err));
}

static inline void file_write(const char *path, const void *data, size_t size) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static inline struct registry_change change_make(const char *reason) {
    now += NS_PER_SECOND;
    return (struct registry_change){.actor = "test", .reason = reason, .now_ns = now};
}

static inline struct learn_report report_make(uint64_t number) {
    struct learn_report l = {.train_from_ns = now - 90 * NS_PER_DAY,
                             .train_to_ns = now - 30 * NS_PER_DAY,
                             .rows_train = 1000 + number,
                             .skill_t = 3.5,
                             .has_skill = true,
                             .rounds = 40};
    snprintf(l.params, sizeof l.params, "max_depth=4,seed=%llu", (unsigned long long)number);
    snprintf(l.verdict, sizeof l.verdict, "skill \"%llu\"", (unsigned long long)number);
    return l;
}

static inline enum status add_text(struct registry_entry *out, enum model_kind kind,
                                   const char *text, uint64_t parent) {
    struct learn_report report = report_make(strlen(text));
    struct label_spec labels = label_spec_defaults();
    struct registry_card card = {.kind = kind,
                                 .interval_ns = NS_PER_HOUR,
                                 .data_end_ns = now - NS_PER_DAY,
                                 .report = &report,
                                 .labels = &labels,
                                 .parent = parent,
                                 .trigger = "period"};
    struct registry_change change = change_make("trained");
    const char *path = in_scratch("new.model");
    file_write(path, text, strlen(text));
    return registry_add(reg, out, path, &card, &change, &err);
}

static inline struct registry_entry add(enum model_kind kind, uint64_t number) {
    struct registry_entry entry;
    char text[64];
    snprintf(text, sizeof text, "model %llu of kind %d", (unsigned long long)number, (int)kind);
    assert_ok(add_text(&entry, kind, text, 0));
    return entry;
}

static inline enum status event(int64_t id, enum promotion_event e) {
    struct registry_change change = change_make("measured");
    return registry_event(reg, id, e, &change, &err);
}

static inline enum status promote(int64_t id, enum promotion_event e) {
    struct registry_change change = change_make("better");
    return registry_promote(reg, id, e, &change, &err);
}

static inline int64_t served(enum model_kind kind) {
    struct registry_entry entry;
    enum status st = registry_serving(reg, &entry, kind, &err);
    if (st == ST_NOT_FOUND) return 0;
    assert_ok(st);
    assert_int_equal(entry.state, PROMOTION_SERVING);
    return entry.id;
}

static inline struct registry_entry get(int64_t id) {
    struct registry_entry entry;
    assert_ok(registry_get(reg, &entry, id, &err));
    return entry;
}

/* What a reader without a database sees. */
static inline uint64_t pointed(enum model_kind kind) {
    char path[REGISTRY_PATH_SIZE];
    uint64_t hash = 0;
    enum status st = registry_pointer(path, &hash, in_scratch("models"), kind, &err);
    if (st == ST_NOT_FOUND) return 0;
    assert_ok(st);
    assert_int_equal(access(path, R_OK), 0);
    return hash;
}

static inline void tell(void *context, const char *text) {
    (void)context;
    print_message("problem: %s\n", text);
}

static inline size_t problems(registry_problem_fn fn, void *context) {
    size_t count;
    assert_ok(registry_check(reg, &count, fn, context, &err));
    return count;
}

static inline size_t log_lines(void) {
    FILE *f = fopen(in_scratch("models/audit.log"), "r");
    size_t lines = 0;
    int c;
    if (!f) return 0;
    while ((c = fgetc(f)) != EOF) lines += c == '\n';
    fclose(f);
    return lines;
}

#endif
