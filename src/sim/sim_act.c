/* What happens by itself, second by second: the network breaks, clocks go wrong, prices jump, people trade by hand. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "sim/sim_internal.h"

#define HALT_NS        (60 * NS_PER_SECOND)
#define OUTAGE_S_MAX   60
#define STEP_S_MAX     3600
#define BAD_DISK_S_MAX 20
#define AIMED_NS_MAX   (60 * NS_PER_SECOND)
#define DRIFT_PPB_MAX  200000
enum { CRASH_PCT_MIN = 5, CRASH_PCT_MAX = 15, GAP_PPM_MAX = 60000, ALGOS_LOOKED_AT = 64 };

static uint64_t draw(struct sim *s, enum sim_fault kind, uint64_t low, uint64_t high) {
    return sim_fault_draw(&s->faults, kind, low, high);
}

/* Between -most and most. */
static int64_t either_way(struct sim *s, enum sim_fault kind, int64_t most) {
    return (int64_t)draw(s, kind, 0, (uint64_t)(2 * most)) - most;
}

/* An aimed one happens where it was aimed at. */
static uint32_t some_contract(struct sim *s, enum sim_fault kind) {
    if (s->aimed_at != CHECK_ALL) return s->aimed_at;
    return (uint32_t)draw(s, kind, 0, s->o.symbols - UINT64_C(1));
}

/* ---- messages ---- */

static bool ask(struct sim *s, enum sim_fault kind) {
    bool happens = sim_fault_ask(&s->faults, kind);
    if (happens) sim_injected(s, kind, CHECK_ALL);
    return happens;
}

enum sim_fate sim_act_fate(void *context, enum sim_way way) {
    struct sim *s = context;
    switch (way) {
    case SIM_WAY_REQUEST:
        if (ask(s, SIM_REQUEST_LOST)) return SIM_LOST;
        return ask(s, SIM_REQUEST_LATE) ? SIM_LATE : SIM_ARRIVES;
    case SIM_WAY_REPLY:
        if (ask(s, SIM_REPLY_LOST)) return SIM_LOST;
        return ask(s, SIM_REPLY_LATE) ? SIM_LATE : SIM_ARRIVES;
    case SIM_WAY_FRAME:
        if (ask(s, SIM_FRAME_LOST)) return SIM_LOST;
        if (ask(s, SIM_FRAME_LATE)) return SIM_LATE;
        if (ask(s, SIM_FRAME_TWICE)) return SIM_TWICE;
        return ask(s, SIM_FRAME_SWAP) ? SIM_OVERTAKEN : SIM_ARRIVES;
    }
    return SIM_ARRIVES;
}

static void cut(struct sim *s) {
    uint32_t from = (uint32_t)draw(s, SIM_CUT, 0, SOCKETS_MAX - 1);
    for (uint32_t k = 0; k < SOCKETS_MAX; k++)
        if (sim_net_cut(s->net, (from + k) % SOCKETS_MAX)) return;
}

static void outage(struct sim *s) {
    int64_t until = s->clock.now_ns + (int64_t)draw(s, SIM_OUTAGE, 1, OUTAGE_S_MAX) * NS_PER_SECOND;
    if (until > s->outage_ns) s->outage_ns = until;
    sim_net_outage(s->net, s->outage_ns);
}

/* ---- market ---- */

static void crash(struct sim *s) {
    for (uint32_t i = 0; i < s->o.symbols; i++) {
        int32_t percent = (int32_t)draw(s, SIM_CRASH, CRASH_PCT_MIN, CRASH_PCT_MAX);
        world_shock(s->venue.world, i, -percent * 10000, s->clock.now_ns);
    }
}

static void status_set(struct sim *s, uint32_t i, uint32_t status) {
    const struct exchange_input in = {.kind = EXI_STATUS, .instrument = i, .status = status};
    struct exchange_reply reply;
    world_do(s->venue.world, &in, s->clock.now_ns, &reply);
}

static void halt(struct sim *s) {
    uint32_t i = some_contract(s, SIM_HALT);
    if (exchange_instrument(s->venue.world->exchange, i)->status != INSTRUMENT_TRADING) return;
    sim_injected(s, SIM_HALT, i);
    status_set(s, i, INSTRUMENT_SETTLING);
    s->halt_ns[i] = s->clock.now_ns + HALT_NS;
}

static void halts_end(struct sim *s) {
    for (uint32_t i = 0; i < s->o.symbols; i++) {
        if (s->halt_ns[i] == 0 || s->halt_ns[i] > s->clock.now_ns) continue;
        s->halt_ns[i] = 0;
        /* A delisting meanwhile has the last word. */
        if (s->venue.act.state.closing_ns[i] == 0 &&
            exchange_instrument(s->venue.world->exchange, i)->status == INSTRUMENT_SETTLING)
            status_set(s, i, INSTRUMENT_TRADING);
    }
}

/* ---- a person with the account's other key ---- */

