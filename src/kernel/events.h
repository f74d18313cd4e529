/* The event catalogue: everything the kernel is told, decides and asks for. One table; structs, JSON
 * codec, validation and docs/EVENTS.md derive from it.
 *
 * An id is permanent, and a record that changes gets another version: any other is refused. In the
 * journal an event is its struct's bytes; on the bus it is JSON with the field names below. */
#ifndef KERNEL_EVENTS_H
#define KERNEL_EVENTS_H

#include <assert.h>
#include <stddef.h>

#include "base/err.h"
#include "domain/fields.h"
#include "domain/intent.h"
#include "domain/trade.h"

#define RUN_STARTED_FIELDS(F)                                                                      \
    F(MODE, mode, "replay, paper, testnet or live")                                                \
    F(STRATEGY, strategy, "rule that trades")                                                      \
    F(U64, seed, "of the bot's dice and of a synthetic market")                                    \
    F(HEX, feed_hash, "what the market is: bars of a tape, or a generator's configuration")        \
    F(HEX, model_hash, "of the model file; 0 none")                                                \
    F(HEX, feature_hash, "of the feature registry")                                                \
    F(HEX, config_hash, "of every figure that steers decisions")                                   \
    F(TS, from_ts, "first moment at which it may trade")                                           \
    F(TS, to_ts, "end, exclusive; 0 open")                                                         \
    F(I64, interval, "of a bar, ns")                                                               \
    F(U64, symbol_count, "contracts")                                                              \
    F(MONEY, wallet_start, "wallet at the start")

#define TAPE_ADVANCED_FIELDS(F)                                                                    \
    F(U64, step, "every bar of the feed up to and including this step has been folded")            \
    F(TS, close_ts, "close time of that step's bars")

#define MODEL_ANSWERED_FIELDS(F)                                                                   \
    F(TS, ts, "close time of the bar it is about")                                                 \
    F(U32, instrument_index, "contract")                                                           \
    F(MODEL, model, "which voter")                                                                 \
    F(VOTE, state, "present, or why not")                                                          \
    F(U32, reserved, "0")                                                                          \
    F(PROB, p_sell, "calibrated probability")                                                      \
    F(PROB, p_hold, "calibrated probability")                                                      \
    F(PROB, p_buy, "calibrated probability")                                                       \
    F(F64, move, "expected absolute move when a barrier is hit, fraction")                         \
    F(F64, atr, "ATR(14) as a fraction of close; NaN while warming up")

#define SIGNAL_FIELDS(F)                                                                           \
    F(HEX, signal_id, "identity")                                                                  \
    F(SYMBOL, symbol, "contract")                                                                  \
    F(TS, ts, "close time of the bar it was made on")                                              \
    F(ACTION, action, "SELL, HOLD or BUY")                                                         \
    F(U32, consensus, "voters whose own best answer is the action")                                \
    F(U32, voters, "voters present")                                                               \
    F(STRATEGY, strategy, "rule that made it")                                                     \
    F(PROB, confidence, "probability of the action")                                               \
    F(PROB, p_sell, "pooled probability")                                                          \
    F(PROB, p_hold, "pooled probability")                                                          \
    F(PROB, p_buy, "pooled probability")                                                           \
    F(F64, edge, "expected gross return of the side, fraction")                                    \
    F(F64, weight_xgboost, "effective weight")                                                     \
    F(F64, weight_lightgbm, "effective weight")                                                    \
    F(F64, weight_nhits, "effective weight")                                                       \
    F(F64, weight_patchtst, "effective weight")

#define INTENT_DELIVERED_FIELDS(F) F(HEX, intent_id, "the bus handed this intent to the executor")

#define INTENT_DENIED_FIELDS(F)                                                                    \
    F(HEX, intent_id, "the intent")                                                                \
    F(SYMBOL, symbol, "contract")                                                                  \
    F(TS, ts, "when")                                                                              \
    F(TEXT, reason, "first gate that said no")                                                     \
    F(F64, edge, "the intent's edge")                                                              \
    F(F64, cost, "round-trip cost it was held against, fraction; 0 if it did not get there")

