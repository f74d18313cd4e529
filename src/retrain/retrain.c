/* Handle, models, view. */
#include "retrain/retrain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/tstamp.h"
#include "feature/feature.h"
#include "retrain/retrain_internal.h"
#include "store/fs.h"

const struct retrain_hooks retrain_hooks_learn = {
    .train = learn_train,
    .load = served_model_load,
    .destroy = served_model_destroy,
    .vote = served_model_vote,
    .reads_history = served_model_reads_history,
    .hash = served_model_hash,
    .interval_ns = served_model_interval_ns,
    .data_end_ns = served_model_data_end_ns,
    .kind = served_model_kind,
    .labels = served_model_labels,
    .report = served_model_report,
};

struct retrain_config retrain_config_defaults(int64_t interval_ns,
                                              const struct label_spec *labels) {
    struct learn_config learn = learn_config_defaults();
    struct retrain_config c = {.interval_ns = interval_ns,
                               .labels = *labels,
                               .kinds = (1U << MODEL_COUNT) - 1,
                               .window_ns = 365 * NS_PER_DAY,
                               .window_warm_ns = 100 * NS_PER_DAY,
                               .valid_share = learn.valid_share,
                               .test_share = learn.test_share,
                               .embargo_bars = learn.embargo_bars,
                               .rows_max = learn.rows_max,
                               .threads = 1,
                               .trial_rows_max = 60000,
                               .seed = learn.seed,
                               .warm_networks = true,
                               .schedule = promotion_schedule_config_defaults(),
                               .promotion = promotion_config_defaults()};
    c.promotion.horizon_bars = labels->horizon_bars;
    c.promotion.horizon_ns = (int64_t)labels->horizon_bars * interval_ns;
    c.promotion.cost_side = labels->cost_round_trip / 2;
    return c;
}

static enum status config_check(const struct retrain_config *c, struct err *err) {
    const char *fault = NULL;
    bool shares = c->valid_share > 0 && c->test_share > 0 && c->valid_share + c->test_share < 1;
    if (!c->registry_dir || !c->work_dir || !c->source.open || !c->source.close)
        fault = "registry_dir, work_dir and source are needed";
    else if (c->interval_ns <= 0 || c->labels.horizon_bars == 0)
        fault = "interval_ns and labels.horizon_bars must be positive";
    else if (c->promotion.horizon_bars != c->labels.horizon_bars ||
             c->promotion.horizon_ns != (int64_t)c->labels.horizon_bars * c->interval_ns)
        fault = "promotion.horizon is not that of the labels";
    else if (c->kinds == 0 || c->kinds >> MODEL_COUNT != 0)
        fault = "kinds: bits of the four models";
    else if (c->symbol_count == 0 || c->symbol_count > INSTRUMENTS_MAX)
        fault = "symbol_count out of 1..INSTRUMENTS_MAX";
    else if (c->window_ns < c->interval_ns || c->window_warm_ns < c->interval_ns)
        fault = "window_ns, window_warm_ns: less than a bar";
    else if (!shares)
        fault = "valid_share, test_share: positive, and something must be left to train on";
    else if (c->schedule.period_ns <= 0 || c->schedule.backoff_periods_max < 1)
        fault = "schedule: period_ns, backoff_periods_max must be positive";
    return fault ? err_set(err, ST_INVALID, "retraining: %s", fault) : ST_OK;
}

/* Of everything that steers what is decided. */
static uint64_t config_hash(const struct retrain_config *c) {
    const int64_t whole[] = {c->interval_ns,
                             c->labels.horizon_bars,
                             c->kinds,
                             c->symbol_count,
                             c->window_ns,
                             c->window_warm_ns,
                             c->embargo_bars,
                             c->epochs,
                             c->rows_max,
                             c->trial_rows_max,
                             (int64_t)c->seed,
                             c->warm_networks,
                             c->schedule.period_ns,
                             c->schedule.drift_gap_ns,
                             c->schedule.backoff_periods_max,
                             c->promotion.pairs_min,
                             c->promotion.bars_min,
                             c->promotion.samples_min,
                             c->promotion.shadow_min,
                             c->promotion.shadow_ns_max,
                             (int64_t)feature_list_hash()};
    const double real[] = {c->labels.barrier_atr,
                           c->labels.barrier_cost_multiple,
                           c->labels.cost_round_trip,
                           c->valid_share,
                           c->test_share,
                           c->promotion.improvement,
                           c->promotion.alpha,
                           c->promotion.watch_length,
                           c->promotion.cost_side};
    return hash_chain(hash64(whole, sizeof whole), real, sizeof real);
}

