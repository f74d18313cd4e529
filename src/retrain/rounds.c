/* When trainings begin, and what becomes of them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "retrain/retrain_internal.h"
#include "store/fs.h"

static const char *trigger_text(uint32_t trigger) {
    return promotion_trigger_text((enum promotion_trigger)trigger);
}

/* ---- ends ---- */

static void kind_end(struct close *c, enum model_kind kind, bool trained) {
    struct retrain_state *s = c->r->state;
    struct retrain_round *round = &s->round;
    promotion_schedule_end(&s->schedule[kind], &c->r->config.schedule, c->in->close_ns, trained);
    round->pending &= ~(1U << kind);
    if (trained) round->trained |= 1U << kind;
    if (round->pending) return;
    if (round->trained)
        s->rounds_succeeded++;
    else
        s->rounds_failed++;
}

static struct model_changed ended(const struct close *c, enum model_kind kind, const char *change,
                                  const char *reason, uint64_t hash) {
    struct model_changed m = retrain_change(c, kind, change, reason, hash);
    m.trigger = c->r->state->round.trigger[kind];
    return m;
}

static enum status fail(struct close *c, enum model_kind kind, const char *reason) {
    struct model_changed change = ended(c, kind, "failed", reason, 0);
    enum status st = retrain_change_check(c, &change);
    if (st != ST_OK) return st;
    kind_end(c, kind, false);
    retrain_change_put(c, &change);
    return ST_OK;
}

/* The trial counts against who served when it was made; if that one has gone since, the candidate waits untried, until
 * the next one takes its place. */
static bool trial_holds(const struct close *c, enum model_kind kind) {
    const struct retrain_state *s = c->r->state;
    return s->round.against[kind] == s->seat[kind].served;
}

static enum status succeed(struct close *c, enum model_kind kind, struct training *t) {
    struct retrain *r = c->r;
    struct registry_entry entry;
    const struct registry_card card = {.kind = kind,
                                       .interval_ns = r->config.interval_ns,
                                       .data_end_ns = r->hooks->data_end_ns(t->model),
                                       .report = &t->report,
                                       .labels = &r->config.labels,
                                       .parent = t->parent,
                                       .trigger = trigger_text(r->state->round.trigger[kind])};
    const struct registry_change say = {RETRAIN_ACTOR, t->is_warm ? "trained, warm" : "trained",
                                        NULL, c->in->close_ns};
    uint64_t hash = r->hooks->hash(t->model);
    struct model_changed change = ended(c, kind, "trained", t->is_warm ? "warm" : "fresh", hash);
    enum status st = retrain_change_check(c, &change);
    if (st == ST_OK) st = registry_add(r->registry, &entry, t->path, &card, &say, c->err);
    /* A process killed behind this write added it, or it is an older one. */
    if (st == ST_EXISTS) st = ST_OK;
    if (st == ST_OK && t->has_trial && entry.added_ns == c->in->close_ns)
        st = trial_file_write(r, hash, r->state->round.against[kind], &t->trial, c->err);
    if (st != ST_OK) return st;
    bool holds = t->has_trial && trial_holds(c, kind);
    struct served_model *model = t->model;
    t->model = NULL;
    kind_end(c, kind, true);
    retrain_change_put(c, &change);
    return retrain_admit(c, kind, &entry, model, holds ? &t->trial : NULL);
}

/* What a training left, in the seat; then what the seat makes of it. */
static enum status take(struct close *c, enum model_kind kind, struct training *t) {
    enum status st;
    if (t->st == ST_OK) {
        st = succeed(c, kind, t);
    } else {
        char reason[TEXT_FIELD_SIZE], text[ERR_TEXT_SIZE];
        snprintf(reason, sizeof reason, "%.31s", status_text(t->st));
        log_warn("retrain", "training failed", "kind=%s error=%s", model_kind_text(kind),
                 log_quote(text, sizeof text, t->err.text));
        st = fail(c, kind, reason);
    }
    training_drop(t, c->r);
    return st == ST_OK ? retrain_settle(c, kind) : st;
}

/* ---- ends on record ---- */

/* The trial as it was: from its file, else made anew on the candles of then. */
static enum status trial_again(struct promotion_trial *out, struct close *c, enum model_kind kind,
                               uint64_t hash, struct served_model *model) {
    struct retrain *r = c->r;
    const struct retrain_round *round = &r->state->round;
    const struct retrain_source *source = &r->config.source;
    struct learn_series *series = NULL;
    size_t count = 0;
    struct err err = {0};
    char text[ERR_TEXT_SIZE];
    if (trial_file_read(out, r, hash, round->against[kind], &err) == ST_OK) return ST_OK;
    log_info("retrain", "trial is made again", "kind=%s model=%016" PRIx64 " cause=%s",
             model_kind_text(kind), hash, log_quote(text, sizeof text, err.text));
    enum status st = source->prepare ? source->prepare(source->context, c->err) : ST_OK;
    if (st == ST_OK)
        st = source->open(source->context, &series, &count, round->begun_ns - r->config.window_ns,
                          round->begun_ns, c->err);
    if (st != ST_OK) return err_wrap(c->err, st, "candles of a trial on record");
    const struct training_cancel cancel = {.stop = r->config.stop};
    st = trial_run(out, r, r->slot[kind][ROLE_SERVED].model, model, series, count, round->begun_ns,
                   &cancel, c->err);
    source->close(source->context, series, count);
    return st;
}