#define TRADE_OPENED_FIELDS(F)                                                                     \
    F(HEX, intent_id, "the intent that opened it")                                                 \
    F(SYMBOL, symbol, "contract")                                                                  \
    F(TS, ts, "first fill")                                                                        \
    F(SIDE, side, "of the entry")                                                                  \
    F(U32, leverage, "confirmed by the venue")                                                     \
    F(PX, entry_price, "of the first fill")                                                        \
    F(QTY, quantity, "of the first fill")                                                          \
    F(PX, stop_loss, "being asked for")                                                            \
    F(PX, take_profit, "to be asked for once the stop stands; 0 none")

#define POSITION_PROTECTED_FIELDS(F)                                                               \
    F(HEX, intent_id, "the intent that opened the position")                                       \
    F(SYMBOL, symbol, "contract")                                                                  \
    F(TS, ts, "the venue's confirmation of the stop")                                              \
    F(I64, time_to_protected, "ns since the first fill")                                           \
    F(PX, stop_loss, "trigger that stands")

#define POSITION_ALARM_FIELDS(F)                                                                   \
    F(HEX, intent_id, "the intent that opened the position")                                       \
    F(SYMBOL, symbol, "contract")                                                                  \
    F(TS, ts, "when")                                                                              \
    F(TEXT, reason, "what could not be done")                                                      \
    F(I64, code, "the venue's last code")

#define POLICY_UPDATED_FIELDS(F)                                                                   \
    F(TS, ts, "when it takes effect")                                                              \
    F(TEXT, key, "what changed")                                                                   \
    F(F64, old_value, "before")                                                                    \
    F(F64, new_value, "from now on")                                                               \
    F(TEXT, updated_by, "who")

#define STATE_HASH_FIELDS(F)                                                                       \
    F(U64, step, "of the feed")                                                                    \
    F(HEX, hash, "of orders, positions, counters and of every event so far")

#define KLINE_FIELDS(F)                                                                            \
    F(SYMBOL, symbol, "contract")                                                                  \
    F(TS, open_ts, "start of the bar")                                                             \
    F(I64, interval, "ns")                                                                         \
    F(PX, open, "first price")                                                                     \
    F(PX, high, "highest")                                                                         \
    F(PX, low, "lowest")                                                                           \
    F(PX, close, "last")                                                                           \
    F(F64, volume, "base units")                                                                   \
    F(F64, quote_volume, "quote units; NaN unknown")                                               \
    F(F64, taker_buy_ratio, "share of volume bought by takers; NaN unknown")                       \
    F(U64, count, "trades; 4294967295 unknown")

#define TICK_FIELDS(F)                                                                             \
    F(SYMBOL, symbol, "contract")                                                                  \
    F(TS, ts, "venue's time")                                                                      \
    F(U64, trade_id, "venue's, rising by symbol")                                                  \
    F(PX, price, "traded")                                                                         \
    F(F64, quantity, "base units")

#define CLOCK_ADVANCED_FIELDS(F) F(TS, ts, "a deadline of the kernel has passed")

#define INSTRUMENT_CHANGED_FIELDS(F)                                                               \
    F(SYMBOL, symbol, "contract")                                                                  \
    F(U32, instrument_index, "index of the contract in this run")                                  \
    F(U32, status, "0 trading, 1 settling, 2 closed")                                              \
    F(PX, tick_size, "PRICE_FILTER")                                                               \
    F(PX, px_min, "PRICE_FILTER")                                                                  \
    F(PX, px_max, "PRICE_FILTER")                                                                  \
    F(QTY, step_size, "LOT_SIZE")                                                                  \
    F(QTY, qty_min, "LOT_SIZE")                                                                    \
    F(QTY, qty_max, "LOT_SIZE")                                                                    \
    F(QTY, market_step_size, "MARKET_LOT_SIZE")                                                    \
    F(QTY, market_qty_min, "MARKET_LOT_SIZE")                                                      \
    F(QTY, market_qty_max, "MARKET_LOT_SIZE")                                                      \
    F(MONEY, notional_min, "MIN_NOTIONAL")                                                         \
    F(RATE, multiplier_up, "PERCENT_PRICE")                                                        \
    F(RATE, multiplier_down, "PERCENT_PRICE")

