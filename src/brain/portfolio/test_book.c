/* Which wishes are taken: refusals, caps, order, and what the book's risk is.
 *
 * TEST_SEED=n repeats the random cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "brain/portfolio/test_market.h"
#include "brain/sizing/sizing.h"

static struct portfolio_book *book;

static int setup(void **state) {
    (void)state;
    book = malloc(sizeof *book);
    return book ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    free(book);
    return 0;
}

static void open_book(const struct portfolio_config *c, uint32_t instruments,
                      const struct portfolio_holding *h, uint32_t holdings,
                      const struct portfolio_wish *w, uint32_t wishes) {
    portfolio_open(book, c, market, instruments, MARKET_LAST, h, holdings, w, wishes);
}

/* ---- sides ---- */

static void the_same_bet_is_refused_and_a_hedge_is_not(void **state) {
    (void)state;
    /* 0 and 1 rise together, 2 falls when they rise, 3 goes its own way */
    static const uint32_t group[] = {1, 1, 1, 0};
    static const double rho[] = {.98, .98, -.98, 0};
    market_make(4, group, rho, 1);
    const struct portfolio_config c = portfolio_config_defaults();
    static const uint32_t sides[] = {SIDE_BUY, SIDE_SELL};
    for (int held = 0; held < 2; held++)
        for (int side = 0; side < 2; side++)
            for (uint32_t i = 1; i < 4; i++) {
                const struct portfolio_holding h = {0, sides[held], 0.1};
                const struct portfolio_wish w = {i, sides[side], 0.01, 0.1};
                open_book(&c, 4, &h, 1, &w, 1);
                struct portfolio_room room;
                portfolio_consider(&room, book, 0);
                bool same = (held == side) == (i == 1);
                if (i == 3 || !same) {
                    assert_int_equal(room.reason, PORTFOLIO_ALLOW);
                    assert_int_equal(room.against, UINT32_MAX);
                } else {
                    assert_int_equal(room.reason, PORTFOLIO_CORRELATED);
                    assert_int_equal(room.against, 0);
                    assert_true(room.correlation > 0.9);
                }
                /* covariance has the sign of the bet */
                if (i < 3) assert_int_equal(same, room.covariance_day > 0);
                /* and the cluster's cap holds for both */
                assert_true(fabs(room.cluster - (i < 3 ? 0.5 : 0.6)) < 1e-15);
            }
}

static void the_line_is_at_080(void **state) {
    (void)state;
    static const uint32_t group[] = {0, 0};
    static const double rho[] = {0, 0};
    market_make(2, group, rho, 1);
    const struct portfolio_config c = portfolio_config_defaults();
    const struct portfolio_holding h = {0, SIDE_BUY, 0.1};
    const struct portfolio_wish w = {1, SIDE_BUY, 0.01, 0.1};
    open_book(&c, 2, &h, 1, &w, 1);
    struct portfolio_room room;
    book->matrix.rho[0][1] = book->matrix.rho[1][0] = 0.80;
    portfolio_consider(&room, book, 0);
    assert_int_equal(room.reason, PORTFOLIO_CORRELATED);
    book->matrix.rho[0][1] = book->matrix.rho[1][0] = nextafter(0.80, 0);
    portfolio_consider(&room, book, 0);
    assert_int_equal(room.reason, PORTFOLIO_ALLOW);
    book->matrix.rho[0][1] = book->matrix.rho[1][0] = NAN;
    portfolio_consider(&room, book, 0);
    assert_int_equal(room.reason, PORTFOLIO_CORRELATION_UNKNOWN);
    assert_int_equal(room.against, 0);
}

