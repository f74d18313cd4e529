/* N-HiTS from the vocabulary of both official implementations. */
#include <string.h>

#include "forecast/golden_internal.h"
#include "ml/nhits/nhits.h"

static uint32_t read_count(struct json_reader *r) {
    int64_t value = json_i64(r);
    if ((value < 0 || value > UINT32_MAX) && !r->error) r->error = "out of range";
    return (uint32_t)value;
}

/* Flags are written as 0 and 1, or as false and true. */
static bool read_flag(struct json_reader *r) {
    enum json_type type = json_peek(r);
    if (type == JSON_TRUE || type == JSON_FALSE) return json_bool(r);
    int64_t value = json_i64(r);
    if (value != 0 && value != 1 && !r->error) r->error = "neither 0 nor 1";
    return value == 1;
}

static int read_choice(struct json_reader *r, const char *const *names, int count) {
    struct json_text text = json_string(r);
    for (int i = 0; i < count; i++)
        if (json_text_is(&text, names[i])) return i;
    if (!r->error) r->error = "not a choice that is known";
    return 0;
}

/* A list of numbers, at most `most`; returns how many. */
static uint32_t read_list(struct json_reader *r, uint32_t *out, uint32_t most) {
    uint32_t count = 0;
    json_array_begin(r);
    while (json_array_next(r)) {
        uint32_t value = read_count(r);
        if (count == most) {
            if (!r->error) r->error = "too many entries";
            break;
        }
        out[count++] = value;
    }
    return count;
}

/* How many entries the lists by stack have; they must agree. */
struct lists {
    uint32_t blocks, pools, ratios, layers, hidden;
};

static uint32_t read_field(struct json_reader *r, struct nhits_config *c, size_t offset) {
    uint32_t values[NHITS_STACKS_MAX], count = read_list(r, values, NHITS_STACKS_MAX);
    for (uint32_t i = 0; i < count; i++)
        memcpy((char *)&c->stacks[i] + offset, &values[i], sizeof values[i]);
    return count;
}

static void read_mlp(struct json_reader *r, struct nhits_config *c) {
    c->mlp_count = 0;
    json_array_begin(r);
    while (json_array_next(r)) {
        if (c->mlp_count == NHITS_LAYERS_MAX) {
            if (!r->error) r->error = "too many entries";
            return;
        }
        if (read_list(r, c->mlp_units[c->mlp_count++], 2) != 2 && !r->error)
            r->error = "not a pair of sizes";
    }
}

/* n_theta_hidden: a list for each stack; n_layers counts it. */
static uint32_t read_hidden(struct json_reader *r, struct nhits_config *c) {
    uint32_t count = 0;
    json_array_begin(r);
    while (json_array_next(r)) {
        if (count == NHITS_STACKS_MAX) {
            if (!r->error) r->error = "too many entries";
            break;
        }
        read_list(r, c->stacks[count++].hidden, NHITS_LAYERS_MAX);
    }
    return count;
}

static bool read_lists(struct nhits_config *c, struct lists *l, const struct json_text *key,
                       struct json_reader *r) {
    if (json_text_is(key, "n_blocks"))
        l->blocks = read_field(r, c, offsetof(struct nhits_stack, blocks));
    else if (json_text_is(key, "n_pool_kernel_size"))
        l->pools = read_field(r, c, offsetof(struct nhits_stack, pool));
    else if (json_text_is(key, "n_freq_downsample"))
        l->ratios = read_field(r, c, offsetof(struct nhits_stack, downsample));
    else if (json_text_is(key, "n_layers"))
        l->layers = read_field(r, c, offsetof(struct nhits_stack, layers));
    else if (json_text_is(key, "n_theta_hidden"))
        l->hidden = read_hidden(r, c);
    else if (json_text_is(key, "mlp_units"))
        read_mlp(r, c);
    else
        return false;
    return true;
}

