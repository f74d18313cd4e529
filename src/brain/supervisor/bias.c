#include "brain/supervisor/bias.h"

#include <math.h>
#include <string.h>

static const double market_margin = 0.20, limit_max = 0.95;

void bias_init(struct bias *b) {
    memset(b, 0, sizeof *b);
    b->blocked = LABEL_HOLD;
    b->share_max = 0.70;
    b->share_release = 0.60;
    b->market_buy_share = 0.5;
}

void bias_market(struct bias *b, double buy_share) {
    if (buy_share >= 0 && buy_share <= 1) b->market_buy_share = buy_share;
}

static uint32_t window_count(const struct bias *b) {
    return b->signals < BIAS_WINDOW ? (uint32_t)b->signals : BIAS_WINDOW;
}

double bias_buy_share(const struct bias *b) {
    return b->signals ? (double)b->buys / window_count(b) : 0;
}

static bool is_over(const struct bias *b, enum label side) {
    double market = side == LABEL_BUY ? b->market_buy_share : 1 - b->market_buy_share;
    double share = side == LABEL_BUY ? bias_buy_share(b) : 1 - bias_buy_share(b);
    double allowed = fmin(fmax(b->share_max, market + market_margin), limit_max);
    /* The same room below the limit in either market. */
    if (b->blocked == (uint32_t)side) allowed -= b->share_max - b->share_release;
    return share > allowed + 1e-9;
}

bool bias_signal(struct bias *b, enum label action) {
    if (action != LABEL_BUY && action != LABEL_SELL) return false;
    uint8_t *slot = &b->is_buy[b->signals % BIAS_WINDOW];
    if (b->signals >= BIAS_WINDOW) b->buys -= *slot;
    *slot = action == LABEL_BUY;
    b->buys += *slot;
    b->signals++;
    uint32_t before = b->blocked;
    b->blocked = LABEL_HOLD;
    if (window_count(b) < BIAS_SIGNALS_MIN) return false;
    uint32_t now = LABEL_HOLD;
    b->blocked = before;
    if (is_over(b, LABEL_BUY)) now = LABEL_BUY;
    if (is_over(b, LABEL_SELL)) now = LABEL_SELL;
    b->blocked = now;
    b->blocks += now != before && now != LABEL_HOLD;
    return now != before;
}

bool bias_blocks(const struct bias *b, enum label action) {
    return action != LABEL_HOLD && b->blocked == (uint32_t)action;
}
