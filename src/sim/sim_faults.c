#include "sim/sim_faults.h"

#include <stdlib.h>
#include <string.h>

enum { ITEM_SIZE = 64 };

static const struct {
    const char *name, *about;
    enum sim_fault_scope scope;
    double rate;
} table[SIM_FAULT_COUNT] = {
#define SIM_FAULT_ROW(id, name, scope, rate, about) {#name, about, scope, rate},
    SIM_FAULT_TABLE(SIM_FAULT_ROW)
#undef SIM_FAULT_ROW
};

/* Rates of the exchange's kinds under "all". */
static const double venue_rates[FAULT_COUNT] = {
#define FAULT_RATE(id, name, scope, rate, about) rate,
    FAULT_TABLE(FAULT_RATE)
#undef FAULT_RATE
};

const char *sim_fault_name(enum sim_fault kind) {
    return table[kind].name;
}
const char *sim_fault_about(enum sim_fault kind) {
    return table[kind].about;
}
enum sim_fault_scope sim_fault_scope_of(enum sim_fault kind) {
    return table[kind].scope;
}
double sim_fault_rate(enum sim_fault kind) {
    return table[kind].rate;
}

static int find(const char *name) {
    for (int k = 0; k < SIM_FAULT_COUNT; k++)
        if (strcmp(table[k].name, name) == 0) return k;
    return -1;
}

static void rate_set(struct sim_faults *own, struct faults *venue, int kind, int of_venue,
                     const double *rate) {
    if (kind >= 0) own->rows[kind].rate = rate ? *rate : table[kind].rate;
    if (of_venue >= 0)
        fault_set(venue, (enum fault)of_venue, rate ? *rate : venue_rates[of_venue], NULL);
}

static enum status item_parse(struct sim_faults *own, struct faults *venue, char *item,
                              struct err *err) {
    double rate = 0;
    char *equals = strchr(item, '='), *end;
    if (equals) {
        *equals = '\0';
        rate = strtod(equals + 1, &end);
        if (end == equals + 1 || *end || !(rate >= 0 && rate <= 1))
            return err_set(err, ST_INVALID, "faults: '%s' is not a rate from 0 to 1", equals + 1);
    }
    bool all = strcmp(item, "all") == 0;
    if (all && !equals) {
        for (int k = 0; k < SIM_FAULT_COUNT; k++) rate_set(own, venue, k, -1, NULL);
        for (int k = 0; k < FAULT_COUNT; k++) rate_set(own, venue, -1, k, NULL);
        return ST_OK;
    }
    int kind = find(item), of_venue = fault_find(item);
    if (kind < 0 && of_venue < 0)
        return err_set(err, ST_INVALID, "faults: '%s' is not a kind (quantum sim --help)", item);
    rate_set(own, venue, kind, of_venue, equals ? &rate : NULL);
    return ST_OK;
}

enum status sim_faults_parse(struct sim_faults *own, struct faults *venue, const char *spec,
                             uint64_t seed, struct err *err) {
    struct rng root = rng_init(seed), mine = rng_split(&root, 7);
    memset(own, 0, sizeof *own);
    for (uint32_t k = 0; k < SIM_FAULT_COUNT; k++) own->rows[k].rng = rng_split(&mine, k);
    faults_init(venue, rng_u64(&mine));
    if (strcmp(spec, "none") == 0) return ST_OK;
    for (const char *p = spec;; p++) {
        char item[ITEM_SIZE];
        size_t size = strcspn(p, ",");
        if (size == 0 || size >= sizeof item)
            return err_set(err, ST_INVALID, "faults: '%.40s' is not NAME[=RATE],…", spec);
        memcpy(item, p, size);
        item[size] = '\0';
        enum status st = item_parse(own, venue, item, err);
        if (st != ST_OK) return st;
        p += size;
        if (!*p) return ST_OK;
    }
}

bool sim_faults_are_on(const struct sim_faults *f) {
    for (int k = 0; k < SIM_FAULT_COUNT; k++)
        if (f->rows[k].rate > 0) return true;
    return false;
}

bool sim_fault_ask(struct sim_faults *f, enum sim_fault kind) {
    struct fault_row *row = &f->rows[kind];
    row->asked++;
    bool happens = rng_f64(&row->rng) < row->rate;
    row->fired += happens;
    return happens;
}

uint64_t sim_fault_draw(struct sim_faults *f, enum sim_fault kind, uint64_t low, uint64_t high) {
    return low + rng_below(&f->rows[kind].rng, high - low + 1);
}
