/* The circuits: one table, and who may move them. */
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "trade/breaker/breaker_internal.h"

#define TEXT_OF(function, TABLE, count, type)                                                      \
    const char *function(enum type value) {                                                        \
        static const char *const texts[] = {TABLE(TEXT_ROW)};                                      \
        return (uint32_t)value < (uint32_t)(count) ? texts[value] : "?";                           \
    }
#define TEXT_ROW(name, text) text,
TEXT_OF(breaker_state_text, BREAKER_STATE_TABLE, BREAKER_STATE_COUNT, breaker_state)
TEXT_OF(breaker_cause_text, BREAKER_CAUSE_TABLE, BREAKER_CAUSE_COUNT, breaker_cause)
TEXT_OF(breaker_mode_text, BREAKER_MODE_TABLE, BREAKER_MODE_COUNT, breaker_mode)
TEXT_OF(breaker_trigger_text, BREAKER_TRIGGER_TABLE, BREAKER_TRIGGER_COUNT, breaker_trigger)
TEXT_OF(breaker_part_text, BREAKER_PART_TABLE, BREAKER_PART_COUNT, breaker_part)
#undef TEXT_ROW
#undef TEXT_OF

enum breaker_state breaker_next(enum breaker_state state, enum breaker_event event) {
    enum { C = BREAKER_CLOSED, O, H, P, X, NO };
    /* failed worked tripped cooled entered good bad lost reset halt resume */
    static const uint8_t table[BREAKER_STATE_COUNT][BREAKER_EVENT_COUNT] = {
        [BREAKER_CLOSED] = {C, C, O, NO, C, NO, NO, NO, C, X, C},
        [BREAKER_OPEN] = {O, O, O, H, NO, NO, NO, NO, C, X, O},
        [BREAKER_HALF_OPEN] = {O, H, O, NO, P, NO, NO, NO, C, X, H},
        [BREAKER_PROBING] = {O, P, O, NO, NO, C, O, H, C, X, P},
        [BREAKER_HALTED] = {X, X, X, NO, NO, NO, NO, NO, X, X, C},
    };
    return (enum breaker_state)table[state][event];
}

/* Codes of the venue's list; what they have in common stands beside them. */
enum breaker_fault breaker_fault_of(int32_t code) {
    switch (code) {
    case 0:
    case -2011: /* nothing to cancel */
    case -2021: /* the market has passed the trigger */
    case -2022: /* nothing left to reduce */
    case -4130: /* a closePosition order stands already */
    case -5022: /* post-only would have taken */
        return BREAKER_EXPECTED;
    case -1121: /* no such symbol */
    case -4108: /* settling, delivering, closed */
    case -4140: /* symbol status */
    case -4141: /* symbol closed */
        return BREAKER_CONTRACT_GONE;
    case -2013: /* no such order: ours never arrived */
    case -2014: /* keys */
    case -2015:
    case -2018: /* balance, margin: the account's */
    case -2019:
        return BREAKER_OF_VENUE;
    default:
        /* -1000 to -1099: server, network, limits of requests, clock, signature. */
        return code <= -1000 && code > -1100 ? BREAKER_OF_VENUE : BREAKER_OF_SYMBOL;
    }
}

size_t breaker_size(uint32_t symbol_count) {
    return sizeof(struct breaker) + sizeof(struct breaker_circuit) * symbol_count;
}

void breaker_init(struct breaker *b, const struct breaker_config *config, uint32_t symbol_count) {
    ASSERT(symbol_count > 0 && symbol_count <= INSTRUMENTS_MAX);
    memset(b, 0, breaker_size(symbol_count));
    b->config = *config;
    b->symbol_count = symbol_count;
    b->run = 1;
    if (b->config.stop_hits_max >= BREAKER_STOPS_KEPT)
        b->config.stop_hits_max = BREAKER_STOPS_KEPT - 1;
    /* The promise that one symbol cannot open the common circuit rests on this order. */
    uint32_t symbol = b->config.symbol_failures_max, venue = b->config.venue_failures_max;
    if (venue > 0 && symbol >= venue) b->config.symbol_failures_max = venue - 1;
}

/* ---- moving ---- */

static bool counts_as_open(uint32_t state) {
    return state == BREAKER_OPEN || state == BREAKER_HALF_OPEN || state == BREAKER_PROBING;
}

void breaker_note(struct breaker_changes *out, const struct breaker_change *change) {
    ASSERT(out->count < BREAKER_CHANGES_MAX);
    out->items[out->count++] = *change;
}

