#include <math.h>

#include "base/assert.h"
#include "base/tstamp.h"
#include "trade/exitbrain/exitbrain.h"

struct exit_monitor_config exit_monitor_config_defaults(void) {
    return (struct exit_monitor_config){.stop_leverage = 0.10,
                                        .stop_least = 0.002,
                                        .loss_of_margin = 0.125,
                                        .stale_loss = 0.02,
                                        .stale_ns = 48 * NS_PER_HOUR,
                                        .against = 0.10,
                                        .against_closes = 2,
                                        .unsuited_closes = 3};
}

double exitbrain_stop_max(const struct exit_monitor_config *config, uint32_t leverage) {
    double most = config->stop_leverage / (double)(leverage > 0 ? leverage : 1);
    return most < config->stop_least ? 0 : most;
}

/* The other side at closes in a row, or once with an interval that leaves its own nothing. */
static bool edge_is_gone(struct exit_monitor *state, const struct exit_monitor_config *config,
                         const struct exit_look *look) {
    if (!look->has_answer) return false; /* silence is no word against it, and breaks no row */
    bool against = look->p_other - look->p_side > config->against;
    state->against = against ? state->against + 1 : 0;
    return state->against >= config->against_closes ||
           (against && look->has_high && look->high < 0);
}

static bool regime_is_gone(struct exit_monitor *state, const struct exit_monitor_config *config,
                           const struct exit_look *look) {
    state->unsuited = look->is_suited ? 0 : state->unsuited + 1;
    return state->unsuited >= config->unsuited_closes && look->gain < 0;
}

void exitbrain_monitor(struct exit_word *out, struct exit_monitor *state,
                       const struct exit_monitor_config *config, const struct exit_look *look) {
    ASSERT(look->leverage > 0);
    *out = (struct exit_word){.leave = EXIT_NONE, .stop_gain = NAN};
    /* Both rows are counted whatever else is found, so that no answer depends on the order of the rules. */
    bool edge = edge_is_gone(state, config, look), regime = regime_is_gone(state, config, look);
    double most = exitbrain_stop_max(config, look->leverage);
    if (most == 0 || look->gain * (double)look->leverage <= -config->loss_of_margin) {
        out->leave = EXIT_LOSS_GUARD;
    } else if (edge) {
        out->leave = EXIT_EDGE_GONE;
    } else if (regime) {
        out->leave = EXIT_REGIME;
    } else if (look->held_ns > config->stale_ns && look->gain < -config->stale_loss) {
        out->leave = EXIT_STALE;
    } else if (look->stop_gain < -most) {
        out->stop_gain = -most;
    }
}