static enum status succeed_recorded(struct close *c, enum model_kind kind, uint64_t hash) {
    struct retrain *r = c->r;
    struct registry_entry entry;
    struct served_model *model = NULL;
    struct promotion_trial trial;
    char path[REGISTRY_PATH_SIZE];
    enum status st = registry_get_hash(r->registry, &entry, hash, c->err);
    if (st == ST_OK && entry.kind != kind)
        st = err_set(c->err, ST_CORRUPT, "model #%lld is of kind %s, not %s", (long long)entry.id,
                     model_kind_text(entry.kind), model_kind_text(kind));
    if (st != ST_OK) return err_wrap(c->err, st, "on record as trained");
    /* One without skill, or not made at this close, is never asked: its file may be gone. */
    bool tried = entry.has_skill && entry.added_ns == c->in->close_ns;
    if (tried && entry.removed_ns == 0) {
        st = registry_path(r->registry, path, &entry, c->err);
        if (st == ST_OK) st = retrain_load(&model, r, kind, path, c->err);
        if (st != ST_OK) return err_wrap(c->err, st, "on record as trained");
    }
    const struct promotion_seat *seat = &r->state->seat[kind];
    struct promotion_seat probe = *seat;
    bool admitted =
        tried && promotion_seat_admit(&probe, NULL, hash, true, c->in->close_ns) == PROMOTION_PASS;
    if (admitted && !model)
        return err_set(
            c->err, ST_NOT_FOUND,
            "the file of model #%lld was removed when its trial was over: recover from a "
            "newer snapshot",
            (long long)entry.id);
    bool holds = admitted && trial_holds(c, kind);
    if (holds) st = trial_again(&trial, c, kind, hash, model);
    if (st != ST_OK) {
        if (model) r->hooks->destroy(model);
        return st;
    }
    kind_end(c, kind, true);
    retrain_change_put(c, retrain_recorded(c));
    return retrain_admit(c, kind, &entry, model, holds ? &trial : NULL);
}

/* A training's end is taken as it is on record. True: there was one. */
static enum status take_recorded(bool *out, struct close *c) {
    const struct model_changed *want = retrain_recorded(c);
    const struct retrain_round *round = &c->r->state->round;
    *out = false;
    if (!want) return ST_OK;
    bool trained = strcmp(want->change, "trained") == 0,
         failed = strcmp(want->change, "failed") == 0;
    if (!trained && !failed) return ST_OK;
    if (want->model >= MODEL_COUNT || !(round->pending >> want->model & 1) ||
        want->trigger != round->trigger[want->model])
        return err_set(c->err, ST_CORRUPT, "on record: %s of a training that was never begun",
                       want->change);
    enum model_kind kind = (enum model_kind)want->model;
    enum status st;
    if (trained) {
        st = succeed_recorded(c, kind, want->hash);
    } else {
        kind_end(c, kind, false);
        retrain_change_put(c, want);
        st = ST_OK;
    }
    *out = true;
    return st == ST_OK ? retrain_settle(c, kind) : st;
}

static enum status take_all_recorded(struct close *c) {
    bool more = true;
    enum status st = ST_OK;
    while (more && st == ST_OK) st = take_recorded(&more, c);
    return st;
}

/* ---- results of this process ---- */

enum status retrain_results(struct close *c) {
    struct retrain *r = c->r;
    const struct retrain_round *round = &r->state->round;
    enum status st = take_all_recorded(c);
    if (c->in->recovering || c->in->recorded_count > 0) return st;
    uint32_t finished = r->trainer ? trainer_finished(r->trainer) : 0;
    bool is_lost = round->pending && !(r->trainer && trainer_is_busy(r->trainer));
    for (uint32_t k = 0; k < MODEL_COUNT && st == ST_OK; k++) {
        enum model_kind kind = (enum model_kind)k;
        if (!(round->pending >> k & 1)) continue;
        if (is_lost)
            st = fail(c, kind, "restart");
        else if (finished >> k & 1)
            st = take(c, kind, trainer_take(r->trainer, kind));
    }
    return st;
}

/* ---- beginning ---- */

