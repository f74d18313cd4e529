/* What each model said of one symbol, kept until its horizon is over, and then what came of it.
 *
 * The label is found bar by bar and is the one training uses for the same bars (learn's label_make, to the last bit):
 * barriers at close * (1 +- distance), looked at from the next bar on; known only when the whole horizon has
 * passed without a hole, else the quick ones alone would be known. Plain memory. */
#ifndef BRAIN_GOVERNANCE_FORECASTS_H
#define BRAIN_GOVERNANCE_FORECASTS_H

#include "brain/governance/governance.h"
#include "domain/bar.h"

enum { FORECASTS_HORIZON_MAX = 48 };

/* A forecast, and at the end its outcome. */
struct forecast {
    struct governance_outcome outcome; /* label and realised_return are set when it is over */
    int64_t decided_ts_ns;             /* open of the bar at whose close it was made */
    double expected_return, scale,
        width; /* the ensemble's, for conformal_round; width NaN if there was none */
    double close, distance;
    uint32_t age; /* bars since */
    uint32_t is_decided;
};

/* 10,032 bytes a symbol. */
struct forecasts {
    int64_t interval_ns, last_open_ns; /* INT64_MIN: no bar yet */
    uint32_t horizon, count, head, reserved;
    uint64_t over, lost; /* lost: a hole in the bars came before the end */
    struct forecast pending[FORECASTS_HORIZON_MAX];
};
_Static_assert(sizeof(struct forecasts) == 10032, "documented size");

/* 1 <= horizon <= FORECASTS_HORIZON_MAX, interval > 0 (asserted). */
void forecasts_init(struct forecasts *f, int64_t interval_ns, uint32_t horizon);
/* A closed bar, later than the one before (asserted), before what is decided at its close is added. True if a
 * forecast's horizon ended with it: *out is that one. */
bool forecasts_bar(struct forecasts *f, struct forecast *out, const struct bar *bar);
/* What was said at the close of the last bar given, once a bar. votes (MODEL_COUNT): every usable answer is
 * kept, whether or not the model may vote; the voters are those the signal gave a weight. distance: of the
 * barriers, fraction; where it is not finite and > 0 there will be no label, and nothing is kept (false).
 * interval: NULL if none was given. */
bool forecasts_add(struct forecasts *f, const struct bar *bar, double distance,
                   const struct model_vote *votes, const struct ensemble_signal *signal,
                   const double *interval_width);

/* -ln p(label), at least 1e-6 of probability: what a model's mean test log-loss is compared with. */
double forecast_log_loss(const double *p, enum label label);

#endif
