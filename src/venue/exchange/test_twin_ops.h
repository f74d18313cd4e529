/* Random operations for exchange and twin, biased so that things happen: prices that move and jump, orders
 * near them, accounts that borrow too much. */
#ifndef VENUE_EXCHANGE_TEST_TWIN_OPS_H
#define VENUE_EXCHANGE_TEST_TWIN_OPS_H

#include "venue/exchange/test_twin_world.h"

enum { OPS_ACCOUNTS = 5 }; /* besides the house */

/* What is done besides inputs. */
enum op_kind { OP_INPUT = 0, OP_CLASSIC, OP_FILTERS };

struct op {
    int64_t dt;
    uint32_t op, value; /* value: classic on; filters: which */
    struct exchange_input in;
};

struct ops {
    struct rng g;
    int64_t mid[TW_SYMBOLS_MAX];
    int64_t edge[TW_SYMBOLS_MAX]; /* a mark at which somebody is liquidated, 0 none */
    uint64_t names;
    uint32_t winding; /* account that is being wound up to be set differently, 0 none */
};

static inline int64_t ops_below(struct ops *x, int64_t n) {
    return (int64_t)rng_below(&x->g, (uint64_t)n);
}
static inline bool ops_one_in(struct ops *x, int64_t n) {
    return ops_below(x, n) == 0;
}

/* Contracts: one like BTC, one with small brackets and an odd grid, one of many digits. `variant`: filters
 * as they are after a change. */
static inline void ops_instrument(struct instrument *in, uint32_t s, uint32_t variant) {
    static const char *const names[] = {"BTCUSDT", "ETHUSDT", "DOGEUSDT"};
    static const double grid[][6] = {/* tick, px_min, step, qty_min, qty_max, market_qty_max */
                                     {0.1, 556.8, 0.001, 0.001, 100, 12},
                                     {0.25, 0.6, 0.01, 0.03, 500, 200},
                                     {0.00001, 0.00244, 1, 1, 4e7, 1e6}};
    instrument_defaults(in, names[s]);
    in->flags = 0;
    in->tick_size.e8 = fx_from_f64(grid[s][0]);
    in->px_min.e8 = fx_from_f64(grid[s][1]);
    in->px_max.e8 = fx_from_f64(grid[s][1] * 1e6);
    in->step_size.e8 = in->market_step_size.e8 = fx_from_f64(grid[s][2]);
    in->qty_min.e8 = in->market_qty_min.e8 = fx_from_f64(grid[s][3]);
    in->qty_max.e8 = fx_from_f64(grid[s][4]);
    in->market_qty_max.e8 = fx_from_f64(grid[s][5]);
    in->orders_max = 12;
    in->fee_maker.e8 = s == 2 ? -5000 : 20000; /* a rebate, too */
    in->fee_taker.e8 = 50001;
    in->liquidation_fee.e8 = (int64_t[]){1250000, 2000000, 1500000}[s];
    static const double rows[3][4][5] = {{{0, 50e3, .004, 0, 125},
                                          {50e3, 250e3, .005, 50, 100},
                                          {250e3, 1e6, .01, 1300, 50},
                                          {1e6, 1e7, .025, 16300, 20}},
                                         {{0, 5e3, .01, 0, 50},
                                          {5e3, 25e3, .02, 50, 25},
                                          {25e3, 100e3, .05, 800, 10},
                                          {100e3, 500e3, .125, 8300, 4}},
                                         {{0, 20e3, .0065, 0, 75},
                                          {20e3, 200e3, .01, 70, 50},
                                          {200e3, 1e6, .02, 2070, 25},
                                          {1e6, 2e6, .1, 82070, 5}}};
    in->bracket_count = 4;
    for (int i = 0; i < 4; i++)
        in->brackets[i] = (struct bracket){.notional_floor = {fx_from_f64(rows[s][i][0])},
                                           .notional_cap = {fx_from_f64(rows[s][i][1])},
                                           .maint_margin_rate = {fx_from_f64(rows[s][i][2])},
                                           .maint_amount = {fx_from_f64(rows[s][i][3])},
                                           .leverage_max = (uint32_t)rows[s][i][4]};
    if (variant == 1) {
        in->step_size.e8 *= 2;
        in->qty_min = in->step_size;
        in->notional_min.e8 *= 3;
        in->orders_max = 6;
    }
    if (variant == 3) { /* the band nearer than the bound of market orders */
        in->multiplier_up.e8 = 101 * FX_ONE / 100;
        in->multiplier_down.e8 = 99 * FX_ONE / 100;
        in->market_take_bound.e8 = 3 * FX_ONE / 100;
    }
    if (variant == 2) {
        in->multiplier_up.e8 = 102 * FX_ONE / 100;
        in->multiplier_down.e8 = 98 * FX_ONE / 100;
        in->market_take_bound.e8 = FX_ONE / 100;
    }
}

