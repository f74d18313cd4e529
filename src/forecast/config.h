/* A network's options as text, under the names its authors use: "d_model=16,n_heads=4".
 *
 * Input, horizon and channels are no part of the text: they are the run's (forecast_config_shape).
 * Tests    test_config.c */
#ifndef FORECAST_CONFIG_H
#define FORECAST_CONFIG_H

#include "ml/dlinear/dlinear.h"
#include "ml/nhits/nhits.h"
#include "ml/patchtst/patchtst.h"

enum forecast_kind { FORECAST_PATCHTST = 0, FORECAST_NHITS, FORECAST_DLINEAR, FORECAST_KINDS };
extern const char *const forecast_kind_names[FORECAST_KINDS]; /* "patchtst" "nhits" "dlinear" */
bool forecast_kind_parse(enum forecast_kind *out, const char *text);

/* scaler_type of neuralforecast: what a window is given as (N-HiTS only). STANDARD takes its own mean and deviation off; forecasts get
 * them back. */
enum forecast_scaler { FORECAST_SCALER_IDENTITY = 0, FORECAST_SCALER_STANDARD };

struct forecast_config {
    enum forecast_kind kind;
    enum forecast_scaler scaler;
    struct patchtst_config patchtst; /* that of the kind counts */
    struct nhits_config nhits;
    struct dlinear_config dlinear;
};
/* patchtst_config_defaults, nhits_config_paper, dlinear_config_defaults. */
struct forecast_config forecast_config_defaults(enum forecast_kind kind);

/* Sets what the text names: NAME=VALUE separated by commas; "" nothing. A stack's values are separated by ':', numbers within one
 * by 'x' (n_pool_kernel_size=8:4:1, n_theta_hidden=512x512:512x512:512x512). A list of another length changes the number of stacks: new ones
 * are as the last. ST_NOT_FOUND (lists the names there are), ST_INVALID (the value, and what would do). */
enum status forecast_config_set(struct forecast_config *c, const char *text, struct err *err);
enum { FORECAST_CONFIG_TEXT_SIZE = 8192 };
/* All options; set from it gives the same again. ST_RANGE: does not fit. */
enum status forecast_config_text(char out[FORECAST_CONFIG_TEXT_SIZE],
                                 const struct forecast_config *c);

/* PatchTST and DLinear read all channels, N-HiTS one at a time. */
bool forecast_config_by_channel(const struct forecast_config *c);
void forecast_config_shape(struct forecast_config *c, uint32_t input, uint32_t horizon,
                           uint32_t channels);
/* As patchtst_create and the others; to be destroyed by class_of->destroy. */
enum status forecast_config_create(struct network **out, const struct forecast_config *c,
                                   size_t batch_max, bool training, uint64_t seed,
                                   struct workers *workers, struct err *err);

#endif
