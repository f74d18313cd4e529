/* What POST /api/ai/signal says. Numbers are JSON numbers here (the original's contract), prices and
 * money still exact. HOLD is an answer (200), not an error. */
#include "api/api_internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

enum {
    RETRY_SECONDS_DEFAULT = 5, /* when the time to the next bar is not known */
    RETRY_SECONDS_MAX = 3600,
    REASONING_SIZE = 2048,
};

static const struct view_symbol *find(const struct view *v, const char *symbol) {
    for (uint32_t i = 0; i < v->symbol_count; i++)
        if (strcmp(v->symbols[i].symbol, symbol) == 0) return &v->symbols[i];
    return NULL;
}

/* Wall seconds until so many more bars have closed. */
static uint32_t retry_after(const struct view *v, uint32_t bars) {
    if (bars == 0 || v->bar_interval_ns <= 0) return RETRY_SECONDS_DEFAULT;
    double seconds = (double)bars * (double)v->bar_interval_ns / 1e9;
    if (v->speed > 0) seconds /= v->speed;
    if (v->speed <= 0 || seconds < 1) return 1; /* as fast as possible */
    return seconds > RETRY_SECONDS_MAX ? RETRY_SECONDS_MAX : (uint32_t)ceil(seconds);
}

__attribute__((format(printf, 3, 4))) static bool refuse(struct api_refusal *refusal, int code,
                                                         const char *format, ...) {
    refusal->code = code;
    va_list args;
    va_start(args, format);
    vsnprintf(refusal->message, sizeof refusal->message, format, args);
    va_end(args);
    return false;
}

/* Whether there is an answer; 503 carries when to ask again. */
static bool may_answer(struct api_refusal *refusal, const struct view_symbol **out,
                       const char *symbol, const struct api_shot *shot) {
    refusal->retry_after_seconds = RETRY_SECONDS_DEFAULT;
    if (!shot->published) return refuse(refusal, 503, "warming up: nothing published yet");
    const struct view *v = shot->view;
    const struct view_symbol *s = find(v, symbol);
    if (!s) {
        refusal->retry_after_seconds = 0;
        return refuse(refusal, 404, "unknown symbol %s", symbol);
    }
    /* An old signal that looks current is worse than none. */
    int64_t silence_ns = shot->now_wall_ns - v->published_wall_ns;
    if (!v->running) return refuse(refusal, 503, "the run has ended: no current signal");
    if (silence_ns > API_SILENCE_NS_MAX)
        return refuse(refusal, 503, "the engine has been silent for %.1f s",
                      (double)silence_ns / 1e9);
    if (!s->warm || s->signal_ts_ns == 0) {
        refusal->retry_after_seconds = retry_after(v, s->bars_missing ? s->bars_missing : 1);
        if (s->bars_missing)
            return refuse(refusal, 503, "%s is warming up: %u more bars needed", symbol,
                          s->bars_missing);
        return refuse(refusal, 503, "%s is warming up", symbol);
    }
    refusal->retry_after_seconds = 0;
    *out = s;
    return true;
}

/* ---- reasoning: the same numbers, in a sentence ---- */

struct text {
    char data[REASONING_SIZE];
    size_t size;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->data + t->size, sizeof t->data - t->size, format, args);
    va_end(args);
    if (n > 0) t->size += (size_t)n;
    if (t->size >= sizeof t->data) t->size = sizeof t->data - 1;
}

static enum label best_label(const double *p) {
    enum label best = LABEL_SELL;
    for (int i = 1; i < LABEL_COUNT; i++)
        if (p[i] > p[best]) best = (enum label)i;
    return best;
}

static void reason_votes(struct text *t, const struct view_symbol *s) {
    for (int i = 0; i < MODEL_COUNT; i++) {
        const struct model_vote *vote = &s->votes[i];
        const char *name = model_kind_text((enum model_kind)i);
        if (vote->state != VOTE_PRESENT) {
            add(t, "%s: %s. ", name, vote_state_text((enum vote_state)vote->state));
            continue;
        }
        add(t, "%s votes %s (SELL %.3f, HOLD %.3f, BUY %.3f), weight %.3f. ", name,
            label_text(best_label(vote->p)), vote->p[LABEL_SELL], vote->p[LABEL_HOLD],
            vote->p[LABEL_BUY], s->signal.weights[i]);
    }
}

static void put_reasoning(struct json_writer *w, const struct view_symbol *s, bool expired) {
    const struct ensemble_signal *g = &s->signal;
    struct text t = {.size = 0};
    if (s->strategy == STRATEGY_ENSEMBLE) {
        reason_votes(&t, s);
        if (g->voters == 0)
            add(&t, "No voter is present, so the answer is HOLD. ");
        else
            add(&t, "Pooled: SELL %.3f, HOLD %.3f, BUY %.3f; %u of %u voters agree on %s. ",
                g->p[LABEL_SELL], g->p[LABEL_HOLD], g->p[LABEL_BUY], g->consensus, g->voters,
                label_text((enum label)g->action));
    } else {
        add(&t, "Baseline rule %s says %s; the models were not asked. ",
            strategy_text((enum strategy_kind)s->strategy), label_text((enum label)g->action));
    }
    if (g->action != LABEL_HOLD) add(&t, "Expected move before costs: %+.4f %%. ", 100 * g->edge);
    if (expired) add(&t, "The signal has expired, so nothing is proposed any more. ");
    json_write_key(w, "reasoning");
    json_write_string_n(w, t.data, t.size && t.data[t.size - 1] == ' ' ? t.size - 1 : t.size);
}

/* ---- the answer ---- */