static void the_closest_position_is_named(void **state) {
    (void)state;
    static const uint32_t group[] = {1, 1, 1, 1};
    static const double rho[] = {.96, .999, .96, .999};
    market_make(4, group, rho, 3);
    const struct portfolio_config c = portfolio_config_defaults();
    const struct portfolio_holding h[] = {{0, SIDE_BUY, .1}, {1, SIDE_BUY, .1}, {2, SIDE_BUY, .1}};
    const struct portfolio_wish w = {3, SIDE_BUY, 0.01, 0.1};
    open_book(&c, 4, h, 3, &w, 1);
    assert_int_equal(portfolio_select(book), 0);
    assert_int_equal(book->verdict[0].reason, PORTFOLIO_CORRELATED);
    assert_int_equal(book->verdict[0].against, 1);
    assert_true(book->verdict[0].correlation == book->matrix.rho[1][3]);
}

/* ---- reasons ---- */

static void each_reason_is_given(void **state) {
    (void)state;
    static const uint32_t group[8] = {0};
    static const double rho[8] = {0, 0, 0, 0, 0, 0, NAN, 0};
    market_make(8, group, rho, 5);
    struct portfolio_config c = portfolio_config_defaults();
    c.positions_max = 7;
    c.fraction_min = 0.01;
    const struct portfolio_holding h = {0, SIDE_BUY, 0.1};
    const struct portfolio_wish w[] = {
        {8, SIDE_BUY, .01, .1},     {1, SIDE_NONE, .01, .1}, {1, SIDE_BUY, 0, .1},
        {1, SIDE_BUY, NAN, .1},     {0, SIDE_SELL, .09, .1}, {1, SIDE_BUY, .08, .1},
        {1, SIDE_SELL, .07, .1},    {6, SIDE_BUY, .06, .1},  {2, SIDE_BUY, .05, .009},
        {3, SIDE_BUY, .04, NAN},    {4, SIDE_BUY, .03, 5},   {5, SIDE_BUY, .02, .1},
        {7, SIDE_BUY, INFINITY, 1},
    };
    static const enum portfolio_reason expected[] = {
        PORTFOLIO_INVALID,       PORTFOLIO_INVALID, PORTFOLIO_EDGE,  PORTFOLIO_EDGE,
        PORTFOLIO_HELD,          PORTFOLIO_ALLOW,   PORTFOLIO_HELD,  PORTFOLIO_HISTORY,
        PORTFOLIO_BELOW_MINIMUM, PORTFOLIO_INVALID, PORTFOLIO_ALLOW, PORTFOLIO_ALLOW,
        PORTFOLIO_EDGE};
    open_book(&c, 8, &h, 1, w, 13);
    assert_int_equal(portfolio_select(book), 3);
    for (int i = 0; i < 13; i++)
        if (book->verdict[i].reason != expected[i])
            fail_msg("wish %d: %s, not %s", i,
                     portfolio_reason_text((enum portfolio_reason)book->verdict[i].reason),
                     portfolio_reason_text(expected[i]));
    assert_int_equal(book->verdict[10].bound_by, PORTFOLIO_SYMBOL_CAP);
    assert_true(book->verdict[10].fraction == 0.2);
    assert_int_equal(book->verdict[4].rank, 0);
    assert_int_equal(book->verdict[0].rank, UINT32_MAX);
    /* asked again, an allowed wish keeps its size */
    assert_true(portfolio_admit(book, 10, 0.01)->fraction == 0.2);
    assert_int_equal(book->verdict[10].reason, PORTFOLIO_ALLOW);
    /* no more places */
    c.positions_max = 1;
    open_book(&c, 8, &h, 1, &w[5], 1);
    assert_int_equal(portfolio_select(book), 0);
    assert_int_equal(book->verdict[0].reason, PORTFOLIO_SLOTS);
}