static int held_contract(struct sim *s, enum sim_fault kind, struct exchange_position *p) {
    uint32_t from = some_contract(s, kind);
    for (uint32_t k = 0; k < s->o.symbols; k++) {
        uint32_t i = (from + k) % s->o.symbols;
        exchange_position_get(s->venue.world->exchange, SIM_TRADER, i, POSITION_BOTH, p);
        if (p->qty.e8 != 0) return (int)i;
    }
    return -1;
}

static void by_hand(struct sim *s, struct exchange_input *in) {
    struct exchange_reply reply;
    in->account = SIM_TRADER;
    snprintf(in->client_id, sizeof in->client_id, "%s%llu",
             in->kind == EXI_ALGO_CANCEL || in->kind == EXI_LEVERAGE ? "" : "web_",
             (unsigned long long)++s->by_hand);
    if (in->kind == EXI_ALGO_CANCEL || in->kind == EXI_LEVERAGE) in->client_id[0] = '\0';
    world_do(s->venue.world, in, s->clock.now_ns, &reply);
    log_info("sim", "by hand", "kind=%u instrument=%u code=%d", (unsigned)in->kind, in->instrument,
             reply.code);
}

static void human_close(struct sim *s) {
    struct exchange_position p;
    int i = held_contract(s, SIM_HUMAN_CLOSE, &p);
    if (i < 0) return;
    const struct instrument *rules = exchange_instrument(s->venue.world->exchange, (uint32_t)i);
    int64_t all = p.qty.e8 < 0 ? -p.qty.e8 : p.qty.e8;
    bool part = draw(s, SIM_HUMAN_CLOSE, 0, 1) != 0;
    int64_t qty = part ? fx_snap_up(all / 2, rules->market_step_size.e8) : all;
    struct exchange_input in = {.kind = EXI_ORDER_PLACE,
                                .side = p.qty.e8 > 0 ? SIDE_SELL : SIDE_BUY,
                                .type = ORDER_MARKET,
                                .reduce_only = 1,
                                .instrument = (uint32_t)i,
                                .qty = {qty}};
    sim_injected(s, SIM_HUMAN_CLOSE, (uint32_t)i);
    by_hand(s, &in);
}

static void human_cancel(struct sim *s) {
    static struct exchange_algo algos[ALGOS_LOOKED_AT];
    uint32_t n = exchange_open_algos(s->venue.world->exchange, SIM_TRADER, s->aimed_at, algos,
                                     ALGOS_LOOKED_AT);
    if (n == 0) return;
    const struct exchange_algo *a = &algos[draw(s, SIM_HUMAN_CANCEL, 0, n - UINT64_C(1))];
    struct exchange_input in = {
        .kind = EXI_ALGO_CANCEL, .instrument = a->instrument, .order_id = a->algo_id};
    sim_injected(s, SIM_HUMAN_CANCEL, a->instrument);
    by_hand(s, &in);
}

/* About 60 quote units of a contract, so that it is seldom refused. */
static void human_open(struct sim *s) {
    uint32_t i = some_contract(s, SIM_HUMAN_OPEN);
    const struct instrument *rules = exchange_instrument(s->venue.world->exchange, i);
    struct exchange_prices p;
    exchange_prices_get(s->venue.world->exchange, i, &p);
    if (p.mark.e8 <= 0 || rules->status != INSTRUMENT_TRADING) return;
    int64_t least = rules->notional_min.e8 > 60 * FX_ONE ? rules->notional_min.e8 : 60 * FX_ONE;
    int64_t qty =
        fx_snap_up(fx_muldiv_half_even(least, FX_ONE, p.mark.e8) + 1, rules->market_step_size.e8);
    struct exchange_input in = {.kind = EXI_ORDER_PLACE,
                                .side = draw(s, SIM_HUMAN_OPEN, 0, 1) ? SIDE_BUY : SIDE_SELL,
                                .type = ORDER_MARKET,
                                .instrument = i,
                                .qty = {qty}};
    sim_injected(s, SIM_HUMAN_OPEN, i);
    by_hand(s, &in);
}

static void human_leverage(struct sim *s) {
    uint32_t i = some_contract(s, SIM_HUMAN_LEVERAGE);
    struct exchange_input in = {.kind = EXI_LEVERAGE,
                                .instrument = i,
                                .leverage = (uint32_t)draw(s, SIM_HUMAN_LEVERAGE, 1, 20)};
    sim_injected(s, SIM_HUMAN_LEVERAGE, i);
    by_hand(s, &in);
}

/* ---- by the second ---- */