static bool read_numbers(struct nhits_config *c, const struct json_text *key,
                         struct json_reader *r) {
    const struct {
        const char *name;
        uint32_t *to;
    } counts[] = {{"input_size", &c->input_size},
                  {"n_time_in", &c->input_size},
                  {"h", &c->h},
                  {"n_time_out", &c->h},
                  {"outputs", &c->outputs},
                  {"outputsize_multiplier", &c->outputs},
                  {"hist_exog", &c->hist_exog},
                  {"futr_exog", &c->futr_exog},
                  {"n_x", &c->futr_exog},
                  {"stat_exog", &c->stat_exog},
                  {"n_s", &c->stat_exog},
                  {"n_s_hidden", &c->stat_hidden},
                  {"stat_hidden", &c->stat_hidden}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (json_text_is(key, counts[i].name)) {
            *counts[i].to = read_count(r);
            return true;
        }
    if (json_text_is(key, "dropout_prob_theta"))
        c->dropout = json_f64(r);
    else if (json_text_is(key, "batch_normalization"))
        c->batch_normalization = read_flag(r);
    else if (json_text_is(key, "shared_weights"))
        c->shared_weights = read_flag(r);
    else
        return false;
    return true;
}

static void read_interpolation(struct nhits_config *c, struct json_reader *r) {
    struct json_text text = json_string(r);
    if (json_text_is(&text, "linear"))
        c->interpolation = NN_LINEAR;
    else if (json_text_is(&text, "nearest"))
        c->interpolation = NN_NEAREST;
    else if (text.size >= 5 && memcmp(text.data, "cubic", 5) == 0)
        c->interpolation = NN_CUBIC; /* n-hits: cubic-<windows at once>, which changes no number */
    else if (!r->error)
        r->error = "not a choice that is known";
}

static bool read_named(struct nhits_config *c, const struct json_text *key, struct json_reader *r) {
    static const char *const impls[] = {"neuralforecast", "n-hits"},
                             *const poolings[] = {"MaxPool1d", "AvgPool1d", "max", "average"},
                             *const activations[] = {"ReLU",      "Softplus", "Tanh",   "SELU",
                                                     "LeakyReLU", "PReLU",    "Sigmoid"};
    if (json_text_is(key, "impl"))
        c->impl = (enum nhits_impl)read_choice(r, impls, 2);
    else if (json_text_is(key, "pooling_mode"))
        c->pooling = (enum nhits_pooling)(read_choice(r, poolings, 4) % 2);
    else if (json_text_is(key, "activation"))
        c->activation = (enum nn_activation)(NN_RELU + read_choice(r, activations, 7));
    else if (json_text_is(key, "interpolation_mode"))
        read_interpolation(c, r);
    else
        return false;
    return true;
}

static enum status check_lists(const struct nhits_config *c, const struct lists *l,
                               struct err *err) {
    if (l->blocks == 0 || l->pools != l->blocks || l->ratios != l->blocks)
        return err_set(err, ST_INVALID,
                       "config: %u n_blocks, %u n_pool_kernel_size, %u n_freq_downsample",
                       l->blocks, l->pools, l->ratios);
    if (c->impl == NHITS_PAPER && (l->layers != l->blocks || l->hidden != l->blocks))
        return err_set(err, ST_INVALID, "config: %u n_blocks, %u n_layers, %u n_theta_hidden",
                       l->blocks, l->layers, l->hidden);
    return ST_OK;
}

/* Keys beyond these say nothing about the network's arithmetic (the numbers would tell). */
enum status golden_nhits_create(struct network **out, const struct json_text *config,
                                size_t batch_max, struct workers *workers, struct err *err) {
    struct nhits_config c = {
        .outputs = 1, .interpolation = NN_LINEAR, .activation = NN_RELU, .dropout_off = true};
    struct lists lists = {0};
    struct json_reader r;
    struct json_text key = {0};
    json_reader_init(&r, config->data, config->size);
    json_object_begin(&r);
    while (json_object_next(&r, &key))
        if (!read_lists(&c, &lists, &key, &r) && !read_numbers(&c, &key, &r) &&
            !read_named(&c, &key, &r))
            json_skip(&r);
    if (json_finish(&r) != ST_OK)
        return err_set(err, ST_INVALID, "config: \"%.*s\": %s", (int)key.size, key.data, r.error);
    enum status st = check_lists(&c, &lists, err);
    c.stack_count = lists.blocks;
    return st == ST_OK ? nhits_create(out, &c, batch_max, true, 1, workers, err) : st;
}