/* Moves the circuit and tells of it; the figures are those that were compared. */
static void move(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                 enum breaker_event event, const struct breaker_change *why, int64_t now_ns) {
    struct breaker_circuit *c = breaker_circuit_of(b, symbol);
    enum breaker_state before = (enum breaker_state)c->state, after = breaker_next(before, event);
    ASSERT(after != BREAKER_IMPOSSIBLE);
    if (after == BREAKER_OPEN && (before != BREAKER_OPEN || event == BREAKER_TRIPPED))
        c->until_ns = now_ns + b->config.cooldown_ns;
    else if (after != BREAKER_OPEN)
        c->until_ns = 0;
    if (after != BREAKER_PROBING) c->probe_id = 0;
    bool shut = after == BREAKER_CLOSED || after == BREAKER_HALTED;
    if (shut && (after != before || event == BREAKER_RESET)) { /* not with every entry */
        c->failures = 0;
        c->cause = BREAKER_NO_CAUSE;
    }
    if (after == before) return;
    c->opened += after == BREAKER_OPEN;
    c->state = after;
    if (symbol != BREAKER_ALL) {
        b->not_closed += counts_as_open(after);
        b->not_closed -= counts_as_open(before);
    }
    breaker_note(out, &(struct breaker_change){.part = BREAKER_PART_CIRCUIT,
                                               .symbol = symbol,
                                               .before = breaker_state_text(before),
                                               .after = breaker_state_text(after),
                                               .cause = why->cause,
                                               .figure = why->figure,
                                               .limit = why->limit,
                                               .until_ns = c->until_ns});
}

static void simply(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                   enum breaker_event event, const char *cause, int64_t now_ns) {
    move(out, b, symbol, event,
         &(struct breaker_change){.cause = cause, .figure = (double)NAN, .limit = (double)NAN},
         now_ns);
}

void breaker_trip(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                  enum breaker_cause cause, double figure, double limit, int64_t now_ns) {
    struct breaker_circuit *c = breaker_circuit_of(b, symbol);
    if (c->state == BREAKER_HALTED) return;
    if (c->cause < (uint32_t)cause) c->cause = (uint32_t)cause;
    move(out, b, symbol, BREAKER_TRIPPED,
         &(struct breaker_change){
             .cause = breaker_cause_text(cause), .figure = figure, .limit = limit},
         now_ns);
}

/* One more failure of a circuit with this limit. */
static void fail(struct breaker_changes *out, struct breaker *b, uint32_t symbol, uint32_t limit,
                 int64_t now_ns) {
    struct breaker_circuit *c = breaker_circuit_of(b, symbol);
    if (limit == 0 || c->state == BREAKER_HALTED) return;
    c->failures++;
    /* In a half-open circuit the first is one too many. */
    bool tries = c->state == BREAKER_HALF_OPEN || c->state == BREAKER_PROBING;
    if (tries || (c->state == BREAKER_CLOSED && c->failures >= limit))
        breaker_trip(out, b, symbol, BREAKER_FAILURES, (double)c->failures, (double)limit, now_ns);
}

/* ---- evidence ---- */

static void probe_worked(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                         uint64_t intent_id, int64_t now_ns) {
    struct breaker_circuit *c = breaker_circuit_of(b, symbol);
    if (c->state == BREAKER_CLOSED) c->failures = 0;
    if (c->state != BREAKER_PROBING || intent_id == 0 || c->probe_id != intent_id) return;
    if (c->cause != BREAKER_LOSS)
        simply(out, b, symbol, BREAKER_PROBE_GOOD, "the venue took the entry", now_ns);
}

void breaker_worked(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                    uint64_t intent_id, int64_t now_ns) {
    b->run++;
    probe_worked(out, b, symbol, intent_id, now_ns);
    probe_worked(out, b, BREAKER_ALL, intent_id, now_ns);
}

static void fail_all(struct breaker_changes *out, struct breaker *b, int64_t now_ns) {
    fail(out, b, BREAKER_ALL, b->config.venue_failures_max, now_ns);
}

void breaker_failed(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                    enum breaker_fault fault, uint64_t intent_id, int64_t now_ns) {
    struct breaker_circuit *c = breaker_circuit_of(b, symbol);
    if (fault == BREAKER_EXPECTED || c->state == BREAKER_HALTED) return;
    bool was_probe = b->all.state == BREAKER_PROBING && intent_id != 0 &&
                     b->all.probe_id == intent_id && fault != BREAKER_OF_VENUE;
    if (fault == BREAKER_CONTRACT_GONE && b->config.symbol_failures_max > 0) {
        c->failures++;
        breaker_trip(out, b, symbol, BREAKER_CONTRACT, (double)NAN, (double)NAN, now_ns);
    } else {
        fail(out, b, symbol, b->config.symbol_failures_max, now_ns);
    }
    /* A contract that failed says nothing of the venue: somebody else may try. */
    if (was_probe) simply(out, b, BREAKER_ALL, BREAKER_PROBE_LOST, "contract", now_ns);
    if (fault != BREAKER_OF_VENUE) return;
    if (c->run != b->run) {
        c->run = b->run;
        c->counted = 0;
    }
    if (c->counted >= b->config.symbol_failures_max && b->config.symbol_failures_max > 0) return;
    c->counted++;
    fail_all(out, b, now_ns);
}

