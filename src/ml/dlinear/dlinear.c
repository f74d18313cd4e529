#include "ml/dlinear/dlinear.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum { SEASONAL = 0, TREND = 1, MAPS = 2, PREDICT_ROWS = 32 };

struct map {
    struct nn_tensor *w, *b;
};

/* Arrays of windows by channel: (channels, rows, seq_len) and (channels, rows, pred_len). */
struct dlinear {
    struct network network;
    struct dlinear_config config;
    size_t length, horizon, channels, maps; /* maps: pairs of matrices */
    bool training;
    struct map (*map)[MAPS];   /* (maps) */
    nn_real *input[MAPS];      /* (channels, batch_max, seq_len) */
    nn_real *output[MAPS];     /* (channels, batch_max, pred_len) */
    nn_real *y, *dy, *weights; /* (batch_max, pred_len, channels) */
    nn_real *scratch;
    void *memory;
};

struct dlinear_config dlinear_config_defaults(void) {
    return (struct dlinear_config){
        .seq_len = 336, .pred_len = 96, .channels = 7, .kernel_size = 25};
}

/* ---- what both passes share ---- */

static size_t clamped(size_t i, size_t back, size_t length) {
    size_t at = i < back ? 0 : i - back;
    return at < length ? at : length - 1;
}

/* One channel of a window (stride channels) -> rest, trend (length): the average of kernel values
 * around each, ends repeated. */
static void decompose(nn_real *rest, nn_real *trend, const nn_real *x, size_t length, size_t stride,
                      size_t kernel) {
    size_t half = (kernel - 1) / 2;
    for (size_t i = 0; i < length; i++) {
        double sum = 0;
        for (size_t k = 0; k < kernel; k++) sum += (double)x[clamped(i + k, half, length) * stride];
        trend[i] = (nn_real)(sum / (double)kernel);
        rest[i] = x[i * stride] - trend[i];
    }
}

static nn_real *input_of(const struct dlinear *d, int map, size_t channel, size_t row) {
    return d->input[map] + (channel * d->network.batch_max + row) * d->length;
}

static nn_real *output_of(const struct dlinear *d, int map, size_t channel, size_t row) {
    return d->output[map] + (channel * d->network.batch_max + row) * d->horizon;
}

static const struct map *map_of(const struct dlinear *d, int map, size_t channel) {
    return &d->map[d->maps > 1 ? channel : 0][map];
}

struct job {
    struct dlinear *d;
    nn_real *y;
    const struct nn_batch *batch;
};

static void decompose_part(void *context, uint32_t part) {
    const struct job *j = context;
    const struct dlinear *d = j->d;
    size_t first = (size_t)part * PREDICT_ROWS, end = first + PREDICT_ROWS;
    for (size_t r = first; r < end && r < j->batch->n; r++)
        for (size_t c = 0; c < d->channels; c++)
            decompose(input_of(d, SEASONAL, c, r), input_of(d, TREND, c, r),
                      j->batch->x + r * d->length * d->channels + c, d->length, d->channels,
                      d->config.kernel_size);
}

static uint32_t parts_of(size_t n) {
    return (uint32_t)((n + PREDICT_ROWS - 1) / PREDICT_ROWS);
}

/* y (n, horizon, channels) = sum of both maps' outputs */
static void add_maps(const struct dlinear *d, nn_real *y, size_t first, size_t rows) {
    for (size_t r = first; r < first + rows; r++)
        for (size_t c = 0; c < d->channels; c++) {
            const nn_real *s = output_of(d, SEASONAL, c, r), *t = output_of(d, TREND, c, r);
            for (size_t h = 0; h < d->horizon; h++)
                y[(r * d->horizon + h) * d->channels + c] = s[h] + t[h];
        }
}

/* ---- inference ---- */

