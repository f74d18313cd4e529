/* What really happened, held against the ten invariants (docs/ARCHITECTURE.md) and a rule of liveness.
 *
 * It is told facts, in the order in which they happen, and decides nothing: every event of the exchange, every
 * request of the trader's account with the exchange's answer, every command that leaves the kernel, every word that
 * reaches it, when the process lives and when the venue would answer, what was injected, and at quiet moments what
 * the kernel believes. It keeps its own books of orders, positions and money from the exchange's execution reports
 * alone, so an error of the trader cannot hide in figures of the trader.
 *
 * Pure: no clock, no I/O; one block of memory made at creation, nothing allocated after. One thread. Times are the
 * true ones of the simulated world, in ns, and never go back (an earlier one is taken as the latest told).
 *
 * Names: a position is *covered* if live conditional stop orders of the exchange (algo service or classic; stop or
 * activated trailing stop at market; of the side that closes it) are closePosition or reduce-only for at least what is
 * held. It is *naked* otherwise. Who placed the stop does not matter, the position is safe with it.
 *
 * How each invariant is checked: docs/simulation.md. Tests: test_check.c breaks each of them once; test_check_world.c
 * drives the real exchange correctly, and then with the planted faults of sim/canary.h. */
#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hist.h"
#include "domain/order.h"
#include "kernel/kernel.h"
#include "sim/sim_faults.h"
#include "trade/exits/exits.h"
#include "venue/exchange/exchange.h"

/* X(id, name, text): numbers 1 to 10 are those of docs/ARCHITECTURE.md; 11 and 12 come with the simulation. */
#define CHECK_TABLE(X)                                                                             \
    X(CHECK_ENTRY_ONCE, "entry_once",                                                              \
      "at most one entry an intent reaches the exchange, and none nobody asked for")               \
    X(CHECK_PROTECTED, "protected",                                                                \
      "every position is covered in full by a stop in time, or closed and alarmed")                \
    X(CHECK_AGREEMENT, "agreement",                                                                \
      "kernel and venue agree within a reconcile cycle of the last disturbance")                   \
    X(CHECK_MONEY, "money",                                                                        \
      "wallet change = realised - fees + funding (+ insurance, transfers) to 1e-8")                \
    X(CHECK_REASONS, "reasons",                                                                    \
      "refusals add up with their reasons; what lowers risk is not refused")                       \
    X(CHECK_VALID, "valid", "every price and quantity that leaves us is one the venue takes")      \
    X(CHECK_DIRECTION, "direction",                                                                \
      "one net direction a symbol; leverage and exposure below the ceilings")                      \
    X(CHECK_RATCHET, "ratchet",                                                                    \
      "a stop never loosens, and is cancelled only once replaced or flat")                         \
    X(CHECK_FEATURES, "features",                                                                  \
      "features trained on are features served: feature/test_streaming.c, learn/test_served.c")    \
    X(CHECK_REPLAY, "replay",                                                                      \
      "the journal replays to the same state: check_replay; the trace: sim_result.trace_hash")     \
    X(CHECK_LIVENESS, "liveness",                                                                  \
      "when faults are over everything is protected, settled and possible again")                  \
    X(CHECK_CAPACITY, "capacity", "the checker has room for what it is told: it fails closed")

enum check_number {
    CHECK_NONE = 0,
#define CHECK_ENUM(id, name, text) id,
    CHECK_TABLE(CHECK_ENUM)
#undef CHECK_ENUM
        CHECK_COUNT
};
const char *check_name(enum check_number number);
const char *check_text(enum check_number number);

/* What goes wrong, by one number: a fault of the exchange (enum fault), or one of the simulation (CHECK_SIM(enum sim_fault)). */
#define CHECK_SIM(kind) (FAULT_COUNT + (uint32_t)(kind))
enum { INJECT_COUNT = (int)FAULT_COUNT + (int)SIM_FAULT_COUNT };
const char *check_injection_name(uint32_t kind);

#define CHECK_ALL UINT32_MAX /* every instrument */