static inline int64_t ops_mid_start(uint32_t s) {
    return (int64_t[]){50000, 3000, 0}[s] * FX_ONE + (s == 2 ? FX_ONE / 10 : 0);
}

/* A price `spread` thousandths around the middle, on the grid. */
static inline px_t ops_px(struct ops *x, const struct tw *w, uint32_t s, int64_t spread) {
    int64_t range = x->mid[s] / 1000 * spread + 1;
    int64_t px = x->mid[s] - range + ops_below(x, 2 * range + 1);
    int64_t unit = w->in[s].tick_size.e8;
    /* coarse levels, so that orders share them */
    while (unit * 4000 < x->mid[s]) unit *= 2;
    px_t out = instrument_round_px(&w->in[s], px_e8(px / unit * unit), ops_below(x, 2));
    if (ops_one_in(x, 60)) out.e8 += 1 + ops_below(x, w->in[s].tick_size.e8);
    return out;
}

/* A quantity worth about `money` quote units. */
static inline qty_t ops_qty(struct ops *x, const struct tw *w, uint32_t s, int64_t money) {
    const struct instrument *in = &w->in[s];
    int64_t worth = money / 4 + ops_below(x, money);
    int64_t qty = tw_down(worth * FX_ONE, FX_ONE, x->mid[s]);
    qty_t out = instrument_round_qty(in, qty_e8(qty), false);
    if (!out.e8) out = in->qty_min;
    if (ops_one_in(x, 80)) out.e8 += 1 + ops_below(x, in->step_size.e8);
    if (ops_one_in(x, 200)) out.e8 = ops_below(x, 3) * in->qty_max.e8;
    return out;
}

static inline int64_t ops_money(struct ops *x) {
    return (int64_t[]){20, 200, 2000, 2000, 20000, 200000}[ops_below(x, 6)];
}

static inline void ops_name(struct ops *x, char out[CLIENT_ORDER_ID_SIZE]) {
    if (ops_one_in(x, 3)) return;
    if (ops_one_in(x, 150)) {
        snprintf(out, CLIENT_ORDER_ID_SIZE, "%s", ops_one_in(x, 2) ? "not good" : "+");
        return;
    }
    if (ops_one_in(x, 20)) x->names -= (uint64_t)ops_below(x, 30);
    snprintf(out, CLIENT_ORDER_ID_SIZE, "c-%llu", (unsigned long long)x->names++);
}

static inline uint32_t ops_account(struct ops *x) {
    return ops_one_in(x, 500) ? (uint32_t)ops_below(x, 9)
                              : 1 + (uint32_t)ops_below(x, OPS_ACCOUNTS);
}
static inline uint32_t ops_symbol(struct ops *x) {
    return ops_one_in(x, 500) ? 3 + (uint32_t)ops_below(x, 2) : (uint32_t)ops_below(x, 3);
}

