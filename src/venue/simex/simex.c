/* The door of the simulated exchange: layout of its memory, queues, and the loop of events. */
#include "venue/simex/simex.h"

#include <string.h>

#include "base/assert.h"
#include "base/rng.h"
#include "base/tstamp.h"
#include "venue/simex/simex_internal.h"

struct simex_config simex_config_defaults(void) {
    return (struct simex_config){
        .wallet_start = {10000 * FX_ONE},
        .interval_ns = NS_PER_HOUR,
        .latency_ns = 50 * NS_PER_MS,
        .fill_delay_ns = 5 * NS_PER_MS,
        .half_spread = {10000},  /* 1 bp */
        .depth_share = {200000}, /* 0.2 % of an hour's volume on each level */
        .orders_per_instrument_max = 16,
        .leverage_default = 20,
        .seed = 1,
    };
}

static size_t align64(size_t n) {
    return (n + 63) & ~(size_t)63;
}

/* Fills in offsets and capacities; *out needs nothing but its config. */
static void layout(struct simex *out) {
    const struct simex_config *c = &out->config;
    size_t count = c->instrument_count, at = align64(sizeof(struct simex));
    out->slots = c->orders_per_instrument_max;
    out->command_capacity = (uint32_t)count * SIMEX_COMMANDS_PER_INSTRUMENT + SIMEX_COMMANDS_BASE;
    out->funding_capacity = (uint32_t)count * SIMEX_FUNDINGS_PER_INSTRUMENT;
    out->instruments_at = at;
    at = align64(at + count * sizeof(struct instrument));
    out->symbols_at = at;
    at = align64(at + count * sizeof(struct sx_symbol));
    out->next_ts_at = at;
    at = align64(at + count * sizeof(int64_t));
    out->orders_at = at;
    at = align64(at + count * out->slots * sizeof(struct sx_order));
    out->commands_at = at;
    at = align64(at + out->command_capacity * sizeof(struct sx_queued_command));
    out->fundings_at = at;
    out->size_bytes = align64(at + out->funding_capacity * sizeof(struct sx_funding));
}

static void config_check(const struct simex_config *c) {
    ASSERT(c->instrument_count >= 1 && c->instrument_count <= INSTRUMENTS_MAX && c->instruments);
    ASSERT(c->orders_per_instrument_max >= 1 && c->orders_per_instrument_max <= SIMEX_SLOTS_MAX);
    ASSERT(c->interval_ns >= 1000 && c->latency_ns >= 0 && c->fill_delay_ns >= 0);
    ASSERT(c->half_spread.e8 >= 0 && c->half_spread.e8 < FX_ONE && c->depth_share.e8 >= 0);
    ASSERT(c->leverage_default >= 1 && c->wallet_start.e8 >= 0);
}

size_t simex_size(const struct simex_config *config) {
    config_check(config);
    struct simex sx = {.config = *config};
    layout(&sx);
    return sx.size_bytes;
}

size_t simex_state_size(const struct simex *sx) {
    return sx->size_bytes;
}

bool simex_ack_carries_avg_px(const struct simex *sx) {
    return sx->config.ack_carries_avg_px;
}

struct simex *simex_init(void *memory, const struct simex_config *config) {
    ASSERT((uintptr_t)memory % 64 == 0);
    memset(memory, 0, simex_size(config));
    struct simex *sx = memory;
    sx->config = *config;
    layout(sx);
    memcpy(simex_instrument(sx, 0), config->instruments,
           config->instrument_count * sizeof(struct instrument));
    sx->config.instruments = NULL; /* the block holds no pointers: a snapshot is a memcpy */
    sx->clock_ns = INT64_MIN;
    sx->path_min_ts = SIMEX_NEVER;
    sx->wallet = config->wallet_start.e8;
    sx->flight_head = sx->flight_tail = SIMEX_NO_INDEX;
    /* Ids start elsewhere in every seeded world: nothing can come to lean on their values. */
    struct rng rng = rng_init(config->seed);
    sx->order_id_next = 1 + rng_below(&rng, 1000000000);
    for (uint32_t s = 0; s < config->instrument_count; s++) {
        struct sx_symbol *y = simex_symbol(sx, s);
        const struct instrument *in = simex_instrument(sx, s);
        ASSERT(in->tick_size.e8 > 0 && in->market_step_size.e8 > 0 && in->bracket_count > 0);
        y->bar.open_ts_ns = y->passive_ts = INT64_MIN;
        y->hi_last = y->hi_mark = INT64_MAX;
        y->lo_last = y->lo_mark = INT64_MIN;
        y->trade_id_next = 1 + rng_below(&rng, 1000000);
        uint32_t leverage_max = instrument_leverage_max(in, money_e8(0));
        y->leverage =
            config->leverage_default < leverage_max ? config->leverage_default : leverage_max;
        ASSERT(y->leverage >= 1);
        simex_next_ts(sx)[s] = SIMEX_NEVER;
    }
    return sx;
}

