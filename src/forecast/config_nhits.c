/* Options of N-HiTS: those of its stacks are lists. */
#include <string.h>

#include "forecast/config_internal.h"

#define AT(member) offsetof(struct forecast_config, member)

const struct option_field config_nhits_fields[] = {
    {"impl", OPTION_CHOICE, AT(nhits.impl), {"neuralforecast", "n-hits|paper"}},
    {"pooling_mode", OPTION_CHOICE, AT(nhits.pooling), {"MaxPool1d|max", "AvgPool1d|average|avg"}},
    {"interpolation_mode", OPTION_CHOICE, AT(nhits.interpolation), {"nearest", "linear", "cubic"}},
    {"activation",
     OPTION_CHOICE,
     AT(nhits.activation),
     {"identity", "ReLU", "Softplus", "Tanh", "SELU", "LeakyReLU", "PReLU", "Sigmoid", "GELU"}},
    {"dropout_prob_theta", OPTION_REAL, AT(nhits.dropout), {0}},
    {"batch_normalization", OPTION_FLAG, AT(nhits.batch_normalization), {0}},
    {"shared_weights", OPTION_FLAG, AT(nhits.shared_weights), {0}},
    {"scaler_type", OPTION_CHOICE, AT(scaler), {"identity", "standard"}},
};
const size_t config_nhits_field_count = sizeof config_nhits_fields / sizeof *config_nhits_fields;

enum { LIST_BLOCKS = 0, LIST_POOL, LIST_DOWNSAMPLE, LIST_HIDDEN, LIST_MLP };
const char *const config_nhits_list_names[] = {"n_blocks", "n_pool_kernel_size",
                                               "n_freq_downsample", "n_theta_hidden", "mlp_units"};
const size_t config_nhits_list_count =
    sizeof config_nhits_list_names / sizeof *config_nhits_list_names;

static enum status not_a_list(const char *name, const char *value, const char *example,
                              struct err *err) {
    return err_set(err, ST_INVALID, "%s: '%.80s' is no list as %s", name, value, example);
}

/* "512x512" at *at into numbers (at most `most`). */
static bool numbers_parse(uint32_t *numbers, uint32_t *count, uint32_t most, const char **at) {
    *count = 0;
    do {
        if (*count == most || !config_count_parse(&numbers[*count], at, 1, 1 << 20)) return false;
        ++*count;
    } while (**at == 'x' && ++*at);
    return true;
}

static enum status mlp_set(struct nhits_config *c, const char *value, struct err *err) {
    uint32_t pair[2], count, n = 0;
    const char *p = value;
    do {
        if (n == NHITS_LAYERS_MAX || !numbers_parse(pair, &count, 2, &p) || count != 2)
            return not_a_list("mlp_units", value, "512x512:512x512", err);
        memcpy(c->mlp_units[n++], pair, sizeof pair);
    } while (*p == ':' && *++p);
    if (*p || p[-1] == ':') return not_a_list("mlp_units", value, "512x512:512x512", err);
    c->mlp_count = n;
    return ST_OK;
}

static void stack_put(struct nhits_stack *s, int list, const uint32_t *numbers, uint32_t count) {
    if (list == LIST_BLOCKS) s->blocks = numbers[0];
    if (list == LIST_POOL) s->pool = numbers[0];
    if (list == LIST_DOWNSAMPLE) s->downsample = numbers[0];
    if (list != LIST_HIDDEN) return;
    s->layers = count;
    memcpy(s->hidden, numbers, count * sizeof *numbers);
}

static enum status stacks_set(struct nhits_config *c, struct nhits_lists *lists, int list,
                              const char *value, struct err *err) {
    const char *name = config_nhits_list_names[list], *p = value;
    const char *example = list == LIST_HIDDEN ? "512x512:512x512:512x512" : "8:4:1";
    uint32_t numbers[NHITS_STACKS_MAX][NHITS_LAYERS_MAX], counts[NHITS_STACKS_MAX], n = 0;
    do {
        if (n == NHITS_STACKS_MAX ||
            !numbers_parse(numbers[n], &counts[n], list == LIST_HIDDEN ? NHITS_LAYERS_MAX : 1, &p))
            return not_a_list(name, value, example, err);
        n++;
    } while (*p == ':' && *++p);
    if (*p || p[-1] == ':') return not_a_list(name, value, example, err);
    if (lists->first && n != c->stack_count)
        return err_set(err, ST_INVALID, "%s has %u stacks, %s has %u", name, n, lists->first,
                       c->stack_count);
    for (uint32_t i = c->stack_count; i < n; i++) c->stacks[i] = c->stacks[c->stack_count - 1];
    c->stack_count = n;
    lists->first = name;
    for (uint32_t i = 0; i < n; i++) stack_put(&c->stacks[i], list, numbers[i], counts[i]);
    return ST_OK;
}

enum status config_nhits_list_set(struct nhits_config *c, struct nhits_lists *lists,
                                  const char *name, const char *value, struct err *err) {
    for (int i = LIST_BLOCKS; i < LIST_MLP; i++)
        if (strcmp(name, config_nhits_list_names[i]) == 0)
            return stacks_set(c, lists, i, value, err);
    return strcmp(name, config_nhits_list_names[LIST_MLP]) == 0 ? mlp_set(c, value, err) : ST_END;
}

void config_nhits_list_text(struct config_text *t, const struct nhits_config *c) {
    for (int list = LIST_BLOCKS; list < LIST_MLP; list++) {
        config_print(t, ",%s=", config_nhits_list_names[list]);
        for (uint32_t i = 0; i < c->stack_count; i++) {
            const struct nhits_stack *s = &c->stacks[i];
            const uint32_t plain[] = {s->blocks, s->pool, s->downsample};
            if (i) config_print(t, ":");
            if (list != LIST_HIDDEN) config_print(t, "%u", plain[list]);
            for (uint32_t k = 0; list == LIST_HIDDEN && k < s->layers; k++)
                config_print(t, "%s%u", k ? "x" : "", s->hidden[k]);
        }
    }
    if (c->mlp_count) config_print(t, ",mlp_units=");
    for (uint32_t i = 0; i < c->mlp_count; i++)
        config_print(t, "%s%ux%u", i ? ":" : "", c->mlp_units[i][0], c->mlp_units[i][1]);
}
