/* What a restart may and may not change. */
#include <string.h>

#include "app/drill.h"

const struct drill_position *drill_held(const struct drill_state *s, const char *symbol,
                                        int64_t entry_ms) {
    for (uint32_t i = 0; i < s->position_count; i++)
        if (s->positions[i].entry_ms == entry_ms && strcmp(s->positions[i].symbol, symbol) == 0)
            return &s->positions[i];
    return NULL;
}

bool drill_traded(const struct drill_state *s, const char *symbol, int64_t entry_ms) {
    for (uint32_t i = 0; i < s->trade_count; i++)
        if (s->trades[i].entry_ms == entry_ms && strcmp(s->trades[i].symbol, symbol) == 0)
            return true;
    return false;
}

uint32_t drill_unprotected(const struct drill_state *s) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->position_count; i++) n += !s->positions[i].is_protected;
    return n;
}

/* What was held is held, at most as large, or is a trade. */
static void compare_held(struct drill_difference *out, const struct drill_state *before,
                         const struct drill_state *after) {
    for (uint32_t i = 0; i < before->position_count; i++) {
        const struct drill_position *p = &before->positions[i];
        const struct drill_position *q = drill_held(after, p->symbol, p->entry_ms);
        bool traded = drill_traded(after, p->symbol, p->entry_ms);
        out->lost += !q && !traded;
        out->doubled += q && traded;
        out->closed += !q && traded;
        out->changed += q && (strcmp(q->side, p->side) != 0 || q->qty_e8 > p->qty_e8);
    }
}

/* What is held now was held, or has come later; one position a contract. */
static void compare_new(struct drill_difference *out, const struct drill_state *before,
                        const struct drill_state *after) {
    for (uint32_t i = 0; i < after->position_count; i++) {
        const struct drill_position *q = &after->positions[i];
        bool known = drill_held(before, q->symbol, q->entry_ms) != NULL;
        out->opened += !known;
        out->doubled += !known && drill_traded(before, q->symbol, q->entry_ms);
        for (uint32_t j = i + 1; j < after->position_count; j++)
            out->doubled += strcmp(after->positions[j].symbol, q->symbol) == 0;
    }
}

static void compare_trades(struct drill_difference *out, const struct drill_state *before,
                           const struct drill_state *after) {
    for (uint32_t i = 0; i < before->trade_count; i++) {
        const struct drill_trade *t = &before->trades[i];
        uint32_t j = 0;
        while (j < after->trade_count && after->trades[j].trade_id != t->trade_id) j++;
        if (j < after->trade_count)
            out->changed += after->trades[j].row_hash != t->row_hash;
        else
            out->lost += after->trade_count < DRILL_TRADES_MAX; /* else it may be out of sight */
    }
}

void drill_compare(struct drill_difference *out, const struct drill_state *before,
                   const struct drill_state *after) {
    *out = (struct drill_difference){0};
    compare_held(out, before, after);
    compare_new(out, before, after);
    compare_trades(out, before, after);
}
