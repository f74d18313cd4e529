/* Mark price, index and the funding rate: binance-usdm §9.3 and §9.7. All in integers: margin hangs
 * on them. */
#include "venue/market/market_internal.h"

enum {
    PREMIUM_EVERY = 5, /* marks: one sample each 5 s */
    DEPTH = 100,       /* levels looked at for the impact prices */
    PURE_SECONDS = 600 /* the pure index follows mark with this time constant */
};
static const int64_t INTEREST = 10000;             /* 0.01 % per 8 h */
static const int64_t DAMPER = 50000;               /* 0.05 % */
static const int64_t IMPACT_MARGIN = 200 * FX_ONE; /* USDT, at the highest leverage */
static const int64_t RATE_PERIOD = 8 * NS_PER_HOUR;

rate_t market_funding_cap(const struct instrument *in) {
    return rate_e8(in->brackets[0].maint_margin_rate.e8 * 3 / 4);
}

static int64_t within(int64_t x, int64_t bound) {
    return x < -bound ? -bound : x > bound ? bound : x;
}

rate_t market_funding_rate(rate_t premium, int64_t interval_ns, rate_t cap) {
    int64_t f = premium.e8 + within(INTEREST - premium.e8, DAMPER);
    return rate_e8(within(fx_muldiv_half_even(f, interval_ns, RATE_PERIOD), cap.e8));
}

/* Average price at which `notional` would be filled at once, or all there is. 0: nothing is there. */
static int64_t impact_px(const struct exchange *ex, uint32_t i, enum side side, int64_t notional) {
    struct exchange_level level[DEPTH];
    uint64_t sequence;
    uint32_t n = exchange_depth(ex, i, side, level, DEPTH, &sequence);
    market_i128 spent = 0, base = 0, want = (market_i128)notional * FX_ONE;
    for (uint32_t k = 0; k < n && spent < want; k++) {
        market_i128 cost = (market_i128)level[k].px.e8 * level[k].qty.e8;
        bool whole = cost <= want - spent;
        base += whole ? level[k].qty.e8 : (want - spent) / level[k].px.e8;
        spent = whole ? spent + cost : want;
    }
    return base > 0 ? (int64_t)((spent + base / 2) / base) : 0;
}

/* [max(0, impact bid - index) - max(0, index - impact ask)] / index. */
static rate_t premium_index(const struct market_call *c, uint32_t i, int64_t index) {
    uint32_t leverage = exchange_instrument(c->ex, i)->brackets[0].leverage_max;
    int64_t notional = IMPACT_MARGIN * market_max(leverage, 1);
    int64_t bid = impact_px(c->ex, i, SIDE_BUY, notional);
    int64_t ask = impact_px(c->ex, i, SIDE_SELL, notional);
    int64_t over = bid > index ? bid - index : 0, under = ask > 0 && ask < index ? index - ask : 0;
    return rate_e8(within(fx_muldiv_half_even(over - under, FX_ONE, index), FX_ONE));
}

rate_t market_rate_now(const struct market_slot *s) {
    int64_t n = s->premium_count, premium = 0;
    if (n > 0) premium = fx_muldiv_half_even(s->premium_sum, 2, n * (n + 1));
    return market_funding_rate(rate_e8(premium), s->funding_interval_ns, s->funding_cap);
}

void market_mark_forget(struct market_slot *s) {
    s->basis_count = 0;
}

/* Two decimals beyond the tick, as far as there are any. */
static int64_t mark_unit(const struct instrument *in) {
    return market_max(in->tick_size.e8 / 100, 1);
}

static int64_t median(int64_t a, int64_t b, int64_t c) {
    return market_max(market_min(a, b), market_min(market_max(a, b), c));
}

static int64_t mark_px(struct market_slot *s, const struct exchange_prices *p, int64_t index,
                       int64_t now_ns) {
    bool two_sided = p->bid.e8 > 0 && p->ask.e8 > 0;
    int64_t mid = two_sided ? p->bid.e8 + (p->ask.e8 - p->bid.e8) / 2 : index;
    uint32_t have = s->basis_count < BASIS_SAMPLES ? s->basis_count + 1 : BASIS_SAMPLES;
    s->basis[s->basis_count++ % BASIS_SAMPLES] = mid - index;
    if (s->basis_count == 2 * BASIS_SAMPLES) s->basis_count = BASIS_SAMPLES;
    int64_t sum = 0;
    for (uint32_t k = 0; k < have; k++) sum += s->basis[k];
    int64_t carry = fx_muldiv_half_even(fx_mul_half_even(index, p->funding_last.e8),
                                        s->funding_ns - now_ns, s->funding_interval_ns);
    int64_t last = p->last.e8 > 0 ? p->last.e8 : index;
    return median(index + carry, index + fx_muldiv_half_even(sum, 1, have), last);
}

/* Without a source the book is all there is to go by. */
static int64_t mark_px_pure(const struct market_slot *s, const struct exchange_prices *p) {
    if (p->bid.e8 > 0 && p->ask.e8 > 0) return p->bid.e8 + (p->ask.e8 - p->bid.e8) / 2;
    if (p->last.e8 > 0) return p->last.e8;
    return s->mark_e8 > 0 ? s->mark_e8 : s->index_e8;
}

void market_mark(struct market *m, uint32_t i, const struct market_call *c) {
    struct market_slot *s = &m->slots[i];
    const struct instrument *in = exchange_instrument(c->ex, i);
    struct exchange_prices p;
    if (s->index_e8 <= 0 || in->status == INSTRUMENT_CLOSED) return;
    exchange_prices_get(c->ex, i, &p);
    bool pure = m->source == MARKET_PURE;
    int64_t unit = mark_unit(in), followed = pure ? mark_px_pure(s, &p) : 0;
    if (pure) s->index_e8 += (followed - s->index_e8) / PURE_SECONDS;
    int64_t index = market_max(fx_snap_nearest(s->index_e8, unit), unit);
    int64_t mark = pure ? followed : mark_px(s, &p, index, c->ts_ns);
    s->mark_e8 = market_max(fx_snap_nearest(mark, unit), unit);
    const struct exchange_input input = {.kind = EXI_MARK,
                                         .account = EXCHANGE_HOUSE,
                                         .instrument = i,
                                         .price = {s->mark_e8},
                                         .price2 = {index}};
    market_input(c, &input);
    if (s->mark_count++ % PREMIUM_EVERY != 0) return;
    /* Weights 1, 2, 3 …: their sum is n (n + 1) / 2. */
    s->premium_count++;
    s->premium_sum += s->premium_count * premium_index(c, i, index).e8;
}

void market_funding(struct market *m, uint32_t i, const struct market_call *c) {
    struct market_slot *s = &m->slots[i];
    rate_t rate = market_rate_now(s);
    s->premium_sum = s->premium_count = 0;
    if (s->mark_e8 <= 0 || exchange_instrument(c->ex, i)->status == INSTRUMENT_CLOSED) return;
    const struct exchange_input input = {
        .kind = EXI_FUNDING, .account = EXCHANGE_HOUSE, .instrument = i, .rate = rate};
    market_input(c, &input);
}
