/* Whether anything new may be opened: circuit breakers, emergency triggers, recovery modes, the guard against flash
 * crashes. Nothing here is ever asked before an exit.
 *
 * Circuits. One for everything and one for each symbol, by the same table of (state, event):
 *
 *     CLOSED -> OPEN -> (cooldown) HALF_OPEN -> (one entry) PROBING -> CLOSED, or OPEN again
 *     any -> HALTED while the contract does not trade (a symbol's alone)
 *
 * A symbol's circuit opens after so many failures in a row, the common one after so many failures of the venue in a
 * row, or when equity has fallen by 4 % since its highest of the day. A failure is a command that the venue refused,
 * did not answer or never got; refusals that belong to trading (the market was faster, nothing left to reduce) are
 * none, and neither are those of our own gates. What a symbol adds to the common count ends at its own limit, which is
 * the lower one: one dead contract never closes the others (lesson L17). After the cooldown one entry is let through:
 * where failures were the cause it is judged by the venue's taking it, where a loss was by what its trade earned.
 *
 * Triggers stop all entries: a day's loss, a fall from the peak, stops hit in a row, market data overdue, another
 * executor on the account. Modes follow
 * the day's result and lower limits; they never raise one.
 *
 * The state is one block without pointers. Pure: the caller brings time and evidence; what changed comes out.
 *
 * Source   the original's figures (3 failures, 300 s, 4 %; triggers and recovery modes of its emergency stop system);
 *          Nygard, Release It! (2007), circuit breaker. docs/breaker.md.
 * Tests    test_circuit.c: every pair of state and event; test_watch.c: every figure from both sides; test_crash.c. */
#ifndef TRADE_BREAKER_BREAKER_H
#define TRADE_BREAKER_BREAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "domain/instrument.h"
#include "trade/risk/risk.h"

/* ---- the table ---- */

#define BREAKER_STATE_TABLE(X)                                                                     \
    X(BREAKER_CLOSED, "closed")                                                                    \
    X(BREAKER_OPEN, "open")           /* no entries until the cooldown is over */                  \
    X(BREAKER_HALF_OPEN, "half_open") /* one entry may try */                                      \
    X(BREAKER_PROBING, "probing")     /* it is under way */                                        \
    X(BREAKER_HALTED, "halted")       /* the contract does not trade: nothing is counted */

enum breaker_state {
#define BREAKER_STATE_ENUM(name, text) name,
    BREAKER_STATE_TABLE(BREAKER_STATE_ENUM)
#undef BREAKER_STATE_ENUM
        BREAKER_STATE_COUNT,
    BREAKER_IMPOSSIBLE = BREAKER_STATE_COUNT /* of a pair that cannot come up */
};
const char *breaker_state_text(enum breaker_state state);

#define BREAKER_EVENT_TABLE(X)                                                                     \
    X(BREAKER_FAILED, "failed")   /* a command, within the limit */                                \
    X(BREAKER_WORKED, "worked")   /* the venue did as it was asked */                              \
    X(BREAKER_TRIPPED, "tripped") /* the limit is reached */                                       \
    X(BREAKER_COOLED, "cooled")                                                                    \
    X(BREAKER_ENTERED, "entered") /* an entry was let through */                                   \
    X(BREAKER_PROBE_GOOD, "probe_good")                                                            \
    X(BREAKER_PROBE_BAD, "probe_bad")                                                              \
    X(BREAKER_PROBE_LOST, "probe_lost") /* it came to nothing and says nothing */                  \
    X(BREAKER_RESET, "reset")           /* by hand */                                              \
    X(BREAKER_HALT, "halt")                                                                        \
    X(BREAKER_RESUME, "resume")

enum breaker_event {
#define BREAKER_EVENT_ENUM(name, text) name,
    BREAKER_EVENT_TABLE(BREAKER_EVENT_ENUM)
#undef BREAKER_EVENT_ENUM
        BREAKER_EVENT_COUNT
};
/* The state after it; BREAKER_IMPOSSIBLE for a pair that cannot come up. */
enum breaker_state breaker_next(enum breaker_state state, enum breaker_event event);

