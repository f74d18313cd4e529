#include "ml/nn/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "ml/nn/file.h"

struct fields {
    char magic[8];
    uint64_t tensors; /* fingerprint of names and shapes */
    uint64_t value_bytes, size, trainable_size, blob_size;
    uint64_t step, epoch, seed, rng_key, rng_counter;
    double best_loss;
    double lr, beta1, beta2, eps, weight_decay, clip_norm;
    uint64_t adam_step;
};
_Static_assert(sizeof(struct fields) == 8 * 19, "no padding in a file");

static const char magic[8] = {'Q', 'N', 'N', 'C', 'K', 'P', 'T', '1'};

static uint64_t fingerprint(const struct nn_params *p) {
    uint64_t hash = p->count;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct nn_tensor *t = &p->tensors[i];
        uint64_t shape[NN_RANK_MAX + 2] = {t->rank, t->trainable};
        for (uint32_t d = 0; d < t->rank; d++) shape[d + 2] = t->shape[d];
        hash = hash_chain(hash, t->name, strlen(t->name) + 1);
        hash = hash_chain(hash, shape, sizeof shape);
    }
    return hash;
}

static struct fields fields_of(const struct nn_params *p, const struct nn_adam *a,
                               const struct nn_checkpoint *c) {
    struct fields f = {.tensors = fingerprint(p),
                       .value_bytes = sizeof(nn_real),
                       .size = p->size,
                       .trainable_size = p->trainable_size,
                       .blob_size = c->blob_size,
                       .step = c->step,
                       .epoch = c->epoch,
                       .seed = c->seed,
                       .rng_key = c->rng.key,
                       .rng_counter = c->rng.counter,
                       .best_loss = c->best_loss,
                       .lr = a->lr,
                       .beta1 = a->beta1,
                       .beta2 = a->beta2,
                       .eps = a->eps,
                       .weight_decay = a->weight_decay,
                       .clip_norm = a->clip_norm,
                       .adam_step = a->step};
    memcpy(f.magic, magic, sizeof magic);
    return f;
}

enum status nn_checkpoint_save(const char *path, const struct nn_params *p, const struct nn_adam *a,
                               const struct nn_checkpoint *c, struct err *err) {
    struct fields f = fields_of(p, a, c);
    uint64_t hash = 0;
    struct nn_file_part parts[] = {{&f, sizeof f},
                                   {p->value, p->size * sizeof(nn_real)},
                                   {p->m, p->trainable_size * sizeof(nn_real)},
                                   {p->v, p->trainable_size * sizeof(nn_real)},
                                   {c->blob, c->blob_size},
                                   {&hash, sizeof hash}};
    uint64_t running = 0;
    for (size_t i = 0; i < 5; i++) running = hash_chain(running, parts[i].data, parts[i].size);
    hash = running;
    return nn_file_replace(path, parts, sizeof parts / sizeof parts[0], err);
}

/* The file is as long as its fields say and has the hash at its end. */
static enum status check(const struct fields *f, const unsigned char *bytes, size_t size,
                         const struct nn_params *p, const char *path, struct err *err) {
    if (size < sizeof *f || memcmp(bytes, magic, sizeof magic) != 0)
        return err_set(err, ST_CORRUPT, "%s: byte 0: not a checkpoint", path);
    if (f->tensors != fingerprint(p) || f->value_bytes != sizeof(nn_real) || f->size != p->size ||
        f->trainable_size != p->trainable_size)
        return err_set(err, ST_MISMATCH, "%s: checkpoint of another network", path);
    size_t sizes[] = {sizeof *f, p->size * sizeof(nn_real), p->trainable_size * sizeof(nn_real),
                      p->trainable_size * sizeof(nn_real), (size_t)f->blob_size};
    uint64_t running = 0, hash;
    const unsigned char *at = bytes;
    size_t left = size;
    for (size_t i = 0; i < 5; i++) {
        if (sizes[i] > left)
            return err_set(err, ST_CORRUPT, "%s: ends at byte %zu, within its values", path, size);
        running = hash_chain(running, at, sizes[i]);
        at += sizes[i];
        left -= sizes[i];
    }
    if (left != sizeof hash)
        return err_set(err, ST_CORRUPT, "%s: %zu bytes, not %zu", path, size,
                       size - left + sizeof hash);
    memcpy(&hash, at, sizeof hash);
    if (hash != running) return err_set(err, ST_CORRUPT, "%s: the checksum does not hold", path);
    return ST_OK;
}

enum status nn_checkpoint_load(const char *path, struct nn_params *p, struct nn_adam *a,
                               struct nn_checkpoint *c, struct err *err) {
    void *bytes;
    size_t size;
    struct fields f = {0};
    enum status st = nn_file_read(&bytes, &size, path, err);
    if (st != ST_OK) return st;
    memcpy(&f, bytes, size < sizeof f ? size : sizeof f);
    st = check(&f, bytes, size, p, path, err);
    if (st != ST_OK) {
        free(bytes);
        return st;
    }
    const unsigned char *at = (const unsigned char *)bytes + sizeof f;
    size_t values = p->size * sizeof(nn_real), moments = p->trainable_size * sizeof(nn_real);
    memcpy(p->value, at, values);
    p->changes++;
    memcpy(p->m, at + values, moments);
    memcpy(p->v, at + values + moments, moments);
    *a = (struct nn_adam){.lr = f.lr,
                          .beta1 = f.beta1,
                          .beta2 = f.beta2,
                          .eps = f.eps,
                          .weight_decay = f.weight_decay,
                          .clip_norm = f.clip_norm,
                          .step = f.adam_step};
    *c = (struct nn_checkpoint){.step = f.step,
                                .epoch = f.epoch,
                                .seed = f.seed,
                                .rng = {f.rng_key, f.rng_counter},
                                .best_loss = f.best_loss,
                                .blob = at + values + 2 * moments,
                                .blob_size = (size_t)f.blob_size,
                                .owned = bytes};
    return ST_OK;
}

void nn_checkpoint_free(struct nn_checkpoint *c) {
    free(c->owned);
    c->owned = NULL;
    c->blob = NULL;
    c->blob_size = 0;
}