/* Records whose structs live in domain/: the same field list, held against the struct by offset. */
#define VENUE_COMMAND_FIELDS(F)                                                                    \
    F(COMMAND8, kind, "submit, cancel or leverage")                                                \
    F(SIDE8, side, "BUY or SELL")                                                                  \
    F(TYPE8, order_type, "MARKET, STOP_MARKET …")                                                  \
    F(TIF8, time_in_force, "GTC, IOC, FOK, GTX")                                                   \
    F(U8, working_type, "0 contract price, 1 mark price")                                          \
    F(U8, reduce_only, "1: may only reduce")                                                       \
    F(U8, close_position, "1: the whole position at trigger")                                      \
    F(U8, reserved, "0")                                                                           \
    F(U32, instrument_index, "contract")                                                           \
    F(U32, leverage, "wanted, for leverage commands")                                              \
    F(TS, ts_ns, "when it left us")                                                                \
    F(PX, limit_px, "limit")                                                                       \
    F(PX, stop_px, "trigger")                                                                      \
    F(QTY, order_qty, "wanted")                                                                    \
    F(ORDER_ID, client_order_id, "ours, derived from the intent")

#define VENUE_EVENT_FIELDS(F)                                                                      \
    F(VENUE8, kind, "what the venue says")                                                         \
    F(SIDE8, side, "BUY or SELL")                                                                  \
    F(TYPE8, order_type, "of the order")                                                           \
    F(U8, is_maker, "1: the fill was passive")                                                     \
    F(I32, code, "the venue's code on a refusal")                                                  \
    F(U32, instrument_index, "contract")                                                           \
    F(U32, leverage, "as the venue has it")                                                        \
    F(TS, ts_event_ns, "venue's time")                                                             \
    F(U64, venue_order_id, "venue's")                                                              \
    F(U64, trade_id, "venue's, of the fill")                                                       \
    F(PX, last_px, "of the fill")                                                                  \
    F(QTY, last_qty, "of the fill")                                                                \
    F(QTY, cum_qty, "filled so far")                                                               \
    F(QTY, leaves_qty, "still open")                                                               \
    F(MONEY, avg_cost, "cost of the fills so far")                                                 \
    F(MONEY, commission, "of the fill, paid > 0")                                                  \
    F(MONEY, realized_pnl, "of the fill")                                                          \
    F(MONEY, funding, "received > 0")                                                              \
    F(RATE, funding_rate, "of the settlement")                                                     \
    F(MONEY, wallet, "after the event")                                                            \
    F(MONEY, available, "for new margin; of a balance alone")                                      \
    F(PX, mark_px, "mark price")                                                                   \
    F(PX, stop_px, "trigger of an order that was found")                                           \
    F(ORDER_ID, client_order_id, "ours")