/* What orders and conditional orders have in common. */
static inline void ops_order_common(struct ops *x, const struct tw *w, struct exchange_input *in) {
    in->account = ops_account(x);
    in->instrument = ops_symbol(x);
    in->side = ops_one_in(x, 2) ? SIDE_BUY : SIDE_SELL;
    in->stp = (uint8_t)ops_below(x, 4);
    bool hedge = in->account < TW_ACCOUNTS_MAX && w->account[in->account].hedge;
    in->position_side = hedge ? (ops_one_in(x, 2) ? POSITION_LONG : POSITION_SHORT) : POSITION_BOTH;
    if (ops_one_in(x, 100)) in->position_side = (uint8_t)ops_below(x, 4);
    in->reduce_only = ops_one_in(x, hedge ? 60 : 4);
    ops_name(x, in->client_id);
    if (in->account >= w->accounts || in->instrument >= w->symbols) return;
    /* Often toward a position that is there, often of its whole size. */
    const struct tw_position *p =
        &w->account[in->account].position[in->instrument][tw_leg(in->position_side)];
    if (p->qty && ops_one_in(x, 3)) in->side = p->qty > 0 ? SIDE_SELL : SIDE_BUY;
    in->qty = p->qty && ops_one_in(x, 4) ? qty_e8(tw_abs(p->qty))
                                         : ops_qty(x, w, in->instrument, ops_money(x));
    /* Now and then all the account could carry. */
    int64_t all = tw_available(w, in->account) / 2 * tw_leverage(w, in->account, in->instrument);
    if (ops_one_in(x, 4) && all > FX_ONE && in->qty.e8 != tw_abs(p->qty))
        in->qty = ops_qty(x, w, in->instrument, all / FX_ONE * 3 / 2);
}

static inline void ops_order(struct ops *x, const struct tw *w, struct exchange_input *in) {
    in->kind = ops_one_in(x, 30) ? EXI_ORDER_TEST : EXI_ORDER_PLACE;
    ops_order_common(x, w, in);
    uint32_t s = in->instrument < 3 ? in->instrument : 0;
    if (ops_one_in(x, 4)) {
        in->type = ORDER_MARKET;
        if (ops_one_in(x, 60)) in->time_in_force = TIF_IOC;
        return;
    }
    in->type = ops_one_in(x, 200) ? (uint8_t)ops_below(x, 9) : ORDER_LIMIT;
    in->price = ops_px(x, w, s, ops_one_in(x, 5) ? 60 : 6);
    static const uint8_t tifs[] = {TIF_GTC, TIF_GTC, TIF_GTC, TIF_IOC,
                                   TIF_FOK, TIF_GTX, TIF_GTX, TIF_GTD};
    in->time_in_force = tifs[ops_below(x, 8)];
    if (ops_one_in(x, 200)) in->time_in_force = (uint8_t)ops_below(x, 7);
    if (ops_one_in(x, 40)) /* as far as the band lets it */
        in->price =
            instrument_round_limit_px(&w->in[s], px_e8(in->side == SIDE_BUY ? x->mid[s] * 2 : 1),
                                      in->side == SIDE_BUY, px_e8(w->market[s].mark));
    if (in->time_in_force == TIF_FOK) /* small enough to be filled now and then */
        in->qty = ops_qty(x, w, s, ops_one_in(x, 2) ? 50 : 500);
    if (in->time_in_force == TIF_GTD || ops_one_in(x, 100))
        in->until_ns =
            w->now + (590 + ops_below(x, 300)) * NS_PER_SECOND + ops_below(x, NS_PER_SECOND);
    if (ops_one_in(x, 12)) {
        in->price_match = (uint8_t)(ops_one_in(x, 3) ? ops_below(x, 10) : 1 + 4 * ops_below(x, 2));
        if (!ops_one_in(x, 10)) in->price.e8 = 0;
    }
    in->close_position = ops_one_in(x, 300);
}

/* An open order's id, or one that is not there. */
static inline void ops_pick_order(struct ops *x, const struct tw *w, struct exchange_input *in) {
    if (w->order_count == 0 || ops_one_in(x, 20)) {
        in->account = ops_account(x);
        in->instrument = ops_symbol(x);
        in->order_id = w->next_order_id - (uint64_t)ops_below(x, 200);
        return;
    }
    const struct exchange_order *o = &w->order[ops_below(x, w->order_count)].o;
    in->account = ops_one_in(x, 50) ? ops_account(x) : o->account;
    in->instrument = ops_one_in(x, 50) ? ops_symbol(x) : o->instrument;
    in->side = o->side;
    in->price = o->price;
    in->qty = o->orig_qty;
    if (ops_one_in(x, 3))
        memcpy(in->client_id, o->client_order_id, sizeof in->client_id);
    else
        in->order_id = o->order_id;
}

