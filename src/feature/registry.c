#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "feature/feature_internal.h"

static const struct feature_desc registry[FEATURE_COUNT] = {
#define FEATURE_ROW(id, name, unit, lo, hi, warmup, tolerance, version, on_flat, on_missing,       \
                    source)                                                                        \
    [FEATURE_##id] = {name,    unit,    lo,         hi,    warmup, FEATURE_##tolerance,            \
                      version, on_flat, on_missing, source},
    FEATURE_TABLE(FEATURE_ROW)
#undef FEATURE_ROW
};

uint32_t feature_count(void) {
    return FEATURE_COUNT;
}

const struct feature_desc *feature_at(uint32_t index) {
    ASSERT(index < FEATURE_COUNT);
    return &registry[index];
}

uint64_t feature_hash_rows(const struct feature_desc *rows, uint32_t count) {
    uint64_t hash = hash64(&count, sizeof count);
    for (uint32_t i = 0; i < count; i++) {
        hash = hash_chain(hash, rows[i].name, strlen(rows[i].name) + 1);
        hash = hash_chain(hash, &rows[i].version, sizeof rows[i].version);
    }
    return hash;
}

uint64_t feature_list_hash(void) {
    return feature_hash_rows(registry, FEATURE_COUNT);
}

uint32_t feature_warmup_bars(void) {
    uint32_t most = 0;
    for (uint32_t i = 0; i < FEATURE_OWN_COUNT; i++)
        if (registry[i].warmup_bars > most) most = registry[i].warmup_bars;
    return most;
}

float feature_atr_fraction(const float *row) {
    return row[FEATURE_ATR_FRACTION];
}