static void act(struct sim *s, enum sim_fault kind) {
    switch (kind) {
    case SIM_CUT:
        sim_injected(s, kind, CHECK_ALL);
        cut(s);
        break;
    case SIM_OUTAGE:
        sim_injected(s, kind, CHECK_ALL);
        outage(s);
        break;
    case SIM_CLOCK_STEP:
        sim_injected(s, kind, CHECK_ALL);
        s->clock.wall_offset_ns = either_way(s, kind, STEP_S_MAX) * NS_PER_SECOND;
        break;
    case SIM_CLOCK_DRIFT:
        sim_injected(s, kind, CHECK_ALL);
        sim_clock_drift(&s->clock, either_way(s, kind, DRIFT_PPB_MAX));
        break;
    case SIM_CRASH:
        sim_injected(s, kind, CHECK_ALL);
        crash(s);
        break;
    case SIM_GAP: {
        uint32_t i = some_contract(s, kind);
        sim_injected(s, kind, i);
        world_shock(s->venue.world, i, (int32_t)either_way(s, kind, GAP_PPM_MAX), s->clock.now_ns);
        break;
    }
    case SIM_HALT:
        halt(s);
        break;
    case SIM_HUMAN_CLOSE:
        human_close(s);
        break;
    case SIM_HUMAN_CANCEL:
        human_cancel(s);
        break;
    case SIM_HUMAN_OPEN:
        human_open(s);
        break;
    case SIM_HUMAN_LEVERAGE:
        human_leverage(s);
        break;
    case SIM_KILL:
    case SIM_POWER:
    case SIM_ROT:
        sim_crash_arm(s, kind);
        break;
    case SIM_DISK_BAD:
        sim_injected(s, kind, CHECK_ALL);
        s->disk_bad_ns =
            s->clock.now_ns + (int64_t)draw(s, kind, 1, BAD_DISK_S_MAX) * NS_PER_SECOND;
        break;
    case SIM_RESTART:
        if (!s->alive) break;
        sim_injected(s, kind, CHECK_ALL);
        s->stop = 1;
        break;
    case SIM_STOP:
    case SIM_PANIC:
    case SIM_POLICY:
        sim_operate(s, kind);
        break;
    case SIM_EXECUTOR:
        if (!s->alive) break;
        sim_injected(s, kind, CHECK_ALL);
        sim_second_executor(s);
        break;
    case SIM_OTHER_RUN:
        sim_other_run(s);
        break;
    case SIM_REQUEST_LOST:
    case SIM_REQUEST_LATE:
    case SIM_REPLY_LOST:
    case SIM_REPLY_LATE:
    case SIM_FRAME_LOST:
    case SIM_FRAME_LATE:
    case SIM_FRAME_TWICE:
    case SIM_FRAME_SWAP:
    case SIM_FAULT_COUNT:
        break;
    }
}

/* What lasts milliseconds is seldom met by the second: every other fault waits for a contract in some phase. */
static void aim(struct sim *s, enum sim_fault kind) {
    if (s->aimed[kind].until_ns) return;
    s->aimed[kind].phase = (uint8_t)draw(s, kind, 0, EXITS_PHASE_COUNT - 1);
    s->aimed[kind].until_ns = s->clock.now_ns + AIMED_NS_MAX;
    s->aimed_count++;
}

void sim_act_moment(struct sim *s) {
    if (s->out->events == s->aimed_event) return;
    s->aimed_event = s->out->events;
    for (int k = 0; k < SIM_FAULT_COUNT; k++) {
        if (!s->aimed[k].until_ns) continue;
        uint32_t at = check_phase_find(s->check, (enum exits_phase)s->aimed[k].phase);
        if (at == CHECK_ALL && s->clock.now_ns < s->aimed[k].until_ns) continue;
        s->aimed[k].until_ns = 0;
        s->aimed_count--;
        s->aimed_at = at;
        act(s, (enum sim_fault)k);
        s->aimed_at = CHECK_ALL;
    }
}

void sim_act_end(struct sim *s) {
    for (int k = 0; k < SIM_FAULT_COUNT; k++) s->aimed[k].until_ns = 0;
    s->aimed_count = 0;
    for (int k = 0; k < SIM_FAULT_COUNT; k++) s->faults.rows[k].rate = 0;
    for (int k = 0; k < FAULT_COUNT; k++) s->venue.act.faults.rows[k].rate = 0;
    fault_rates_changed(&s->venue.act);
    s->armed = false;
    s->disk_bad_ns = 0;
    sim_crash_disk(s);
    sim_operate_end(s);
    sim_other_run_end(s);
    sim_clock_drift(&s->clock, 0);
}

void sim_act_second(struct sim *s) {
    halts_end(s);
    sim_venue_second(&s->venue, s->clock.now_ns);
    for (int k = 0; k < SIM_FAULT_COUNT; k++)
        if (sim_fault_scope_of((enum sim_fault)k) == SIM_PER_SECOND &&
            sim_fault_ask(&s->faults, (enum sim_fault)k)) {
            if (draw(s, (enum sim_fault)k, 0, 1))
                aim(s, (enum sim_fault)k);
            else
                act(s, (enum sim_fault)k);
        }
    sim_crash_disk(s);
    sim_operate_second(s);
    sim_other_run_second(s);
}
