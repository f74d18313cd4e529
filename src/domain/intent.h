/* A trade intent: what the bot wants, once. It has an identity and an expiry, the lack of which made
 * the original execute the same wish every ten seconds.
 *
 * It carries the whole plan of the exits. Up to three targets: parts 1 and 2 are shares of the entered
 * quantity closed at the first and second, the last target takes what is left; part 1 of 0: the first
 * target takes everything. The stop is moved to entry plus costs once the price has gone
 * break_even_distance our way, and follows the best price at trail_distance from trail_from_distance on;
 * it never moves back. */
#ifndef DOMAIN_INTENT_H
#define DOMAIN_INTENT_H

#include "domain/fields.h"
#include "domain/trade.h"

#define TRADE_INTENT_FIELDS(F)                                                                     \
    F(HEX, intent_id, "identity; every order id derives from it")                                  \
    F(HEX, signal_id, "the signal that led to it")                                                 \
    F(SYMBOL, symbol, "contract")                                                                  \
    F(U32, instrument_index, "index of the contract in this run")                                  \
    F(SIDE, side, "BUY or SELL")                                                                   \
    F(MONEY, position_size_usd, "wanted notional, quote units")                                    \
    F(U32, leverage, "wanted leverage")                                                            \
    F(STRATEGY, strategy, "rule that made it")                                                     \
    F(PX, entry_price, "last price when it was made")                                              \
    F(PX, stop_loss, "stop if filled at entry_price")                                              \
    F(PX, take_profit, "target if filled at entry_price; 0 none")                                  \
    F(F64, stop_distance, "stop distance as a fraction of the fill price")                         \
    F(F64, take_distance, "first target's distance as a fraction of the fill price; 0 none")       \
    F(F64, take_distance_2, "second target's, beyond the first; 0 none")                           \
    F(F64, take_distance_3, "third target's, beyond the second; 0 none")                           \
    F(PROB, take_part_1, "share of the entered quantity closed at the first target; 0 all")        \
    F(PROB, take_part_2, "share closed at the second; 0: the second is the last")                  \
    F(F64, break_even_distance, "gain from which the stop stands at entry plus costs; 0 never")    \
    F(F64, trail_from_distance, "gain from which the stop follows the best price")                 \
    F(F64, trail_distance, "how far behind it, fraction of the fill price; 0 never")               \
    F(PROB, confidence, "probability of the side")                                                 \
    F(F64, edge, "expected gross return of the side, fraction; NaN where the rule has none")       \
    F(U32, horizon_bars, "time stop in bars; 0 none")                                              \
    F(ARM, arm, "way to manage the trade that was chosen for it; none for a rule")                 \
    F(TS, created, "when it was made")                                                             \
    F(TS, expires, "refused as stale after this")

struct trade_intent {
    TRADE_INTENT_FIELDS(FIELD_MEMBER)
};

#endif