#define TRADE_CLOSED_FIELDS(F)                                                                     \
    F(U64, trade_id, "1, 2, 3 … within a run")                                                     \
    F(HEX, intent_id, "the intent that opened it")                                                 \
    F(SYMBOL, symbol, "contract")                                                                  \
    F(U32, instrument_index, "contract")                                                           \
    F(SIDE8, side, "of the entry")                                                                 \
    F(EXIT8, exit_reason, "why it ended")                                                          \
    F(STRATEGY8, strategy, "rule that wanted it")                                                  \
    F(U8, leverage, "confirmed")                                                                   \
    F(TS, entry_ts_ns, "first entry fill")                                                         \
    F(TS, exit_ts_ns, "last exit fill")                                                            \
    F(PX, entry_px, "average")                                                                     \
    F(PX, exit_px, "average")                                                                      \
    F(QTY, qty, "entered")                                                                         \
    F(MONEY, realized_pnl, "price difference, as booked by the venue")                             \
    F(MONEY, fees, "paid")                                                                         \
    F(MONEY, funding, "received > 0")                                                              \
    F(MONEY, net_pnl, "realized - fees + funding")                                                 \
    F(MONEY, risk, "loss at the first stop: one R")                                                \
    F(I64, time_to_protected_ns, "first fill to confirmed stop; -1 never")                         \
    F(F64, confidence, "of the intent")                                                            \
    F(F64, expected_edge, "of the intent; NaN where the rule has none")                            \
    F(PROB, drawdown_max, "largest unrealised loss on the way / notional at entry")                \
    F(ARM, arm, "way it was managed; none for a rule")                                             \
    F(U32, targets, "targets that were reached")

#define MODEL_CHANGED_FIELDS(F)                                                                    \
    F(TS, ts, "when it takes effect")                                                              \
    F(MODEL, model, "whose seat")                                                                  \
    F(U32, trigger, "of a training: 1 period, 2 drift, 3 by hand; 0 it is about none")             \
    F(TEXT, change,                                                                                \
      "training, trained, failed, shadow, accepted, rejected, promoted, demoted, installed")       \
    F(TEXT, reason, "why, in a word")                                                              \
    F(HEX, hash, "of the model file it happens to; 0 none")                                        \
    F(HEX, serving, "of the file that serves from now on; 0 nobody")                               \
    F(F64, mape_old, "horizon error / persistence's, of who served; NaN not measured")             \
    F(F64, mape_new, "of the other")                                                               \
    F(F64, sharpe_old, "of the costed rule, a bar; NaN not measured")                              \
    F(F64, sharpe_new, "of the other")                                                             \
    F(F64, wealth, "of the sequential test")                                                       \
    F(U64, pairs, "forecasts both made")

#define ENGINE_CHANGED_FIELDS(F)                                                                   \
    F(TS, ts, "when")                                                                              \
    F(TEXT, change, "weights, level, excluded, restored, retrain_wanted")                          \
    F(TEXT, reason, "why")                                                                         \
    F(TEXT, model, "which; all")                                                                   \
    F(F64, before, "weight, or the supervisor's level, before; NaN of all")                        \
    F(F64, after, "from now on")                                                                   \
    F(F64, weight_xgboost, "effective from now on; NaN not a change of weights")                   \
    F(F64, weight_lightgbm, "effective from now on")                                               \
    F(F64, weight_nhits, "effective from now on")                                                  \
    F(F64, weight_patchtst, "effective from now on")                                               \
    F(F64, score_before,                                                                           \
      "loss of the weights replaced on the newest outcomes, or limit of the test")                 \
    F(F64, score_after, "of the new ones, or the model's newest mean loss")

#define STRATEGY_CHANGED_FIELDS(F)                                                                 \
    F(TS, ts, "when")                                                                              \
    F(TEXT, before, "policy that chose the strategies: own, other_rule, sharp, quick, local")      \
    F(TEXT, after, "the one that does from now on")                                                \
    F(TEXT, reason, "better, or promise_broken: back to own")                                      \
    F(F64, worth_before, "net R a trade of the one that leaves, on its own trades")                \
    F(F64, worth_after, "of the one that comes, doubly robust on the same; NaN back to own")       \
    F(F64, gain, "between them, paired; NaN back to own")                                          \
    F(F64, gain_low, "lower end of 95 %")                                                          \
    F(F64, gain_high, "upper end")                                                                 \
    F(F64, p_value, "of a gain of 0 or less; NaN back to own")                                     \
    F(F64, level, "it had to keep: smaller at each look at one log")                               \
    F(F64, effective, "trades that the weighted ones are worth")                                   \
    F(F64, promised, "lower end of what it was to earn, broken by worth_before; NaN better")       \
    F(U64, rows, "closed trades it was judged on")                                                 \
    F(U64, review, "reviews since the run began")

