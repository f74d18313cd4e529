#include "walk/capacity.h"

#include <math.h>

#include "base/assert.h"

const double walk_capacity_bps[WALK_CAPACITY_LEVELS] = {1, 5, 10};

static const double prefactor = 1;

void walk_capacity(struct walk_capacity *out, const struct walk_order *orders, size_t n,
                   double capital) {
    ASSERT(capital > 0);
    double weight = 0, impact = 0, share = 0;
    *out = (struct walk_capacity){.impact_bps = NAN, .participation = NAN};
    for (size_t i = 0; i < n; i++) {
        const struct walk_order *o = &orders[i];
        if (!(o->notional > 0 && o->day_volume > 0 && o->day_sigma > 0) ||
            !isfinite(o->notional / o->day_volume * o->day_sigma)) {
            out->left_out++;
            continue;
        }
        double part = o->notional / o->day_volume;
        weight += o->notional;
        impact += o->notional * prefactor * o->day_sigma * sqrt(part);
        share += o->notional * part;
        out->orders++;
    }
    if (out->orders) {
        out->impact_bps = impact / weight * 1e4;
        out->participation = share / weight;
    }
    for (int i = 0; i < WALK_CAPACITY_LEVELS; i++) {
        double ratio = walk_capacity_bps[i] / out->impact_bps;
        out->capital[i] = capital * ratio * ratio;
        out->participation_at[i] = out->participation * ratio * ratio;
    }
}
