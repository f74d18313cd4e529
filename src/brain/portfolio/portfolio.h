/* Which positions go together: how their returns move, how much of one risk may be held, which of
 * many wishes come first, and what must be reduced.
 *
 * Units. A size is notional / equity (0.2 of 10,000 USDT of equity is 2,000 USDT), never signed:
 * the side stands beside it. Returns are simple, of one bar, fractions. Volatilities are standard
 * deviations; sigma is of one bar, *_day of a day.
 *
 * Sides. rho is the correlation of two contracts' returns. Two positions are the same bet as far as
 *     rho * sign(side) * sign(other side)
 * is high: long two contracts that rise together, or long one and short one that falls when it
 * rises. An entry with 0.80 or more of that to a position is refused; long and short of two alike
 * are a hedge and are not. A cluster is a matter of contracts, not of sides: |rho| >= 0.70, joined
 * through others, and its cap counts both sides in full, since a hedge holds until it does not.
 *
 * Unknown is not zero: a contract without enough returns is not entered, a pair without enough
 * common ones counts as the same bet, and as one cluster.
 *
 * Per bar        portfolio_observe() for each contract: O(1).
 * Per decision   portfolio_open(), then in order of portfolio_rank(): portfolio_consider(), a size,
 *                portfolio_admit(). portfolio_select() does so for wishes whose size is known.
 *
 * Source   docs/portfolio.md. Tests: test_correlation.c, test_book.c, test_rebalance.c. */
#ifndef BRAIN_PORTFOLIO_PORTFOLIO_H
#define BRAIN_PORTFOLIO_PORTFOLIO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fx.h"
#include "domain/instrument.h"
#include "domain/order.h"

/* ---- returns ---- */

enum {
    PORTFOLIO_BARS = 360,    /* window of correlations */
    PORTFOLIO_SET_MAX = 128, /* contracts looked at together: held ones and the best wishes */
    PORTFOLIO_POSITIONS_CEILING = 50 /* no configuration holds more */
};
#define PORTFOLIO_SYMBOL_CEILING  0.40
#define PORTFOLIO_CLUSTER_CEILING 1.80
#define PORTFOLIO_TOTAL_CEILING   3.0
#define PORTFOLIO_REFUSE_CEILING  0.95
/* Daily volatility of a held contract that has no history to tell: that of a violent coin. */
#define PORTFOLIO_SIGMA_DAY_UNKNOWN 0.10

/* One contract's returns, state of the caller (1,456 bytes, plain). */
struct portfolio_series {
    int64_t bar;                   /* number of the last one; -1 none */
    double last_close;             /* quote */
    float returns[PORTFOLIO_BARS]; /* of bar n at n % PORTFOLIO_BARS; NaN unknown */
};
void portfolio_series_init(struct portfolio_series *s);
/* A closed bar; bar = open time / interval, >= 0, so that contracts line up whatever each missed.
 * The return over a hole is unknown. false (nothing changed) if the bar is not newer or its close
 * not above 0. */
bool portfolio_observe(struct portfolio_series *s, int64_t bar, px_t close);

/* ---- configuration ---- */

struct portfolio_config {
    double cluster_at;      /* 0.70 */
    double refuse_at;       /* 0.80 */
    double symbol_max;      /* 0.20 notional / equity */
    double cluster_max;     /* 0.60 */
    double total_max;       /* 1.0 */
    double fraction_min;    /* 0: least that is worth a position */
    double margin_max;      /* 0.85 of the margin in use, beyond it positions are reduced */
    double band;            /* 0.05: a cap passed by less than this share is left to drift */
    double half_life_bars;  /* 0: all bars count alike */
    double bars_per_day;    /* 24 */
    uint32_t bars_min;      /* 60 common bars make a correlation */
    uint32_t symbols_min;   /* 5 equal shares must fit */
    uint32_t positions_max; /* 10 */
    uint32_t reserved;
};
struct portfolio_config portfolio_config_defaults(void);
/* Name of the first member that is not a number or out of its range, NULL if there is none; to be
 * asked where a configuration is read. The engine itself takes what is impossible for the
 * strictest. */
const char *portfolio_config_fault(const struct portfolio_config *config);

