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
    double *level, *spread; /* (batch_max) of the last batch's windows; NULL: windows as they are */
    nn_real *weights;
    enum nn_loss loss; /* it is weighted for */
};
/* series: the standardised rows of the whole file. ST_RANGE, ST_NO_MEMORY. */
enum status forecast_cuts_init(struct forecast_cuts *w, const nn_real *series, size_t channels,
                               const struct forecast_span *span, size_t input, size_t horizon,
                               bool by_channel, size_t batch_max, struct err *err);
void forecast_cuts_free(struct forecast_cuts *w);
/* Windows of a network that reads a channel at a time: each loses its own mean and is divided by its own deviation, x and target
 * alike, and is weighted so that a loss over windows is still in proportion to that of the series. ST_NO_MEMORY. */
enum status forecast_cuts_scale(struct forecast_cuts *w, size_t batch_max, enum nn_loss loss,
                                struct err *err);
/* Mean and population deviation (1e-5 is added to its square) of x (n). */
void forecast_window_scale(double *level, double *spread, const nn_real *x, size_t n);

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