static void caps_bind_in_their_turn(void **state) {
    (void)state;
    static const uint32_t group[] = {1, 1, 1, 1, 0, 0, 0};
    static const double rho[] = {.87, .87, .87, .87, 0, 0, 0}; /* 0.76 with each other */
    market_make(7, group, rho, 9);
    struct portfolio_config c = portfolio_config_defaults();
    c.cluster_max = 0.5;
    const struct portfolio_wish w[] = {
        {0, SIDE_BUY, .09, .3}, {1, SIDE_BUY, .08, .2}, {2, SIDE_BUY, .07, .2},
        {3, SIDE_BUY, .06, .2}, {4, SIDE_BUY, .05, .2}, {5, SIDE_BUY, .04, .2},
        {6, SIDE_BUY, .03, .2},
    };
    open_book(&c, 7, NULL, 0, w, 7);
    c.refuse_at = 0.95;
    portfolio_open(book, &c, market, 7, MARKET_LAST, NULL, 0, w, 7);
    (void)portfolio_select(book);
    static const double fraction[] = {.2, .2, .1, 0, .2, .2, .1};
    static const enum portfolio_reason bound[] = {
        PORTFOLIO_SYMBOL_CAP, PORTFOLIO_ALLOW, PORTFOLIO_CLUSTER_CAP, PORTFOLIO_ALLOW,
        PORTFOLIO_ALLOW,      PORTFOLIO_ALLOW, PORTFOLIO_TOTAL_CAP};
    for (int i = 0; i < 7; i++) {
        assert_true(fabs(book->verdict[i].fraction - fraction[i]) < 1e-15);
        assert_int_equal(book->verdict[i].bound_by, bound[i]);
    }
    assert_int_equal(book->verdict[3].reason, PORTFOLIO_CLUSTER_CAP);
}

/* ---- no contradiction ---- */

static double wild(struct rng *r, double high) {
    static const double odd[] = {0, NAN, -1, INFINITY, 1e300, 1e-300};
    return rng_below(r, 12) == 0 ? odd[rng_below(r, 6)] : high * rng_f64(r);
}

static struct portfolio_config random_config(struct rng *r, bool odd) {
    struct portfolio_config c = portfolio_config_defaults();
    c.symbol_max = odd ? wild(r, 0.6) : 0.02 + 0.4 * rng_f64(r);
    c.cluster_max = odd ? wild(r, 2) : 0.05 + rng_f64(r);
    c.total_max = odd ? wild(r, 4) : 0.1 + 2 * rng_f64(r);
    c.symbols_min = (uint32_t)rng_below(r, 12);
    c.positions_max = (uint32_t)rng_below(r, 70);
    c.refuse_at = odd ? wild(r, 1.2) : 0.6 + 0.35 * rng_f64(r);
    c.cluster_at = odd ? wild(r, 1.2) : 0.4 + 0.5 * rng_f64(r);
    return c;
}

static void five_equal_shares_fit_whatever_is_configured(void **state) {
    (void)state;
    static const uint32_t group[50] = {0};
    static const double rho[50] = {0};
    market_make(50, group, rho, 13);
    struct rng r = market_dice(51);
    for (int n = 0; n < 200; n++) {
        struct portfolio_config c = random_config(&r, n % 2);
        if (n == 0) { /* the original's pair: 15 % a symbol, five symbols at least */
            c = portfolio_config_defaults();
            c.symbol_max = 0.15;
        }
        c.refuse_at = c.cluster_at = 0.9;
        struct portfolio_caps caps;
        portfolio_caps_derive(&caps, &c);
        uint32_t shares = c.symbols_min < caps.positions ? c.symbols_min : caps.positions;
        assert_true(caps.symbol >= 0 && caps.symbol <= caps.cluster);
        assert_true(caps.symbol <= PORTFOLIO_SYMBOL_CEILING);
        assert_true(caps.total <= PORTFOLIO_TOTAL_CEILING && caps.total <= shares * caps.symbol);
        if (n == 0) assert_true(caps.symbol == 0.15 && caps.total == 0.75);
        if (!(caps.total > 0)) continue;
        struct portfolio_wish w[50];
        for (uint32_t i = 0; i < shares; i++)
            w[i] = (struct portfolio_wish){i, SIDE_BUY, 0.01, caps.total / shares};
        open_book(&c, 50, NULL, 0, w, shares);
        assert_int_equal(portfolio_select(book), shares);
        double sum = 0;
        for (uint32_t i = 0; i < shares; i++) sum += book->verdict[i].fraction;
        assert_true(fabs(sum - caps.total) < 1e-12);
    }
}

