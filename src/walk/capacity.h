/* How much money a way of trading can carry before its own orders move the price against it.
 *
 * Impact of one order by the square-root law, a fraction of the price:
 *     impact = Y sigma sqrt(q / V),      Y = 1,
 * q its notional, V the notional traded in the day before it, sigma the deviation of the return over such a day. With k times the
 * capital every order is k times as large, so the mean impact, weighted by notional, grows by sqrt(k), and the capital
 * at which it is c follows in closed form: capital * (c / impact now)^2.
 *
 * What it leaves out: impact that lingers between orders, and that a venue may hold less depth than its volume
 * says. It is an order of magnitude.
 *
 * Source  Torre, BARRA Market Impact Model Handbook (1997); Almgren et al., "Direct estimation of equity market impact",
 *         Risk 18 (2005); Toth et al., Physical Review X 1 (2011).
 * Tests   test_capacity.c. Pure. */
#ifndef WALK_CAPACITY_H
#define WALK_CAPACITY_H

#include <stddef.h>
#include <stdint.h>

struct walk_order {
    double notional;   /* quote units, > 0 */
    double day_volume; /* quote units */
    double day_sigma;  /* fraction */
};

enum { WALK_CAPACITY_LEVELS = 3 };
extern const double walk_capacity_bps[WALK_CAPACITY_LEVELS]; /* 1, 5, 10 */

struct walk_capacity {
    uint64_t orders, left_out;            /* left out: no volume or no deviation known */
    double impact_bps;                    /* mean, by notional, at the capital there was */
    double participation;                 /* mean share of the day's volume, by notional, … */
    double capital[WALK_CAPACITY_LEVELS]; /* quote units; NaN without orders */
    double participation_at[WALK_CAPACITY_LEVELS];
};
/* capital: what the orders were made with, > 0 (asserted). */
void walk_capacity(struct walk_capacity *out, const struct walk_order *orders, size_t n,
                   double capital);

#endif
