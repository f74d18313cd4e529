/* A trade intent: what the bot wants, once. It has an identity and an expiry, the lack of which made
 * the original execute the same wish every ten seconds. */
#ifndef DOMAIN_INTENT_H
#define DOMAIN_INTENT_H

#include "domain/fields.h"

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
    F(F64, take_distance, "target distance as a fraction of the fill price; 0 none")               \
    F(PROB, confidence, "probability of the side")                                                 \
    F(F64, edge, "expected gross return of the side, fraction; NaN where the rule has none")       \
    F(U32, horizon_bars, "time stop in bars; 0 none")                                              \
    F(U32, reserved, "0")                                                                          \
    F(TS, created, "when it was made")                                                             \
    F(TS, expires, "refused as stale after this")

struct trade_intent {
    TRADE_INTENT_FIELDS(FIELD_MEMBER)
};

#endif