static inline void ops_amend(struct ops *x, const struct tw *w, struct exchange_input *in) {
    in->kind = EXI_ORDER_AMEND;
    ops_pick_order(x, w, in);
    uint32_t s = in->instrument < 3 ? in->instrument : 0;
    if (ops_one_in(x, 50)) in->side = SIDE_BUY;
    if (!ops_one_in(x, 3)) in->price = ops_px(x, w, s, 6);
    if (ops_one_in(x, 2)) in->qty = ops_qty(x, w, s, ops_money(x));
    if (ops_one_in(x, 8)) in->qty = w->in[s].qty_min;
    if (ops_one_in(x, 20)) in->reduce_only = 1;
    if (ops_one_in(x, 15)) {
        in->price_match = ops_one_in(x, 2) ? PRICE_MATCH_OPPONENT : PRICE_MATCH_QUEUE;
        if (!ops_one_in(x, 10)) in->price.e8 = 0;
    }
}

static inline void ops_algo(struct ops *x, const struct tw *w, struct exchange_input *in) {
    ops_order_common(x, w, in);
    in->kind = w->config.classic_conditional && ops_one_in(x, 2) ? EXI_ORDER_PLACE : EXI_ALGO_PLACE;
    if (in->kind == EXI_ORDER_PLACE) in->flag = 1;
    if (ops_one_in(x, 60)) in->kind = EXI_ORDER_PLACE;
    uint32_t s = in->instrument < 3 ? in->instrument : 0;
    static const uint8_t types[] = {ORDER_STOP_MARKET, ORDER_TAKE_PROFIT_MARKET, ORDER_STOP,
                                    ORDER_TAKE_PROFIT, ORDER_TRAILING_STOP_MARKET};
    in->type = types[ops_below(x, 5)];
    in->working_type = ops_one_in(x, 2);
    in->price_protect = ops_one_in(x, 3);
    in->price2 = ops_px(x, w, s, 12);
    /* Rather on the side where it does not fire at once. */
    bool above =
        (in->type == ORDER_STOP || in->type == ORDER_STOP_MARKET) == (in->side == SIDE_BUY);
    if ((in->price2.e8 > x->mid[s]) != above && !ops_one_in(x, 10))
        in->price2 = instrument_round_px(&w->in[s], px_e8(2 * x->mid[s] - in->price2.e8), above);
    if (in->type == ORDER_STOP || in->type == ORDER_TAKE_PROFIT) {
        in->price = ops_px(x, w, s, ops_one_in(x, 4) ? 40 : 12);
        static const uint8_t tifs[] = {TIF_GTC, TIF_GTC,     TIF_IOC, TIF_FOK,
                                       TIF_GTX, TIF_GTE_GTC, TIF_GTD};
        in->time_in_force = tifs[ops_below(x, 7)];
        in->until_ns = w->now + (590 + ops_below(x, 600)) * NS_PER_SECOND;
        if (ops_one_in(x, 8)) {
            in->price_match = ops_one_in(x, 2) ? PRICE_MATCH_OPPONENT : PRICE_MATCH_QUEUE;
            in->price.e8 = 0;
        }
        return;
    }
    if (ops_one_in(x, 4)) in->time_in_force = TIF_GTE_GTC;
    if (in->type == ORDER_TRAILING_STOP_MARKET) {
        in->rate.e8 = FX_ONE / 1000 + ops_below(x, FX_ONE / 100);
        if (ops_one_in(x, 30)) in->rate.e8 = ops_below(x, FX_ONE / 4);
        if (ops_one_in(x, 2)) in->price2.e8 = 0;
    } else if (ops_one_in(x, 3)) {
        in->close_position = 1;
        in->reduce_only = ops_one_in(x, 20);
        if (!ops_one_in(x, 20)) in->qty.e8 = 0;
    }
}

static inline void ops_algo_cancel(struct ops *x, const struct tw *w, struct exchange_input *in) {
    in->kind = ops_one_in(x, 8) ? EXI_ALGO_CANCEL_ALL : EXI_ALGO_CANCEL;
    in->account = ops_account(x);
    in->instrument = ops_symbol(x);
    if (w->algo_count == 0 || in->kind == EXI_ALGO_CANCEL_ALL) return;
    const struct tw_algo *a = &w->algo[ops_below(x, w->algo_count)];
    in->account = a->a.account;
    in->instrument = a->a.instrument;
    in->order_id = a->classic ? a->a.actual_order_id : a->a.algo_id;
    if (a->classic && ops_one_in(x, 2)) in->kind = EXI_ORDER_CANCEL;
    if (!ops_one_in(x, 3)) return;
    in->order_id = 0;
    memcpy(in->client_id, a->a.client_algo_id, sizeof in->client_id);
}

