/* The networks as voters: the windows they read, their head, their files. */
#ifndef LEARN_NET_INTERNAL_H
#define LEARN_NET_INTERNAL_H

#include "learn/learn_internal.h"

/* ---- history.c: channels and windows ---- */

enum { NET_CHANNELS = 8, NET_WINDOW = 128, NET_TARGET_CHANNEL = 0 };

struct net_history {
    int64_t interval_ns;
    int64_t close_ns; /* of the last bar pushed; 0 before the first */
    uint32_t count;   /* bars in a row that are known, at most NET_WINDOW */
    uint32_t next;    /* slot of the next bar */
    uint8_t reserved[40];
    float values[NET_WINDOW][NET_CHANNELS]; /* a ring of bars */
};

/* The channels of one feature row, transformed; false if one of them is not known. out (NET_CHANNELS) */
bool net_channels(float *out, const float *row);
/* Of the channels' names, transforms and scales, and of their features' versions. */
uint64_t net_channels_hash(void);
bool net_history_is_full(const struct net_history *h);
/* Bars in order of time. out (NET_WINDOW, NET_CHANNELS); full only. */
void net_history_values(float *out, const struct net_history *h);

/* Instance normalisation: what the networks read. values, out (NET_WINDOW, NET_CHANNELS) by bar, then channel; each
 * channel is divided by its deviation within the window, around its mean or around its zero. Returns the window's volatility: the
 * root mean square of its log returns, floored. */
double net_window(float *out, const float *values);

#endif
