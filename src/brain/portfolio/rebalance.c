#include <math.h>

#include "brain/portfolio/portfolio.h"

/* Scales the members of a group so that their sum is `cap`, if it passes it by more than the
 * band. */
static void scale_group(struct portfolio_proposal *p, const bool *member, uint32_t count,
                        double sum, double cap, double band, enum portfolio_reason reason) {
    if (!(sum > cap * (1 + band))) return;
    for (uint32_t i = 0; i < count; i++)
        if (member[i]) {
            p[i].to *= cap / sum;
            p[i].reason = reason;
        }
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
        if (fraction > b->caps.symbol * (1 + band)) {
            p[i].to = b->caps.symbol;
            p[i].reason = PORTFOLIO_SYMBOL_CAP;
        }
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
    uint32_t proposed = 0;
    for (uint32_t i = 0; i < count; i++)
        if (p[i].to < p[i].from) out[proposed++] = p[i];
    return proposed;
}