static inline void ops_settings(struct ops *x, const struct tw *w, struct exchange_input *in) {
    in->account = ops_account(x);
    in->instrument = ops_symbol(x);
    switch (ops_below(x, 8)) {
    case 0:
    case 1:
        in->kind = EXI_LEVERAGE;
        in->leverage =
            (uint32_t[]){1, 3, 5, 10, 20, 25, 50, 75, 100, 125, 0, 126}[ops_below(x, 12)];
        break;
    case 2:
        in->kind = EXI_MARGIN_TYPE;
        in->flag = ops_one_in(x, 2);
        break;
    case 3:
        in->kind = EXI_POSITION_MODE;
        in->flag = ops_one_in(x, 2);
        break;
    case 4:
    case 5:
        in->kind = EXI_POSITION_MARGIN;
        in->flag = 1 + (uint8_t)ops_below(x, 2);
        in->amount.e8 = ops_below(x, 400 * FX_ONE) - FX_ONE;
        if (in->account < w->accounts && w->account[in->account].hedge)
            in->position_side = 1 + (uint8_t)ops_below(x, 2);
        if (ops_one_in(x, 20)) in->position_side = (uint8_t)ops_below(x, 3);
        break;
    case 6:
        in->kind = ops_one_in(x, 4) ? EXI_FEES : EXI_COUNTDOWN;
        in->rate.e8 = ops_below(x, 30000) - 5000;
        in->rate2.e8 = ops_below(x, 80000);
        in->until_ns = ops_one_in(x, 6) ? 0 : w->now + ops_below(x, 60 * NS_PER_SECOND);
        break;
    default:
        in->kind = ops_one_in(x, 20) ? EXI_MULTI_ASSETS : EXI_DEPOSIT;
        in->flag = ops_one_in(x, 2);
        in->amount.e8 = ops_below(x, 2000 * FX_ONE) - 1100 * FX_ONE;
        if (in->account < w->accounts && in->account &&
            w->account[in->account].wallet < 100 * FX_ONE)
            in->amount.e8 = ops_below(x, 6000 * FX_ONE);
        if (in->account < w->accounts && ops_one_in(x, 3)) { /* all there is, or a little more */
            struct exchange_account look;
            tw_look(w, in->account, &look);
            in->amount.e8 = -look.max_withdraw.e8 - ops_below(x, 2);
        }
        break;
    }
}

/* Symbol's middle wanders, and now and then jumps. */
static inline void ops_move(struct ops *x, uint32_t s) {
    int64_t step = x->mid[s] / 700;
    x->mid[s] += ops_below(x, 2 * step + 1) - step;
    if (ops_one_in(x, 40)) x->mid[s] += (ops_below(x, 9) - 4) * (x->mid[s] / 100);
    if (ops_one_in(x, 400)) x->mid[s] += (ops_below(x, 3) - 1) * (x->mid[s] / 8);
    int64_t start = ops_mid_start(s);
    if (x->mid[s] > 2 * start) x->mid[s] -= x->mid[s] / 20;
    if (x->mid[s] < start / 2) x->mid[s] += x->mid[s] / 20;
}

/* A price at which something just happens, or just does not: of a conditional order, of a liquidation. */
static inline int64_t ops_edge(struct ops *x, const struct tw *w, uint32_t s) {
    int64_t px = x->edge[s];
    if (w->algo_count > 0 && ops_one_in(x, 2)) {
        const struct exchange_algo *a = &w->algo[ops_below(x, w->algo_count)].a;
        if (a->instrument != s) return 0;
        px = a->trigger_price.e8 ? a->trigger_price.e8 : a->activate_price.e8;
        if (a->activated && a->side == SIDE_SELL)
            px = tw_down(a->extreme_price.e8, FX_ONE - a->callback_rate.e8, FX_ONE);
        else if (a->activated)
            px = tw_up(a->extreme_price.e8, FX_ONE + a->callback_rate.e8, FX_ONE);
    }
    int64_t away = px - x->mid[s];
    return px && away < x->mid[s] / 20 && away > -x->mid[s] / 20 ? px + ops_below(x, 3) - 1 : 0;
}

