#include "venue/server/faults.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static const struct {
    const char *name, *about;
    enum fault_scope scope;
    double rate;
} table[FAULT_COUNT] = {
#define FAULT_ROW(id, name, scope, rate, about) [id] = {#name, about, scope, rate},
    FAULT_TABLE(FAULT_ROW)
#undef FAULT_ROW
};

const char *fault_name(enum fault kind) {
    return table[kind].name;
}

const char *fault_about(enum fault kind) {
    return table[kind].about;
}

enum fault_scope fault_scope_of(enum fault kind) {
    return table[kind].scope;
}

int fault_find(const char *name) {
    for (int k = 0; k < FAULT_COUNT; k++)
        if (strcmp(table[k].name, name) == 0) return k;
    return -1;
}

static void reseed(struct faults *f, uint64_t seed) {
    struct rng root = rng_init(seed);
    f->seed = seed;
    for (int k = 0; k < FAULT_COUNT; k++) f->rows[k].rng = rng_split(&root, (uint64_t)k);
}

void faults_init(struct faults *f, uint64_t seed) {
    memset(f, 0, sizeof *f);
    reseed(f, seed);
}

/* ---- the words ---- */

enum { ITEM_SIZE = 64 };

static bool rate_parse(double *out, const char *text) {
    char *end;
    if (*text < '0' || *text > '9') return false; /* no blanks, signs, nan or hex of strtod's */
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) return false;
    *out = strtod(text, &end);
    return *end == '\0' && *out >= 0 && *out <= 1;
}

static enum status item_parse(struct faults *f, const char *item, struct err *err) {
    char word[ITEM_SIZE];
    double rate;
    if (strcmp(item, "all") == 0) {
        for (int k = 0; k < FAULT_COUNT; k++) f->rows[k].rate = table[k].rate;
        return ST_OK;
    }
    const char *equals = strchr(item, '=');
    size_t size = equals ? (size_t)(equals - item) : strlen(item);
    memcpy(word, item, size);
    word[size] = '\0';
    int kind = fault_find(word);
    if (kind < 0)
        return err_set(err, ST_INVALID, "faults: '%s' is not a kind (quantum exchange --help)",
                       word);
    if (!equals) return err_set(err, ST_INVALID, "faults: %s needs a rate: %s=0.01", word, word);
    if (!rate_parse(&rate, equals + 1))
        return err_set(err, ST_INVALID, "faults: '%s' is not a rate from 0 to 1", equals + 1);
    f->rows[kind].rate = rate;
    return ST_OK;
}

static bool seed_parse(uint64_t *out, const char *text) {
    char *end;
    if (*text < '0' || *text > '9') return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

enum status faults_parse(struct faults *f, const char *spec, struct err *err) {
    struct faults made = *f;
    uint64_t seed = f->seed;
    for (int k = 0; k < FAULT_COUNT; k++) made.rows[k].rate = 0;
    const char *colon = strchr(spec, ':'), *end = colon ? colon : spec + strlen(spec);
    if (colon && !seed_parse(&seed, colon + 1))
        return err_set(err, ST_INVALID, "faults: '%.40s' is not a seed", colon + 1);
    bool none = end - spec == 4 && memcmp(spec, "none", 4) == 0;
    for (const char *p = spec; !none; p++) {
        char item[ITEM_SIZE];
        size_t size = strcspn(p, ",:");
        if (size == 0 || size >= sizeof item)
            return err_set(err, ST_INVALID, "faults: '%.40s' is not KIND=RATE,…[:SEED]", spec);
        memcpy(item, p, size);
        item[size] = '\0';
        enum status st = item_parse(&made, item, err);
        if (st != ST_OK) return st;
        p += size;
        if (p == end) break;
    }
    reseed(&made, seed);
    *f = made;
    return ST_OK;
}

/* ---- draws ---- */

void fault_set(struct faults *f, enum fault kind, double rate, const uint64_t *seed) {
    ASSERT(rate >= 0 && rate <= 1);
    f->rows[kind].rate = rate;
    if (!seed) return;
    struct rng root = rng_init(*seed);
    f->rows[kind].rng = rng_split(&root, (uint64_t)kind);
}

void fault_force(struct faults *f, enum fault kind) {
    f->rows[kind].forced++;
}

bool faults_are_on(const struct faults *f) {
    for (int k = 0; k < FAULT_COUNT; k++)
        if (f->rows[k].rate > 0 || f->rows[k].forced) return true;
    return false;
}

bool fault_ask(struct faults *f, enum fault kind) {
    struct fault_row *row = &f->rows[kind];
    row->asked++;
    /* Drawn at any rate: a switch at run time does not move the sequence. */
    bool happens = rng_f64(&row->rng) < row->rate;
    if (row->forced) {
        row->forced--;
        happens = true;
    }
    row->fired += happens;
    return happens;
}

uint64_t fault_draw(struct faults *f, enum fault kind, uint64_t low, uint64_t high) {
    ASSERT(low <= high);
    return low + rng_below(&f->rows[kind].rng, high - low + 1);
}