/* What is applied: the configuration under its ceilings, made free of contradiction by lowering.
 *     symbol  <= cluster          a contract alone fits into its cluster
 *     total   <= symbol * min(symbols_min, positions)      so many equal shares fill the total
 * So no cap can be broken by obeying another: the empty book obeys all, anything allowed below a
 * cap obeys it, and nothing is required to be held. A value that is not a number or negative is
 * 0. */
struct portfolio_caps {
    double symbol, cluster, total;
    uint32_t positions, reserved;
};
void portfolio_caps_derive(struct portfolio_caps *out, const struct portfolio_config *config);

/* ---- wishes and answers ---- */

struct portfolio_holding { /* held, or on its way to be */
    uint32_t instrument_index;
    uint32_t side;   /* enum side, not NONE */
    double fraction; /* > 0 */
};
struct portfolio_wish {
    uint32_t instrument_index;
    uint32_t side;
    double edge_net; /* expected return after cost, fraction: what is ranked */
    double fraction; /* wanted; portfolio_select() only */
};

/* X(reason, text), in order of precedence. */
#define PORTFOLIO_REASON_TABLE(X)                                                                  \
    X(PORTFOLIO_ALLOW, "allow")                                                                    \
    X(PORTFOLIO_INVALID, "invalid")      /* no such contract, side or size */                      \
    X(PORTFOLIO_EDGE, "edge_below_cost") /* edge_net not above 0 */                                \
    X(PORTFOLIO_HELD, "position_open")   /* held, or a better wish for it came first */            \
    X(PORTFOLIO_SLOTS, "slots_full")                                                               \
    X(PORTFOLIO_NOT_CONSIDERED, "not_considered")           /* beyond PORTFOLIO_SET_MAX by rank */ \
    X(PORTFOLIO_HISTORY, "history_short")                   /* its own returns are not known */    \
    X(PORTFOLIO_CORRELATION_UNKNOWN, "correlation_unknown") /* with something held */              \
    X(PORTFOLIO_CORRELATED, "correlated")                                                          \
    X(PORTFOLIO_SYMBOL_CAP, "symbol_cap")                                                          \
    X(PORTFOLIO_CLUSTER_CAP, "cluster_cap")                                                        \
    X(PORTFOLIO_TOTAL_CAP, "total_cap")                                                            \
    X(PORTFOLIO_BELOW_MINIMUM, "below_minimum")                                                    \
    X(PORTFOLIO_MARGIN, "margin_use") /* rebalancing only */

enum portfolio_reason {
#define PORTFOLIO_REASON_ENUM(name, text) name,
    PORTFOLIO_REASON_TABLE(PORTFOLIO_REASON_ENUM)
#undef PORTFOLIO_REASON_ENUM
        PORTFOLIO_REASON_COUNT
};
const char *portfolio_reason_text(enum portfolio_reason reason);

/* What a wish finds when its turn comes. */
struct portfolio_room {
    uint32_t reason;    /* PORTFOLIO_ALLOW: there is room > 0 and >= fraction_min */
    uint32_t against;   /* instrument_index of the position it is refused for; UINT32_MAX none */
    double correlation; /* with that position, sides included; NaN unknown or none */
    double symbol, cluster, total; /* rooms, notional / equity, >= 0 */
    double sigma_day;              /* of the contract */
    double variance_day;   /* of the book's return on equity, with what was admitted before */
    double covariance_day; /* of that with one unit of the wish; pairs unknown count as 1 */
};
struct portfolio_verdict {
    uint32_t reason;   /* PORTFOLIO_ALLOW or why not */
    uint32_t bound_by; /* if allowed: the cap that cut it, PORTFOLIO_ALLOW if none did */
    uint32_t against;
    uint32_t rank; /* place among the wishes, 0 the first; UINT32_MAX not ranked */
    double correlation;
    double fraction; /* 0 unless allowed */
};

/* ---- the book of one decision ---- */

