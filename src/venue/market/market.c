/* The source's clock: which contract is due next, and what a gap does. */
#include <string.h>

#include "base/assert.h"
#include "venue/market/market_internal.h"

/* Away for longer than this is a jump: what nobody could have seen is not made up. */
static const int64_t JUMP_NS = NS_PER_MINUTE;

struct market_config market_config_defaults(void) {
    return (struct market_config){
        .source = MARKET_SYNTHETIC,
        .seed = 1,
        .interval_ns = NS_PER_MINUTE,
        .quote_every_ns = 250 * NS_PER_MS,
        .levels = 20,
        .level_notional = 60000,
        .half_spread = {5000}, /* half a basis point */
        .volatility_day = 0.04,
        .trades_per_s = 1.0,
        .funding_count_max = 90,
    };
}

static size_t aligned(size_t size) {
    return (size + 63) & ~(size_t)63;
}

static uint32_t leaves_of(uint32_t count) {
    uint32_t n = 1;
    while (n < count) n *= 2;
    return n;
}

/* Where the parts lie; returns the end. */
static size_t layout(struct market *m, const struct market_config *c) {
    size_t queue = c->source == MARKET_CANDLES  ? BARS_QUEUED * sizeof(struct bar)
                   : c->source == MARKET_TRADES ? TRADES_QUEUED * sizeof(struct market_trade)
                                                : 0;
    m->leaves = leaves_of(c->instrument_count);
    m->own_at = aligned(sizeof *m + c->instrument_count * sizeof *m->slots);
    m->queue_at =
        aligned(m->own_at + (size_t)c->instrument_count * 2 * c->levels * sizeof(int64_t));
    m->tree_at = aligned(m->queue_at + c->instrument_count * queue);
    return aligned(m->tree_at + 2 * (size_t)m->leaves * sizeof(uint32_t));
}

size_t market_size(const struct market_config *config) {
    struct market m;
    return layout(&m, config);
}

/* ---- who is due: a tree of winners over (time, contract) ---- */

static uint32_t *tree_of(struct market *m) {
    return (uint32_t *)(void *)((char *)m + m->tree_at);
}

static uint32_t earlier(const struct market *m, uint32_t a, uint32_t b) {
    if (b >= m->count) return a;
    if (a >= m->count) return b;
    int64_t ta = m->slots[a].next_ns, tb = m->slots[b].next_ns;
    return ta < tb || (ta == tb && a < b) ? a : b;
}

static void tree_build(struct market *m) {
    uint32_t *tree = tree_of(m);
    for (uint32_t i = 0; i < m->leaves; i++) tree[m->leaves + i] = i;
    for (uint32_t k = m->leaves - 1; k > 0; k--) tree[k] = earlier(m, tree[2 * k], tree[2 * k + 1]);
}

/* The contract's times have changed. */
static void due_changed(struct market *m, uint32_t i) {
    struct market_slot *s = &m->slots[i];
    uint32_t *tree = tree_of(m);
    s->next_ns =
        market_min(market_min(s->quote_ns, s->mark_ns), market_min(s->funding_ns, s->flow_ns));
    for (uint32_t k = (m->leaves + i) / 2; k > 0; k /= 2)
        tree[k] = earlier(m, tree[2 * k], tree[2 * k + 1]);
}

static uint32_t due_first(const struct market *m) {
    const uint32_t *tree = (const uint32_t *)(const void *)((const char *)m + m->tree_at);
    return m->leaves > 1 ? tree[1] : 0;
}

/* First point after now of the contract's own raster: contracts are spread over the period, so that
 * the load is even. */
static int64_t raster_next(const struct market *m, uint32_t i, int64_t period, int64_t now) {
    int64_t first = m->start_ns + period / m->count * i;
    return now < first ? first : first + ((now - first) / period + 1) * period;
}

static int64_t funding_next(const struct market_slot *s, int64_t now) {
    return (now / s->funding_interval_ns + 1) * s->funding_interval_ns;
}

/* ---- beginning ---- */