/* ---- models ---- */

void retrain_slot_clear(struct retrain *r, enum model_kind kind, enum retrain_role role) {
    struct retrain_model_slot *slot = &r->slot[kind][role];
    if (slot->model) r->hooks->destroy(slot->model);
    memset(slot, 0, sizeof *slot);
}

enum status retrain_load(struct served_model **out, const struct retrain *r, enum model_kind kind,
                         const char *path, struct err *err) {
    const struct retrain_hooks *h = r->hooks;
    struct served_model *m = NULL;
    *out = NULL;
    enum status st = h->load(&m, path, err);
    if (st != ST_OK) return st;
    if (h->kind(m) != kind)
        st = err_set(err, ST_MISMATCH, "%.300s is a model of kind %s, not %s", path,
                     model_kind_text(h->kind(m)), model_kind_text(kind));
    else if (h->interval_ns(m) != r->config.interval_ns)
        st = err_set(err, ST_MISMATCH, "%.300s was trained on bars of %lld s, these have %lld s",
                     path, (long long)(h->interval_ns(m) / NS_PER_SECOND),
                     (long long)(r->config.interval_ns / NS_PER_SECOND));
    else if (!label_spec_equal(h->labels(m), &r->config.labels))
        st = err_set(err, ST_MISMATCH, "%.300s was trained on other labels", path);
    if (st != ST_OK) {
        h->destroy(m);
        return st;
    }
    *out = m;
    return ST_OK;
}

enum status retrain_slot_load(struct retrain *r, enum model_kind kind, enum retrain_role role,
                              uint64_t hash, struct err *err) {
    struct registry_entry entry;
    struct retrain_model_slot slot = {0};
    retrain_slot_clear(r, kind, role);
    if (hash == 0) return ST_OK;
    enum status st = registry_get_hash(r->registry, &entry, hash, err);
    if (st == ST_OK && entry.removed_ns != 0)
        st = err_set(err, ST_NOT_FOUND, "the file of model #%lld was removed", (long long)entry.id);
    if (st == ST_OK) st = registry_path(r->registry, slot.path, &entry, err);
    if (st == ST_OK) st = retrain_load(&slot.model, r, kind, slot.path, err);
    if (st == ST_OK && r->hooks->hash(slot.model) != hash) {
        r->hooks->destroy(slot.model);
        st = err_set(err, ST_CORRUPT, "%.300s is not what its name says", slot.path);
    }
    if (st == ST_OK) r->slot[kind][role] = slot;
    return st;
}

struct served_model *retrain_model(struct retrain *r, enum model_kind kind) {
    return r->slot[kind][ROLE_SERVED].model;
}

const char *retrain_model_path(const struct retrain *r, enum model_kind kind) {
    return r->slot[kind][ROLE_SERVED].path;
}

double retrain_expected(const struct model_vote *vote) {
    bool answered = vote->state == VOTE_PRESENT || vote->state == VOTE_NO_SKILL;
    return answered ? (vote->p[LABEL_BUY] - vote->p[LABEL_SELL]) * vote->move : (double)NAN;
}

/* ---- who serves first ---- */

/* A file given on the command line. One that was more than a candidate has a history there, and keeps it. */
static enum status install(struct retrain *r, enum model_kind kind, const char *path,
                           int64_t now_ns, struct err *err) {
    struct served_model *m = NULL;
    struct registry_entry entry;
    const struct registry_change change = {RETRAIN_ACTOR, "given at the start", NULL, now_ns};
    enum status st = retrain_load(&m, r, kind, path, err);
    if (st != ST_OK) return st;
    st = registry_get_hash(r->registry, &entry, r->hooks->hash(m), err);
    if (st == ST_NOT_FOUND) {
        const struct registry_card card = {.kind = kind,
                                           .interval_ns = r->config.interval_ns,
                                           .data_end_ns = r->hooks->data_end_ns(m),
                                           .report = r->hooks->report(m),
                                           .labels = &r->config.labels,
                                           .trigger = "hand"};
        st = registry_add(r->registry, &entry, path, &card, &change, err);
    }
    if (st == ST_OK && entry.state == PROMOTION_CANDIDATE)
        st = registry_promote(r->registry, entry.id, PROMOTION_INSTALL, &change, err);
    r->hooks->destroy(m);
    return st;
}