static void predict_part(void *context, uint32_t part) {
    const struct job *j = context;
    const struct dlinear *d = j->d;
    size_t first = (size_t)part * PREDICT_ROWS, left = j->batch->n - first;
    size_t rows = left < PREDICT_ROWS ? left : PREDICT_ROWS;
    decompose_part(context, part);
    for (size_t c = 0; c < d->channels; c++)
        for (int m = 0; m < MAPS; m++) {
            const struct map *map = map_of(d, m, c);
            nn_linear_fixed(output_of(d, m, c, first), input_of(d, m, c, first), map->w->value,
                            map->b->value, rows, d->length, d->horizon);
        }
    add_maps(d, j->y, first, rows);
    /* An infinity less an infinite average, or times zero, is NaN already; its other values are
     * made so. */
    for (size_t r = first; r < first + rows; r++)
        for (size_t c = 0; c < d->channels; c++) {
            nn_real taint = 0;
            const nn_real *x = j->batch->x + r * d->length * d->channels + c;
            for (size_t i = 0; i < d->length; i++) taint += x[i * d->channels] * 0;
            for (size_t h = 0; h < d->horizon; h++)
                j->y[(r * d->horizon + h) * d->channels + c] += taint;
        }
}

static void predict(struct network *net, nn_real *y, const struct nn_batch *batch) {
    struct job j = {(struct dlinear *)net, y, batch};
    ASSERT(batch->n > 0 && batch->n <= net->batch_max);
    workers_run(net->workers, predict_part, &j, parts_of(batch->n));
}

/* ---- training ---- */

/* Both maps hand their sum on: the gradient of either is the sum's. */
static void scatter_gradient(const struct dlinear *d, size_t n) {
    for (size_t r = 0; r < n; r++)
        for (size_t c = 0; c < d->channels; c++) {
            nn_real *to = output_of(d, SEASONAL, c, r);
            for (size_t h = 0; h < d->horizon; h++)
                to[h] = d->dy[(r * d->horizon + h) * d->channels + c];
        }
}

static double step(struct network *net, nn_real *y, const struct nn_batch *batch,
                   const struct nn_loss_choice *loss, uint64_t seed) {
    struct dlinear *d = (struct dlinear *)net;
    struct job j = {d, NULL, batch};
    (void)seed; /* nothing is dropped */
    ASSERT(d->training && batch->n > 0 && batch->n <= net->batch_max &&
           (batch->target || loss->own));
    workers_run(net->workers, decompose_part, &j, parts_of(batch->n));
    for (size_t c = 0; c < d->channels; c++)
        for (int m = 0; m < MAPS; m++) {
            const struct map *map = map_of(d, m, c);
            nn_linear_forward(output_of(d, m, c, 0), input_of(d, m, c, 0), map->w->value,
                              map->b->value, batch->n, d->length, d->horizon, net->workers);
        }
    add_maps(d, d->y, 0, batch->n);
    double value = network_loss(net, d->dy, d->y, batch, loss, d->weights);
    if (y) memcpy(y, d->y, batch->n * d->horizon * d->channels * sizeof *y);
    scatter_gradient(d, batch->n);
    for (size_t c = 0; c < d->channels; c++)
        for (int m = 0; m < MAPS; m++) {
            const struct map *map = map_of(d, m, c);
            nn_linear_backward(NULL, map->w->grad, map->b->grad, output_of(d, SEASONAL, c, 0),
                               input_of(d, m, c, 0), map->w->value, batch->n, d->length, d->horizon,
                               d->scratch, net->workers);
        }
    return value;
}

/* ---- creation ---- */

static void destroy(struct network *net) {
    if (!net) return;
    struct dlinear *d = (struct dlinear *)net;
    nn_params_free(&net->params);
    free(d->map);
    free(d->memory);
    free(d);
}

static const struct network_class dlinear_class = {"dlinear", step, predict, destroy};

static enum status check_config(const struct dlinear_config *c, size_t batch_max, struct err *err) {
    enum { FIELD_MAX = 1 << 16 };
    const struct {
        const char *name;
        size_t value;
    } fields[] = {{"seq_len", c->seq_len},
                  {"pred_len", c->pred_len},
                  {"channels", c->channels},
                  {"kernel_size", c->kernel_size},
                  {"batch", batch_max}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].value == 0 || fields[i].value > FIELD_MAX)
            return err_set(err, ST_RANGE, "%s %zu, 1 to %d is possible", fields[i].name,
                           fields[i].value, FIELD_MAX);
    if (c->kernel_size % 2 == 0)
        return err_set(err, ST_RANGE, "kernel_size %u, must be odd", c->kernel_size);
    if (c->individual && c->channels > NN_TENSORS_MAX / 4)
        return err_set(err, ST_RANGE, "%u individual channels, %d are possible", c->channels,
                       NN_TENSORS_MAX / 4);
    return ST_OK;
}

