/* Windows of a standardised series as networks read them, and how far forecasts are off over all of them. */
#ifndef FORECAST_CUTS_H
#define FORECAST_CUTS_H

#include "forecast/dataset.h"
#include "ml/trainer/trainer.h"

/* Window w of a network that reads all channels: rows w .. w + input of the span, x (n, input, channels), target the `horizon` rows
 * behind. Of one that reads a channel at a time, windows of channel 0 come first, then those of channel 1 and so on:
 * x (n, input, 1). */
struct forecast_cuts {
    struct window_source source; /* its context is this struct: it must stay where it is */
    const nn_real *series;       /* (rows of the span, channels), borrowed */
    size_t channels, input, horizon, windows;
    bool by_channel;
    nn_real *x, *y;
};
/* series: the standardised rows of the whole file. ST_RANGE, ST_NO_MEMORY. */
enum status forecast_cuts_init(struct forecast_cuts *w, const nn_real *series, size_t channels,
                               const struct forecast_span *span, size_t input, size_t horizon,
                               bool by_channel, size_t batch_max, struct err *err);
void forecast_cuts_free(struct forecast_cuts *w);

/* Means over windows, steps and channels of standardised values, as the papers have them. */
struct forecast_score {
    double mse, mae;
    uint64_t windows; /* each of all channels */
};
/* Every window counts, in its order, summed in double: neither batch nor threads matter.
 * ST_RANGE (a forecast that is no finite number), ST_NO_MEMORY, ST_INTERRUPTED (go_on said no; NULL: never). */
enum status forecast_score_network(struct forecast_score *out, struct network *net,
                                   const struct forecast_cuts *w, bool (*go_on)(void *context),
                                   void *context, struct err *err);
/* The last value repeated. */
struct forecast_score forecast_score_repeat(const struct forecast_cuts *w);

#endif
