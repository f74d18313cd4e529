/* PatchTST from the vocabulary of its authors' scripts. */
#include <math.h>
#include <string.h>

#include "forecast/golden_internal.h"
#include "ml/patchtst/patchtst.h"

/* Flags are written as 0 and 1, or as false and true. */
static bool read_flag(struct json_reader *r) {
    enum json_type type = json_peek(r);
    if (type == JSON_TRUE || type == JSON_FALSE) return json_bool(r);
    int64_t value = json_i64(r);
    if (value != 0 && value != 1 && !r->error) r->error = "neither 0 nor 1";
    return value == 1;
}

static uint32_t read_count(struct json_reader *r) {
    int64_t value = json_i64(r);
    if ((value < 0 || value > UINT32_MAX) && !r->error) r->error = "out of range";
    return (uint32_t)value;
}

/* Index of the text among the names, null being names[null_index]; else an error. */
static int read_choice(struct json_reader *r, const char *const *names, int count, int null_index) {
    if (json_peek(r) == JSON_NULL && null_index >= 0) {
        json_skip(r);
        return null_index;
    }
    struct json_text text = json_string(r);
    for (int i = 0; i < count; i++)
        if (json_text_is(&text, names[i])) return i;
    if (!r->error) r->error = "not a choice that is known";
    return 0;
}

static bool read_shape(struct patchtst_config *c, const struct json_text *key,
                       struct json_reader *r) {
    const struct {
        const char *name;
        uint32_t *to;
    } counts[] = {{"c_in", &c->c_in},         {"seq_len", &c->seq_len},
                  {"pred_len", &c->pred_len}, {"patch_len", &c->patch_len},
                  {"stride", &c->stride},     {"d_model", &c->d_model},
                  {"n_heads", &c->n_heads},   {"e_layers", &c->e_layers},
                  {"d_ff", &c->d_ff},         {"kernel_size", &c->kernel_size}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (json_text_is(key, counts[i].name)) {
            *counts[i].to = read_count(r);
            return true;
        }
    return false;
}

static bool read_switch(struct patchtst_config *c, const struct json_text *key,
                        struct json_reader *r) {
    const struct {
        const char *name;
        bool *to;
    } flags[] = {{"pre_norm", &c->pre_norm},
                 {"revin", &c->revin},
                 {"affine", &c->affine},
                 {"subtract_last", &c->subtract_last},
                 {"decomposition", &c->decomposition},
                 {"individual", &c->individual},
                 {"res_attention", &c->res_attention},
                 {"learn_pe", &c->learn_pe}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (json_text_is(key, flags[i].name)) {
            *flags[i].to = read_flag(r);
            return true;
        }
    return false;
}

static bool read_named(struct patchtst_config *c, const struct json_text *key,
                       struct json_reader *r) {
    static const char
        *const paddings[] = {"None", "end"},
               *const norms[] = {"BatchNorm", "LayerNorm"}, *const activations[] = {"gelu", "relu"},
               *const pes[] = {"zeros", "none", "zero", "normal", "uniform", "sincos", "gauss"};
    if (json_text_is(key, "padding_patch"))
        c->padding_patch = read_choice(r, paddings, 2, 0) == 1;
    else if (json_text_is(key, "norm"))
        c->norm = (enum patchtst_norm)read_choice(r, norms, 2, -1);
    else if (json_text_is(key, "activation"))
        c->activation = (enum patchtst_activation)read_choice(r, activations, 2, -1);
    else if (json_text_is(key, "pe")) {
        int pe = read_choice(r, pes, 7, PATCHTST_PE_NONE);
        c->pe = pe == 6 ? PATCHTST_PE_NORMAL : (enum patchtst_pe)pe;
    } else if (json_text_is(key, "dropout"))
        c->dropout = json_f64(r);
    else if (json_text_is(key, "head_dropout"))
        c->head_dropout = json_f64(r);
    else if (json_text_is(key, "attn_dropout")) {
        if (json_f64(r) != 0 && !r->error) r->error = "attention weights are never dropped here";
    } else
        return false;
    return true;
}

/* Keys beyond these say nothing about the network's arithmetic (the numbers would tell). */
enum status golden_patchtst_create(struct network **out, const struct json_text *config,
                                   size_t batch_max, struct workers *workers, struct err *err) {
    struct patchtst_config c = patchtst_config_defaults();
    struct json_reader r;
    struct json_text key = {0};
    c.dropout = 0;
    json_reader_init(&r, config->data, config->size);
    json_object_begin(&r);
    while (json_object_next(&r, &key))
        if (!read_shape(&c, &key, &r) && !read_switch(&c, &key, &r) && !read_named(&c, &key, &r))
            json_skip(&r);
    if (json_finish(&r) != ST_OK)
        return err_set(err, ST_INVALID, "config: \"%.*s\": %s", (int)key.size, key.data, r.error);
    return patchtst_create(out, &c, batch_max, true, 1, workers, err);
}