void simex_bar_begin(struct simex *sx, uint32_t s, const struct bar *bar, const struct bar *mark) {
    ASSERT(s < sx->config.instrument_count && bar->open_ts_ns >= sx->clock_ns);
    struct sx_symbol *y = simex_symbol(sx, s);
    y->bar = *bar;
    if (!mark) mark = bar;
    y->mark_open = mark->open.e8;
    y->mark_high = mark->high.e8;
    y->mark_low = mark->low.e8;
    y->mark_close = mark->close.e8;
    bool reaches = (bar->high.e8 >= y->hi_last) | (bar->low.e8 <= y->lo_last) |
                   (mark->high.e8 >= y->hi_mark) | (mark->low.e8 <= y->lo_mark);
    int64_t undrawn = simex_next_ts(sx)[s];
    ASSERT(undrawn >= bar->open_ts_ns); /* the last bar's events were drawn */
    if (reaches || undrawn != SIMEX_NEVER) simex_schedule(sx, s);
}

void simex_funding(struct simex *sx, uint32_t s, int64_t ts_ns, rate_t rate) {
    ASSERT(s < sx->config.instrument_count && sx->funding_count < sx->funding_capacity);
    struct sx_funding *queue = simex_fundings(sx);
    /* Sorted by falling time, so the next one is the last and is taken off in O(1). */
    uint32_t at = sx->funding_count++;
    for (; at > 0 && queue[at - 1].ts_ns <= ts_ns; at--) queue[at] = queue[at - 1];
    queue[at] = (struct sx_funding){.ts_ns = ts_ns, .rate = rate.e8, .symbol = s};
}

enum status simex_submit(struct simex *sx, const struct venue_command *command) {
    ASSERT(command->kind >= COMMAND_ORDER_SUBMIT && command->kind <= COMMAND_LEVERAGE_SET);
    if (sx->command_count == sx->command_capacity) return ST_FULL;
    struct sx_queued_command *ring = simex_commands(sx);
    int64_t arrival = simex_max(command->ts_ns + sx->config.latency_ns, sx->clock_ns);
    uint32_t n = sx->command_count++, capacity = sx->command_capacity;
    for (; n > 0; n--) {
        const struct sx_queued_command *before = &ring[(sx->command_head + n - 1) % capacity];
        if (before->arrival_ns <= arrival) break;
        ring[(sx->command_head + n) % capacity] = *before;
    }
    ring[(sx->command_head + n) % capacity] =
        (struct sx_queued_command){.arrival_ns = arrival, .command = *command};
    if (command->instrument_index < sx->config.instrument_count)
        simex_symbol(sx, command->instrument_index)->commands++;
    return ST_OK;
}

/* ---- events ---- */

static bool funding_event(struct simex *sx, struct venue_event *out) {
    struct sx_funding f = simex_fundings(sx)[--sx->funding_count];
    if (simex_symbol(sx, f.symbol)->qty == 0) return false;
    int64_t amount = simex_funding_apply(sx, f.symbol, f.rate);
    simex_refresh(sx, f.symbol);
    simex_event_init(sx, out, VENUE_FUNDING, f.symbol);
    out->funding = money_e8(amount);
    out->funding_rate = rate_e8(f.rate);
    return true;
}

static bool command_event(struct simex *sx, struct venue_event *out) {
    struct venue_command command = simex_commands(sx)[sx->command_head].command;
    sx->command_head = (sx->command_head + 1) % sx->command_capacity;
    sx->command_count--;
    if (command.instrument_index < sx->config.instrument_count)
        simex_symbol(sx, command.instrument_index)->commands--;
    return simex_command_event(sx, &command, out);
}

static void flight_start(struct simex *sx) {
    struct sx_order *o = &simex_order(sx, 0, 0)[sx->flight_head];
    uint32_t slot = sx->flight_head % sx->slots;
    sx->flight_head = o->flight_next;
    if (sx->flight_head == SIMEX_NO_INDEX) sx->flight_tail = SIMEX_NO_INDEX;
    o->flight_next = SIMEX_NO_INDEX;
    struct sx_path path;
    simex_path_last(sx, o->symbol, &path);
    simex_taker_start(sx, o->symbol, slot, simex_path_floor(&path, sx->clock_ns),
                      simex_path_ceil(&path, sx->clock_ns));
}

static void settlement_start(struct simex *sx) {
    for (uint32_t s = 0; s < sx->config.instrument_count; s++) {
        if (!simex_symbol(sx, s)->settling) continue;
        simex_symbol(sx, s)->settling = 0;
        sx->settling_count--;
        sx->sweep = SWEEP_SETTLEMENT;
        sx->sweep_symbol = s;
        return;
    }
    ASSERT(0 && "settling_count without a symbol that settles");
}

