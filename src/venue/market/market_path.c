/* Where the index price is: drawn, along the bars, or at the last recorded trade. And the trades
 * of others. */
#include <math.h>

#include "base/assert.h"
#include "num/elementary.h"
#include "venue/market/market_internal.h"

/* Share of a move that all contracts have in common: correlation 0.3 between any two. */
static const double FACTOR = 0.5477225575051661, OWN = 0.8366600265340756; /* roots of 0.3, 0.7 */

/* Trades of others: the middle of their notional in quote units and the deviation of its logarithm. */
static const double TRADE_NOTIONAL = 600.0, TRADE_SPREAD = 1.2;
/* How far the side of the flow leans with the last moves, per deviation of these. */
static const double LEAN = 0.12;
static const double SLOW_MOVES = 16.0;

/* Where takers lead: so much of a minute's deviation a minute, and of the taker flow; one way for so long. */
static const double DRIFT = 0.5, TAKERS = 0.25;
#define PHASE_NS  (30 * NS_PER_MINUTE)
#define PHASE_KEY UINT64_C(0x6c65616400000000)

/* Prints of a replayed bar: its four corners and five between each two. A bar of fewer lots has the
 * corners. */
enum { PRINTS = 19, CORNERS = 4 };

static double clamp(double x, double lo, double hi) {
    return x < lo ? lo : x > hi ? hi : x;
}

void market_path_start(struct market *m, uint32_t i, px_t start) {
    struct market_slot *s = &m->slots[i];
    ASSERT(start.e8 >= 0);
    s->index_e8 = start.e8;
    s->level = s->slow = (double)start.e8;
}

/* ---- drawn ---- */

/* Contracts move at times of their own within a period, and share one draw for it. */
static double factor_at(struct market *m, int64_t ts_ns, bool jumped) {
    uint64_t key = jumped ? UINT64_C(1) << 63 | (uint64_t)ts_ns
                          : (uint64_t)((ts_ns - m->start_ns) / m->quote_every_ns);
    if (key != m->factor_key) {
        struct rng rng = rng_split(&m->factor_root, key);
        double z[2], u = rng_f64(&rng), turn = rng_f64(&rng);
        num_normal_pair(z, u, turn);
        m->factor_key = key;
        m->factor = z[0];
    }
    return m->factor;
}

/* Standard deviation of the log return over a time. */
static double deviation(const struct market *m, double span_ns) {
    return m->volatility_day * sqrt(span_ns / (double)NS_PER_DAY);
}

/* Within what the contract's price filter allows, and never so low that a tick is a jump. */
static double level_bound(const struct instrument *in, double level) {
    double lo = fmax(1.05 * (double)in->px_min.e8, 100.0 * (double)in->tick_size.e8);
    double hi = in->px_max.e8 > 0 ? 0.95 * (double)in->px_max.e8 : 9e18;
    return clamp(level, lo, hi);
}

/* ---- takers lead ---- */

static int phase_of(const struct rng *root, uint32_t i, int64_t ts_ns) {
    struct rng rng =
        rng_split(root, PHASE_KEY ^ ((uint64_t)i << 40) ^ (uint64_t)(ts_ns / PHASE_NS));
    return (int)rng_below(&rng, 3) - 1;
}

int market_phase(uint64_t seed, uint32_t instrument, int64_t ts_ns) {
    struct rng root = rng_init(seed), factor = rng_split(&root, 0);
    return phase_of(&factor, instrument, ts_ns);
}

static double lead_at(const struct market *m, uint32_t i, int64_t ts_ns) {
    if (m->lead_ppm == 0) return 0;
    return (double)m->lead_ppm * 1e-6 * phase_of(&m->factor_root, i, ts_ns);
}

static void step_synthetic(struct market *m, uint32_t i, const struct market_call *c, bool jumped) {
    struct market_slot *s = &m->slots[i];
    double z[2], u, turn, sd = deviation(m, (double)(c->ts_ns - s->path_ns));
    if (c->ts_ns == s->path_ns) return;
    u = rng_f64(&s->path_rng);
    turn = rng_f64(&s->path_rng);
    num_normal_pair(z, u, turn);
    double draw = FACTOR * factor_at(m, c->ts_ns, jumped) + OWN * z[0];
    double span_min = (double)(c->ts_ns - s->path_ns) / (double)NS_PER_MINUTE;
    double drift = lead_at(m, i, s->path_ns) * DRIFT * deviation(m, (double)NS_PER_MINUTE);
    s->level *= num_exp(sd * draw - 0.5 * sd * sd + drift * span_min);
    s->level = level_bound(exchange_instrument(c->ex, i), s->level);
    s->index_e8 = (int64_t)nearbyint(s->level);
    s->slow = jumped ? s->level : s->slow + (s->level - s->slow) / SLOW_MOVES;
}