/* Of several causes at once the last of this list holds: its probe is the stricter one. */
#define BREAKER_CAUSE_TABLE(X)                                                                     \
    X(BREAKER_NO_CAUSE, "none")                                                                    \
    X(BREAKER_FAILURES, "failures")           /* in a row */                                       \
    X(BREAKER_CONTRACT, "contract_not_known") /* the venue says it is not, or does not trade */    \
    X(BREAKER_LOSS, "drawdown")

enum breaker_cause {
#define BREAKER_CAUSE_ENUM(name, text) name,
    BREAKER_CAUSE_TABLE(BREAKER_CAUSE_ENUM)
#undef BREAKER_CAUSE_ENUM
        BREAKER_CAUSE_COUNT
};
const char *breaker_cause_text(enum breaker_cause cause);

/* ---- what a refusal says ---- */

enum breaker_fault {
    BREAKER_EXPECTED = 0, /* belongs to trading */
    BREAKER_OF_SYMBOL,    /* our numbers or the contract's rules: says nothing of other contracts */
    BREAKER_OF_VENUE,     /* connection, limits, keys, clock, margin: concerns all of them */
    BREAKER_CONTRACT_GONE, /* at once: trying again is of no use */
};
/* By the venue's code. 0 is no refusal. A code that is not known is the symbol's. */
enum breaker_fault breaker_fault_of(int32_t code);
enum { BREAKER_NO_ANSWER = -1007 }; /* code of a command nobody answered in time */

/* ---- figures ---- */

#define BREAKER_MODE_TABLE(X)                                                                      \
    X(BREAKER_NORMAL, "normal")                                                                    \
    X(BREAKER_CAUTIOUS, "cautious")                                                                \
    X(BREAKER_PROTECTIVE, "protective")                                                            \
    X(BREAKER_EMERGENCY, "emergency") /* no entries */

enum breaker_mode {
#define BREAKER_MODE_ENUM(name, text) name,
    BREAKER_MODE_TABLE(BREAKER_MODE_ENUM)
#undef BREAKER_MODE_ENUM
        BREAKER_MODE_COUNT
};
const char *breaker_mode_text(enum breaker_mode mode);

#define BREAKER_TRIGGER_TABLE(X)                                                                   \
    X(BREAKER_DAILY_LOSS, "daily_loss")                                                            \
    X(BREAKER_DRAWDOWN, "equity_drawdown")                                                         \
    X(BREAKER_STOP_HITS, "stop_hits")                                                              \
    X(BREAKER_MARKET_STALE, "market_stale")                                                        \
    X(BREAKER_OTHER_RUN, "other_executor")

enum breaker_trigger {
#define BREAKER_TRIGGER_ENUM(name, text) name,
    BREAKER_TRIGGER_TABLE(BREAKER_TRIGGER_ENUM)
#undef BREAKER_TRIGGER_ENUM
        BREAKER_TRIGGER_COUNT
};
const char *breaker_trigger_text(enum breaker_trigger trigger);

/* What a mode lowers the limits to; one that is not lower changes nothing. */
struct breaker_mode_limits {
    double result_max; /* the mode holds at a day's result at or below this, fraction of equity */
    money_t notional_max; /* of one position; 0: no entries */
    double confidence_min;
    uint32_t leverage_max, reserved;
};

