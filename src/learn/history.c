/* What the networks read of a symbol: the last bars' channels, and how a window is normalised. Training and service make both by
 * these functions alone. */
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "learn/net_internal.h"
#include "num/elementary.h"

enum transform { AS_IS = 0, LOG /* of at least 1/64 */ };

/* What a channel is measured from. A return, a body, an imbalance have a zero that says something: a window that rose stays
 * one. A range has none: how it differs from the window's usual one is what counts. */
enum origin { FROM_ZERO = 0, FROM_MEAN };

struct channel {
    uint32_t feature; /* enum feature_id */
    enum transform transform;
    float minus; /* taken off behind the transform: where the channel's zero is */
    float
        neutral; /* the column's value where its source may lack it; NaN: a bar without it is not known */
    enum origin origin;
    double floor; /* of the deviation: what is smaller is rounding, or a flat series */
};

static const struct channel channels[NET_CHANNELS] = {
    {FEATURE_LOG_RETURN_1, AS_IS, 0, NAN, FROM_ZERO, 1e-6},
    {FEATURE_HIGH_LOW_RANGE, AS_IS, 0, NAN, FROM_MEAN, 1e-6},
    {FEATURE_CANDLE_BODY, AS_IS, 0, NAN, FROM_ZERO, 1e-3},
    {FEATURE_VOLUME_MA_RATIO, LOG, 0, 1, FROM_MEAN, 1e-3},
    {FEATURE_VOLATILITY_RATIO, AS_IS, 0, NAN, FROM_MEAN, 1e-3},
    {FEATURE_TAKER_IMBALANCE, AS_IS, 0, 0, FROM_ZERO, 1e-3},
    {FEATURE_MARKET_RETURN_1, AS_IS, 0, 0, FROM_ZERO, 1e-6},
    {FEATURE_RANK_RETURN_1, AS_IS, 0.5F, 0.5F, FROM_ZERO, 1e-3},
};

static_assert(sizeof(struct net_history) % 64 == 0, "snapshots are made of whole lines");

bool net_channels(float *out, const float *row) {
    bool known = true;
    for (uint32_t k = 0; k < NET_CHANNELS; k++) {
        const struct channel *c = &channels[k];
        float x = row[c->feature];
        if (isnan(x)) x = c->neutral;
        if (c->transform == LOG && isfinite(x)) x = (float)num_log(fmax((double)x, 1.0 / 64));
        out[k] = x - c->minus;
        known = known && isfinite(out[k]);
    }
    return known;
}

uint32_t net_input_column(uint32_t input) {
    return input < NET_CHANNELS ? channels[input].feature : (uint32_t)FEATURE_ATR_FRACTION;
}

uint64_t net_channels_hash(void) {
    uint64_t hash = feature_list_hash();
    for (uint32_t k = 0; k < NET_CHANNELS; k++) {
        const struct channel *c = &channels[k];
        const char *name = feature_at(c->feature)->name;
        hash = hash_chain(hash, name, strlen(name));
        /* A NaN's bits are not the same everywhere. */
        const double numbers[] = {
            (double)c->transform, (double)c->minus, isnan(c->neutral) ? -1e9 : (double)c->neutral,
            (double)c->origin,    c->floor,         NET_WINDOW};
        hash = hash_chain(hash, numbers, sizeof numbers);
    }
    return hash;
}

/* ---- history ---- */

size_t net_history_size(void) {
    return sizeof(struct net_history);
}

uint32_t net_history_bars(void) {
    return NET_WINDOW;
}

void net_history_init(struct net_history *h, int64_t interval_ns) {
    memset(h, 0, sizeof *h);
    h->interval_ns = interval_ns;
}

void net_history_push(struct net_history *h, int64_t close_ns, const float *row) {
    bool follows = h->count == 0 || close_ns - h->close_ns == h->interval_ns;
    h->close_ns = close_ns;
    h->atr = feature_atr_fraction(row);
    if (!follows) h->count = h->next = 0;
    if (!net_channels(h->values[h->next], row)) {
        h->count = h->next = 0;
        return;
    }
    h->next = (h->next + 1) % NET_WINDOW;
    if (h->count < NET_WINDOW) h->count++;
}

bool net_history_is_full(const struct net_history *h) {
    return h->count == NET_WINDOW;
}

void net_history_values(float *out, const struct net_history *h) {
    size_t newer = (size_t)h->next * NET_CHANNELS, all = (size_t)NET_WINDOW * NET_CHANNELS;
    memcpy(out, h->values[h->next], (all - newer) * sizeof *out);
    memcpy(out + all - newer, h->values[0], newer * sizeof *out);
}

/* ---- windows ---- */

double net_window(float *out, const float *values) {
    double mean[NET_CHANNELS] = {0}, square[NET_CHANNELS] = {0};
    double scale[NET_CHANNELS], inverse[NET_CHANNELS];
    for (uint32_t i = 0; i < NET_WINDOW; i++)
        for (uint32_t k = 0; k < NET_CHANNELS; k++) mean[k] += (double)values[i * NET_CHANNELS + k];
    for (uint32_t k = 0; k < NET_CHANNELS; k++)
        mean[k] = channels[k].origin == FROM_MEAN ? mean[k] / NET_WINDOW : 0;
    for (uint32_t i = 0; i < NET_WINDOW; i++)
        for (uint32_t k = 0; k < NET_CHANNELS; k++) {
            double gap = (double)values[i * NET_CHANNELS + k] - mean[k];
            square[k] += gap * gap;
        }
    for (uint32_t k = 0; k < NET_CHANNELS; k++)
        scale[k] = fmax(sqrt(square[k] / NET_WINDOW), channels[k].floor);
    for (uint32_t k = 0; k < NET_CHANNELS; k++) inverse[k] = 1 / scale[k];
    for (uint32_t i = 0; i < NET_WINDOW; i++)
        for (uint32_t k = 0; k < NET_CHANNELS; k++) {
            double gap = (double)values[i * NET_CHANNELS + k] - mean[k];
            out[i * NET_CHANNELS + k] = (float)(gap * inverse[k]);
        }
    return scale[NET_TARGET_CHANNEL];
}
