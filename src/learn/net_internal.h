/* The networks as voters: the windows they read, their head, their files. */
#ifndef LEARN_NET_INTERNAL_H
#define LEARN_NET_INTERNAL_H

#include "learn/learn_internal.h"
#include "learn/net_head.h"

/* ---- history.c: channels and windows ---- */

enum { NET_CHANNELS = 8, NET_WINDOW = 128, NET_TARGET_CHANNEL = 0, NET_INPUTS = NET_CHANNELS + 1 };

struct net_history {
    int64_t interval_ns;
    int64_t close_ns; /* of the last bar pushed; 0 before the first */
    uint32_t count;   /* bars in a row that are known, at most NET_WINDOW */
    uint32_t next;    /* slot of the next bar */
    float atr;        /* ATR fraction of the last bar */
    uint8_t reserved[36];
    float values[NET_WINDOW][NET_CHANNELS]; /* a ring of bars */
};

/* The channels of one feature row, transformed; false if one of them is not known. out (NET_CHANNELS) */
bool net_channels(float *out, const float *row);
/* The registry's columns that a network reads: its channels', then the ATR its barriers are measured in. input < NET_INPUTS */
uint32_t net_input_column(uint32_t input);
/* Of the channels' names, transforms and scales, and of their features' versions. */
uint64_t net_channels_hash(void);
bool net_history_is_full(const struct net_history *h);
/* Bars in order of time. out (NET_WINDOW, NET_CHANNELS); full only. */
void net_history_values(float *out, const struct net_history *h);

/* Instance normalisation: what the networks read. values, out (NET_WINDOW, NET_CHANNELS) by bar, then channel; each
 * channel is divided by its deviation within the window, around its mean or around its zero. Returns the window's volatility: the
 * root mean square of its log returns, floored. */
double net_window(float *out, const float *values);

/* ---- net.c: a network and its head ---- */

/* A window as the networks read it. */
struct net_input {
    size_t channels; /* in x: all, or the target alone */
    float *x;        /* (batch, NET_WINDOW, channels) */
    float *exog;     /* (batch, NET_WINDOW, NET_CHANNELS - 1) the others, or NULL */
};

struct net {
    enum model_kind kind;
    struct network *network;
    struct net_head head;
    size_t horizon, batch_max;
    /* Inference; NULL in a net made for training. */
    float *packed; /* the head's layer, laid out */
    struct net_input input;
    float *context;      /* (batch_max, NET_CONTEXT) */
    float *y, *rows, *z; /* (batch_max, head.values | head.inputs | head.outputs) */
    double *path;        /* (batch_max, horizon, NET_QUANTILES) for who asks for paths */
};

enum { NET_TEXT_SIZE = 192 };
/* What the network is: a file's must be this program's. */
const char *net_text(char out[NET_TEXT_SIZE], enum model_kind kind, size_t horizon);

/* ST_UNSUPPORTED: a horizon beyond NET_HORIZON_MAX, a kind that is no network. workers: borrowed, may be NULL. */
enum status net_create(struct net **out, enum model_kind kind, size_t horizon, size_t batch_max,
                       bool training, uint64_t seed, struct workers *workers, struct err *err);
void net_destroy(struct net *net);
enum status net_input_init(struct net_input *in, size_t channels, bool exog, size_t batch_max,
                           struct err *err);
void net_input_free(struct net_input *in);
/* A normalised window (NET_WINDOW, NET_CHANNELS) becomes the batch's number i. */
void net_input_set(struct net_input *in, size_t i, const float *window);
/* What instance normalisation takes away and labels depend on: how many sigmas, over the horizon, the barrier is away. */
float net_context(double barrier, double sigma, size_t horizon);

/* Forecasts of net->input, net->context [0, n); a net made for inference. p (n, 3), path (n, horizon, 3): each may be NULL. A
 * forecast with a NaN or an infinity anywhere is NaN throughout. Allocates nothing. */
void net_predict(double *p, double *path, struct net *net, size_t n);

/* All tensors under one roof, as in a file: the network's, then the head's. out: nn_params_free */
enum status net_params_join(struct nn_params *out, struct net *net, struct err *err);
/* Values of `joined` into the net; a net for inference lays them out. */
void net_params_take(struct net *net, const struct nn_params *joined);

/* ---- net_rows.c: windows of learn_rows ---- */

enum { NET_BATCH = 256 }; /* windows forecast at once in training's checks */

/* Rows of one part as numbered windows, for the training loop: struct window_source's context. */
struct net_source {
    const struct learn_rows *rows;
    struct learn_range range;
    const float *weights; /* (range.count), or NULL */
    const struct label_spec *labels;
    struct workers *workers;
    bool paths_only; /* of the baseline: targets are paths without label and context */
    struct net_input in;
    float *target, *batch_weights;
};
/* channels, exog: as net_input_init. The rest of *s is set by the caller before. */
enum status net_source_init(struct net_source *s, size_t channels, bool exog, size_t batch_max,
                            struct err *err);
void net_source_free(struct net_source *s);
void net_source_batch(void *source, struct nn_batch *out, const uint32_t *windows, size_t n);

/* A row's path in units of sigma sqrt(k), at most +-NET_PATH_MAX. out (horizon) */
#define NET_PATH_MAX 8.0
double net_row_sigma(const struct learn_rows *rows, size_t row);
void net_row_path(float *out, const struct learn_rows *rows, size_t row, double sigma,
                  size_t horizon);
/* Forecasts of the rows of a range by a net made for inference. p (count, 3); medians (count) of the path's end;
 * either may be NULL. */
void net_rows_predict(double *p, double *medians, struct net *net, const struct learn_rows *rows,
                      struct learn_range range, const struct label_spec *labels);

/* ---- net_train.c ---- */

struct net_job {
    const struct learn_config *config;
    const struct learn_rows *rows;
    const struct learn_range *parts; /* (PART_COUNT) */
    float *weights;                  /* (training rows) of uniqueness; changed: times recency */
    learn_progress_fn progress;
    void *context;
    struct workers *workers; /* of the net it makes too: net_job_free after net_destroy */
};
/* Trains; *out is made for inference. report: params and rounds are filled in. weights_to_ns: in model_meta. */
enum status net_fit(struct net **out, struct model_meta *meta, struct net_job *job,
                    struct err *err);
/* Errors of plain paths on the test rows, persistence and DLinear, into *report. */
enum status net_baseline_measure(struct learn_report *report, struct net_job *job, struct err *err);
/* The same of the network's own path. medians (test rows): net_rows_predict's */
double net_path_error(const struct net_job *job, const double *medians);
void net_job_free(struct net_job *job);

/* ---- net_file.c ---- */

/* As model_save: atomic. */
enum status net_save(struct net *net, const struct model_meta *meta, const char *path,
                     struct err *err);
/* Whether the file's content is safetensors. */
enum status net_file_is(bool *out, const char *path, struct err *err);
/* A net for inference (training false, laid out) or for training. hash: of the file's bytes, may be NULL. */
enum status net_load(struct net **out, struct model_meta *meta, uint64_t *hash, const char *path,
                     size_t batch_max, bool training, struct workers *workers, struct err *err);

#endif