struct check_config {
    uint32_t account;                            /* the trader's at the exchange */
    uint32_t instrument_count, leverage_default; /* the exchange's */
    const struct instrument
        *instruments; /* (instrument_count), for their names, copied; NULL: numbers are shown */
    money_t wallet_start;
    enum strategy_kind strategy;
    /* Fill to stop. The clock of a naked position runs while the process lives and the venue would answer. */
    int64_t protect_ns_max; /* 3 s */
    int64_t close_ask_ns;   /* beyond it: a closing order has left by then. 1 s */
    int64_t close_ns_max;   /* beyond it: flat or covered by then. 30 s */
    int64_t foreign_ns_max; /* the same bound where somebody else made it naked. 40 s */
    /* true: it starts when the process has been told of the fill or the stop's end, by any way; what was hidden is
     * reported apart (longest_hidden_ns). false: when it happened. */
    bool clock_from_told;
    int64_t reconcile_ns; /* 40 s: the client's cycle of 30 s and its answers */
    int64_t
        struck_ns; /* 10 s: by then a question that something injected struck has been asked again */
    int64_t liveness_ns;   /* T behind the last fault: 10 min */
    double exposure_slack; /* the exchange's marks against the kernel's last prices: 0.02 */
};
struct check_config check_config_defaults(void);

struct check;
/* NULL: no memory. */
struct check *check_create(const struct check_config *config);
void check_destroy(struct check *c);

/* ---- facts ---- */

/* Every event of the exchange, of all accounts; others' cost next to nothing. */
void check_exchange_event(struct check *c, const struct exchange_event *event);

/* A request of the trader's account that the exchange executed or refused; what a fault in front of the exchange
 * turned away (429, 418, 503, -1021) is no reply of it and is not told. */
enum check_request_kind { REQUEST_PLACE = 1, REQUEST_CANCEL, REQUEST_LEVERAGE, REQUEST_OTHER };
struct check_request {
    enum check_request_kind kind;
    uint32_t instrument;
    int32_t code; /* 0 done */
    /* When it left the trader; 0: now. Requests that had left before the trader can have heard of the first refusal
     * (told_ns of that one) are of the same flight: counted apart, no violation. */
    int64_t left_ns, now_ns;
    int64_t told_ns; /* when the answer reaches the trader; 0: now */
    char client_order_id
        [CLIENT_ORDER_ID_SIZE]; /* "" unknown; one that is not of ours is somebody else's */
};
void check_request(struct check *c, const struct check_request *request);

/* A command leaves the kernel, behind any canary; before what comes of it. */
void check_command(struct check *c, const struct venue_command *command, int64_t now_ns);
/* The process is told by its port, before the kernel sees it. */
void check_told(struct check *c, const struct venue_event *event, int64_t now_ns);
/* The kernel raised an alarm of the symbol's position (EVENT_POSITION_ALARM). */
void check_alarm(struct check *c, uint32_t instrument, int64_t now_ns);
void check_alive(struct check *c, bool alive, int64_t now_ns);     /* at first: false */
void check_venue_open(struct check *c, bool open, int64_t now_ns); /* at first: true */
/* Another run of the program has an order resting on the account, or has not: while it has, and has had for a cycle of
 * reconciliation, no entry may leave (7). Orders with its mark (oms_run_of) are not the trader's, and nobody but an injected
 * hand cancels them. */
void check_other_run(struct check *c, uint32_t run, bool is_there, int64_t now_ns);
/* Before what it does. kind: see CHECK_SIM; instrument: CHECK_ALL for all. An order or a cancel that no command of the
 * trader asked for is allowed only behind SIM_HUMAN_* and SIM_OTHER_RUN, one each. */
void check_injected(struct check *c, uint32_t kind, uint32_t instrument, int64_t now_ns);
/* Somebody in charge wants everything (CHECK_ALL) or a symbol closed: a reduce-only order has left within
 * close_ask_ns of running clock wherever something is held, whatever stops and breakers say. */
void check_close_wanted(struct check *c, uint32_t instrument, int64_t now_ns);
/* The operator's stop is in force: entries need not be possible. */
void check_stopped(struct check *c, bool stopped, int64_t now_ns);