struct holders {
    enum model_kind kind;
    int64_t now_ns;
    int64_t served, before; /* ids; 0 nobody */
};

/* Who holds the seat as of now_ns. What a retrainer did later is not known yet: the record it stands in is about to be
 * executed again. */
static bool note_holder(void *context, const struct registry_audit_row *row) {
    struct holders *h = context;
    if (row->kind != h->kind) return true;
    if (row->ts_ns > h->now_ns && strcmp(row->actor, RETRAIN_ACTOR) == 0) return true;
    bool takes = strcmp(row->event, "promote") == 0 || strcmp(row->event, "install") == 0;
    bool returns = strcmp(row->event, "restore") == 0;
    bool leaves = strcmp(row->event, "demote") == 0 || strcmp(row->event, "roll_back") == 0;
    if (takes || (returns && h->served)) {
        h->before = h->served;
        h->served = row->model;
    } else if (returns) { /* behind the one that left */
        h->served = row->model;
        h->before = 0;
    } else if (leaves) {
        h->served = h->before = 0;
    }
    return true;
}

/* A predecessor that cannot be had is none: the watch then holds persistence against who serves. */
static uint64_t predecessor_load(struct retrain *r, enum model_kind kind, int64_t id) {
    struct registry_entry entry;
    struct err err = {0};
    if (id == 0) return 0;
    enum status st = registry_get(r->registry, &entry, id, &err);
    if (st == ST_OK) st = retrain_slot_load(r, kind, ROLE_PREDECESSOR, entry.hash, &err);
    if (st == ST_OK) return entry.hash;
    char text[ERR_TEXT_SIZE];
    log_warn("retrain", "no predecessor", "kind=%s model=%lld error=%s", model_kind_text(kind),
             (long long)id, log_quote(text, sizeof text, err.text));
    return 0;
}

static enum status seat_start(struct retrain *r, enum model_kind kind, int64_t now_ns,
                              struct err *err) {
    struct registry_entry entry = {0};
    struct holders h = {.kind = kind, .now_ns = now_ns};
    enum status st = registry_audit(r->registry, 0, 0, note_holder, &h, err);
    if (st == ST_OK && h.served) st = registry_get(r->registry, &entry, h.served, err);
    if (st != ST_OK) return st;
    st = retrain_slot_load(r, kind, ROLE_SERVED, entry.hash, err);
    if (st != ST_OK)
        return err_wrap(err, st, "model #%lld, which serves as %s", (long long)entry.id,
                        model_kind_text(kind));
    promotion_seat_init(&r->state->seat[kind], entry.hash, predecessor_load(r, kind, h.before),
                        now_ns);
    return ST_OK;
}

/* ---- handle ---- */

static enum status blocks_create(struct retrain *r, struct err *err) {
    const struct retrain_config *c = &r->config;
    size_t forecasts = (size_t)c->symbol_count * c->labels.horizon_bars;
    size_t size =
        sizeof *r->state + c->symbol_count * sizeof *r->symbols + forecasts * sizeof *r->forecasts;
    r->state = calloc(1, size);
    r->answers = calloc(c->symbol_count, sizeof *r->answers);
    if (!r->state || !r->answers)
        return err_set(err, ST_NO_MEMORY, "retraining: %zu bytes of state", size);
    r->symbols = (struct retrain_symbol *)(void *)(r->state + 1);
    r->forecasts = (struct retrain_forecast *)(void *)(r->symbols + c->symbol_count);
    r->state->magic = RETRAIN_MAGIC;
    r->state->version = RETRAIN_VERSION;
    r->state->symbol_count = c->symbol_count;
    r->state->size_bytes = size;
    r->state->config_hash = config_hash(c);
    r->state->close_ns = INT64_MIN;
    for (uint32_t i = 0; i < c->symbol_count; i++) r->symbols[i].close_ns = INT64_MIN;
    for (size_t i = 0; i < forecasts; i++) r->forecasts[i].decision_ns = INT64_MIN;
    return ST_OK;
}

