/* Which models serve: those the run was given, or, with a retrainer, whoever has the seats now. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backtest/session_internal.h"
#include "base/tstamp.h"
#include "feature/feature.h"

struct served_model *session_model(const struct session *s, enum model_kind kind) {
    return s->o.retrain ? retrain_model(s->o.retrain, kind) : s->o.models[kind];
}

void session_view_model(struct view_model *v, const struct served_model *m, const char *path) {
    const struct learn_report *l = served_model_report(m);
    *v = (struct view_model){.kind = served_model_kind(m),
                             .loaded = 1,
                             .has_skill = l->has_skill,
                             .state = l->has_skill ? VOTE_PRESENT : VOTE_NO_SKILL,
                             .hash = served_model_hash(m),
                             .train_from_ns = l->train_from_ns,
                             .train_to_ns = l->train_to_ns,
                             .data_end_ns = served_model_data_end_ns(m),
                             .logloss_test = l->logloss_test,
                             .logloss_prior = l->logloss_prior,
                             .skill_t = l->skill_t,
                             .side_t = l->side_t,
                             .balanced_accuracy = l->balanced_accuracy,
                             .ece = l->ece,
                             .rounds = l->rounds,
                             .weights = served_model_weights(m),
                             .mse_path = l->mse_path,
                             .mse_persistence = l->mse_persistence,
                             .mse_dlinear = l->mse_dlinear};
    struct stat sb;
    if (stat(path, &sb) == 0) v->trained_wall_ns = (int64_t)sb.st_mtime * NS_PER_SECOND;
    const char *base = strrchr(path, '/');
    snprintf(v->path, sizeof v->path, "%.159s", base ? base + 1 : path);
    /* A name cut off would be another file's. */
    if (strlen(path) < sizeof v->file) memcpy(v->file, path, strlen(path) + 1);
    snprintf(v->params, sizeof v->params, "%s", l->params);
}

/* ---- seats ---- */

static void show(struct session *s, enum model_kind kind) {
    struct served_model *m = session_model(s, kind);
    struct view_model *v = &s->view_models[kind];
    if (s->o.retrain && m)
        session_view_model(v, m, retrain_model_path(s->o.retrain, kind));
    else if (!m)
        memset(v, 0, sizeof *v);
    else if (s->o.view_models)
        *v = s->o.view_models[kind];
    v->kind = kind;
}

/* To the engine: what the file says of its own tests is what the model is held against. */
static void seat(struct session *s, enum model_kind kind, int64_t now_ns) {
    struct served_model *m = session_model(s, kind);
    struct engine_model seated = {0};
    if (m) {
        const struct served_evidence *evidence = served_model_evidence(m);
        seated = (struct engine_model){.test = evidence->test,
                                       .inputs = evidence->inputs,
                                       .importance = evidence->importance,
                                       .features = evidence->features};
    }
    s->out.count = 0;
    s->failed = kernel_model(s->kernel, &s->out, kind, m ? &seated : NULL, now_ns, s->err);
    if (s->failed == ST_OK) session_handle(s, &s->out);
}

void session_seats_start(struct session *s, int64_t close) {
    for (uint32_t k = 0; k < MODEL_COUNT && s->failed == ST_OK; k++)
        if (session_model(s, (enum model_kind)k)) seat(s, (enum model_kind)k, close);
}

void session_seats_show(struct session *s) {
    for (uint32_t k = 0; k < MODEL_COUNT; k++) show(s, (enum model_kind)k);
}

/* ---- a close ---- */

/* The changes that stand in the journal for this close, taken from it. */
static uint32_t take_recorded(struct session *s, struct model_changed *out, int64_t close) {
    uint32_t count = 0;
    session_mark_take(s, close);
    while (count < RETRAIN_CHANGES_MAX) {
        const struct journal_record *r = session_peek(s);
        if (!r || r->type != EVENT_MODEL_CHANGED || r->size != sizeof *out) break;
        memcpy(&out[count], r->payload, sizeof *out);
        if (out[count].ts != close) break;
        session_take(s);
        count++;
    }
    return count;
}