#define RISK_CHANGED_FIELDS(F)                                                                     \
    F(TS, ts, "when")                                                                              \
    F(TEXT, part, "breaker, ess_mode, ess_trigger or venue_link")                                  \
    F(TEXT, scope, "all, or the contract")                                                         \
    F(TEXT, before, "state, mode or trigger")                                                      \
    F(TEXT, after, "from now on")                                                                  \
    F(TEXT, cause, "why")                                                                          \
    F(F64, figure, "that reached its limit; NaN none")                                             \
    F(F64, limit, "it was held against; NaN none")                                                 \
    F(TS, until, "end of the cooldown; 0 none")

#define OPERATOR_COMMAND_FIELDS(F)                                                                 \
    F(TEXT, key, "a policy, positions:close_all or breaker:reset")                                 \
    F(TEXT, target, "all, or the contract")                                                        \
    F(TEXT, given_by, "who")                                                                       \
    F(F64, value, "wanted")                                                                        \
    F(U64, step, "of the feed at which it was obeyed")                                             \
    F(U64, part, "of the step: 0 start, 1, 2 in the bar, 3 before its close, 4 bus away")          \
    F(U64, command_id, "hash of the id it came under, obeyed once; 0 it had none")

#define VENUE_LINK_FIELDS(F)                                                                       \
    F(U32, is_up, "1: the venue can be asked and tells us things")                                 \
    F(U32, reserved, "0")

#define EXECUTOR_STARTED_FIELDS(F)                                                                 \
    F(TS, ts, "venue's time; marks the name of every order that is asked for from now on")

#define POSITION_REDUCED_FIELDS(F)                                                                 \
    F(HEX, intent_id, "the intent that opened the position")                                       \
    F(SYMBOL, symbol, "contract")                                                                  \
    F(TS, ts, "when")                                                                              \
    F(TEXT, reason, "slots_full, symbol_cap, cluster_cap, total_cap or margin_use")                \
    F(F64, before, "notional / equity")                                                            \
    F(F64, after, "the same, wanted")                                                              \
    F(QTY, quantity, "asked for at market, reduce-only")                                           \
    F(U32, whole, "1: all of it, the rest would not be worth an order")                            \
    F(U32, reserved, "0")

#define REPORT_WRITTEN_FIELDS(F)                                                                   \
    F(U64, trades, "closed trades it is of: the run's first so many")                              \
    F(PROB, win_rate, "net of costs, from fills")                                                  \
    F(PROB, win_rate_low, "lower end of its 95 % interval")                                        \
    F(PROB, win_rate_high, "upper end")                                                            \
    F(F64, expectancy, "mean net result of a trade, quote units")                                  \
    F(F64, expectancy_low, "lower end of its 95 % interval")                                       \
    F(F64, expectancy_high, "upper end")                                                           \
    F(TEXT, file, "in reports/ of the run's folder")

#define EXIT_CHOSEN_FIELDS(F)                                                                      \
    F(HEX, intent_id, "the intent that carries the plan")                                          \
    F(SYMBOL, symbol, "contract")                                                                  \
    F(TS, ts, "when")                                                                              \
    F(TEXT, profile, "by which it will be ended: own (the strategy's plan), trend, range, …")      \
    F(TEXT, of, "regime whose entries decided; all: together")                                     \
    F(U64, count, "closes with entries that every profile has lived through")                      \
    F(F64, own, "net R of an entry under the strategies' own plans; NaN not known")                \
    F(F64, gain, "R gained over them by the profile; 0 own; NaN not known")                        \
    F(F64, gain_low, "lower end of its interval, at any time")                                     \
    F(F64, gain_high, "upper end")                                                                 \
    F(TEXT, second, "the best of the others; none")                                                \
    F(F64, second_gain, "R it gained; NaN none")                                                   \
    F(F64, second_low, "lower end")                                                                \
    F(F64, second_high, "upper end")