void breaker_link(struct breaker_changes *out, struct breaker *b, bool is_up, int64_t now_ns) {
    if ((b->is_down == 0) == is_up) return;
    b->is_down = !is_up;
    b->downs += !is_up;
    breaker_note(out, &(struct breaker_change){.part = BREAKER_PART_LINK,
                                               .symbol = BREAKER_ALL,
                                               .before = is_up ? "down" : "up",
                                               .after = is_up ? "up" : "down",
                                               .cause = "",
                                               .figure = (double)NAN,
                                               .limit = (double)NAN});
    if (!is_up) fail_all(out, b, now_ns);
}

static void enter(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                  uint64_t intent_id, int64_t now_ns) {
    struct breaker_circuit *c = breaker_circuit_of(b, symbol);
    simply(out, b, symbol, BREAKER_ENTERED, "an entry tries", now_ns);
    if (c->state == BREAKER_PROBING) c->probe_id = intent_id;
}

void breaker_entered(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                     uint64_t intent_id, int64_t now_ns) {
    ASSERT(breaker_word(b, symbol) == RISK_ALLOW);
    if (b->symbols[symbol].state != BREAKER_HALTED) enter(out, b, symbol, intent_id, now_ns);
    enter(out, b, BREAKER_ALL, intent_id, now_ns);
}

/* The probe of either circuit ended in this way. */
static void probe_ended(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                        uint64_t intent_id, enum breaker_event event, const char *cause,
                        int64_t now_ns) {
    const struct breaker_circuit *c = breaker_circuit_of(b, symbol);
    if (c->state == BREAKER_PROBING && c->probe_id == intent_id)
        simply(out, b, symbol, event, cause, now_ns);
}

void breaker_entry_lost(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                        uint64_t intent_id, int64_t now_ns) {
    probe_ended(out, b, symbol, intent_id, BREAKER_PROBE_LOST, "the entry came to nothing", now_ns);
    probe_ended(out, b, BREAKER_ALL, intent_id, BREAKER_PROBE_LOST, "the entry came to nothing",
                now_ns);
}

void breaker_probe_judge(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                         uint64_t intent_id, money_t net_pnl, int64_t now_ns) {
    bool won = net_pnl.e8 >= 0;
    enum breaker_event event = won ? BREAKER_PROBE_GOOD : BREAKER_PROBE_BAD;
    const char *cause = won ? "the trade cost nothing" : "the trade lost";
    probe_ended(out, b, symbol, intent_id, event, cause, now_ns);
    probe_ended(out, b, BREAKER_ALL, intent_id, event, cause, now_ns);
}

void breaker_contract(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                      bool is_trading, int64_t now_ns) {
    ASSERT(symbol < b->symbol_count);
    simply(out, b, symbol, is_trading ? BREAKER_RESUME : BREAKER_HALT, "contract", now_ns);
}

void breaker_time(struct breaker_changes *out, struct breaker *b, int64_t now_ns) {
    enum { ROOM = 8 }; /* for whatever else the same input leads to */
    if (b->all.state == BREAKER_OPEN && now_ns >= b->all.until_ns)
        simply(out, b, BREAKER_ALL, BREAKER_COOLED, "cooldown over", now_ns);
    if (b->not_closed == 0) return;
    for (uint32_t i = 0; i < b->symbol_count && out->count + ROOM < BREAKER_CHANGES_MAX; i++)
        if (b->symbols[i].state == BREAKER_OPEN && now_ns >= b->symbols[i].until_ns)
            simply(out, b, i, BREAKER_COOLED, "cooldown over", now_ns);
}

void breaker_circuits_reset(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                            int64_t now_ns) {
    simply(out, b, symbol, BREAKER_RESET, "by hand", now_ns);
}

/* ---- answers ---- */

static bool refuses(const struct breaker_circuit *c, uint64_t intent_id) {
    bool is_probe = intent_id != 0 && c->probe_id == intent_id;
    return c->state == BREAKER_OPEN || (c->state == BREAKER_PROBING && !is_probe);
}

enum risk_reason breaker_word_still(const struct breaker *b, uint32_t symbol, uint64_t intent_id) {
    ASSERT(symbol < b->symbol_count);
    if (b->tripped || b->mode == BREAKER_EMERGENCY) return RISK_ESS_TRIPPED;
    if (b->is_down) return RISK_VENUE_DOWN;
    if (refuses(&b->all, intent_id)) return RISK_BREAKER_OPEN;
    return refuses(&b->symbols[symbol], intent_id) ? RISK_BREAKER_SYMBOL : RISK_ALLOW;
}

enum risk_reason breaker_word(const struct breaker *b, uint32_t symbol) {
    return breaker_word_still(b, symbol, 0);
}

uint32_t breaker_entries_max(const struct breaker *b) {
    return b->all.state == BREAKER_HALF_OPEN ? 1 : UINT32_MAX;
}