/* All zero: nothing is watched and nothing refused. No member is followed by padding. */
struct breaker_config {
    uint32_t symbol_failures_max; /* 3 in a row; 0 off */
    uint32_t
        venue_failures_max; /* 5 in a row, more than those of a symbol (lowered if not); 0 off */
    int64_t cooldown_ns;    /* 300 s */
    double loss_max;        /* 0.04 of the day's highest equity; 0 off */
    double daily_loss_max;  /* 0.10 of the equity the day began with; 0 off */
    double drawdown_max;    /* 0.25 of the highest equity ever; 0 off */
    uint32_t stop_hits_max; /* 10: one more within the window trips; 0 off, at most 15 */
    uint32_t reserved;
    int64_t stop_hits_within_ns; /* 24 bars, an hour at least */
    int64_t overdue_ns_max;      /* 300 s beyond the moment the next bar is due; 0 off */
    double recover_margin;       /* 0.005: a mode is left when the result is better by so much */
    /* NORMAL's row is not read. Days that begin at 00:00 UTC. */
    struct breaker_mode_limits modes[BREAKER_MODE_COUNT];
    uint32_t crash_bars;         /* 3: a move within so many bars; 0 off */
    uint32_t crash_hold_bars;    /* 12: entries are off for so many after it */
    uint32_t crash_history_bars; /* 60 before that say what is usual */
    uint32_t reserved2;
    double crash_sigmas;   /* 10 standard deviations of a move of that length */
    double crash_move_min; /* 0.02: less is no crash, however quiet it was before */
};
struct breaker_config breaker_config_defaults(int64_t interval_ns);

/* ---- state ---- */

enum { BREAKER_STOPS_KEPT = 16, BREAKER_CHANGES_MAX = 40, BREAKER_ALL = INSTRUMENTS_MAX };

struct breaker_circuit {
    uint32_t state, cause; /* enum breaker_state, breaker_cause */
    uint32_t failures;     /* in a row */
    uint32_t opened;       /* times */
    int64_t until_ns;      /* end of the cooldown; 0 unless open */
    uint64_t probe_id;     /* intent that is the probe; 0 none */
    uint64_t run;          /* which row of the common count `counted` belongs to */
    uint32_t counted;      /* failures of this symbol in it */
    uint32_t reserved;
};

/* To be read, not written. Followed in the block by one circuit a symbol. */
struct breaker {
    struct breaker_config config;
    struct breaker_circuit all;
    uint64_t run; /* changes whenever the venue did something it was asked for */
    uint32_t symbol_count;
    uint32_t not_closed; /* symbols' circuits that are open, half open or probing */
    uint32_t mode;       /* enum breaker_mode */
    uint32_t tripped;    /* bits 1 << enum breaker_trigger */
    uint32_t is_down;    /* the link to the venue */
    uint32_t stop_next, has_equity, reserved;
    int64_t day;                               /* since 1970 */
    money_t equity, day_start, day_high, peak; /* day_high: since the last opening by a loss */
    int64_t stops_ns[BREAKER_STOPS_KEPT];      /* newest stops that cost something, a ring */
    uint64_t trips[BREAKER_TRIGGER_COUNT], downs;
    struct breaker_circuit symbols[];
};

size_t breaker_size(uint32_t symbol_count);
/* memory: breaker_size() bytes, aligned to 8. */
void breaker_init(struct breaker *b, const struct breaker_config *config, uint32_t symbol_count);

/* ---- what has changed ---- */

#define BREAKER_PART_TABLE(X)                                                                      \
    X(BREAKER_PART_CIRCUIT, "breaker")                                                             \
    X(BREAKER_PART_MODE, "ess_mode")                                                               \
    X(BREAKER_PART_TRIGGER, "ess_trigger")                                                         \
    X(BREAKER_PART_LINK, "venue_link")

enum breaker_part {
#define BREAKER_PART_ENUM(name, text) name,
    BREAKER_PART_TABLE(BREAKER_PART_ENUM)
#undef BREAKER_PART_ENUM
        BREAKER_PART_COUNT
};
const char *breaker_part_text(enum breaker_part part);

struct breaker_change {
    uint32_t part;
    uint32_t symbol;            /* BREAKER_ALL: everything */
    const char *before, *after; /* static */
    const char *cause;          /* static */
    double figure, limit;       /* that were compared; NaN none */
    int64_t until_ns;           /* 0: until it ends otherwise */
};
/* Whatever would be beyond the limit is left for the next call: only cooldowns can be so many. */
struct breaker_changes {
    uint32_t count, reserved;
    struct breaker_change items[BREAKER_CHANGES_MAX];
};

