/* A network's file: safetensors, with the tensors of the network under their official names, those of the head, and in the
 * metadata the texts every model file of a voter has. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "learn/net_internal.h"
#include "ml/table/unpack.h"

enum { METADATA_SIZE = 1 << 16, LENGTH_BYTES = 8 };
static const size_t file_size_max = (size_t)1 << 28;

/* ---- attributes ---- */

/* "key\0value\0 ... \0" */
struct metadata {
    size_t size;
    char text[METADATA_SIZE];
};

static enum status metadata_set(void *context, const char *key, const char *value,
                                struct err *err) {
    struct metadata *m = context;
    size_t key_size = strlen(key) + 1, value_size = strlen(value) + 1;
    if (key_size + value_size >= sizeof m->text - m->size)
        return err_set(err, ST_FULL, "metadata beyond %d bytes", METADATA_SIZE);
    memcpy(m->text + m->size, key, key_size);
    memcpy(m->text + m->size + key_size, value, value_size);
    m->size += key_size + value_size;
    m->text[m->size] = 0;
    return ST_OK;
}

static const char *metadata_get(const void *context, const char *key) {
    return safetensors_metadata(context, key);
}

static enum status attributes_write(struct metadata *m, const struct net *net,
                                    const struct model_meta *meta, struct err *err) {
    char network[NET_TEXT_SIZE], channels[32];
    snprintf(channels, sizeof channels, "%016" PRIx64, net_channels_hash());
    const struct attributes a = {net->kind, m, metadata_set, NULL};
    enum status st = metadata_set(m, "quantum.kind", model_kind_text(net->kind), err);
    if (st == ST_OK)
        st = metadata_set(m, "quantum.network", net_text(network, net->kind, net->horizon), err);
    if (st == ST_OK) st = metadata_set(m, "quantum.channels", channels, err);
    return st == ST_OK ? model_attributes_write(&a, meta, err) : st;
}

/* ---- writing ---- */

enum status net_save(struct net *net, const struct model_meta *meta, const char *path,
                     struct err *err) {
    struct nn_params joined;
    struct metadata *m = calloc(1, sizeof *m);
    if (!m) return err_set(err, ST_NO_MEMORY, "model %s", path);
    enum status st = net_params_join(&joined, net, err);
    if (st == ST_OK) {
        st = attributes_write(m, net, meta, err);
        if (st == ST_OK) st = nn_params_save(&joined, path, m->text, err);
        nn_params_free(&joined);
    }
    free(m);
    return st;
}

/* ---- reading ---- */

enum status net_file_is(bool *out, const char *path, struct err *err) {
    struct unpack *u;
    unsigned char head[LENGTH_BYTES + 1] = {0};
    size_t used = 0, got = 1;
    enum status st = unpack_open(&u, path, err);
    if (st != ST_OK) return st;
    while (used < sizeof head && got > 0 && st == ST_OK) {
        st = unpack_read(u, head + used, sizeof head - used, &got, err);
        used += st == ST_OK ? got : 0;
    }
    unpack_close(u);
    uint64_t length = 0;
    for (int k = LENGTH_BYTES - 1; k >= 0; k--) length = length << 8 | head[k];
    /* Text read as a length is beyond any file's size. */
    *out =
        st == ST_OK && used == sizeof head && head[LENGTH_BYTES] == '{' && length < file_size_max;
    return st;
}

static enum status need(const char **out, const struct safetensors *file, const char *key,
                        struct err *err) {
    *out = safetensors_metadata(file, key);
    if (*out) return ST_OK;
    return err_set(err, ST_CORRUPT, "no attribute %s: not a model made by `quantum train`", key);
}

static enum status kind_read(enum model_kind *out, const struct safetensors *file,
                             struct err *err) {
    const char *text;
    enum status st = need(&text, file, "quantum.kind", err);
    if (st != ST_OK) return st;
    if (model_kind_parse(out, text, strlen(text)) && learn_is_network(*out)) return ST_OK;
    return err_set(err, ST_CORRUPT, "attribute quantum.kind: '%.60s' is not valid", text);
}

/* Shapes alone do not tell: another number of heads has the same ones. */
static enum status network_check(const struct safetensors *file, enum model_kind kind,
                                 size_t horizon, struct err *err) {
    const char *text;
    char ours[NET_TEXT_SIZE];
    enum status st = need(&text, file, "quantum.network", err);
    if (st != ST_OK) return st;
    if (strcmp(text, net_text(ours, kind, horizon)) != 0)
        return err_set(err, ST_MISMATCH,
                       "is the network %.180s, this program has %s: train it anew", text, ours);
    if ((st = need(&text, file, "quantum.channels", err)) != ST_OK) return st;
    snprintf(ours, sizeof ours, "%016" PRIx64, net_channels_hash());
    if (strcmp(text, ours) != 0)
        return err_set(err, ST_MISMATCH,
                       "reads the channels %.40s, this program has %s: train it anew", text, ours);
    return ST_OK;
}

static enum status take(struct net **out, struct model_meta *meta, const struct safetensors *file,
                        const void *bytes, size_t size, size_t batch_max, bool training,
                        struct workers *workers, struct err *err) {
    enum model_kind kind = MODEL_COUNT;
    enum status st = kind_read(&kind, file, err);
    if (st != ST_OK) return st;
    const struct attributes a = {kind, (void *)(uintptr_t)file, NULL, metadata_get};
    st = model_attributes_read(meta, &a, err);
    if (st == ST_OK) st = network_check(file, kind, meta->labels.horizon_bars, err);
    if (st == ST_OK)
        st = net_create(out, kind, meta->labels.horizon_bars, batch_max, training, 1, workers, err);
    if (st != ST_OK) return st;
    struct nn_params joined;
    st = net_params_join(&joined, *out, err);
    if (st == ST_OK) {
        st = nn_params_parse(&joined, bytes, size, "weights", err);
        if (st == ST_OK) net_params_take(*out, &joined);
        nn_params_free(&joined);
    }
    if (st != ST_OK) {
        net_destroy(*out);
        *out = NULL;
    }
    return st;
}

enum status net_load(struct net **out, struct model_meta *meta, uint64_t *hash, const char *path,
                     size_t batch_max, bool training, struct workers *workers, struct err *err) {
    struct unpack *u;
    struct safetensors *file = NULL;
    char *bytes = NULL;
    size_t size = 0;
    *out = NULL;
    enum status st = unpack_open(&u, path, err);
    if (st != ST_OK) return st;
    st = unpack_all(&bytes, &size, u, file_size_max, err);
    unpack_close(u);
    if (st != ST_OK) return st;
    st = safetensors_parse(&file, bytes, size, path, err);
    if (st == ST_OK) {
        st = take(out, meta, file, bytes, size, batch_max, training, workers, err);
        safetensors_close(file);
        if (st != ST_OK) err_wrap(err, st, "model %s", path);
    }
    if (st == ST_OK && hash) *hash = hash64(bytes, size);
    free(bytes);
    return st;
}