static void slot_init(struct market *m, uint32_t i, const struct market_config *c,
                      const struct rng *root) {
    struct market_slot *s = &m->slots[i];
    const struct instrument *in = &c->instruments[i];
    struct rng own = rng_split(root, 1 + i);
    ASSERT(in->tick_size.e8 > 0 && in->step_size.e8 > 0 && in->funding_interval_ns > 0);
    s->path_rng = rng_split(&own, 0);
    s->flow_rng = rng_split(&own, 1);
    s->funding_interval_ns = in->funding_interval_ns;
    s->funding_cap = market_funding_cap(in);
    s->path_ns = s->quote_ns = s->mark_ns = m->start_ns;
    if (m->source == MARKET_PURE) s->quote_ns = MARKET_NEVER;
    s->funding_ns = funding_next(s, m->start_ns);
    s->fed_ns = INT64_MIN;
    if (c->start_px) market_path_start(m, i, c->start_px[i]);
    market_flow_schedule(m, i, m->start_ns);
}

struct market *market_init(void *memory, const struct market_config *config) {
    struct market *m = memory;
    const struct market_config *c = config;
    bool drawn = c->source == MARKET_SYNTHETIC || c->source == MARKET_PURE;
    ASSERT(c->instrument_count >= 1 && c->instrument_count <= INSTRUMENTS_MAX && c->instruments);
    ASSERT(c->levels >= 1 && c->level_notional > 0 && c->quote_every_ns > 0 &&
           c->interval_ns >= NS_PER_MS);
    ASSERT(c->half_spread.e8 >= 0 && c->volatility_day >= 0 && c->trades_per_s >= 0);
    ASSERT(c->lead >= 0 && c->lead <= 100);
    ASSERT((!drawn || c->start_px) && c->start_ns > 0);
    memset(m, 0, market_size(c));
    layout(m, c);
    struct rng root = rng_init(c->seed);
    m->source = c->source;
    m->count = c->instrument_count;
    m->levels = c->levels;
    m->level_notional = c->level_notional;
    m->funding_count_max = c->funding_count_max;
    m->start_ns = m->now_ns = c->start_ns;
    m->interval_ns = c->interval_ns;
    m->quote_every_ns = c->quote_every_ns;
    m->half_spread = c->half_spread;
    m->volatility_day = c->volatility_day;
    m->trades_per_s = c->trades_per_s;
    m->lead_ppm = (uint32_t)(c->lead * 1e6 + 0.5);
    m->factor_root = rng_split(&root, 0);
    m->factor_key = UINT64_MAX;
    for (uint32_t i = 0; i < m->count; i++) {
        slot_init(m, i, c, &root);
        ASSERT(!drawn || m->slots[i].index_e8 > 0);
    }
    tree_build(m);
    for (uint32_t i = 0; i < m->count; i++) due_changed(m, i);
    return m;
}

/* ---- going on ---- */

/* All that a contract has to do at this instant: quotes first, so that mark and funding see them. */
static void slot_do(struct market *m, uint32_t i, const struct market_call *c) {
    struct market_slot *s = &m->slots[i];
    if (s->quote_ns == c->ts_ns) {
        market_path_step(m, i, c, false);
        market_quote(m, i, c);
        s->quote_ns = raster_next(m, i, m->quote_every_ns, c->ts_ns);
    }
    if (s->mark_ns == c->ts_ns) {
        market_mark(m, i, c);
        s->mark_ns = raster_next(m, i, NS_PER_SECOND, c->ts_ns);
    }
    if (s->funding_ns == c->ts_ns) {
        market_funding(m, i, c);
        s->funding_ns += s->funding_interval_ns;
    }
    if (s->flow_ns == c->ts_ns) market_flow(m, i, c);
    due_changed(m, i);
}

/* Settlements that were missed, at their times and in their order. Beyond funding_count_max the
 * oldest are let go. */
static void jump_fundings(struct market *m, struct market_call *c, int64_t now_ns) {
    for (uint32_t i = 0; i < m->count; i++) {
        struct market_slot *s = &m->slots[i];
        int64_t n = s->funding_interval_ns, last = now_ns / n * n;
        s->funding_ns = market_max(s->funding_ns, last - (m->funding_count_max - INT64_C(1)) * n);
    }
    for (;;) {
        uint32_t first = 0;
        for (uint32_t i = 1; i < m->count; i++)
            if (m->slots[i].funding_ns < m->slots[first].funding_ns) first = i;
        struct market_slot *s = &m->slots[first];
        if (s->funding_ns > now_ns) return;
        c->ts_ns = s->funding_ns;
        market_funding(m, first, c);
        s->funding_ns += s->funding_interval_ns;
    }
}

