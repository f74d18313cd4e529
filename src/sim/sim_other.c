/* Another run of the same program on the trader's account, with a journal of its own: it enters, protects what it holds and
 * leaves again, by orders of the same form and another mark. The trader must see it, enter nothing beside it and leave its
 * orders alone. */
#include "base/log.h"
#include "sim/sim_internal.h"
#include "trade/oms/oms.h"

#define STAYS_S_MAX 1200
#define AGAIN_NS    (30 * NS_PER_SECOND) /* between tries to leave */
enum { ALGOS_MAX = 64, NOTIONAL = 60, STOP_PCT = 5 };

static uint64_t draw(struct sim *s, uint64_t low, uint64_t high) {
    return sim_fault_draw(&s->faults, SIM_OTHER_RUN, low, high);
}

static uint32_t run_of(const struct sim *s) {
    return s->own_run == OMS_RUN_MAX ? 1 : OMS_RUN_MAX;
}

static bool place(struct sim *s, struct exchange_input *in, enum oms_leg leg) {
    struct exchange_reply reply;
    const struct oms_request name = {
        .leg = leg, .intent_id = s->other.number, .run = run_of(s), .life = 1};
    in->account = SIM_TRADER;
    in->instrument = s->other.instrument;
    oms_order_name(in->client_id, &name);
    sim_injected(s, SIM_OTHER_RUN, in->instrument);
    world_do(s->venue.world, in, s->clock.now_ns, &reply);
    log_info("sim", "another run", "leg=%s instrument=%u code=%d", oms_leg_text(leg),
             in->instrument, reply.code);
    return reply.code == 0;
}

static qty_t held(const struct sim *s, uint32_t i) {
    struct exchange_position p;
    exchange_position_get(s->venue.world->exchange, SIM_TRADER, i, POSITION_BOTH, &p);
    return p.qty;
}

/* Of a contract where nothing is held: about 60 quote units, and a stop far enough away. */
void sim_other_run(struct sim *s) {
    uint32_t i = (uint32_t)draw(s, 0, s->o.symbols - UINT64_C(1));
    const struct instrument *rules = exchange_instrument(s->venue.world->exchange, i);
    struct exchange_prices p;
    exchange_prices_get(s->venue.world->exchange, i, &p);
    if (s->other.until_ns || !s->own_run || p.mark.e8 <= 0 || held(s, i).e8 != 0 ||
        rules->status != INSTRUMENT_TRADING)
        return;
    int64_t least = NOTIONAL * FX_ONE;
    if (rules->notional_min.e8 > least) least = rules->notional_min.e8;
    bool buy = draw(s, 0, 1);
    struct exchange_input entry = {
        .kind = EXI_ORDER_PLACE,
        .side = buy ? SIDE_BUY : SIDE_SELL,
        .type = ORDER_MARKET,
        .qty = {fx_snap_up(fx_muldiv_half_even(least, FX_ONE, p.mark.e8) + 1,
                           rules->market_step_size.e8)}};
    struct exchange_input stop = {
        .kind = EXI_ALGO_PLACE,
        .side = buy ? SIDE_SELL : SIDE_BUY,
        .type = ORDER_STOP_MARKET,
        .time_in_force = TIF_GTE_GTC,
        .close_position = 1,
        .price2 = {fx_snap_down(p.mark.e8 / 100 * (buy ? 100 - STOP_PCT : 100 + STOP_PCT),
                                rules->tick_size.e8)}};
    s->other.instrument = i;
    s->other.number++;
    s->other.until_ns = s->clock.now_ns + (int64_t)draw(s, 60, STAYS_S_MAX) * NS_PER_SECOND;
    check_other_run(s->check, run_of(s), false, s->clock.now_ns);
    if (!place(s, &entry, LEG_ENTRY) || !place(s, &stop, LEG_STOP)) return;
    check_other_run(s->check, run_of(s), true, s->clock.now_ns);
}

static bool rests(struct sim *s) {
    static struct exchange_algo algos[ALGOS_MAX];
    uint32_t n = exchange_open_algos(s->venue.world->exchange, SIM_TRADER, s->other.instrument,
                                     algos, ALGOS_MAX);
    for (uint32_t i = 0; i < n && i < ALGOS_MAX; i++)
        if (oms_run_of(algos[i].client_algo_id) == run_of(s)) return true;
    return false;
}

/* It leaves: whatever is held there, as it knows of nobody else; its stop ends with the position. Refused (a halt), it stays
 * and tries again. */
static void leave(struct sim *s) {
    int64_t qty = held(s, s->other.instrument).e8;
    const struct instrument *rules =
        exchange_instrument(s->venue.world->exchange, s->other.instrument);
    struct exchange_input close = {
        .kind = EXI_ORDER_PLACE,
        .side = qty > 0 ? SIDE_SELL : SIDE_BUY,
        .type = ORDER_MARKET,
        .reduce_only = 1,
        .qty = {fx_snap_up(qty < 0 ? -qty : qty, rules->market_step_size.e8)}};
    s->other.until_ns = s->clock.now_ns + AGAIN_NS;
    if (qty != 0) (void)place(s, &close, LEG_CLOSE);
}

void sim_other_run_second(struct sim *s) {
    if (s->other.until_ns == 0) return;
    if (!rests(s)) {
        check_other_run(s->check, run_of(s), false, s->clock.now_ns);
        s->other.until_ns = 0; /* stopped out, or closed by the trader's rule or a hand */
    } else if (s->clock.now_ns >= s->other.until_ns) {
        leave(s);
        check_other_run(s->check, run_of(s), rests(s), s->clock.now_ns);
    }
}

void sim_other_run_end(struct sim *s) {
    if (s->other.until_ns) s->other.until_ns = s->clock.now_ns;
}
