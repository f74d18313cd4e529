/* What the parts of the checker share. */
#ifndef SIM_CHECK_INTERNAL_H
#define SIM_CHECK_INTERNAL_H

#include <string.h>

#include "sim/check.h"
#include "trade/oms/oms.h"

enum { CHECK_ORDERS = 64, CHECK_RING = 512, CHECK_INTENTS = 1 << 15, CHECK_LATE_NAMES = 4 };

/* What the exchange has of an order. */
enum check_life {
    LIFE_ASKED = 0, /* a command has left, nothing has reached the exchange */
    LIFE_WAITING,   /* a conditional order that waits for its price */
    LIFE_WORKING,   /* an ordinary order, or what a conditional one became */
    LIFE_ENDED
};

struct check_order {
    char id[CLIENT_ORDER_ID_SIZE];
    uint64_t intent_id, serial; /* serial: the higher the later it was made */
    int64_t asked_ns, changed_ns;
    int64_t cancel_asked_ns; /* the first time; while cancel_asked */
    int64_t stop_px, qty, cum_qty;
    uint32_t rejected_cancels;
    uint8_t ours, leg, side, type; /* leg: enum oms_leg, of ours */
    uint8_t life, state;           /* enum check_life; enum order_state, as the kernel was shown */
    uint8_t close_position, reduce_only, activated, cancel_asked, told; /* told: its violation */
};

struct check_span {
    bool naked, interrupted, close_asked, alarmed, told_ask, told_end;
    bool waits_for_word; /* clock_from_told: nobody has told the process yet */
    enum check_cause cause;
    int64_t since_ns, from_ns; /* from: the clock runs since; 0 it does not */
    uint32_t stops_asked;
};

struct check_symbol {
    char name[SYMBOL_SIZE];     /* "" none */
    uint64_t ids[CHECK_ORDERS]; /* hash of the order's id, 0 free */
    struct check_order orders[CHECK_ORDERS];
    int64_t qty, entry_cost, mark; /* qty of fills, signed */
    int64_t qty_account;           /* what EXE_ACCOUNT said */
    uint32_t leverage;
    struct check_span span;
    uint64_t ratchet_intent;
    int64_t ratchet_px;
    int64_t touched_ns, foreign_ns,
        leverage_ns;                      /* last disturbance of each kind; INT64_MIN never */
    uint32_t human_orders, human_cancels; /* injected and not seen yet */
    bool change_open, owed, close_wanted, differs_told;
    bool close_foreign; /* a hand was at what is to be closed: the trader need not know of it yet */
    int64_t flight_until_ns, close_from_ns; /* close_from: the clock runs since; 0 it does not */
};

enum check_what {
    FACT_ORDER = 1,
    FACT_ALGO,
    FACT_ACCOUNT,
    FACT_LEVERAGE,
    FACT_RULES,
    FACT_REQUEST,
    FACT_COMMAND,
    FACT_TOLD,
    FACT_ALARM,
    FACT_ALIVE,
    FACT_OPEN,
    FACT_INJECTED,
    FACT_CLOSE_WANTED,
    FACT_STOPPED,
    FACT_CALM,
    FACT_VIOLATION
};

struct check_fact {
    uint64_t number;
    int64_t ts_ns, px, qty;
    uint32_t instrument;
    int32_t code;
    uint8_t what, a, side, reserved[5];
    char id[24];
};

struct check {
    struct check_config config;
    int64_t now_ns, deadline_ns;
    bool alive, open, running, calm, stopped, alarms_are_told, wallet_told;
    int64_t edge_ns, calm_ns, money_ns; /* last change of running; of the wallet */
    int64_t call_fault_ns;              /* last call that something injected struck */
    /* Money of the account, e8: what it says, and what fills and incomes make of it. */
    int64_t wallet, by_fills, by_income, insurance, transfers;
    int64_t money_moved, money_moved_foreign; /* sums of what each fill did to it, without signs */
    bool
        money_open; /* an execution report or an income may still be on its way to go with the wallet */
    uint64_t late_closed; /* spans that had to be alarmed */
    uint64_t serial, ring_count;
    bool change_any, other_there;
    uint32_t other_run; /* mark of another run's orders; 0 none */
    int64_t other_ns;   /* since when its order rests */
    int64_t flight_any_ns, foreign_any_ns;
    uint32_t human_orders, human_cancels; /* of any symbol */
    struct check_report report;
    struct check_coverage coverage;
    uint32_t violation_count;
    struct check_violation violations[CHECK_VIOLATIONS_MAX];
    struct check_fact ring[CHECK_RING];
    /* Intents whose entry reached the exchange, by open addressing: two generations of half a table. */
    uint64_t intents[2][CHECK_INTENTS];
    uint32_t intent_count, intent_now;
    struct check_symbol symbols[]; /* (instrument_count) */
};

/* check.c */
void check_fail(struct check *c, enum check_number number, uint32_t instrument, const char *format,
                ...) __attribute__((format(printf, 4, 5)));
struct check_fact *check_record(struct check *c, enum check_what what, uint32_t instrument);
void check_advance(struct check *c, int64_t now_ns);
static inline int64_t check_abs(int64_t x) {
    return x < 0 ? -x : x;
}
static inline bool check_within(const struct check *c, int64_t since_ns, int64_t span_ns) {
    return since_ns != INT64_MIN && c->now_ns - since_ns <= span_ns;
}
static inline bool check_foreign_lately(const struct check *c, const struct check_symbol *s) {
    return check_within(c, s->foreign_ns, c->config.reconcile_ns);
}

/* check_orders.c */
struct check_order *check_order_find(struct check_symbol *s, const char *id);
struct check_order *check_order_take(struct check *c, uint32_t instrument, const char *id);
void check_order_shown(struct check *c, struct check_order *o, enum order_event event);
bool check_is_cover(const struct check_symbol *s, const struct check_order *o);
/* Whether what is held is covered; kept: not counting stops whose cancel has been asked for. */
bool check_is_covered(const struct check_symbol *s, bool kept);
bool check_is_of_other_run(const struct check *c, const char *id);
bool check_is_live(const struct check_order *o);
bool check_is_closing(const struct check_symbol *s); /* a closing order is under way */
enum exits_phase check_phase(const struct check_symbol *s);

/* check_naked.c */
void check_reassess(struct check *c, uint32_t instrument, enum check_cause cause);
void check_clock_edge(struct check *c, bool of_venue);
void check_word(struct check *c, uint32_t instrument);
void check_deadlines(struct check *c);
void check_deadline_find(struct check *c);

/* check_rules.c */
void check_entry_reached(struct check *c, uint32_t instrument, const struct check_order *o);
void check_exposure(struct check *c, uint32_t instrument);
void check_stop_reached(struct check *c, uint32_t instrument, struct check_order *o);
void check_stop_cancel_asked(struct check *c, uint32_t instrument, struct check_order *o);
void check_change(struct check *c, uint32_t instrument);
void check_codes_init(struct check_report *r);

/* check_money.c */
void check_money_settle(struct check *c);
void check_money_account(struct check *c, const struct exchange_event *e);
void check_money_income(struct check *c, const struct exchange_event *e);

#endif