/* Everything the book promises, added up again from its answers. */
static void check_promises(const struct portfolio_config *c, const struct portfolio_holding *h,
                           uint32_t holdings, const struct portfolio_wish *w, uint32_t wishes) {
    struct portfolio_caps caps;
    portfolio_caps_derive(&caps, c);
    double total = 0, sum[MARKET_MAX] = {0}, before[MARKET_MAX] = {0}, held = 0;
    uint32_t positions = holdings, allowed = 0;
    const struct portfolio_matrix *m = &book->matrix;
    for (uint32_t i = 0; i < holdings; i++) {
        total += h[i].fraction;
        before[m->cluster[i]] += h[i].fraction;
    }
    held = total;
    memcpy(sum, before, sizeof sum);
    for (uint32_t i = 0; i < wishes; i++) {
        const struct portfolio_verdict *v = &book->verdict[i];
        assert_int_equal(v->fraction > 0, v->reason == PORTFOLIO_ALLOW);
        if (v->reason != PORTFOLIO_ALLOW) continue;
        assert_true(v->fraction <= w[i].fraction && v->fraction <= caps.symbol);
        total += v->fraction;
        sum[m->cluster[book->place[i]]] += v->fraction;
        positions++;
        allowed++;
        for (uint32_t k = 0; k < holdings; k++) {
            assert_true(h[k].instrument_index != w[i].instrument_index);
            double same = m->rho[k][book->place[i]] * side_sign((enum side)h[k].side) *
                          side_sign((enum side)w[i].side);
            assert_true(same < book->config.refuse_at);
        }
        for (uint32_t k = 0; k < i; k++) {
            if (book->verdict[k].reason != PORTFOLIO_ALLOW) continue;
            assert_true(w[k].instrument_index != w[i].instrument_index);
            double same = m->rho[book->place[k]][book->place[i]] * side_sign((enum side)w[k].side) *
                          side_sign((enum side)w[i].side);
            assert_true(same < book->config.refuse_at);
        }
    }
    assert_true(total <= fmax(caps.total, held) + 1e-12);
    if (allowed > 0) assert_true(positions <= caps.positions);
    for (uint32_t k = 0; k < m->count; k++)
        assert_true(sum[k] <= fmax(caps.cluster, before[k]) + 1e-12);
    /* and no wish was refused for a cap that had room at the end */
    for (uint32_t i = 0; i < wishes; i++) {
        uint32_t reason = book->verdict[i].reason;
        if (reason == PORTFOLIO_CLUSTER_CAP)
            assert_true(sum[m->cluster[book->place[i]]] >= caps.cluster - 1e-12);
        if (reason == PORTFOLIO_TOTAL_CAP) assert_true(total >= caps.total - 1e-12);
        if (reason == PORTFOLIO_SLOTS) assert_true(positions >= caps.positions);
    }
}

static void random_groups(struct rng *r, uint32_t count) {
    uint32_t group[MARKET_MAX];
    double rho[MARKET_MAX];
    for (uint32_t i = 0; i < count; i++) {
        group[i] = (uint32_t)rng_below(r, 6);
        rho[i] = rng_below(r, 30) == 0 ? NAN : 2 * sqrt(rng_f64(r)) - 1;
    }
    market_make(count, group, rho, rng_u64(r));
}