enum status retrain_create_with(struct retrain **out, const struct retrain_config *config,
                                const struct retrain_hooks *hooks, const char *const *paths,
                                int64_t now_ns, struct err *err) {
    *out = NULL;
    enum status st = config_check(config, err);
    if (st != ST_OK) return st;
    struct retrain *r = calloc(1, sizeof *r);
    if (!r) return err_set(err, ST_NO_MEMORY, "retraining");
    r->config = *config;
    r->hooks = hooks;
    r->generation = -1;
    st = blocks_create(r, err);
    if (st == ST_OK) st = fs_make_dirs(config->work_dir, err);
    if (st == ST_OK) st = registry_open(&r->registry, config->registry_dir, false, err);
    for (uint32_t k = 0; k < MODEL_COUNT && st == ST_OK; k++) {
        bool kept = config->kinds >> k & 1;
        if (kept && paths && paths[k]) st = install(r, (enum model_kind)k, paths[k], now_ns, err);
        if (st != ST_OK) break;
        if (kept)
            st = seat_start(r, (enum model_kind)k, now_ns, err);
        else
            promotion_seat_init(&r->state->seat[k], 0, 0, now_ns);
    }
    if (st == ST_OK)
        *out = r;
    else
        retrain_destroy(r);
    return st;
}

enum status retrain_create(struct retrain **out, const struct retrain_config *config,
                           const char *const *paths, int64_t now_ns, struct err *err) {
    return retrain_create_with(out, config, &retrain_hooks_learn, paths, now_ns, err);
}

void retrain_destroy(struct retrain *r) {
    if (!r) return;
    trainer_destroy(r->trainer);
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        training_drop(&r->training[k], r);
        for (int role = 0; role < ROLE_COUNT; role++)
            retrain_slot_clear(r, (enum model_kind)k, (enum retrain_role)role);
    }
    registry_close(r->registry);
    free(r->answers);
    free(r->state);
    free(r);
}

/* ---- what a record needs ---- */

enum status retrain_has_file(bool *out, const struct retrain *r, uint64_t hash, struct err *err) {
    struct registry_entry entry;
    enum status st = registry_get_hash(r->registry, &entry, hash, err);
    *out = st == ST_OK && entry.removed_ns == 0;
    return st;
}

bool retrain_is_turned_away(const struct model_changed *change) {
    static const enum promotion_reason reasons[] = {PROMOTION_NO_SKILL, PROMOTION_SAME_MODEL,
                                                    PROMOTION_BUSY};
    if (strcmp(change->change, "rejected") != 0) return false;
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (strcmp(change->reason, promotion_reason_text(reasons[i])) == 0) return true;
    return false;
}

/* ---- view ---- */

void retrain_view(struct view_retrain *out, const struct retrain *r) {
    const struct retrain_state *s = r->state;
    memset(out, 0, sizeof *out);
    out->enabled = 1;
    out->period_ns = r->config.schedule.period_ns;
    out->last_ns = INT64_MIN;
    out->next_ns = INT64_MAX;
    out->runs = s->rounds;
    out->succeeded = s->rounds_succeeded;
    out->failed = s->rounds_failed;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        const struct promotion_schedule *schedule = &s->schedule[k];
        out->seats[k] = s->seat[k];
        out->verdicts[k] = s->verdict[k];
        if (!(r->config.kinds >> k & 1)) continue;
        if (s->round.pending && s->round.trigger[k] > out->running)
            out->running = s->round.trigger[k];
        if (schedule->last_retrain_ns > out->last_ns) out->last_ns = schedule->last_retrain_ns;
        if (schedule->next_ns < out->next_ns) out->next_ns = schedule->next_ns;
        if (schedule->missed > out->missed) out->missed = schedule->missed;
    }
}