static void put_px_number(struct json_writer *w, const char *key, px_t px, bool is_set) {
    json_write_key(w, key);
    if (is_set && px.e8 != 0)
        json_write_e8_number(w, px.e8);
    else
        json_write_null(w);
}

static void put_model_votes(struct json_writer *w, const struct view_symbol *s) {
    json_write_key(w, "model_votes");
    json_write_object_begin(w);
    for (int i = 0; i < MODEL_COUNT; i++) {
        const struct model_vote *vote = &s->votes[i];
        json_write_key(w, model_kind_text((enum model_kind)i));
        json_write_object_begin(w);
        json_write_key(w, "state");
        json_write_string(w, vote_state_text((enum vote_state)vote->state));
        if (vote->state == VOTE_PRESENT) {
            enum label best = best_label(vote->p);
            json_write_key(w, "action");
            json_write_string(w, label_text(best));
            json_write_key(w, "confidence");
            json_write_f64(w, vote->p[best]);
            json_write_key(w, "p");
            json_write_object_begin(w);
            for (int k = 0; k < LABEL_COUNT; k++) {
                json_write_key(w, label_text((enum label)k));
                json_write_f64(w, vote->p[k]);
            }
            json_write_object_end(w);
            json_write_key(w, "expected_move");
            json_write_f64(w, vote->move);
        }
        json_write_object_end(w);
    }
    json_write_object_end(w);
    json_write_key(w, "weights");
    json_write_object_begin(w);
    for (int i = 0; i < MODEL_COUNT; i++) {
        json_write_key(w, model_kind_text((enum model_kind)i));
        json_write_f64(w, s->signal.weights[i]);
    }
    json_write_object_end(w);
}

/* The engine decides on its own closed bars; what else the client sent was checked and not used. */
static void put_ignored(struct json_writer *w, const struct api_signal_request *request,
                        const struct view *v) {
    json_write_key(w, "ignored");
    json_write_array_begin(w);
    if (request->has_price) json_write_string(w, "price");
    if (request->has_volume) json_write_string(w, "volume");
    if (request->has_timeframe && request->timeframe_ns != v->bar_interval_ns)
        json_write_string(w, "timeframe");
    json_write_array_end(w);
}

static void put_context(struct json_writer *w, const struct view_symbol *s, const struct view *v) {
    char id[24];
    snprintf(id, sizeof id, "%llu", (unsigned long long)s->signal_id);
    json_write_key(w, "signal_id");
    json_write_string(w, id);
    json_write_key(w, "timestamp");
    json_write_i64(w, s->signal_ts_ns / NS_PER_MS);
    json_write_key(w, "expires");
    json_write_i64(w, s->signal_expires_ns / NS_PER_MS);
    json_write_key(w, "market_time");
    json_write_i64(w, v->market_ts_ns / NS_PER_MS);
    json_write_key(w, "timeframe");
    if (v->bar_interval_ns > 0) {
        char interval[16];
        json_write_string(w, tstamp_interval_format(interval, v->bar_interval_ns));
    } else {
        json_write_null(w);
    }
    json_write_key(w, "mode");
    json_write_string(w, run_mode_text((enum run_mode)v->mode));
    json_write_key(w, "synthetic");
    json_write_bool(w, v->synthetic != 0);
}

/* A signal past its expiry proposes nothing: the action becomes HOLD, the old one stays visible. */
static void put_decision(struct json_writer *w, const struct view_symbol *s, bool expired) {
    const struct ensemble_signal *g = &s->signal;
    enum label action = expired ? LABEL_HOLD : (enum label)g->action;
    bool entry = action != LABEL_HOLD;
    json_write_key(w, "action");
    json_write_string(w, label_text(action));
    json_write_key(w, "confidence");
    json_write_f64(w, expired ? g->p[LABEL_HOLD] : g->confidence);
    json_write_key(w, "ensemble_confidence");
    json_write_f64(w, g->confidence);
    json_write_key(w, "expired");
    json_write_bool(w, expired);
    if (expired) {
        json_write_key(w, "expired_action");
        json_write_string(w, label_text((enum label)g->action));
    }
    json_write_key(w, "expected_edge");
    json_write_f64(w, entry ? g->edge : 0.0);
    json_write_key(w, "strategy");
    json_write_string(w, strategy_text((enum strategy_kind)s->strategy));
    json_write_key(w, "regime");
    json_write_string(w, "UNKNOWN");
    json_write_key(w, "regime_reason");
    json_write_string(w, "no detector");
    json_write_key(w, "position_size_usd");
    json_write_e8_number(w, entry ? s->position_size.e8 : 0);
    json_write_key(w, "leverage");
    json_write_u64(w, s->leverage);
    put_px_number(w, "stop_loss", s->stop_loss, entry);
    put_px_number(w, "take_profit", s->take_profit, entry);
    put_px_number(w, "last_px", s->last_px, true);
    put_px_number(w, "mark_px", s->mark_px, true);
}

bool api_signal_answer(struct json_writer *w, struct api_refusal *refusal,
                       const struct api_signal_request *request, const struct api_shot *shot) {
    memset(refusal, 0, sizeof *refusal);
    const struct view_symbol *s = NULL;
    if (!may_answer(refusal, &s, request->symbol, shot)) return false;
    ASSERT(s != NULL);
    const struct view *v = shot->view;
    bool expired = s->signal_expires_ns <= v->market_ts_ns;
    json_write_object_begin(w);
    json_write_key(w, "symbol");
    json_write_string(w, s->symbol);
    put_decision(w, s, expired);
    put_context(w, s, v);
    put_model_votes(w, s);
    put_ignored(w, request, v);
    if (request->include_reasoning) put_reasoning(w, s, expired);
    json_write_object_end(w);
    return true;
}