static inline void ops_market(struct ops *x, const struct tw *w, struct exchange_input *in) {
    uint32_t s = in->instrument = (uint32_t)ops_below(x, 3);
    in->side = ops_one_in(x, 2) ? SIDE_BUY : SIDE_SELL;
    int64_t kind = ops_below(x, 100), edge = 0;
    if (kind < 55) {
        in->kind = EXI_QUOTE;
        in->price = ops_px(x, w, s, 8);
        if ((in->price.e8 > x->mid[s]) != (in->side == SIDE_SELL) && !ops_one_in(x, 8))
            in->price.e8 = instrument_round_px(&w->in[s], px_e8(2 * x->mid[s] - in->price.e8),
                                               in->side == SIDE_SELL)
                               .e8;
        in->qty = ops_qty(x, w, s, ops_money(x));
        if (in->qty.e8 > w->in[s].qty_max.e8) in->qty = w->in[s].qty_min;
        if (w->quote_count > 20 && ops_one_in(x, w->quote_count > 60 ? 1 : 3)) {
            const struct tw_quote *q = &w->quote[ops_below(x, w->quote_count)];
            in->instrument = q->s;
            in->side = q->side;
            in->price.e8 = q->px;
            in->qty.e8 = ops_one_in(x, 4) ? q->qty / 2 : 0;
        }
    } else if (kind < 70) {
        ops_move(x, s);
        in->kind = EXI_PRINT;
        in->price = ops_px(x, w, s, 2);
        in->qty = ops_qty(x, w, s, 100);
        if (ops_one_in(x, 4)) edge = ops_edge(x, w, s);
        if (edge) in->price.e8 = edge;
    } else if (kind < 96) {
        ops_move(x, s);
        in->kind = EXI_MARK;
        in->price.e8 = x->mid[s] + ops_below(x, x->mid[s] / 500) - x->mid[s] / 1000;
        in->price2.e8 = x->mid[s];
        if (ops_one_in(x, 3)) /* on the grid, and its 1 and 5 percent too */
            in->price.e8 = fx_snap_up(x->mid[s], 100 * w->in[s].tick_size.e8);
        if (ops_one_in(x, 4)) edge = ops_edge(x, w, s);
        if (edge) in->price.e8 = edge;
    } else if (kind < 99) {
        in->kind = EXI_FUNDING;
        in->rate.e8 = ops_below(x, 600001) - 300000;
        if (ops_one_in(x, 12)) in->rate.e8 *= 30; /* beyond any cap: what cannot be paid */
    } else {
        in->kind = EXI_STATUS;
        in->status = ops_one_in(x, 2) ? INSTRUMENT_SETTLING : INSTRUMENT_CLOSED;
    }
    /* A contract that was closed opens again soon. */
    for (uint32_t i = 0; i < w->symbols; i++)
        if (w->in[i].status != INSTRUMENT_TRADING && ops_one_in(x, 8)) {
            *in = (struct exchange_input){.kind = EXI_STATUS, .instrument = i};
            in->status = INSTRUMENT_TRADING;
        }
}

/* The accounts at the start: how they are set, and what is never refused once. */
static inline int ops_first(struct ops *x, struct op *ops) {
    int n = 0;
    for (uint32_t a = 1; a <= OPS_ACCOUNTS; a++) {
        ops[n++] = (struct op){
            .in = {.kind = EXI_ACCOUNT_OPEN,
                   .amount = {(int64_t[]){0, 200, 2000, 5000, 20000, 1000}[a] * FX_ONE}}};
        if (ops_one_in(x, 3))
            ops[n++] = (struct op){.in = {.kind = EXI_POSITION_MODE, .account = a, .flag = 1}};
        for (uint32_t s = 0; s < TW_SYMBOLS_MAX; s++) {
            if (ops_one_in(x, 3))
                ops[n++] = (struct op){
                    .in = {.kind = EXI_MARGIN_TYPE, .account = a, .instrument = s, .flag = 1}};
            if (ops_one_in(x, 2))
                ops[n++] = (struct op){
                    .in = {.kind = EXI_LEVERAGE, .account = a, .instrument = s, .leverage = 50}};
        }
    }
    for (uint32_t s = 0; s < TW_SYMBOLS_MAX; s++)
        ops[n++] = (struct op){.in = {.kind = EXI_MARK,
                                      .instrument = s,
                                      .price = {ops_mid_start(s)},
                                      .price2 = {ops_mid_start(s)}}};
    return n;
}

