/* The voters are asked, one after the other; their answers are on record, and a restart takes them from there. */
#include <math.h>
#include <string.h>

#include "backtest/session_internal.h"
#include "base/hash.h"
#include "base/tstamp.h"
#include "feature/feature.h"

uint64_t session_models_hash(const struct session_options *o) {
    uint64_t hash = 0;
    if (o->retrain_hash) return o->retrain_hash;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        if (!o->models[k]) continue;
        const uint64_t words[] = {k, served_model_hash(o->models[k])};
        hash = hash_chain(hash, words, sizeof words);
    }
    return hash;
}

uint64_t session_answers(const struct session *s) {
    uint64_t sum = 0;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) sum += s->predict_rows[k];
    return sum;
}

double session_distance(const struct session *s) {
    return s->state->compared ? s->state->distance_sum / (double)s->state->compared : (double)NAN;
}

/* A model's answers for the stepped symbols: from the journal where they are on record. */
static uint32_t votes_from_journal(struct session *s, enum model_kind kind, const uint32_t *stepped,
                                   uint32_t count, int64_t close) {
    uint32_t got = 0;
    while (got < count) {
        if (got == 0) session_mark_take(s, close);
        const struct journal_record *r = session_peek(s);
        struct model_answered a;
        if (!r || r->type != EVENT_MODEL_ANSWERED || r->size != sizeof a) break;
        memcpy(&a, r->payload, sizeof a);
        if (a.ts != close || a.instrument_index != stepped[got] || a.model != kind) break;
        s->answers[got] = (struct model_vote){
            .state = a.state, .p = {a.p_sell, a.p_hold, a.p_buy}, .move = a.move};
        s->state->answer_hash = hash_chain(s->state->answer_hash, &a, sizeof a);
        session_take(s);
        got++;
    }
    return got;
}

static void record_answer(struct session *s, enum model_kind kind, uint32_t instrument,
                          int64_t close, const struct model_vote *v, float atr) {
    struct event e;
    event_init(&e, EVENT_MODEL_ANSWERED, close);
    struct model_answered *a = &e.u.model_answered;
    *a = (struct model_answered){.ts = close,
                                 .instrument_index = instrument,
                                 .model = kind,
                                 .state = v->state,
                                 .p_sell = v->p[0],
                                 .p_hold = v->p[1],
                                 .p_buy = v->p[2],
                                 .move = v->move,
                                 .atr = (double)atr};
    s->state->answer_hash = hash_chain(s->state->answer_hash, a, sizeof *a);
    session_record(s, &e);
}

static void ask(struct session *s, enum model_kind kind, const uint32_t *stepped, uint32_t count,
                int64_t close) {
    uint32_t known = s->reader ? votes_from_journal(s, kind, stepped, count, close) : 0;
    if (known < count && s->failed == ST_OK) {
        int64_t begin = tstamp_monotonic_ns();
        const struct net_history *const *histories = s->histories ? s->asked + known : NULL;
        enum status st = served_model_vote(s->answers + known, session_model(s, kind),
                                           s->rows + (size_t)known * feature_count(), histories,
                                           count - known, feature_count(), s->err);
        if (st != ST_OK) s->failed = st;
        hist_add(&s->predict_ns[kind], (tstamp_monotonic_ns() - begin) / (int64_t)(count - known));
        s->predict_rows[kind] += count - known;
        for (uint32_t j = known; j < count; j++)
            record_answer(s, kind, stepped[j], close, &s->answers[j], s->atr[j]);
    }
    for (uint32_t j = 0; j < count; j++) s->votes[(size_t)j * MODEL_COUNT + kind] = s->answers[j];
}

void session_ask(struct session *s, const uint32_t *stepped, uint32_t count, int64_t close) {
    for (uint32_t k = 0; k < MODEL_COUNT && s->failed == ST_OK; k++)
        if (session_model(s, (enum model_kind)k)) ask(s, (enum model_kind)k, stepped, count, close);
    for (uint32_t j = 0; j < count; j++) {
        struct vote_spread spread;
        ensemble_spread(&spread, s->votes + (size_t)j * MODEL_COUNT);
        if (spread.answers < 2) continue;
        s->state->compared++;
        s->state->differing += spread.differ;
        s->state->distance_sum += spread.distance;
    }
}