static uint32_t random_holdings(struct rng *r, struct portfolio_holding *h, uint32_t instruments) {
    uint32_t count = (uint32_t)rng_below(r, 12), n = 0;
    for (uint32_t i = 0; i < instruments && n < count; i++)
        if (rng_below(r, 4) == 0)
            h[n++] = (struct portfolio_holding){i, rng_below(r, 2) ? SIDE_BUY : SIDE_SELL,
                                                0.001 + 0.3 * rng_f64(r)};
    return n;
}

static void any_input_yields_an_allocation_within_all_caps(void **state) {
    (void)state;
    struct rng r = market_dice(52);
    uint32_t seen[PORTFOLIO_REASON_COUNT] = {0};
    enum { COUNT = 60 };
    for (int market_of = 0; market_of < 20; market_of++) {
        random_groups(&r, COUNT);
        for (int n = 0; n < 40; n++) {
            struct portfolio_config c = random_config(&r, n % 3 == 0);
            struct portfolio_holding h[12];
            uint32_t holdings = random_holdings(&r, h, COUNT);
            struct portfolio_wish w[80];
            uint32_t wishes = (uint32_t)rng_below(&r, 80);
            for (uint32_t i = 0; i < wishes; i++)
                w[i] = (struct portfolio_wish){(uint32_t)rng_below(&r, COUNT + 1),
                                               (uint32_t)rng_below(&r, 3), wild(&r, 0.02) - 0.002,
                                               wild(&r, 0.3)};
            open_book(&c, COUNT, h, holdings, w, wishes);
            (void)portfolio_select(book);
            check_promises(&c, h, holdings, w, wishes);
            for (uint32_t i = 0; i < wishes; i++) seen[book->verdict[i].reason]++;
        }
    }
    for (uint32_t k = 0; k < PORTFOLIO_REASON_COUNT; k++)
        if (seen[k] == 0 && k != PORTFOLIO_NOT_CONSIDERED && k != PORTFOLIO_MARGIN &&
            k != PORTFOLIO_CORRELATION_UNKNOWN && k != PORTFOLIO_BELOW_MINIMUM)
            fail_msg("%s never came", portfolio_reason_text((enum portfolio_reason)k));
}

/* ---- order ---- */

static void the_order_of_wishes_does_not_matter(void **state) {
    (void)state;
    struct rng r = market_dice(59);
    enum { COUNT = 40 };
    random_groups(&r, COUNT);
    const struct portfolio_config c = portfolio_config_defaults();
    for (int n = 0; n < 300; n++) {
        struct portfolio_wish w[COUNT], mixed[COUNT];
        uint32_t from[COUNT];
        for (uint32_t i = 0; i < COUNT; i++) {
            /* few different edges: many ties, which the instrument index decides */
            w[i] =
                (struct portfolio_wish){i, rng_below(&r, 2) ? SIDE_BUY : SIDE_SELL,
                                        0.001 * (double)(1 + rng_below(&r, 4)), 0.2 * rng_f64(&r)};
            uint32_t at = (uint32_t)rng_below(&r, i + 1);
            from[i] = from[at];
            from[at] = i;
        }
        for (uint32_t i = 0; i < COUNT; i++) mixed[i] = w[from[i]];
        struct portfolio_verdict first[COUNT];
        open_book(&c, COUNT, NULL, 0, w, COUNT);
        (void)portfolio_select(book);
        memcpy(first, book->verdict, sizeof first);
        uint32_t ranked;
        const uint32_t *order = portfolio_rank(book, &ranked);
        for (uint32_t k = 1; k < ranked; k++) {
            const struct portfolio_wish *a = &w[order[k - 1]], *b = &w[order[k]];
            assert_true(a->edge_net > b->edge_net ||
                        (a->edge_net == b->edge_net && a->instrument_index < b->instrument_index));
        }
        open_book(&c, COUNT, NULL, 0, mixed, COUNT);
        (void)portfolio_select(book);
        for (uint32_t i = 0; i < COUNT; i++) {
            assert_int_equal(book->verdict[i].reason, first[from[i]].reason);
            assert_true(book->verdict[i].fraction == first[from[i]].fraction);
        }
    }
}