/* ---- evidence; each appends to out ---- */

/* The venue did something it was asked for on this symbol. intent_id: of the entry it took, 0 if it was something else. */
void breaker_worked(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                    uint64_t intent_id, int64_t now_ns);
/* It did not. intent_id: of the entry, 0 something else. */
void breaker_failed(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                    enum breaker_fault fault, uint64_t intent_id, int64_t now_ns);
/* The link to the venue is down, or up again. Going down is a failure of the venue. */
void breaker_link(struct breaker_changes *out, struct breaker *b, bool is_up, int64_t now_ns);
/* An entry passed every gate; asked for only where breaker_word is RISK_ALLOW (asserted). */
void breaker_entered(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                     uint64_t intent_id, int64_t now_ns);
/* It came to nothing: never filled, never refused either. */
void breaker_entry_lost(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                        uint64_t intent_id, int64_t now_ns);
/* A trade is over. is_stop: it ended at its stop. */
void breaker_trade(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                   uint64_t intent_id, money_t net_pnl, bool is_stop, int64_t now_ns);
/* Equity as it is now. The first call begins the day. */
void breaker_equity(struct breaker_changes *out, struct breaker *b, money_t equity, int64_t now_ns);
/* When the next bar of the market was or will be due, at the latest. */
void breaker_market(struct breaker_changes *out, struct breaker *b, int64_t due_ns, int64_t now_ns);
/* Another run of this program trades the account, or has not for long. Until then, and whatever is reset by hand, nothing is
 * entered beside it. */
void breaker_other_run(struct breaker_changes *out, struct breaker *b, bool is_there);
/* The contract trades, or does not. */
void breaker_contract(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                      bool is_trading, int64_t now_ns);
/* Cooldowns that are over by now. */
void breaker_time(struct breaker_changes *out, struct breaker *b, int64_t now_ns);
/* By hand: one symbol's circuit; or, with BREAKER_ALL, every circuit and every trigger but overdue data, the day's and
 * the highest equity counted anew from now on. A contract that does not trade stays halted. */
void breaker_reset(struct breaker_changes *out, struct breaker *b, uint32_t symbol, int64_t now_ns);

/* ---- answers ---- */

/* Whether an entry on the symbol may be thought of now: RISK_ALLOW, RISK_ESS_TRIPPED, RISK_VENUE_DOWN,
 * RISK_BREAKER_OPEN or RISK_BREAKER_SYMBOL. That a contract does not trade is another gate's to say. */
enum risk_reason breaker_word(const struct breaker *b, uint32_t symbol);
/* The same for an entry that passed and is not sent yet: where it is the probe itself, that one tries bars it not. */
enum risk_reason breaker_word_still(const struct breaker *b, uint32_t symbol, uint64_t intent_id);
/* 1 where but one entry may try (the common circuit is half open), else UINT32_MAX. */
uint32_t breaker_entries_max(const struct breaker *b);
/* Lowers what the mode lowers. */
void breaker_limits(struct risk_limits *limits, const struct breaker *b);
/* When breaker_market has something to say if nothing comes; INT64_MAX never. */
int64_t breaker_deadline(const struct breaker *b, int64_t due_ns);
/* Result of the day and fall from the peak, fractions >= -1 and 0..; 0 before the first equity. */
double breaker_day_result(const struct breaker *b);
double breaker_fall(const struct breaker *b);

/* closes (count), oldest first, count >= breaker_crash_closes() or the answer is false: did one of the last
 * crash_hold_bars bars end a move of crash_bars bars of at least crash_move_min and of crash_sigmas times the usual? The
 * usual is measured before all of them, so that a crash does not widen its own measure. Flat history: the least alone. */
bool breaker_is_crash(const struct breaker_config *config, const int64_t *closes, uint32_t count);
uint32_t breaker_crash_closes(const struct breaker_config *config); /* 0: the guard is off */
enum { BREAKER_CRASH_CLOSES_MAX = 100 };

#endif