void market_path_shock(struct market *m, uint32_t i, const struct instrument *in,
                       int32_t move_ppm) {
    struct market_slot *s = &m->slots[i];
    s->level = level_bound(in, s->level * (1.0 + (double)move_ppm * 1e-6));
    s->index_e8 = (int64_t)nearbyint(s->level);
    s->slow = s->level;
}

/* ---- along a bar: open, first extreme, second extreme, close, in straight lines ---- */

struct corners {
    int64_t ts[CORNERS], px[CORNERS];
};

static struct corners corners_of(const struct market *m, const struct bar *b) {
    int64_t third = m->interval_ns / 3, open = b->open_ts_ns;
    bool rising = b->close.e8 >= b->open.e8;
    return (struct corners){
        .ts = {open, open + third, open + m->interval_ns - third, open + m->interval_ns - 1},
        .px = {b->open.e8, rising ? b->low.e8 : b->high.e8, rising ? b->high.e8 : b->low.e8,
               b->close.e8},
    };
}

static int64_t bar_px(const struct market *m, const struct bar *b, int64_t ts_ns) {
    struct corners k = corners_of(m, b);
    if (ts_ns <= k.ts[0]) return k.px[0];
    for (int n = 0; n < CORNERS - 1; n++)
        if (ts_ns < k.ts[n + 1])
            return k.px[n] + (int64_t)((market_i128)(k.px[n + 1] - k.px[n]) * (ts_ns - k.ts[n]) /
                                       (k.ts[n + 1] - k.ts[n]));
    return k.px[CORNERS - 1];
}

static int64_t print_ns(const struct market *m, const struct market_slot *s, uint32_t print) {
    struct corners k = corners_of(m, &s->bar);
    uint32_t per = (s->print_count - 1) / (CORNERS - 1), n = print / per, part = print % per;
    if (n == CORNERS - 1) return k.ts[n];
    return k.ts[n] + (k.ts[n + 1] - k.ts[n]) * part / per;
}

/* The next bar of the queue begins. */
static void bar_open(struct market *m, uint32_t i, const struct instrument *in) {
    struct market_slot *s = &m->slots[i];
    s->bar = market_bar_queue(m, i)[s->queue_first];
    s->queue_first = (s->queue_first + 1) % BARS_QUEUED;
    s->queue_count--;
    s->has_bar = true;
    double lots = nearbyint(s->bar.volume * 1e8 / (double)in->step_size.e8);
    s->bar_lots = (int64_t)clamp(lots, 0, 4e18 / (double)in->step_size.e8);
    s->print_at = 0;
    s->print_count = s->bar_lots >= PRINTS ? PRINTS : CORNERS;
}

/* Bars or trades that lie behind are gone through without a sound. */
static void replay_skip(struct market *m, uint32_t i, const struct market_call *c) {
    struct market_slot *s = &m->slots[i];
    if (m->source == MARKET_CANDLES) {
        while (s->queue_count && market_bar_queue(m, i)[s->queue_first].open_ts_ns <= c->ts_ns)
            bar_open(m, i, exchange_instrument(c->ex, i));
        while (s->has_bar && s->print_at < s->print_count &&
               print_ns(m, s, s->print_at) <= c->ts_ns)
            s->print_at++;
    } else {
        const struct market_trade *queue = market_trade_queue(m, i);
        while (s->queue_count && queue[s->queue_first].ts_ns <= c->ts_ns) {
            s->index_e8 = queue[s->queue_first].px.e8;
            s->queue_first = (s->queue_first + 1) % TRADES_QUEUED;
            s->queue_count--;
        }
    }
}

void market_path_step(struct market *m, uint32_t i, const struct market_call *c, bool jumped) {
    struct market_slot *s = &m->slots[i];
    switch (m->source) {
    case MARKET_SYNTHETIC:
        step_synthetic(m, i, c, jumped);
        break;
    case MARKET_CANDLES:
        if (jumped) replay_skip(m, i, c);
        if (s->has_bar) s->index_e8 = bar_px(m, &s->bar, c->ts_ns);
        break;
    case MARKET_TRADES:
        if (jumped) replay_skip(m, i, c);
        break;
    case MARKET_PURE:
        break; /* follows mark: market_mark */
    }
    s->path_ns = c->ts_ns;
}

/* ---- trades of others ---- */

static int64_t chance_next(struct market *m, struct market_slot *s, int64_t now_ns) {
    if (m->trades_per_s <= 0) return MARKET_NEVER;
    double wait = -num_log(1.0 - rng_f64(&s->flow_rng)) * 1e9 / m->trades_per_s;
    return now_ns + 1 + (int64_t)clamp(wait, 0, 1e15);
}

