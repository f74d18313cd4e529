#include "trade/bot/bot.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/rng.h"

/* The original's fallback rule: stop 2 %, target 4 %, 150 USD, leverage 1 (system facts 1.3). */
#define MOMENTUM_STOP 0.02
#define MOMENTUM_TAKE 0.04
/* sma_cross leaves by its own signal; its stop is there for the day the signal does not come. */
#define SMA_STOP 0.10

struct bot_config bot_config_defaults(enum strategy_kind strategy, int64_t interval_ns) {
    struct bot_config c = {
        .strategy = (uint32_t)strategy,
        .leverage = 3,
        .interval_ns = interval_ns,
        .intent_ttl_ns = interval_ns,
        .position_size_usd = {1000 * FX_ONE},
        .confidence_min = 0.40,
        .horizon_bars = 12,
        .exits_by_barrier = strategy == STRATEGY_ENSEMBLE,
        .barrier_atr = 2.0,
        .barrier_min = 0.0042,
        .random_rate = 1.0 / 48.0,
    };
    if (strategy == STRATEGY_MOMENTUM || strategy == STRATEGY_RANDOM) {
        c.leverage = 1;
        c.position_size_usd.e8 = 150 * FX_ONE;
        c.confidence_min = 0.50;
        c.horizon_bars = 0;
    }
    if (strategy == STRATEGY_RANDOM) c.horizon_bars = 24;
    if (strategy == STRATEGY_SMA_CROSS) {
        c.leverage = 1;
        c.horizon_bars = 0;
    }
    return c;
}

static uint64_t dice(const struct bot_config *config, const struct bot_input *input,
                     uint64_t salt) {
    return rng_mix(rng_mix(config->seed ^ salt) ^
                   rng_mix((uint64_t)input->now_ns + input->instrument_index));
}

static enum side momentum_side(const struct bot_input *input) {
    if (input->px_24h_ago.e8 <= 0) return SIDE_NONE;
    /* change > 1 % without a division: 100 * last > 101 * before; e8 prices leave room for it. */
    if (input->last_px.e8 * 100 > input->px_24h_ago.e8 * 101) return SIDE_BUY;
    if (input->last_px.e8 * 100 < input->px_24h_ago.e8 * 99) return SIDE_SELL;
    return SIDE_NONE;
}

static enum side sma_side(const struct bot_input *input) {
    if (input->sma_slow_sum == 0) return SIDE_NONE;
    int64_t fast = input->sma_fast_sum * 5; /* 20 * 5 = 100 bars: compares the means exactly */
    return fast > input->sma_slow_sum   ? SIDE_BUY
           : fast < input->sma_slow_sum ? SIDE_SELL
                                        : SIDE_NONE;
}

static enum side random_side(const struct bot_config *config, const struct bot_input *input) {
    uint64_t z = dice(config, input, 0x52414E44u);
    if ((double)(z >> 11) * 0x1p-53 >= config->random_rate) return SIDE_NONE;
    return (z & 1) ? SIDE_BUY : SIDE_SELL;
}

enum side bot_rule_side(const struct bot_config *config, const struct bot_input *input) {
    switch ((enum strategy_kind)config->strategy) {
    case STRATEGY_ENSEMBLE:
        return input->action == 2 ? SIDE_BUY : input->action == 0 ? SIDE_SELL : SIDE_NONE;
    case STRATEGY_MOMENTUM:
        return momentum_side(input);
    case STRATEGY_RANDOM:
        return random_side(config, input);
    case STRATEGY_SMA_CROSS:
        return sma_side(input);
    case STRATEGY_COUNT:
        break;
    }
    return SIDE_NONE;
}

double bot_momentum_confidence(double change) {
    double percent = fabs(change) * 100.0;
    if (percent <= 1.0) return 0.30;
    double confidence = 0.5 + percent / 100.0;
    return confidence < 0.80 ? confidence : 0.80;
}

