/* The trading bot of one symbol: asks what the strategy says, answers HOLD, an intent or a wish to close.
 *
 * HOLD is an answer. There is no fallback: momentum and random exist only as strategies of their own,
 * asked for by name and tagged in every intent. */
#ifndef TRADE_BOT_BOT_H
#define TRADE_BOT_BOT_H

#include <stdint.h>

#include "domain/instrument.h"
#include "domain/intent.h"
#include "domain/trade.h"

struct bot_config {
    uint32_t strategy; /* enum strategy_kind */
    uint32_t leverage; /* 3; momentum takes 1 as the original did */
    uint64_t seed;     /* of this run: part of every intent id, and the random rule's dice */
    int64_t interval_ns;
    int64_t intent_ttl_ns;           /* expires = created + this */
    money_t position_size_usd;       /* wanted notional before risk: 1000 */
    double confidence_min;           /* 0.40 for the ensemble; 0.50 momentum (system facts 1.3) */
    uint32_t horizon_bars;           /* time stop */
    bool exits_by_barrier;           /* stop = target = the barrier; else 2 % and 4 % */
    double barrier_atr, barrier_min; /* barrier = max(barrier_atr * ATR fraction, barrier_min) */
    double random_rate;              /* chance per bar that the random rule wants something: 1/48 */
};
struct bot_config bot_config_defaults(enum strategy_kind strategy, int64_t interval_ns);

/* How the AI engine wants a trade: distances as fractions of the fill price. */
struct bot_plan {
    money_t position_size_usd;
    uint32_t leverage;
    uint32_t arm; /* enum strategy_id of brain/strategy */
    double stop_distance, take_distance[3];
    double take_part[3]; /* of the position, sum 1 */
    /* From a move this far in favour on the stop stands at entry and costs; follows at trail_distance. 0: never. */
    double break_even_distance, trail_from_distance, trail_distance;
    uint32_t horizon_bars, reserved; /* time stop; 0: the configuration's */
};

/* What is known of the symbol at the close of its bar. */
struct bot_input {
    uint32_t instrument_index;
    int64_t now_ns;
    px_t last_px;
    px_t px_24h_ago; /* momentum; 0 unknown */
    int64_t sma_fast_sum,
        sma_slow_sum;       /* sma_cross: sums of the last 20 and 100 closes, 0 unknown */
    double atr_fraction;    /* NaN unknown */
    uint32_t position_side; /* enum side of what is held, SIDE_NONE flat */
    /* the ensemble's answer; label order SELL HOLD BUY */
    uint64_t signal_id;
    uint32_t action;
    double confidence, edge, move;
    const struct bot_plan *plan; /* NULL: exits and size of the configuration */
};

enum bot_answer { BOT_HOLD = 0, BOT_INTENT, BOT_CLOSE, BOT_WARMING };

/* Out: intent, whole, if the answer is BOT_INTENT (stop and target at the last price). Pure, O(1). */
enum bot_answer bot_decide(struct trade_intent *intent, const struct bot_config *config,
                           const struct bot_input *input, const struct instrument *instrument);

/* The rule alone, for callers that only count: which side it wants now. Momentum: 24 h change beyond
 * +-1 %; sma_cross: fast above or below slow; random: its dice. SIDE_NONE for HOLD or unknown. */
enum side bot_rule_side(const struct bot_config *config, const struct bot_input *input);

/* system facts 1.3 and 11.6: min(0.5 + |change in percent| / 100, 0.80) beyond 1 %, else 0.30. */
double bot_momentum_confidence(double change);

#endif
