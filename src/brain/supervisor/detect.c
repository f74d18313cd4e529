#include "brain/supervisor/detect.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "num/elementary.h"

/* Small bets find small rises of noisy losses, large ones large rises of steady losses. The best bet for a
 * rise r of a loss with coefficient of variation c is near r / (c^2 (1 + r)^2 + r^2). */
static const double bets[DETECT_BETS] = {0.05, 0.10, 0.20, 0.35, 0.60, 0.90};

void detect_init(struct detect *d, double limit, double samples_per_alarm) {
    ASSERT(limit > 0 && isfinite(limit) && samples_per_alarm >= 1 && isfinite(samples_per_alarm));
    memset(d, 0, sizeof *d);
    d->limit = limit;
    d->threshold = samples_per_alarm;
}

static double mean_evidence(const struct detect *d) {
    double sum = 0;
    for (int i = 0; i < DETECT_BETS; i++) sum += d->evidence[i];
    return sum / DETECT_BETS;
}

bool detect_push(struct detect *d, double x) {
    if (!(x >= 0 && isfinite(x))) {
        d->refused++;
        return false;
    }
    d->samples++;
    /* Less evidence for a monstrous loss is still a valid bet, and keeps it finite. */
    double gain = fmin(x / d->limit, 1e6) - 1;
    for (int i = 0; i < DETECT_BETS; i++)
        d->evidence[i] = (d->evidence[i] + 1) * (1 + bets[i] * gain);
    if (!(mean_evidence(d) >= d->threshold)) return false;
    memset(d->evidence, 0, sizeof d->evidence);
    d->alarms++;
    return true;
}

double detect_progress(const struct detect *d) {
    double evidence = mean_evidence(d);
    if (!(evidence > 1) || !(d->threshold > 1)) return 0;
    return fmin(num_log(evidence) / num_log(d->threshold), 1);
}
