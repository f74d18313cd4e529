/* Bias block: when more than 70 % of the newest signals are on one side, signals of that side are refused until it is
 * no more than 60 %. Every wanted signal counts, refused ones too: the block measures what is wanted, so
 * that it ends when that changes and not because it has worked. A market that itself goes one way allows
 * that side more. Plain memory. */
#ifndef BRAIN_SUPERVISOR_BIAS_H
#define BRAIN_SUPERVISOR_BIAS_H

#include <stdbool.h>
#include <stdint.h>

#include "brain/ensemble/ensemble.h"

enum { BIAS_WINDOW = 50, BIAS_SIGNALS_MIN = 20 };

/* 104 bytes. */
struct bias {
    uint64_t signals;                /* ever */
    uint32_t buys;                   /* in the window */
    uint32_t blocked;                /* enum label: BUY or SELL, HOLD: none */
    uint64_t blocks;                 /* how often it has begun */
    double share_max, share_release; /* 0.70, 0.60 */
    double market_buy_share;         /* of BUY among labels that hit a barrier lately; 0.5 */
    uint8_t is_buy[BIAS_WINDOW];
    uint8_t reserved[6];
};
_Static_assert(sizeof(struct bias) == 104, "documented size");

void bias_init(struct bias *b);
/* BUY's share of what came true; a side's limit is then at least that share plus 0.20, at most 0.95. Not in
 * [0, 1]: left as it was. */
void bias_market(struct bias *b, double buy_share);
/* A signal that is wanted; HOLD is none. True if the blocked side changed. */
bool bias_signal(struct bias *b, enum label action);
bool bias_blocks(const struct bias *b, enum label action);
/* Of the newest signals; 0 without any. */
double bias_buy_share(const struct bias *b);

#endif