static bool hand_on_record(const struct close *c) {
    for (uint32_t i = c->out->count; i < c->in->recorded_count; i++)
        if (c->in->recorded[i].trigger == PROMOTION_HAND &&
            strcmp(c->in->recorded[i].change, "training") == 0)
            return true;
    return false;
}

/* Bits of the kinds to be trained now; their triggers. */
static uint32_t due(struct close *c, uint32_t triggers[MODEL_COUNT]) {
    struct retrain *r = c->r;
    bool by_hand = c->in->recovering ? hand_on_record(c) : c->in->by_hand || hand_on_record(c);
    uint32_t kinds = 0;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        if (!(r->config.kinds >> k & 1)) continue;
        triggers[k] = (uint32_t)promotion_schedule_due(&r->state->schedule[k], &r->config.schedule,
                                                       c->in->close_ns);
        if (triggers[k] == PROMOTION_NOT_DUE && by_hand) triggers[k] = PROMOTION_HAND;
        if (triggers[k] != PROMOTION_NOT_DUE) kinds |= 1U << k;
    }
    return kinds;
}

static enum status begin_kind(struct close *c, enum model_kind kind, uint32_t trigger) {
    struct retrain_state *s = c->r->state;
    struct model_changed change = retrain_change(c, kind, "training", trigger_text(trigger), 0);
    change.trigger = trigger;
    enum status st = retrain_change_check(c, &change);
    if (st != ST_OK) return st;
    if (trigger == PROMOTION_HAND)
        promotion_schedule_begin_by_hand(&s->schedule[kind], c->in->close_ns);
    else
        promotion_schedule_begin(&s->schedule[kind], &c->r->config.schedule, c->in->close_ns);
    s->round.trigger[kind] = trigger;
    s->round.against[kind] = s->seat[kind].served;
    retrain_change_put(c, &change);
    return ST_OK;
}

/* The pending kinds of the round that begins now. */
static void order_make(struct retrain *r) {
    const struct retrain_round *round = &r->state->round;
    memset(&r->order, 0, sizeof r->order);
    r->order.to_ns = round->begun_ns;
    r->order.kinds = round->pending;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        r->order.against[k] = round->against[k];
        memcpy(r->order.served_path[k], r->slot[k][ROLE_SERVED].path,
               sizeof r->order.served_path[k]);
    }
}

static void run_all_here(struct retrain *r) {
    const struct training_cancel cancel = {.stop = r->config.stop};
    training_run_all(r->training, r, &r->order, &cancel, NULL, NULL);
}

/* No candles: what every kind's training fails with. */
static void fail_all(struct retrain *r, enum status st, const struct err *err) {
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        if (r->order.kinds >> k & 1) r->training[k] = (struct training){.st = st, .err = *err};
}

static enum status take_all(struct close *c) {
    struct retrain *r = c->r;
    enum status st = ST_OK;
    for (uint32_t k = 0; k < MODEL_COUNT && st == ST_OK; k++)
        if (r->order.kinds >> k & 1) st = take(c, (enum model_kind)k, &r->training[k]);
    return st;
}

static enum status round_run(struct close *c) {
    struct retrain *r = c->r;
    const struct retrain_source *source = &r->config.source;
    struct err err = {0};
    order_make(r);
    enum status st = source->prepare ? source->prepare(source->context, &err) : ST_OK;
    if (st != ST_OK) {
        fail_all(r, st, &err);
        return take_all(c);
    }
    if (r->config.threaded) {
        if (!r->trainer) st = trainer_create(&r->trainer, r, c->err);
        if (st == ST_OK) trainer_start(r->trainer, &r->order);
        return st;
    }
    run_all_here(r);
    /* Nothing of it is told: as if it had not been begun. */
    if (r->config.stop && *r->config.stop)
        return err_set(c->err, ST_INTERRUPTED, "stopped during a training");
    return take_all(c);
}

enum status retrain_begin(struct close *c) {
    struct retrain_state *s = c->r->state;
    uint32_t triggers[MODEL_COUNT];
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        if (c->in->drift[k] && (c->r->config.kinds >> k & 1))
            promotion_schedule_drift(&s->schedule[k]);
    if (s->round.pending) return ST_OK;
    uint32_t kinds = due(c, triggers);
    if (kinds == 0) return ST_OK;
    s->rounds++;
    memset(&s->round, 0, sizeof s->round);
    s->round.begun_ns = c->in->close_ns;
    s->round.kinds = kinds;
    enum status st = ST_OK;
    for (uint32_t k = 0; k < MODEL_COUNT && st == ST_OK; k++)
        if (kinds >> k & 1) st = begin_kind(c, (enum model_kind)k, triggers[k]);
    if (st != ST_OK) return st;
    s->round.pending = kinds;
    st = take_all_recorded(c);
    if (st != ST_OK || c->in->recovering || s->round.pending == 0) return st;
    return round_run(c);
}
