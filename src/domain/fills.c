#include "domain/fills.h"

#include "base/assert.h"

bool fills_has(const struct fills_seen *seen, uint64_t trade_id) {
    for (uint32_t i = 0; i < seen->count; i++)
        if (seen->ids[i] == trade_id) return true;
    return false;
}

bool fills_is_new(const struct fills_seen *seen, uint64_t trade_id) {
    if (trade_id <= seen->floor) return false;
    if (trade_id > seen->highest) return true; /* the usual case */
    return !fills_has(seen, trade_id);
}

void fills_add(struct fills_seen *seen, uint64_t trade_id) {
    ASSERT(fills_is_new(seen, trade_id));
    uint32_t at = seen->count;
    if (at == FILLS_REMEMBERED) {
        at = 0;
        for (uint32_t i = 1; i < FILLS_REMEMBERED; i++)
            if (seen->ids[i] < seen->ids[at]) at = i;
        if (trade_id < seen->ids[at]) { /* the lowest is the new one */
            seen->floor = trade_id;
            return;
        }
        seen->floor = seen->ids[at];
    } else {
        seen->count++;
    }
    seen->ids[at] = trade_id;
    if (trade_id > seen->highest) seen->highest = trade_id;
}