static void jump(struct market *m, struct market_call *c, int64_t now_ns) {
    jump_fundings(m, c, now_ns);
    c->ts_ns = m->now_ns = now_ns;
    for (uint32_t i = 0; i < m->count; i++) {
        struct market_slot *s = &m->slots[i];
        market_path_step(m, i, c, true);
        market_mark_forget(s);
        if (m->source != MARKET_PURE) {
            market_quote(m, i, c);
            s->quote_ns = raster_next(m, i, m->quote_every_ns, now_ns);
        }
        market_mark(m, i, c);
        s->mark_ns = raster_next(m, i, NS_PER_SECOND, now_ns);
        market_flow_schedule(m, i, now_ns);
        due_changed(m, i);
    }
}

void market_advance(struct market *m, const struct exchange *ex, int64_t now_ns, market_do *act,
                    void *context) {
    struct market_call c = {.ex = ex, .act = act, .context = context};
    if (now_ns - m->now_ns > JUMP_NS) jump(m, &c, now_ns);
    for (;;) {
        uint32_t i = due_first(m);
        if (m->slots[i].next_ns > now_ns) break;
        c.ts_ns = m->now_ns = m->slots[i].next_ns;
        slot_do(m, i, &c);
    }
    m->now_ns = market_max(m->now_ns, now_ns);
}

int64_t market_deadline(const struct market *m) {
    return m->slots[due_first(m)].next_ns;
}

void market_stale_set(struct market *m, uint32_t instrument, bool stale) {
    ASSERT(instrument < m->count);
    m->slots[instrument].stale = stale;
}

void market_shock(struct market *m, const struct exchange *ex, uint32_t instrument,
                  int32_t move_ppm) {
    ASSERT(instrument < m->count && move_ppm > -1000000);
    if (m->source == MARKET_SYNTHETIC)
        market_path_shock(m, instrument, exchange_instrument(ex, instrument), move_ppm);
}

/* ---- what is replayed ---- */

/* A slot's queue has something new: it may be due earlier now. */
static void fed(struct market *m, uint32_t i, int64_t ts_ns) {
    struct market_slot *s = &m->slots[i];
    s->fed_ns = ts_ns;
    s->queue_count++;
    if (s->flow_ns == MARKET_NEVER) {
        market_flow_schedule(m, i, m->now_ns);
        due_changed(m, i);
    }
}

enum status market_bar(struct market *m, uint32_t instrument, const struct bar *bar) {
    ASSERT(instrument < m->count);
    struct market_slot *s = &m->slots[instrument];
    if (m->source != MARKET_CANDLES || !bar_is_possible(bar)) return ST_INVALID;
    if (s->fed_ns != INT64_MIN && bar->open_ts_ns < s->fed_ns + m->interval_ns) return ST_INVALID;
    if (s->queue_count == BARS_QUEUED) return ST_FULL;
    uint32_t at = (s->queue_first + s->queue_count) % BARS_QUEUED;
    market_bar_queue(m, instrument)[at] = *bar;
    fed(m, instrument, bar->open_ts_ns);
    return ST_OK;
}

enum status market_trade(struct market *m, uint32_t instrument, const struct market_trade *trade) {
    ASSERT(instrument < m->count);
    struct market_slot *s = &m->slots[instrument];
    if (m->source != MARKET_TRADES || trade->px.e8 <= 0 || trade->qty.e8 <= 0) return ST_INVALID;
    if (trade->ts_ns < s->fed_ns) return ST_INVALID;
    if (s->queue_count == TRADES_QUEUED) return ST_FULL;
    uint32_t at = (s->queue_first + s->queue_count) % TRADES_QUEUED;
    market_trade_queue(m, instrument)[at] = *trade;
    fed(m, instrument, trade->ts_ns);
    return ST_OK;
}

uint32_t market_hungry(const struct market *m, uint32_t instrument) {
    ASSERT(instrument < m->count);
    uint32_t room = m->source == MARKET_CANDLES  ? BARS_QUEUED
                    : m->source == MARKET_TRADES ? TRADES_QUEUED
                                                 : 0;
    return room - m->slots[instrument].queue_count;
}

void market_funding_rate_get(const struct market *m, uint32_t instrument, rate_t *rate,
                             int64_t *next_ns) {
    ASSERT(instrument < m->count);
    const struct market_slot *s = &m->slots[instrument];
    *rate = market_rate_now(s);
    *next_ns = s->funding_ns;
}