#define EXIT_ADVISED_FIELDS(F)                                                                     \
    F(HEX, intent_id, "the intent that opened the position")                                       \
    F(SYMBOL, symbol, "contract")                                                                  \
    F(TS, ts, "when")                                                                              \
    F(TEXT, advice, "edge_gone, regime_changed, loss_guard, stale: closed; stop_nearer")           \
    F(F64, gain, "of the price since the entry, in the position's direction")                      \
    F(F64, p_side, "the models' last word: probability of its side; NaN none")                     \
    F(F64, p_other, "of the other side")                                                           \
    F(F64, interval_high, "upper end of the return in its direction; NaN not known")               \
    F(I64, held, "ns since the entry")                                                             \
    F(PX, stop_before, "where the stop stands")                                                    \
    F(PX, stop_after, "nearest that was ever asked for by this; 0 none")                           \
    F(U32, leverage, "as it stands at the venue")                                                  \
    F(U32, against, "closes in a row at which the models said the other side")                     \
    F(U32, unsuited, "closes in a row in a regime that does not suit how it is traded")            \
    F(U32, reserved, "0")

struct run_started {
    RUN_STARTED_FIELDS(FIELD_MEMBER)
};
struct tape_advanced {
    TAPE_ADVANCED_FIELDS(FIELD_MEMBER)
};
struct model_answered {
    MODEL_ANSWERED_FIELDS(FIELD_MEMBER)
};
struct signal {
    SIGNAL_FIELDS(FIELD_MEMBER)
};
struct intent_delivered {
    INTENT_DELIVERED_FIELDS(FIELD_MEMBER)
};
struct intent_denied {
    INTENT_DENIED_FIELDS(FIELD_MEMBER)
};
struct trade_opened {
    TRADE_OPENED_FIELDS(FIELD_MEMBER)
};
struct position_protected {
    POSITION_PROTECTED_FIELDS(FIELD_MEMBER)
};
struct position_alarm {
    POSITION_ALARM_FIELDS(FIELD_MEMBER)
};
struct policy_updated {
    POLICY_UPDATED_FIELDS(FIELD_MEMBER)
};
struct state_hash {
    STATE_HASH_FIELDS(FIELD_MEMBER)
};
struct kline {
    KLINE_FIELDS(FIELD_MEMBER)
};
struct tick {
    TICK_FIELDS(FIELD_MEMBER)
};
struct clock_advanced {
    CLOCK_ADVANCED_FIELDS(FIELD_MEMBER)
};
struct instrument_changed {
    INSTRUMENT_CHANGED_FIELDS(FIELD_MEMBER)
};
struct model_changed {
    MODEL_CHANGED_FIELDS(FIELD_MEMBER)
};
struct engine_changed {
    ENGINE_CHANGED_FIELDS(FIELD_MEMBER)
};

struct strategy_changed {
    STRATEGY_CHANGED_FIELDS(FIELD_MEMBER)
};
struct risk_changed {
    RISK_CHANGED_FIELDS(FIELD_MEMBER)
};
struct operator_command {
    OPERATOR_COMMAND_FIELDS(FIELD_MEMBER)
};
struct venue_link_changed {
    VENUE_LINK_FIELDS(FIELD_MEMBER)
};
struct position_reduced {
    POSITION_REDUCED_FIELDS(FIELD_MEMBER)
};
struct report_written {
    REPORT_WRITTEN_FIELDS(FIELD_MEMBER)
};
struct exit_chosen {
    EXIT_CHOSEN_FIELDS(FIELD_MEMBER)
};
struct exit_advised {
    EXIT_ADVISED_FIELDS(FIELD_MEMBER)
};

struct executor_started {
    EXECUTOR_STARTED_FIELDS(FIELD_MEMBER)
};