/* What the kernel believes at a quiet moment: nothing is being executed. */
struct check_belief {
    int64_t now_ns;
    const qty_t *positions;               /* (instrument_count), signed: kernel_position_qty */
    const struct kernel_live_order *live; /* kernel_live_orders */
    uint32_t live_count;
    const struct kernel_totals *totals;
    uint32_t queued;             /* commands and events waiting anywhere in the process */
    const char *entries_blocked; /* why no entry is possible on any symbol; NULL: they are */
};
void check_belief(struct check *c, const struct check_belief *belief);
/* The last fault is over: liveness is asked for from liveness_ns behind it on. */
void check_calm(struct check *c, int64_t now_ns);
/* Time passed. Call at check_deadline, or as often as convenient. */
void check_time(struct check *c, int64_t now_ns);
int64_t check_deadline(const struct check *c); /* INT64_MAX none */
/* The trader's journal, replayed. what: for the text ("state", "trades"). */
void check_replay(struct check *c, const char *what, uint64_t expected, uint64_t got);
/* The end: spans that are still open are counted as far as they came. */
void check_end(struct check *c, int64_t now_ns);

/* ---- what came out ---- */

enum { CHECK_TEXT_SIZE = 160, CHECK_VIOLATIONS_MAX = 64 };
struct check_violation {
    enum check_number number;
    uint32_t instrument; /* CHECK_ALL: none */
    int64_t ts_ns;
    uint64_t event; /* number of the fact, from 1 */
    char text[CHECK_TEXT_SIZE];
};
uint64_t check_violations(const struct check *c); /* all; the first CHECK_VIOLATIONS_MAX are kept */
const struct check_violation *check_violation(const struct check *c, uint32_t i); /* NULL: none */

/* Why a position was naked. */
#define CHECK_CAUSE_TABLE(X)                                                                       \
    X(CAUSE_FILL, "fill")       /* a fill of ours opened or enlarged it */                         \
    X(CAUSE_LOST, "lost")       /* its stop ended: our cancel, the venue, fired and not enough */  \
    X(CAUSE_FOREIGN, "foreign") /* a fill or a cancel of somebody else */
enum check_cause {
#define CAUSE_ENUM(id, name) id,
    CHECK_CAUSE_TABLE(CAUSE_ENUM)
#undef CAUSE_ENUM
        CAUSE_COUNT
};

/* Codes that may come as the first reply behind a change, and those that may never come. */
enum { CHECK_CODES = 15 };
struct check_code {
    int32_t code;
    bool never;
    uint64_t first, flight, wrong; /* behind a change; of the same flight; a violation */
};

struct check_report {
    uint64_t facts, exchange_events, commands, requests, fills, entries, stops, beliefs;
    uint64_t agreements; /* beliefs that had to agree in full, and did */
    uint64_t foreign_fills, first_refusals_followed; /* the next request of the symbol was right */
    /* Naked time until covered, of spans that nothing interrupted, by cause; `resumed`: of those that were, since the
     * clock last started anew. */
    struct hist time_to_protected[CAUSE_COUNT], resumed;
    uint64_t naked, naked_closed, naked_interrupted; /* spans; ended by being flat; interrupted */
    int64_t
        longest_interrupted_ns; /* whole naked time of a span with the process dead or the venue shut in it */
    int64_t longest_hidden_ns; /* naked and not told of it */
    uint64_t by_number[CHECK_COUNT];
    struct check_code codes[CHECK_CODES];
};
void check_report(const struct check *c, struct check_report *out);
/* Adds one run's report to a sum over seeds. */
void check_report_merge(struct check_report *into, const struct check_report *from);

/* A contract that is in that phase now, by the exchange's books; CHECK_ALL: none. */
uint32_t check_phase_find(const struct check *c, enum exits_phase phase);

/* Pairs seen of (order state, event) as the kernel was shown them, legal and illegal; of what was injected and the
 * phase a symbol was in, as the exchange's books say. Bits; a union over seeds is an OR. */
struct check_coverage {
    uint16_t pairs[ORDER_STATE_COUNT]; /* bit: enum order_event */
    uint8_t phases[INJECT_COUNT];      /* bit: enum exits_phase */
};
void check_coverage(const struct check *c, struct check_coverage *out);
void check_coverage_merge(struct check_coverage *into, const struct check_coverage *from);
/* Counted: legal pairs seen of those the table allows; illegal ones met; fault x phase pairs. */
struct check_coverage_counts {
    uint32_t legal, legal_all, illegal, phases, phases_all;
};
struct check_coverage_counts check_coverage_count(const struct check_coverage *coverage);

/* The last facts, oldest first, a line each, and what is known of the symbols that are not flat; returns what it would
 * have written (as snprintf). */
size_t check_explain(const struct check *c, char *out, size_t size);

#endif
