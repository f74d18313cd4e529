#include <math.h>
#include <stddef.h>

#include "base/assert.h"
#include "brain/portfolio/portfolio.h"

/* Scales the members of a group so that their sum is `cap`, if it passes it by more than the
 * band. */
static void scale_group(struct portfolio_proposal *p, const bool *member, uint32_t count,
                        double sum, double cap, double band, enum portfolio_reason reason) {
    if (!(sum > cap * (1 + band))) return;
    for (uint32_t i = 0; i < count; i++)
        if (member[i] && p[i].to > 0) {
            p[i].to *= cap / sum;
            p[i].reason = reason;
        }
}

/* The smallest go first: they cost least to close and leave the book nearest to what it was. */
static void close_beyond(struct portfolio_proposal *p, uint32_t count, uint32_t positions_max) {
    for (uint32_t left = count; left > positions_max; left--) {
        struct portfolio_proposal *least = NULL;
        for (uint32_t i = 0; i < count; i++)
            if (p[i].to > 0 &&
                (!least || p[i].to < least->to ||
                 (p[i].to == least->to && p[i].instrument_index > least->instrument_index)))
                least = &p[i];
        if (!least) return;
        least->to = 0;
        least->reason = PORTFOLIO_SLOTS;
    }
}

static uint32_t keep_reductions(struct portfolio_proposal *out, const struct portfolio_proposal *p,
                                uint32_t count) {
    uint32_t proposed = 0;
    for (uint32_t i = 0; i < count; i++)
        if (p[i].to < p[i].from) out[proposed++] = p[i];
    return proposed;
}

static double sum_of(const struct portfolio_proposal *p, const bool *member, uint32_t count) {
    double sum = 0;
    for (uint32_t i = 0; i < count; i++)
        if (member[i]) sum += p[i].to;
    return sum;
}

uint32_t portfolio_rebalance(struct portfolio_proposal *out, const struct portfolio_book *b,
                             double margin_used) {
    uint32_t count = b->holding_count;
    if (count == 0) return 0;
    struct portfolio_proposal p[PORTFOLIO_POSITIONS_CEILING];
    bool all[PORTFOLIO_POSITIONS_CEILING], member[PORTFOLIO_POSITIONS_CEILING];
    double band = b->config.band > 0 ? b->config.band : 0, before = 0;
    for (uint32_t i = 0; i < count; i++) {
        double fraction = b->fraction[i];
        p[i] = (struct portfolio_proposal){
            .instrument_index = b->matrix.instrument[i], .from = fraction, .to = fraction};
        all[i] = true;
        before += fraction;
    }
    close_beyond(p, count, b->caps.positions);
    for (uint32_t i = 0; i < count; i++)
        if (p[i].to > b->caps.symbol * (1 + band)) {
            p[i].to = b->caps.symbol;
            p[i].reason = PORTFOLIO_SYMBOL_CAP;
        }
    for (uint32_t c = 0; c < count; c++) { /* a cluster is named by its least place: a holding */
        for (uint32_t i = 0; i < count; i++) member[i] = b->matrix.cluster[i] == c;
        scale_group(p, member, count, sum_of(p, member, count), b->caps.cluster, band,
                    PORTFOLIO_CLUSTER_CAP);
    }
    scale_group(p, all, count, sum_of(p, all, count), b->caps.total, band, PORTFOLIO_TOTAL_CAP);
    /* Margin goes with notional. The limit is a share of what there is, so it has no band. */
    double sum = sum_of(p, all, count), after = before > 0 ? margin_used * (sum / before) : 0;
    if (after > b->config.margin_max)
        scale_group(p, all, count, sum, sum * (b->config.margin_max / after), 0, PORTFOLIO_MARGIN);
    return keep_reductions(out, p, count);
}

uint32_t portfolio_obey(struct portfolio_proposal *out, const struct portfolio_holding *holdings,
                        uint32_t count, double total_max, uint32_t positions_max, double band) {
    ASSERT(count <= PORTFOLIO_POSITIONS_CEILING);
    struct portfolio_proposal p[PORTFOLIO_POSITIONS_CEILING];
    bool all[PORTFOLIO_POSITIONS_CEILING];
    for (uint32_t i = 0; i < count; i++) {
        p[i] = (struct portfolio_proposal){.instrument_index = holdings[i].instrument_index,
                                           .from = holdings[i].fraction,
                                           .to = holdings[i].fraction};
        all[i] = true;
    }
    close_beyond(p, count, positions_max);
    double cap = total_max > 0 ? total_max : 0;
    scale_group(p, all, count, sum_of(p, all, count), cap, band, PORTFOLIO_TOTAL_CAP);
    return keep_reductions(out, p, count);
}