/* Twin: every order of six wishes; the caps lie in one another, so one of these greedy fillings has
 * the greatest sum of edge times size of all. */
static void best_first_earns_the_most(void **state) {
    (void)state;
    struct rng r = market_dice(60);
    enum { COUNT = 6 };
    static const uint32_t group[COUNT] = {1, 1, 1, 2, 2, 0};
    static const double rho[COUNT] = {.9, .9, .9, .9, .9, 0};
    market_make(COUNT, group, rho, 21);
    struct portfolio_config c = portfolio_config_defaults();
    c.refuse_at = 0.95;
    for (int n = 0; n < 15; n++) {
        c.symbol_max = 0.1 + 0.3 * rng_f64(&r);
        c.cluster_max = 0.1 + 0.6 * rng_f64(&r);
        struct portfolio_wish w[COUNT];
        for (uint32_t i = 0; i < COUNT; i++)
            w[i] = (struct portfolio_wish){i, SIDE_BUY, 0.001 + 0.02 * rng_f64(&r),
                                           0.02 + 0.4 * rng_f64(&r)};
        open_book(&c, COUNT, NULL, 0, w, COUNT);
        (void)portfolio_select(book);
        double ours = 0, most = 0;
        for (uint32_t i = 0; i < COUNT; i++) ours += w[i].edge_net * book->verdict[i].fraction;
        for (uint32_t code = 0; code < 720; code++) {
            open_book(&c, COUNT, NULL, 0, w, COUNT);
            uint32_t left[COUNT] = {0, 1, 2, 3, 4, 5}, rest = code;
            double sum = 0;
            for (uint32_t k = COUNT; k > 0; k--) {
                uint32_t at = rest % k, wish = left[at];
                rest /= k;
                left[at] = left[k - 1];
                sum += w[wish].edge_net * portfolio_admit(book, wish, w[wish].fraction)->fraction;
            }
            most = fmax(most, sum);
        }
        assert_true(fabs(ours - most) < 1e-15);
    }
}

static void only_the_best_fit_into_the_set(void **state) {
    (void)state;
    static uint32_t group[MARKET_MAX];
    static double rho[MARKET_MAX];
    market_make(MARKET_MAX, group, rho, 2);
    struct portfolio_config c = portfolio_config_defaults();
    c.positions_max = 50;
    c.symbol_max = 0.01;
    struct portfolio_holding h[10];
    for (uint32_t i = 0; i < 10; i++) h[i] = (struct portfolio_holding){i, SIDE_BUY, 0.0001};
    struct portfolio_wish w[MARKET_MAX];
    for (uint32_t i = 0; i < MARKET_MAX; i++) /* the last are the best */
        w[i] = (struct portfolio_wish){i, SIDE_BUY, 0.001 + 0.0001 * i, 0.0001};
    open_book(&c, MARKET_MAX, h, 10, w, MARKET_MAX);
    assert_int_equal(book->matrix.count, PORTFOLIO_SET_MAX);
    assert_int_equal(portfolio_select(book), 40);
    for (uint32_t i = MARKET_MAX - 40; i < MARKET_MAX; i++)
        assert_int_equal(book->verdict[i].reason, PORTFOLIO_ALLOW);
    struct portfolio_room room;
    open_book(&c, MARKET_MAX, h, 10, w, MARKET_MAX);
    portfolio_consider(&room, book, MARKET_MAX - 118); /* 128 less ten held */
    assert_int_equal(room.reason, PORTFOLIO_ALLOW);
    portfolio_consider(&room, book, MARKET_MAX - 119);
    assert_int_equal(room.reason, PORTFOLIO_NOT_CONSIDERED);
    portfolio_consider(&room, book, 9);
    assert_int_equal(room.reason, PORTFOLIO_HELD);
}

/* ---- risk ---- */