static bool distances(double *stop, double *take, const struct bot_config *config,
                      const struct bot_input *input) {
    if (input->plan) {
        *stop = input->plan->stop_distance;
        *take = input->plan->take_distance[0];
        return *stop > 0 && *stop < 0.5 && *take > 0;
    }
    if (config->strategy == STRATEGY_SMA_CROSS) {
        *stop = SMA_STOP;
        *take = 0;
        return true;
    }
    if (!config->exits_by_barrier) {
        *stop = MOMENTUM_STOP;
        *take = MOMENTUM_TAKE;
        return true;
    }
    double barrier = config->strategy == STRATEGY_ENSEMBLE
                         ? input->move
                         : config->barrier_atr * input->atr_fraction;
    if (!isfinite(barrier)) return false;
    if (barrier < config->barrier_min) barrier = config->barrier_min;
    *stop = *take = barrier;
    return barrier > 0 && barrier < 0.5;
}

static double rule_confidence(const struct bot_config *config, const struct bot_input *input) {
    switch ((enum strategy_kind)config->strategy) {
    case STRATEGY_ENSEMBLE:
        return input->confidence;
    case STRATEGY_MOMENTUM:
        return bot_momentum_confidence(px_to_f64(input->last_px) / px_to_f64(input->px_24h_ago) -
                                       1.0);
    case STRATEGY_RANDOM:
    case STRATEGY_SMA_CROSS:
    case STRATEGY_COUNT:
        break;
    }
    return 0.5; /* a rule without an opinion on its own odds; the cost gate is not applied to it either */
}

static px_t moved(px_t px, double distance, bool up) {
    int64_t step = fx_from_f64(px_to_f64(px) * distance);
    if (step < 1) step = 1; /* a tenth of the smallest price step is still a side */
    int64_t e8 = up ? px.e8 + step : px.e8 - step;
    return px_e8(e8 > 0 ? e8 : 1);
}

static void fill_exits(struct trade_intent *intent, const struct bot_plan *plan) {
    intent->arm = plan->arm;
    intent->take_distance_2 = plan->take_distance[1];
    intent->take_distance_3 = plan->take_distance[2];
    intent->take_part_1 = plan->take_part[0];
    intent->take_part_2 = plan->take_part[1];
    intent->break_even_distance = plan->break_even_distance;
    intent->trail_from_distance = plan->trail_from_distance;
    intent->trail_distance = plan->trail_distance;
    if (plan->horizon_bars) intent->horizon_bars = plan->horizon_bars;
}

enum bot_answer bot_decide(struct trade_intent *intent, const struct bot_config *config,
                           const struct bot_input *input, const struct instrument *instrument) {
    enum side side = bot_rule_side(config, input);
    if (side == SIDE_NONE) return BOT_HOLD;
    if (input->position_side != SIDE_NONE) {
        bool leaves_by_signal = config->strategy == STRATEGY_SMA_CROSS;
        return leaves_by_signal && input->position_side != (uint32_t)side ? BOT_CLOSE : BOT_HOLD;
    }
    double confidence = rule_confidence(config, input), stop, take;
    if (!distances(&stop, &take, config, input)) return BOT_WARMING;
    if (confidence < config->confidence_min) return BOT_HOLD;
    memset(intent, 0, sizeof *intent);
    intent->intent_id = dice(config, input, 0x494E544Eu + (uint64_t)side);
    intent->signal_id = input->signal_id;
    memcpy(intent->symbol, instrument->symbol, SYMBOL_SIZE);
    intent->instrument_index = input->instrument_index;
    intent->side = (uint32_t)side;
    intent->position_size_usd =
        input->plan ? input->plan->position_size_usd : config->position_size_usd;
    intent->leverage = input->plan ? input->plan->leverage : config->leverage;
    intent->strategy = config->strategy;
    intent->entry_price = input->last_px;
    intent->stop_distance = stop;
    intent->take_distance = take;
    intent->stop_loss = moved(input->last_px, stop, side == SIDE_SELL);
    if (take > 0) intent->take_profit = moved(input->last_px, take, side == SIDE_BUY);
    intent->confidence = confidence;
    intent->edge = config->strategy == STRATEGY_ENSEMBLE ? input->edge : (double)NAN;
    intent->horizon_bars = config->horizon_bars;
    intent->arm = ARM_NONE;
    if (input->plan) fill_exits(intent, input->plan);
    intent->created = input->now_ns;
    intent->expires = input->now_ns + config->intent_ttl_ns;
    return BOT_INTENT;
}
