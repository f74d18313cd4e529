/* The block between two closes: saved as it stands, restored with its models. */
#include <string.h>

#include "base/hash.h"
#include "retrain/retrain_internal.h"

static uint64_t checksum(const void *bytes, size_t size) {
    size_t head = offsetof(struct retrain_state, checksum) + sizeof(uint64_t);
    return hash64((const unsigned char *)bytes + head, size - head);
}

size_t retrain_state_size(const struct retrain *r) {
    return r->state->size_bytes;
}

void retrain_state_save(const struct retrain *r, void *bytes) {
    struct retrain_state *s = bytes;
    memcpy(s, r->state, r->state->size_bytes);
    s->checksum = checksum(s, r->state->size_bytes);
}

static enum status block_check(const struct retrain *r, const void *bytes, size_t size,
                               struct err *err) {
    struct retrain_state s;
    if (size < sizeof s) return err_set(err, ST_CORRUPT, "state of retraining: cut short");
    memcpy(&s, bytes, sizeof s);
    if (s.magic != RETRAIN_MAGIC)
        return err_set(err, ST_CORRUPT, "state of retraining: it is none");
    if (s.version != RETRAIN_VERSION)
        return err_set(err, ST_VERSION, "state of retraining: version %u, this is %d", s.version,
                       RETRAIN_VERSION);
    if (s.size_bytes != size || s.checksum != checksum(bytes, size))
        return err_set(err, ST_CORRUPT, "state of retraining: its checksum does not hold");
    if (s.config_hash != r->state->config_hash || s.symbol_count != r->state->symbol_count ||
        size != r->state->size_bytes)
        return err_set(err, ST_MISMATCH, "state of retraining: of another configuration");
    return ST_OK;
}

static enum status models_load(struct retrain *r, const struct retrain_state *s, struct err *err) {
    enum status st = ST_OK;
    for (uint32_t k = 0; k < MODEL_COUNT && st == ST_OK; k++) {
        enum model_kind kind = (enum model_kind)k;
        const struct promotion_seat *seat = &s->seat[k];
        const uint64_t hashes[ROLE_COUNT] = {seat->served, seat->predecessor, seat->challenger};
        for (int role = 0; role < ROLE_COUNT && st == ST_OK; role++)
            st = retrain_slot_load(r, kind, (enum retrain_role)role, hashes[role], err);
        if (st != ST_OK) err_wrap(err, st, "state of retraining: %s", model_kind_text(kind));
    }
    return st;
}

enum status retrain_state_restore(struct retrain *r, const void *bytes, size_t size,
                                  struct err *err) {
    enum status st = block_check(r, bytes, size, err);
    if (st != ST_OK) return st;
    /* A model that is missing leaves r as it was. */
    struct retrain_model_slot kept[MODEL_COUNT][ROLE_COUNT];
    memcpy(kept, r->slot, sizeof kept);
    memset(r->slot, 0, sizeof r->slot);
    st = models_load(r, bytes, err);
    struct retrain_model_slot gone[MODEL_COUNT][ROLE_COUNT];
    memcpy(gone, st == ST_OK ? kept : r->slot, sizeof gone);
    if (st != ST_OK) memcpy(r->slot, kept, sizeof kept);
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        for (int role = 0; role < ROLE_COUNT; role++)
            if (gone[k][role].model) r->hooks->destroy(gone[k][role].model);
    if (st != ST_OK) return st;
    memcpy(r->state, bytes, size);
    r->generation = -1;
    r->swept = false;
    return ST_OK;
}