/* A model that is wanted is asked for once. */
static void fill_drift(struct session *s, struct retrain_close *in) {
    const struct engine *e = kernel_engine(s->kernel);
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        bool wants = e->seated[k] && e->supervisor[k].want_retrain;
        in->drift[k] = wants && !(s->state->drift_told >> k & 1);
        s->state->drift_told = (s->state->drift_told & ~(1u << k)) | (wants ? 1u : 0u) << k;
    }
}

static int by_instrument(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* A live step's symbols stand as their candles came, and one may stand twice: the retrainer wants them in the
 * order of the instruments, the newest bar of each. */
void session_retrain_show(struct session *s, const uint32_t *stepped, uint32_t count,
                          int64_t close) {
    struct session_sorted *o = s->sorted;
    if (!o) return;
    uint32_t n = 0, kept = 0;
    uint32_t(*order)[2] = o->order;
    for (uint32_t j = 0; j < count; j++)
        if (s->closes_ns[j] == close) {
            order[n][0] = stepped[j];
            order[n++][1] = j;
        }
    qsort(order, n, sizeof *order, by_instrument);
    for (uint32_t j = 0; j < n; j++) {
        if (kept > 0 && o->stepped[kept - 1] == order[j][0]) continue;
        uint32_t from = order[j][1];
        o->stepped[kept] = order[j][0];
        o->closes[kept] = s->close_px[from];
        o->histories[kept] = s->histories ? s->asked[from] : NULL;
        memcpy(o->rows + (size_t)kept * feature_count(), s->rows + (size_t)from * feature_count(),
               sizeof *o->rows * feature_count());
        memcpy(o->votes + (size_t)kept * MODEL_COUNT, s->votes + (size_t)from * MODEL_COUNT,
               sizeof *o->votes * MODEL_COUNT);
        kept++;
    }
    o->count = kept;
}

static void record_changes(struct session *s, const struct retrain_changes *changes,
                           uint32_t recorded) {
    for (uint32_t i = recorded; i < changes->count && s->failed == ST_OK; i++) {
        struct event e;
        event_init(&e, EVENT_MODEL_CHANGED, changes->items[i].ts);
        e.u.model_changed = changes->items[i];
        session_record(s, &e);
        session_publish(s, &e);
    }
}

void session_retrain(struct session *s, int64_t close) {
    s->reseated = 0;
    if (!s->o.retrain || close <= s->state->retrained_ns) return;
    uint64_t before[MODEL_COUNT];
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        struct served_model *m = session_model(s, (enum model_kind)k);
        before[k] = m ? served_model_hash(m) : 0;
    }
    struct session_sorted *o = s->sorted;
    struct retrain_close in = {
        .close_ns = close,
        .stepped = o->stepped,
        .count = o->count,
        .stride = feature_count(),
        .rows = o->rows,
        .histories = s->histories ? o->histories : NULL,
        .votes = o->votes,
        .closes = o->closes,
        .by_hand = s->o.retrain_request && atomic_exchange(s->o.retrain_request, 0),
    };
    fill_drift(s, &in);
    in.recorded_count = s->reader ? take_recorded(s, o->recorded, close) : 0;
    in.recorded = o->recorded;
    in.recovering = session_peek(s) != NULL;
    /* A verification ends with its record: what more there was at this close nobody can say. */
    if (s->o.verify && !in.recovering) return;
    if (s->failed == ST_OK) s->failed = retrain_close(s->o.retrain, &o->changes, &in, s->err);
    s->state->retrained_ns = close;
    if (s->failed != ST_OK) return;
    record_changes(s, &o->changes, in.recorded_count);
    /* Models asked in shadow are asked again when a journal is executed again: not more often than need be. */
    for (uint32_t i = 0; i < o->changes.count; i++)
        if (strcmp(o->changes.items[i].change, "trained") == 0)
            s->state->bars_since_snapshot = SESSION_SNAPSHOT_BARS;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        struct served_model *m = session_model(s, (enum model_kind)k);
        if ((m ? served_model_hash(m) : 0) != before[k]) s->reseated |= 1u << k;
    }
}

void session_reseat(struct session *s, int64_t close) {
    for (uint32_t k = 0; k < MODEL_COUNT && s->failed == ST_OK; k++) {
        if (!(s->reseated >> k & 1)) continue;
        seat(s, (enum model_kind)k, close);
        s->state->drift_told &= ~(1u << k);
        show(s, (enum model_kind)k);
    }
    s->reseated = 0;
}
