/* What the same bars gave to others: each model's answers under one plain rule, a holder, and the dice with the run's own
 * exposure. No exchange, no account: sizes are shares of a fixed capital, gains are added, not compounded.
 *
 * Rule     promotion's costed rule (brain/promotion/validator.h): an expected return beyond the round trip's cost takes
 *          its side for a horizon; each change of side pays; equal size in all symbols.
 * Tests    test_paper.c: hand-made markets. */
#ifndef WALK_PAPER_H
#define WALK_PAPER_H

#include "brain/promotion/validator.h"
#include "learn/learn.h"
#include "walk/outcome.h"

/* Returns per UTC day, one for each day that begins in [from, to); to free. */
struct walk_days {
    int64_t first_ns; /* midnight of the first */
    size_t count;
    double *returns; /* (count) */
};
/* Zero returns for every day from that of from_ns to that of to_ns - 1. */
enum status walk_days_create(struct walk_days *out, int64_t from_ns, int64_t to_ns,
                             struct err *err);
void walk_days_free(struct walk_days *d);
/* Adds to the day that the moment ends (midnight ends the day before); out of range: nothing. */
void walk_days_add(struct walk_days *d, int64_t close_ns, double value);

struct walk_rule_totals {
    uint64_t changes; /* of side, a turn counts 2 */
    double net, cost; /* sums of fractions of capital */
    double exposure;  /* mean share of the capital in the market */
};
/* The subject under the rule, over the closes of d; the last positions are closed at the end and pay. days: created. */
enum status walk_rule(struct walk_days *days, struct walk_rule_totals *totals,
                      const struct walk_decisions *d, const struct learn_series *series,
                      enum walk_subject subject, const struct promotion_config *config,
                      struct err *err);

/* Equal parts of the capital in every symbol at its first close in the window, held to its last; cost_side paid both
 * ways. Gains of a day over the capital at the start. */
void walk_hold(struct walk_days *days, const struct learn_series *series, size_t count,
               int64_t from_ns, int64_t to_ns, int64_t interval_ns, double cost_side);

/* One trade of the run, as far as the dice copy it. */
struct walk_trade {
    int64_t entry_ns, exit_ns;
    double share; /* notional / equity at entry */
    double net;   /* net PnL / equity at entry */
    double cost;  /* fees / notional, both ways */
};
struct walk_dice {
    uint32_t draws, reserved;
    double own;             /* sum of the trades' net */
    double mean, low, high; /* of the draws' sums; 2.5 % and 97.5 % points */
    double at_least_own;    /* share of (draws + 1) that did as well: a p value */
};
/* Each draw: every trade again, with its share, duration and cost, but symbol, moment and side by chance; close to
 * close, funding left out. draws >= 100. Figures NaN without trades or where none fits the bars. */
enum status walk_dice(struct walk_dice *out, const struct walk_trade *trades, size_t n,
                      const struct learn_series *series, size_t count, int64_t from_ns,
                      int64_t to_ns, int64_t interval_ns, uint32_t draws, uint64_t seed,
                      struct err *err);

#endif