/* E(ID, constant, struct tag, "event_type", version, published on the bus, FIELDS, about) */
#define EVENT_CATALOGUE(E)                                                                         \
    E(1, EVENT_RUN_STARTED, run_started, "run.started", 1, false, RUN_STARTED_FIELDS,              \
      "what is about to run; first record of a journal")                                           \
    E(2, EVENT_TAPE_ADVANCED, tape_advanced, "tape.advanced", 1, false, TAPE_ADVANCED_FIELDS,      \
      "bars, by reference to the feed")                                                            \
    E(3, EVENT_MODEL_ANSWERED, model_answered, "model.answered", 1, false, MODEL_ANSWERED_FIELDS,  \
      "one voter's answer on one symbol")                                                          \
    E(4, EVENT_SIGNAL, signal, "ai.signal_generated", 1, true, SIGNAL_FIELDS,                      \
      "the ensemble's answer where it is not HOLD")                                                \
    E(5, EVENT_TRADE_INTENT, trade_intent, "trade.intent", 2, true, TRADE_INTENT_FIELDS,           \
      "what the bot wants, once")                                                                  \
    E(6, EVENT_INTENT_DELIVERED, intent_delivered, "intent.delivered", 1, false,                   \
      INTENT_DELIVERED_FIELDS, "an intent came back from the bus")                                 \
    E(7, EVENT_INTENT_DENIED, intent_denied, "intent.denied", 1, true, INTENT_DENIED_FIELDS,       \
      "a gate said no")                                                                            \
    E(8, EVENT_ORDER_PLACED, venue_command, "order.placed", 1, true, VENUE_COMMAND_FIELDS,         \
      "a command to the venue, journaled before it leaves")                                        \
    E(9, EVENT_EXECUTION_RESULT, venue_event, "execution.result", 2, true, VENUE_EVENT_FIELDS,     \
      "what the venue says")                                                                       \
    E(10, EVENT_TRADE_OPENED, trade_opened, "trade.opened", 1, true, TRADE_OPENED_FIELDS,          \
      "first fill of a position")                                                                  \
    E(11, EVENT_POSITION_PROTECTED, position_protected, "position.protected", 1, true,             \
      POSITION_PROTECTED_FIELDS, "the venue confirmed the stop")                                   \
    E(12, EVENT_POSITION_ALARM, position_alarm, "risk.alert", 1, true, POSITION_ALARM_FIELDS,      \
      "a position could not be protected and is being closed")                                     \
    E(13, EVENT_TRADE_CLOSED, trade_closed, "trade.closed", 2, true, TRADE_CLOSED_FIELDS,          \
      "a position ended")                                                                          \
    E(14, EVENT_POLICY_UPDATED, policy_updated, "policy.updated", 1, true, POLICY_UPDATED_FIELDS,  \
      "a limit changed")                                                                           \
    E(15, EVENT_STATE_HASH, state_hash, "state.hash", 1, false, STATE_HASH_FIELDS,                 \
      "what a replay must reach")                                                                  \
    E(16, EVENT_KLINE, kline, "market.klines", 1, true, KLINE_FIELDS,                              \
      "a closed candle, from a feed that is not a tape")                                           \
    E(17, EVENT_TICK, tick, "market.tick", 1, true, TICK_FIELDS, "a trade of the market")          \
    E(18, EVENT_CLOCK_ADVANCED, clock_advanced, "clock.advanced", 1, false, CLOCK_ADVANCED_FIELDS, \
      "time passed at a venue that is not ours: timers were looked at")                            \
    E(19, EVENT_INSTRUMENT_CHANGED, instrument_changed, "instrument.changed", 1, true,             \
      INSTRUMENT_CHANGED_FIELDS, "the venue's rules for a contract are others now")                \
    E(20, EVENT_MODEL_CHANGED, model_changed, "model.updated", 1, true, MODEL_CHANGED_FIELDS,      \
      "a seat's training, trial, or change of hands")                                              \
    E(21, EVENT_ENGINE_CHANGED, engine_changed, "governance.updated", 1, true,                     \
      ENGINE_CHANGED_FIELDS, "weights, or the supervisor's word on a model")                       \
    E(22, EVENT_RISK_CHANGED, risk_changed, "risk.changed", 1, true, RISK_CHANGED_FIELDS,          \
      "a circuit breaker, a mode or trigger of the emergency stop system, the link to the venue")  \
    E(23, EVENT_OPERATOR_COMMAND, operator_command, "operator.command", 2, false,                  \
      OPERATOR_COMMAND_FIELDS,                                                                     \
      "somebody outside wants something changed; by HTTP, or policy.command of the bus")           \
    E(24, EVENT_VENUE_LINK, venue_link_changed, "venue.link", 1, false, VENUE_LINK_FIELDS,         \
      "the connection to a venue that is not ours was lost or is back")                            \
    E(25, EVENT_STRATEGY_CHANGED, strategy_changed, "strategy.changed", 1, true,                   \
      STRATEGY_CHANGED_FIELDS, "another policy chooses the strategies")                            \
    E(26, EVENT_POSITION_REDUCED, position_reduced, "position.reduced", 1, true,                   \
      POSITION_REDUCED_FIELDS, "what is held passes a cap: a part of it is being closed, or all")  \
    E(27, EVENT_REPORT_WRITTEN, report_written, "report.written", 1, true, REPORT_WRITTEN_FIELDS,  \
      "a report of every fiftieth closed trade; on the bus alone, and told again at a start")      \
    E(28, EVENT_EXIT_CHOSEN, exit_chosen, "exit.chosen", 1, true, EXIT_CHOSEN_FIELDS,              \
      "how the trade of an intent will be ended, and what that choice was made by")                \
    E(29, EVENT_EXIT_ADVISED, exit_advised, "exit.advised", 1, true, EXIT_ADVISED_FIELDS,          \
      "a position is being ended, or its stop brought nearer, for what it showed at a close")      \
    E(30, EVENT_EXECUTOR_STARTED, executor_started, "executor.started", 1, false,                  \
      EXECUTOR_STARTED_FIELDS, "a process takes the run up at a venue that is not ours")

