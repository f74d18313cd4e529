/* The venue's rules as imported: one record per symbol in DIR/instruments.qin, sorted by symbol. */
#ifndef STORE_RULES_H
#define STORE_RULES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "domain/instrument.h"

/* Which parts of a record somebody gave us. */
enum rules_source {
    RULES_FILTERS = 1,  /* exchangeInfo, or the generator's contract */
    RULES_BRACKETS = 2, /* leverageBracket */
    RULES_FUNDING = 4,  /* fundingInfo: the funding interval */
};

/* Fields of the contract that no source gave are not read. */
struct rules {
    uint32_t sources; /* enum rules_source */
    uint32_t reserved;
    struct instrument instrument; /* its symbol is the key */
};

struct rules_map {
    const struct rules *rows;
    size_t count;
    void *map;
    size_t map_size;
};
/* ST_OK with no rows if nothing was imported; ST_CORRUPT, ST_VERSION (import the files again). */
enum status rules_open(struct rules_map *out, const char *dir, struct err *err);
void rules_close(struct rules_map *map);
const struct rules *rules_find(const struct rules_map *map, const char *symbol); /* or NULL */

/* Adds what rows know to what the store knows, newer over older, source by source. Rows of one
 * symbol may follow each other. */
enum status rules_merge(const char *dir, const struct rules *rows, size_t count, struct err *err);

#endif