/* Twin: the return of the whole book, bar by bar, and its sample variance. */
static void the_books_variance_is_that_of_its_returns(void **state) {
    (void)state;
    struct rng r = market_dice(61);
    enum { COUNT = 12 };
    struct portfolio_config c = portfolio_config_defaults();
    c.positions_max = 50;
    for (int n = 0; n < 50; n++) {
        uint32_t group[COUNT];
        double rho[COUNT];
        for (uint32_t i = 0; i < COUNT; i++) {
            group[i] = (uint32_t)rng_below(&r, 3);
            rho[i] = 1.8 * rng_f64(&r) - 0.9;
        }
        market_make(COUNT, group, rho, rng_u64(&r));
        struct portfolio_holding h[COUNT];
        uint32_t holdings = 1 + (uint32_t)rng_below(&r, COUNT - 1);
        for (uint32_t i = 0; i < holdings; i++)
            h[i] = (struct portfolio_holding){i, rng_below(&r, 2) ? SIDE_BUY : SIDE_SELL,
                                              0.001 + 0.1 * rng_f64(&r)};
        const struct portfolio_wish w = {COUNT - 1, SIDE_SELL, 0.01, 0.1};
        open_book(&c, COUNT, h, holdings, &w, 1);
        struct portfolio_room room;
        portfolio_consider(&room, book, 0);
        double x = 0, xx = 0, y = 0, yy = 0, xy = 0;
        for (int64_t t = MARKET_LAST - PORTFOLIO_BARS + 1; t <= MARKET_LAST; t++) {
            double a = 0, b = -(double)market[COUNT - 1].returns[t % PORTFOLIO_BARS];
            for (uint32_t i = 0; i < holdings; i++)
                a += side_sign((enum side)h[i].side) * h[i].fraction *
                     (double)market[i].returns[t % PORTFOLIO_BARS];
            x += a;
            xx += a * a;
            y += b;
            yy += b * b;
            xy += a * b;
        }
        double bars = PORTFOLIO_BARS, day = 24 / (bars - 1);
        assert_true(fabs(room.variance_day - (xx - x * x / bars) * day) < 1e-12);
        assert_true(fabs(room.covariance_day - (xy - x * y / bars) * day) < 1e-12);
        assert_true(fabs(room.sigma_day - sqrt((yy - y * y / bars) * day)) < 1e-12);
    }
}

static void unknown_pairs_count_as_the_same_bet(void **state) {
    (void)state;
    static const uint32_t group[4] = {0};
    static const double rho[] = {0, 0, NAN, 0}; /* contract 2 has no history */
    market_make(4, group, rho, 31);
    const struct portfolio_config c = portfolio_config_defaults();
    const struct portfolio_holding h[] = {
        {0, SIDE_BUY, .1}, {1, SIDE_SELL, .2}, {2, SIDE_BUY, .05}};
    const struct portfolio_wish w = {3, SIDE_SELL, .01, .1};
    open_book(&c, 4, h, 3, &w, 1);
    book->matrix.rho[0][1] = book->matrix.rho[1][0] = NAN;
    book->matrix.rho[0][3] = book->matrix.rho[3][0] = NAN;
    book->matrix.rho[1][3] = book->matrix.rho[3][1] = NAN;
    struct portfolio_room room;
    portfolio_consider(&room, book, 0);
    double a = .1 * book->matrix.sigma[0] * sqrt(24), b = .2 * book->matrix.sigma[1] * sqrt(24),
           held = a + b + .05 * PORTFOLIO_SIGMA_DAY_UNKNOWN;
    assert_true(fabs(room.variance_day - held * held) < 1e-15);
    assert_true(fabs(room.covariance_day - held * room.sigma_day) < 1e-15);
    assert_int_equal(room.reason, PORTFOLIO_CORRELATION_UNKNOWN);
}