void market_flow_schedule(struct market *m, uint32_t i, int64_t now_ns) {
    struct market_slot *s = &m->slots[i];
    s->flow_ns = MARKET_NEVER;
    switch (m->source) {
    case MARKET_SYNTHETIC:
        s->flow_ns = chance_next(m, s, now_ns);
        break;
    case MARKET_CANDLES:
        if (s->has_bar && s->print_at < s->print_count)
            s->flow_ns = print_ns(m, s, s->print_at);
        else if (s->queue_count)
            s->flow_ns = market_max(market_bar_queue(m, i)[s->queue_first].open_ts_ns, now_ns);
        break;
    case MARKET_TRADES:
        if (s->queue_count)
            s->flow_ns = market_max(market_trade_queue(m, i)[s->queue_first].ts_ns, now_ns);
        break;
    case MARKET_PURE:
        break;
    }
}

static void flow_chance(struct market *m, uint32_t i, const struct market_call *c) {
    struct market_slot *s = &m->slots[i];
    double z[2], u = rng_f64(&s->flow_rng), turn = rng_f64(&s->flow_rng);
    num_normal_pair(z, u, turn);
    double span = deviation(m, SLOW_MOVES * (double)m->quote_every_ns);
    double trend = span > 0 ? (s->level - s->slow) / (s->level * span) : 0;
    double share = 0.5 + LEAN * clamp(trend, -3.0, 3.0) + TAKERS * lead_at(m, i, c->ts_ns);
    bool buys = rng_f64(&s->flow_rng) < share;
    double notional = TRADE_NOTIONAL * num_exp(TRADE_SPREAD * clamp(z[0], -3.0, 3.0));
    struct exchange_prices p;
    exchange_prices_get(c->ex, i, &p);
    px_t px = buys ? p.ask : p.bid;
    if (px.e8 > 0)
        market_trade_at(m, i, c, buys ? SIDE_BUY : SIDE_SELL, px,
                        (int64_t)clamp(notional * 1e16 / (double)px.e8, 1, 4e18));
}

/* Buys among the prints of a bar in the proportion the bar says; where it says nothing, with its
 * path. */
static enum side print_side(struct market_slot *s, uint32_t print) {
    double share = (double)s->bar.taker_buy_ratio;
    if (isnan(share)) {
        bool rising = s->bar.close.e8 >= s->bar.open.e8;
        bool middle = print * 3 > s->print_count - 1 && print * 3 <= 2 * (s->print_count - 1);
        return rising == middle ? SIDE_BUY : SIDE_SELL;
    }
    s->taker_error += (int32_t)(clamp(share, 0, 1) * 1e6);
    if (s->taker_error < 500000) return SIDE_SELL;
    s->taker_error -= 1000000;
    return SIDE_BUY;
}

static void flow_bar(struct market *m, uint32_t i, const struct market_call *c) {
    struct market_slot *s = &m->slots[i];
    const struct instrument *in = exchange_instrument(c->ex, i);
    if (!s->has_bar || s->print_at == s->print_count) {
        bar_open(m, i, in);
        /* A bar that came late starts where it would be now. */
        while (s->print_at < s->print_count && print_ns(m, s, s->print_at) < c->ts_ns)
            s->print_at++;
    }
    s->index_e8 = bar_px(m, &s->bar, c->ts_ns);
    market_quote(m, i, c);
    if (s->print_at == s->print_count || print_ns(m, s, s->print_at) > c->ts_ns) return;
    int64_t before = (int64_t)((market_i128)s->bar_lots * s->print_at / s->print_count);
    int64_t behind = (int64_t)((market_i128)s->bar_lots * (s->print_at + 1) / s->print_count);
    enum side taker = print_side(s, s->print_at);
    px_t px = px_e8(market_snap_px(in, s->index_e8));
    s->print_at++;
    if (behind > before) market_trade_at(m, i, c, taker, px, (behind - before) * in->step_size.e8);
}

static void flow_recorded(struct market *m, uint32_t i, const struct market_call *c) {
    struct market_slot *s = &m->slots[i];
    struct market_trade trade = market_trade_queue(m, i)[s->queue_first];
    s->queue_first = (s->queue_first + 1) % TRADES_QUEUED;
    s->queue_count--;
    s->index_e8 = market_snap_px(exchange_instrument(c->ex, i), trade.px.e8);
    market_quote(m, i, c);
    market_trade_at(m, i, c, trade.buyer_is_maker ? SIDE_SELL : SIDE_BUY, px_e8(s->index_e8),
                    trade.qty.e8);
}

void market_flow(struct market *m, uint32_t i, const struct market_call *c) {
    switch (m->source) {
    case MARKET_SYNTHETIC:
        flow_chance(m, i, c);
        break;
    case MARKET_CANDLES:
        flow_bar(m, i, c);
        break;
    case MARKET_TRADES:
        flow_recorded(m, i, c);
        break;
    case MARKET_PURE:
        break;
    }
    market_flow_schedule(m, i, c->ts_ns);
}