/* All weights of one map, then of the other, as the state_dict has them. */
static enum status make_params(struct dlinear *d, struct err *err) {
    static const char *const names[MAPS] = {"Linear_Seasonal", "Linear_Trend"};
    struct nn_params *p = &d->network.params;
    enum status st = nn_params_init(p, (uint32_t)(4 * d->maps), err);
    for (int m = 0; m < MAPS; m++)
        for (size_t i = 0; st == ST_OK && i < d->maps; i++) {
            char prefix[48], name[NN_NAME_SIZE];
            if (d->config.individual)
                snprintf(prefix, sizeof prefix, "%s.%zu", names[m], i);
            else
                snprintf(prefix, sizeof prefix, "%s", names[m]);
            snprintf(name, sizeof name, "%s.weight", prefix);
            st = nn_params_add(p, name, true, 2, (size_t[]){d->horizon, d->length});
            if (st != ST_OK) return err_set(err, st, "%s", name);
            d->map[i][m].w = &p->tensors[p->count - 1];
            snprintf(name, sizeof name, "%s.bias", prefix);
            st = nn_params_add(p, name, true, 1, (size_t[]){d->horizon});
            if (st != ST_OK) return err_set(err, st, "%s", name);
            d->map[i][m].b = &p->tensors[p->count - 1];
        }
    return st == ST_OK ? nn_params_place(p, d->training, err) : st;
}

static void draw(struct dlinear *d, uint64_t seed) {
    struct rng rng = rng_init(seed);
    double bound = 1 / sqrt((double)d->length);
    for (uint32_t i = 0; i < d->network.params.count; i++)
        nn_init_uniform(d->network.params.tensors[i].value, d->network.params.tensors[i].count,
                        bound, &rng);
}

static enum status make_memory(struct dlinear *d, struct err *err) {
    size_t rows = d->network.batch_max * d->channels, in = rows * d->length,
           out = rows * d->horizon;
    size_t scratch = nn_linear_scratch(d->network.batch_max, d->length, d->horizon);
    size_t count = 2 * in + 2 * out + (d->training ? 3 * out + scratch : 0);
    nn_real *at = calloc(count, sizeof *at);
    if (!at) return err_set(err, ST_NO_MEMORY, "%zu values of workspace", count);
    d->memory = at;
    d->input[SEASONAL] = at, at += in;
    d->input[TREND] = at, at += in;
    d->output[SEASONAL] = at, at += out;
    d->output[TREND] = at, at += out;
    if (!d->training) return ST_OK;
    d->y = at, at += out;
    d->dy = at, at += out;
    d->weights = at, at += out;
    d->scratch = at;
    return ST_OK;
}

static enum status build(struct dlinear *d, uint64_t seed, struct err *err) {
    d->map = calloc(d->maps, sizeof *d->map);
    if (!d->map) return err_set(err, ST_NO_MEMORY, "%zu maps", d->maps);
    enum status st = make_params(d, err);
    if (st != ST_OK) return st;
    draw(d, seed);
    return make_memory(d, err);
}

enum status dlinear_create(struct network **out, const struct dlinear_config *config,
                           size_t batch_max, bool training, uint64_t seed, struct workers *workers,
                           struct err *err) {
    *out = NULL;
    enum status st = check_config(config, batch_max, err);
    if (st != ST_OK) return err_wrap(err, st, "DLinear");
    struct dlinear *d = calloc(1, sizeof *d);
    if (!d) return err_set(err, ST_NO_MEMORY, "DLinear: %zu bytes", sizeof *d);
    d->config = *config;
    d->training = training;
    d->length = config->seq_len;
    d->horizon = config->pred_len;
    d->channels = config->channels;
    d->maps = config->individual ? config->channels : 1;
    d->network = (struct network){.class_of = &dlinear_class,
                                  .input = d->length,
                                  .horizon = d->horizon,
                                  .channels = d->channels,
                                  .outputs = d->channels,
                                  .batch_max = batch_max,
                                  .workers = workers};
    st = build(d, seed, err);
    if (st != ST_OK) {
        destroy(&d->network);
        return err_wrap(err, st, "DLinear");
    }
    *out = &d->network;
    return ST_OK;
}

const struct dlinear_config *dlinear_config_of(const struct network *net) {
    return &((const struct dlinear *)net)->config;
}