/* The loop a caller runs: what sizing lets through keeps the book's volatility at its target. */
static void sized_one_after_another_the_book_keeps_its_target(void **state) {
    (void)state;
    struct rng r = market_dice(62);
    enum { COUNT = 40 };
    struct portfolio_config c = portfolio_config_defaults();
    const struct sizing_config sizing = sizing_config_defaults();
    uint32_t taken = 0, at_target = 0;
    for (int n = 0; n < 100; n++) {
        random_groups(&r, COUNT);
        struct portfolio_wish w[COUNT];
        for (uint32_t i = 0; i < COUNT; i++)
            w[i] = (struct portfolio_wish){i, rng_below(&r, 2) ? SIDE_BUY : SIDE_SELL,
                                           0.03 * rng_f64(&r), 0};
        open_book(&c, COUNT, NULL, 0, w, COUNT);
        uint32_t ranked;
        const uint32_t *order = portfolio_rank(book, &ranked);
        double exposure = 0, sigma = 0;
        for (uint32_t k = 0; k < ranked; k++) {
            struct portfolio_room room;
            portfolio_consider(&room, book, order[k]);
            if (room.reason != PORTFOLIO_ALLOW) continue;
            struct sizing_input in = {.edge = w[order[k]].edge_net + 0.001,
                                      .cost = 0.001,
                                      .trade_sigma = 0.02,
                                      .stop_distance = 0.01,
                                      .sigma_day = room.sigma_day,
                                      .variance_day = room.variance_day,
                                      .covariance_day = room.covariance_day,
                                      .memory_mean = 0.01,
                                      .memory_samples = 1000,
                                      .exposure_total = exposure,
                                      .cluster_room = room.cluster,
                                      .margin_available = 1,
                                      .multiplier = 1,
                                      .leverage = 3};
            struct sizing_decision out;
            sizing_decide(&out, &sizing, &in);
            if (out.reason != SIZING_ALLOW) continue;
            const struct portfolio_verdict *v = portfolio_admit(book, order[k], out.fraction);
            assert_int_equal(v->reason, PORTFOLIO_ALLOW);
            assert_true(v->fraction == out.fraction); /* both saw the same room */
            exposure += v->fraction;
            sigma = out.portfolio_sigma;
            taken++;
            at_target += out.bound_by == SIZING_LIMIT_PORTFOLIO_VOLATILITY;
            assert_true(sigma <= sizing.portfolio_volatility * (1 + 1e-9));
        }
    }
    assert_true(taken > 300 && at_target > 10);
}

static void a_faulty_configuration_is_named(void **state) {
    (void)state;
    struct portfolio_config c = portfolio_config_defaults();
    assert_null(portfolio_config_fault(&c));
    c.band = NAN;
    assert_string_equal(portfolio_config_fault(&c), "band");
    c = portfolio_config_defaults();
    c.symbol_max = 0.41;
    assert_string_equal(portfolio_config_fault(&c), "symbol_max");
    c = portfolio_config_defaults();
    c.positions_max = 51;
    assert_string_equal(portfolio_config_fault(&c), "positions_max");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_bet_is_refused_and_a_hedge_is_not),
        cmocka_unit_test(the_line_is_at_080),
        cmocka_unit_test(the_closest_position_is_named),
        cmocka_unit_test(each_reason_is_given),
        cmocka_unit_test(caps_bind_in_their_turn),
        cmocka_unit_test(five_equal_shares_fit_whatever_is_configured),
        cmocka_unit_test(any_input_yields_an_allocation_within_all_caps),
        cmocka_unit_test(the_order_of_wishes_does_not_matter),
        cmocka_unit_test(best_first_earns_the_most),
        cmocka_unit_test(only_the_best_fit_into_the_set),
        cmocka_unit_test(the_books_variance_is_that_of_its_returns),
        cmocka_unit_test(unknown_pairs_count_as_the_same_bet),
        cmocka_unit_test(sized_one_after_another_the_book_keeps_its_target),
        cmocka_unit_test(a_faulty_configuration_is_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