/* One step of whatever has been started and must be finished at this instant. */
static bool busy_step(struct simex *sx, struct venue_event *out) {
    if (sx->taker.active) return simex_taker_step(sx, out);
    if (sx->sweep != SWEEP_NONE) return simex_sweep_step(sx, out);
    settlement_start(sx);
    return false;
}

/* One step of what comes next, none of it later than until. Classes in the order of equal times. */
static bool timed_step(struct simex *sx, int64_t until_ns, struct venue_event *out, bool *is_over) {
    int64_t funding_ts =
        sx->funding_count ? simex_fundings(sx)[sx->funding_count - 1].ts_ns : SIMEX_NEVER;
    int64_t command_ts =
        sx->command_count ? simex_commands(sx)[sx->command_head].arrival_ns : SIMEX_NEVER;
    int64_t flight_ts = sx->flight_head != SIMEX_NO_INDEX
                            ? simex_order(sx, 0, 0)[sx->flight_head].match_ts
                            : SIMEX_NEVER;
    int64_t first =
        simex_min(simex_min(funding_ts, sx->path_min_ts), simex_min(command_ts, flight_ts));
    *is_over = first > until_ns || first == SIMEX_NEVER;
    if (*is_over) {
        sx->clock_ns = until_ns;
        return false;
    }
    sx->clock_ns = simex_max(sx->clock_ns, first);
    if (funding_ts == first) return funding_event(sx, out);
    if (sx->path_min_ts == first) return simex_path_event(sx, sx->path_min_index, out);
    if (command_ts == first) return command_event(sx, out);
    flight_start(sx);
    return false;
}

static bool is_conserved(const struct simex *sx) {
    return sx->wallet == sx->config.wallet_start.e8 + sx->realized_pnl - sx->fees + sx->funding -
                             sx->liquidation_fees + sx->insurance;
}

bool simex_next(struct simex *sx, int64_t until_ns, struct venue_event *out) {
    if (until_ns < sx->clock_ns) return false;
    for (;;) {
        bool is_over = false;
        bool is_busy = sx->taker.active || sx->sweep != SWEEP_NONE || sx->settling_count > 0;
        bool happened = is_busy ? busy_step(sx, out) : timed_step(sx, until_ns, out, &is_over);
        if (is_over) return false;
        if (!happened) continue;
        ASSERT(is_conserved(sx) && sx->wallet >= sx->isolated_total);
        return true;
    }
}

/* ---- what can be asked ---- */

bool simex_is_active(const struct simex *sx, uint32_t s) {
    ASSERT(s < sx->config.instrument_count);
    const struct sx_symbol *y = simex_symbol(sx, s);
    return y->qty != 0 || y->order_mask != 0 || y->commands != 0 || y->settling != 0;
}

static int64_t unrealized(const struct simex *sx, uint32_t s) {
    const struct sx_symbol *y = simex_symbol(sx, s);
    return fx_mul_half_even(y->qty, simex_mark_now(sx, s)) - y->entry_cost;
}

void simex_position_get(const struct simex *sx, uint32_t s, struct simex_position *out) {
    ASSERT(s < sx->config.instrument_count);
    const struct sx_symbol *y = simex_symbol(sx, s);
    *out = (struct simex_position){
        .qty = {y->qty},
        .entry_cost = {y->entry_cost},
        .isolated_wallet = {y->isolated_wallet},
        .leverage = y->leverage,
        .liquidation_px = {y->liquidation_px},
    };
    if (y->qty != 0)
        out->entry_px.e8 = fx_muldiv_half_even(simex_abs(y->entry_cost), FX_ONE, simex_abs(y->qty));
    if (y->bar.open_ts_ns == INT64_MIN) return;
    struct sx_path path;
    simex_path_last(sx, s, &path);
    out->last_px.e8 = fx_snap_nearest(simex_path_floor(&path, sx->clock_ns),
                                      simex_instrument(sx, s)->tick_size.e8);
    out->mark_px.e8 = simex_mark_now(sx, s);
}

void simex_account_get(const struct simex *sx, struct simex_account *out) {
    *out = (struct simex_account){
        .wallet_start = sx->config.wallet_start,
        .wallet = {sx->wallet},
        .realized_pnl = {sx->realized_pnl},
        .fees = {sx->fees},
        .funding = {sx->funding},
        .liquidation_fees = {sx->liquidation_fees},
        .insurance = {sx->insurance},
        .margin_used = {sx->isolated_total},
        .available = {simex_available(sx)},
    };
    for (uint32_t s = 0; s < sx->config.instrument_count; s++)
        if (simex_symbol(sx, s)->qty != 0) out->unrealized_pnl.e8 += unrealized(sx, s);
}

void simex_instrument_status(struct simex *sx, uint32_t s, enum instrument_status status) {
    ASSERT(s < sx->config.instrument_count);
    struct sx_symbol *y = simex_symbol(sx, s);
    simex_instrument(sx, s)->status = (uint32_t)status;
    if (status != INSTRUMENT_CLOSED || y->settling) return;
    y->settling = 1;
    sx->settling_count++;
}