enum event_type {
#define EVENT_ENUM(id, constant, tag, type, version, published, fields, about) constant = id,
    EVENT_CATALOGUE(EVENT_ENUM)
#undef EVENT_ENUM
};

/* One event of any kind: what the kernel puts out and the journal keeps. */
struct event {
    uint16_t type, version;
    uint32_t size; /* of the member in use */
    int64_t ts_ns;
    union {
#define EVENT_MEMBER(id, constant, tag, type, version, published, fields, about) struct tag tag;
        EVENT_CATALOGUE(EVENT_MEMBER)
#undef EVENT_MEMBER
    } u;
};

struct event_info {
    uint16_t type, version;
    uint32_t size;
    bool published;
    const char *name, *about; /* "trade.intent" */
};

/* NULL if there is no such event. */
const struct event_info *event_info(uint16_t type);
const struct event_info *event_info_by_name(const char *name);

/* Starts an event: type, version, size and ts set, members zero. */
void event_init(struct event *out, enum event_type type, int64_t ts_ns);

/* JSON object of the event's fields. ST_FULL if it does not fit. */
enum status event_encode(char *out, size_t capacity, size_t *out_size, const struct event *event);

/* The reverse. Loud: an unknown, missing, doubled or invalid field is ST_INVALID with its name in err;
 * another schema version ST_VERSION. */
enum status event_decode(struct event *out, const char *name, uint32_t version, int64_t ts_ns,
                         const char *json, size_t size, struct err *err);

/* Fields within their rules (finite where they must be, enums known, probabilities in 0..1, text ended). */
enum status event_validate(const struct event *event, struct err *err);

/* The text of docs/EVENTS.md, to write_fn piece by piece. */
void event_document(void (*write_fn)(void *context, const char *text), void *context);

#endif