/* Correlations of a set. Symmetric; NaN unknown, on the diagonal as well. */
struct portfolio_matrix {
    uint32_t count, reserved;
    uint32_t instrument[PORTFOLIO_SET_MAX];
    uint32_t cluster[PORTFOLIO_SET_MAX]; /* least place of its members */
    double sigma[PORTFOLIO_SET_MAX];     /* NaN unknown */
    double rho[PORTFOLIO_SET_MAX][PORTFOLIO_SET_MAX];
};
/* Scratch of one decision, memory of the caller (524 KB); not part of any state. */
struct portfolio_book {
    struct portfolio_config config;
    struct portfolio_caps caps;
    struct portfolio_matrix matrix;
    uint32_t side[PORTFOLIO_SET_MAX];
    double fraction[PORTFOLIO_SET_MAX]; /* 0 where nothing is held or admitted */
    uint32_t holding_count, positions;
    uint32_t wish_count, ranked;
    const struct portfolio_wish *wishes; /* borrowed until the next open */
    uint32_t order[INSTRUMENTS_MAX];     /* wishes by rank */
    uint32_t place[INSTRUMENTS_MAX];     /* of wish i in the matrix; UINT32_MAX none */
    struct portfolio_verdict verdict[INSTRUMENTS_MAX]; /* of wish i */
    double z[PORTFOLIO_SET_MAX][PORTFOLIO_BARS]; /* returns of whole series, centred, of length 1 */
};

/* Correlations, volatilities and clusters of `count` contracts over the bars up to `bar`.
 * count <= PORTFOLIO_SET_MAX (asserted). O(count^2 PORTFOLIO_BARS). z: scratch. */
void portfolio_correlate(struct portfolio_matrix *out, double (*z)[PORTFOLIO_BARS],
                         const struct portfolio_config *config,
                         const struct portfolio_series *series, const uint32_t *instruments,
                         uint32_t count, int64_t bar);

/* series (instrument_count) by instrument index; holdings, at most PORTFOLIO_POSITIONS_CEILING, no
 * contract twice (asserted); wishes, at most INSTRUMENTS_MAX (asserted). Ranks the wishes by
 * edge_net, equal ones by instrument index, then by place; the first that fit into
 * PORTFOLIO_SET_MAX are looked at. */
void portfolio_open(struct portfolio_book *book, const struct portfolio_config *config,
                    const struct portfolio_series *series, uint32_t instrument_count, int64_t bar,
                    const struct portfolio_holding *holdings, uint32_t holding_count,
                    const struct portfolio_wish *wishes, uint32_t wish_count);
/* Wishes worth considering, best first: indices into wishes. */
const uint32_t *portfolio_rank(const struct portfolio_book *book, uint32_t *count);
/* Changes nothing. wish < wish_count (asserted). */
void portfolio_consider(struct portfolio_room *out, const struct portfolio_book *book,
                        uint32_t wish);
/* Takes at most the room there is; the wish is then a position for those that follow. The verdict
 * is kept in book->verdict[wish]; an allowed one does not change any more. A fraction that is not
 * above 0 is PORTFOLIO_INVALID. */
const struct portfolio_verdict *portfolio_admit(struct portfolio_book *book, uint32_t wish,
                                                double fraction);
/* All ranked wishes at their own size, best first: the greedy choice, which for caps that lie in
 * one another (symbol in cluster in total) has the greatest sum of edge * size of all that obey
 * them, slots and refusals apart. Returns how many were allowed. */
uint32_t portfolio_select(struct portfolio_book *book);

/* ---- rebalancing ---- */

struct portfolio_proposal {
    uint32_t instrument_index;
    uint32_t
        reason; /* PORTFOLIO_SLOTS, _SYMBOL_CAP, _CLUSTER_CAP, _TOTAL_CAP or _MARGIN: the last to bind */
    double from, to; /* notional / equity; to < from: only reductions are proposed */
};
/* Reductions after which the holdings of an opened book (wishes and admissions are not looked at)
 * obey every cap: positions beyond their number first, the smallest of them (equal ones: the highest
 * instrument index), then contracts, then clusters and the total, each member in proportion, then the
 * margin in use (fraction; NaN unknown: not looked at). A cap passed by less than `band` is left.
 * Asked again after they are done, nothing is proposed. out (holding_count). Returns how many. */
uint32_t portfolio_rebalance(struct portfolio_proposal *out, const struct portfolio_book *book,
                             double margin_used);
/* The same for whoever has no book: their number and their total alone. holdings (count), at most
 * PORTFOLIO_POSITIONS_CEILING (asserted); out (count). */
uint32_t portfolio_obey(struct portfolio_proposal *out, const struct portfolio_holding *holdings,
                        uint32_t count, double total_max, uint32_t positions_max, double band);

#endif