/* An account is left without orders and positions, then set differently. */
static inline void ops_wind(struct ops *x, const struct tw *w, struct exchange_input *in) {
    const struct tw_account *a = &w->account[x->winding];
    in->account = x->winding;
    for (uint32_t s = 0; s < w->symbols; s++) {
        in->instrument = s;
        for (int i = 0; i < w->order_count + w->algo_count; i++) {
            bool order = i < w->order_count;
            const struct exchange_order *o = &w->order[order ? i : 0].o;
            const struct tw_algo *y = &w->algo[order ? 0 : i - w->order_count];
            if ((order ? o->account : y->a.account) != x->winding ||
                (order ? o->instrument : y->a.instrument) != s)
                continue;
            in->kind = order || y->classic ? EXI_CANCEL_ALL : EXI_ALGO_CANCEL_ALL;
            return;
        }
        for (int leg = 0; leg < 2; leg++) {
            if (!a->position[s][leg].qty) continue;
            in->kind = EXI_ORDER_PLACE;
            in->type = ORDER_MARKET;
            in->side = a->position[s][leg].qty > 0 ? SIDE_SELL : SIDE_BUY;
            in->position_side = !a->hedge ? POSITION_BOTH : leg ? POSITION_SHORT : POSITION_LONG;
            in->reduce_only = !a->hedge;
            in->qty =
                instrument_round_qty(&w->in[s], qty_e8(tw_abs(a->position[s][leg].qty)), true);
            if (ops_one_in(x, 10)) x->winding = 0; /* nobody may be there to take it */
            return;
        }
    }
    in->instrument = (uint32_t)ops_below(x, w->symbols);
    in->kind = ops_one_in(x, 2) ? EXI_POSITION_MODE : EXI_MARGIN_TYPE;
    in->flag = in->kind == EXI_POSITION_MODE ? !a->hedge : !a->isolated[in->instrument];
    if (ops_one_in(x, 2)) x->winding = 0;
}

static inline void ops_draw(struct ops *x, const struct tw *w, struct op *op) {
    *op = (struct op){.dt = ops_one_in(x, 3) ? 0 : ops_below(x, 40 * NS_PER_MS)};
    if (ops_one_in(x, 100)) op->dt = ops_below(x, 200 * NS_PER_SECOND);
    if (ops_one_in(x, 2000)) op->dt = 1000 * NS_PER_SECOND;
    int64_t deadline = tw_deadline(w); /* to the instant, or just before */
    if (ops_one_in(x, 300) && deadline > w->now && deadline < w->now + 400 * NS_PER_SECOND)
        op->dt = deadline - w->now - ops_below(x, 2);
    int64_t kind = ops_below(x, 1000);
    struct exchange_input *in = &op->in;
    if (!x->winding && ops_one_in(x, 800)) x->winding = 1 + (uint32_t)ops_below(x, OPS_ACCOUNTS);
    if (x->winding && ops_one_in(x, 4)) {
        ops_wind(x, w, in);
    } else if (kind < 310) {
        ops_order(x, w, in);
    } else if (kind < 390) {
        ops_pick_order(x, w, in);
        in->kind = EXI_ORDER_CANCEL;
    } else if (kind < 460) {
        ops_amend(x, w, in);
    } else if (kind < 600) {
        ops_algo(x, w, in);
    } else if (kind < 620) {
        ops_algo_cancel(x, w, in);
    } else if (kind < 680) {
        ops_settings(x, w, in);
    } else if (kind < 685) {
        in->kind = EXI_CANCEL_ALL;
        in->account = ops_account(x);
        in->instrument = ops_symbol(x);
    } else if (kind < 695) {
        in->kind = EXI_TIME;
    } else if (kind < 696) {
        op->op = OP_CLASSIC;
        op->value = !w->config.classic_conditional;
    } else if (kind < 697) {
        op->op = OP_FILTERS;
        op->value = (uint32_t)ops_below(x, 4);
        in->kind = EXI_FILTERS;
        in->instrument = (uint32_t)ops_below(x, 3);
    } else {
        ops_market(x, w, in);
    }
}

#endif
