/* Which fills of one symbol have been booked.
 *
 * A fill is its (symbol, trade id), and may be told twice, late, or in any order: what counts is whether that
 * id was seen, not whether a higher one was. The last FILLS_REMEMBERED ids are kept by value; when one more
 * comes the lowest is forgotten, and whatever is not above a forgotten one counts as seen. So a fill is never
 * booked twice, and one that comes late is lost only behind FILLS_REMEMBERED newer ones of its symbol. */
#ifndef DOMAIN_FILLS_H
#define DOMAIN_FILLS_H

#include <stdbool.h>
#include <stdint.h>

enum { FILLS_REMEMBERED = 64 };

/* Zeroed: none seen. */
struct fills_seen {
    uint64_t ids[FILLS_REMEMBERED];
    uint64_t highest; /* 0 none */
    uint64_t floor;   /* ids up to here count as seen */
    uint32_t count, reserved;
};

/* Whether that very id is remembered. */
bool fills_has(const struct fills_seen *seen, uint64_t trade_id);
/* Ids are > 0: 0 is never new. O(FILLS_REMEMBERED), on a fill alone. */
bool fills_is_new(const struct fills_seen *seen, uint64_t trade_id);
/* trade_id must be new (asserted). */
void fills_add(struct fills_seen *seen, uint64_t trade_id);

#endif
