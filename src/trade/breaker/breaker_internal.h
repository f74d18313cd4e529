/* Shared by the parts of the breaker. */
#ifndef TRADE_BREAKER_BREAKER_INTERNAL_H
#define TRADE_BREAKER_BREAKER_INTERNAL_H

#include "base/assert.h"
#include "trade/breaker/breaker.h"

static inline struct breaker_circuit *breaker_circuit_of(struct breaker *b, uint32_t symbol) {
    if (symbol == BREAKER_ALL) return &b->all;
    ASSERT(symbol < b->symbol_count);
    return &b->symbols[symbol];
}

/* ---- circuit.c ---- */

void breaker_note(struct breaker_changes *out, const struct breaker_change *change);
/* Opens the circuit; open already, its cooldown begins anew. */
void breaker_trip(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                  enum breaker_cause cause, double figure, double limit, int64_t now_ns);
/* The trade of a probe is over. */
void breaker_probe_judge(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                         uint64_t intent_id, money_t net_pnl, int64_t now_ns);
void breaker_circuits_reset(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                            int64_t now_ns);

#endif
