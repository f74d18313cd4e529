/* What POST /api/ai/signal says. Numbers are JSON numbers here (the original's contract), prices and
 * money still exact. HOLD is an answer (200), not an error. */
#include "api/api_internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/put.h"
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

/* Whether anything can be answered at all; 503 carries when to ask again. */
static bool may_answer_any(struct api_refusal *refusal, const struct api_shot *shot) {
    refusal->retry_after_seconds = RETRY_SECONDS_DEFAULT;
    if (!shot->published) return refuse(refusal, 503, "warming up: nothing published yet");
    /* An old signal that looks current is worse than none. */
    int64_t silence_ns = shot->now_wall_ns - shot->view->published_wall_ns;
    if (!shot->view->running) return refuse(refusal, 503, "the run has ended: no current signal");
    if (silence_ns > API_SILENCE_NS_MAX)
        return refuse(refusal, 503, "the engine has been silent for %.1f s",
                      (double)silence_ns / 1e9);
    refusal->retry_after_seconds = 0;
    return true;
}

/* All the models that would vote have been taken the vote: that is an answer, HOLD, and no warming up. */
static bool is_silenced(const struct view_symbol *s) {
    if (!s->decision.was_decided) return false;
    for (int m = 0; m < MODEL_COUNT; m++) {
        uint32_t state = s->decision.states[m];
        if (state == VOTE_EXCLUDED || state == VOTE_COLLAPSED || state == VOTE_STALE) return true;
    }
    return false;
}

/* The symbol, if it can be answered; else NULL and why not. */
static const struct view_symbol *answerable(struct api_refusal *refusal, const char *symbol,
                                            const struct view *v) {
    const struct view_symbol *s = find(v, symbol);
    if (!s) {
        refuse(refusal, 404, "unknown symbol %s", symbol);
        return NULL;
    }
    if ((s->warm || is_silenced(s)) && s->signal_ts_ns != 0) return s;
    refusal->retry_after_seconds = retry_after(v, s->bars_missing ? s->bars_missing : 1);
    if (s->bars_missing)
        refuse(refusal, 503, "%s is warming up: %u more bars needed", symbol, s->bars_missing);
    else
        refuse(refusal, 503, "%s is warming up", symbol);
    return NULL;
}

enum label api_signal_action(const struct view_symbol *s, const struct view *v) {
    if (s->signal_expires_ns <= v->market_ts_ns) return LABEL_HOLD;
    return (enum label)(s->decision.was_decided ? s->decision.action : s->signal.action);
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

static void reason_votes(struct text *t, const struct view_symbol *s) {
    for (int i = 0; i < MODEL_COUNT; i++) {
        const struct model_vote *vote = &s->votes[i];
        const char *name = model_kind_text((enum model_kind)i);
        if (vote->state != VOTE_PRESENT) {
            add(t, "%s: %s. ", name, vote_state_text((enum vote_state)vote->state));
            continue;
        }
        add(t, "%s votes %s (SELL %.3f, HOLD %.3f, BUY %.3f), weight %.3f. ", name,
            label_text(ensemble_best_label(vote->p)), vote->p[LABEL_SELL], vote->p[LABEL_HOLD],
            vote->p[LABEL_BUY], s->signal.weights[i]);
    }
}

/* Which of a reason's own reasons it was; NULL: it has none. */
static const char *detail_of(const struct view_decision *d) {
    if (d->reason == ENGINE_PORTFOLIO)
        return portfolio_reason_text((enum portfolio_reason)d->portfolio_reason);
    if (d->reason == ENGINE_SIZING) return sizing_reason_text((enum sizing_reason)d->sizing_reason);
    return NULL;
}

static void reason_decision(struct text *t, const struct view_symbol *s) {
    const struct view_decision *d = &s->decision;
    const char *detail = detail_of(d);
    add(t, "Regime %s. ", regime_text((enum regime)d->regime.regime));
    if (d->reason != ENGINE_ALLOW) {
        add(t, "No entry: %s%s%s. ", engine_reason_text((enum engine_reason)d->reason),
            detail ? ", " : "", detail ? detail : "");
        return;
    }
    add(t,
        "Allowed: strategy %s, %.2f %% of equity at %ux; edge %+.4f %% gross, %+.4f %% net of "
        "costs. ",
        strategy_name((enum strategy_id)d->arm), 100 * d->fraction, d->leverage,
        100 * d->edge_gross, 100 * d->edge_net);
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
    if (s->decision.was_decided) reason_decision(&t, s);
    if (g->action != LABEL_HOLD) add(&t, "Expected move before costs: %+.4f %%. ", 100 * g->edge);
    if (expired) add(&t, "The signal has expired, so nothing is proposed any more. ");
    json_write_key(w, "reasoning");
    json_write_string_n(w, t.data, t.size && t.data[t.size - 1] == ' ' ? t.size - 1 : t.size);
}

/* ---- the answer ---- */

/* A model that the supervisor has taken the vote is shown as excluded, with what it would have said. */
static void put_model_votes(struct json_writer *w, const struct view_symbol *s) {
    put_object(w, "model_votes");
    for (int i = 0; i < MODEL_COUNT; i++) {
        const struct model_vote *vote = &s->votes[i];
        uint32_t state = s->decision.was_decided ? s->decision.states[i] : vote->state;
        put_object(w, model_kind_text((enum model_kind)i));
        put_text(w, "state", vote_state_text((enum vote_state)state));
        if (vote->state == VOTE_PRESENT) {
            enum label best = ensemble_best_label(vote->p);
            put_text(w, "action", label_text(best));
            put_f64(w, "confidence", vote->p[best]);
            api_put_probabilities(w, "p", vote->p);
            put_f64(w, "expected_move", vote->move);
        }
        json_write_object_end(w);
    }
    json_write_object_end(w);
    put_object(w, "weights");
    for (int i = 0; i < MODEL_COUNT; i++)
        put_f64(w, model_kind_text((enum model_kind)i), s->signal.weights[i]);
    json_write_object_end(w);
}

/* The engine decides on its own closed bars; what else the client sent was checked and not used. */
static void put_ignored(struct json_writer *w, const struct api_signal_request *request,
                        const struct view *v) {
    put_array(w, "ignored");
    if (request->has_price) json_write_string(w, "price");
    if (request->has_volume) json_write_string(w, "volume");
    if (request->has_timeframe && request->timeframe_ns != v->bar_interval_ns)
        json_write_string(w, "timeframe");
    json_write_array_end(w);
}

static void put_context(struct json_writer *w, const struct view_symbol *s, const struct view *v) {
    put_id(w, "signal_id", s->signal_id);
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
    put_text(w, "mode", run_mode_text((enum run_mode)v->mode));
    put_bool(w, "synthetic", v->synthetic != 0);
}

/* Which files said so, on which columns, of which bar. */
static void put_provenance(struct json_writer *w, const struct view_symbol *s,
                           const struct view *v) {
    put_object(w, "provenance");
    put_hash(w, "feature_hash", feature_list_hash());
    put_ms(w, "bar_time", s->bar_ts_ns);
    put_object(w, "models");
    for (int m = 0; m < MODEL_COUNT; m++) {
        const struct view_model *model = &v->models[m];
        json_write_key(w, model_kind_text((enum model_kind)m));
        if (!model->loaded) {
            json_write_null(w);
            continue;
        }
        json_write_object_begin(w);
        put_hash(w, "hash", model->hash);
        put_ms(w, "data_end", model->data_end_ns);
        json_write_object_end(w);
    }
    json_write_object_end(w);
    json_write_object_end(w);
}

/* ---- what was decided ---- */

static double or_nan(bool is_known, double value) {
    return is_known ? value : (double)NAN;
}

static void put_regime(struct json_writer *w, const struct view_symbol *s, const struct view *v) {
    const struct view_decision *d = &s->decision;
    const struct regime_reading *r = &d->regime;
    if (!d->was_decided) {
        put_text(w, "regime", "unknown");
        put_text(w, "regime_reason", v->has_engine ? "not decided yet" : "a rule trades");
        return;
    }
    put_text(w, "regime", regime_text((enum regime)r->regime));
    put_text(w, "regime_reason", regime_reason_text((enum regime_reason)r->reason));
    put_f64(w, "regime_confidence", r->confidence);
}

static void put_why(struct json_writer *w, const struct view_symbol *s, bool expired) {
    const struct view_decision *d = &s->decision;
    json_write_key(w, "reason");
    if (expired)
        json_write_string(w, "expired");
    else if (d->was_decided)
        json_write_string(w, engine_reason_text((enum engine_reason)d->reason));
    else
        json_write_null(w);
    json_write_key(w, "reason_detail");
    const char *detail = d->was_decided && !expired ? detail_of(d) : NULL;
    if (detail)
        json_write_string(w, detail);
    else
        json_write_null(w);
}

static void put_px_number(struct json_writer *w, const char *key, px_t px, bool is_set) {
    json_write_key(w, key);
    if (is_set && px.e8 != 0)
        json_write_e8_number(w, px.e8);
    else
        json_write_null(w);
}

/* The ladder at the last price; the first step is take_profit. A rule has that one alone. */
static void put_targets(struct json_writer *w, const struct view_symbol *s, enum label action) {
    put_array(w, "targets");
    if (action != LABEL_HOLD && s->decision.was_decided) {
        double sign = action == LABEL_BUY ? 1 : -1, px = px_to_f64(s->last_px);
        for (int i = 0; i < 3; i++)
            json_write_e8_number(w, fx_from_f64(px * (1 + sign * s->decision.take_distance[i])));
    } else if (action != LABEL_HOLD && s->take_profit.e8 != 0) {
        json_write_e8_number(w, s->take_profit.e8);
    }
    json_write_array_end(w);
}

static void put_forecast(struct json_writer *w, const struct view_symbol *s, const struct view *v) {
    const struct view_decision *d = &s->decision;
    bool has_edge = d->was_decided && d->cost > 0;
    put_f64(w, "expected_return", or_nan(d->was_decided, d->expected_return));
    json_write_key(w, "interval");
    if (d->was_decided && d->has_interval) {
        json_write_object_begin(w);
        put_f64(w, "low", d->interval_low);
        put_f64(w, "high", d->interval_high);
        put_f64(w, "nominal", or_nan(v->learned.interval_alpha > 0, 1 - v->learned.interval_alpha));
        json_write_object_end(w);
    } else {
        json_write_null(w);
    }
    put_f64(w, "edge_gross", or_nan(has_edge, d->edge_gross));
    put_f64(w, "cost", or_nan(has_edge, d->cost));
    put_f64(w, "edge_net", or_nan(has_edge, d->edge_net));
    put_f64(w, "edge_error", or_nan(has_edge, d->edge_se));
    put_f64(w, "trust", or_nan(d->was_decided, d->trust));
}

/* A signal past its expiry proposes nothing, and neither does one that the engine kept from an entry: the action is HOLD,
 * what the voters said stays visible. */
static void put_decision(struct json_writer *w, const struct view_symbol *s, const struct view *v) {
    const struct ensemble_signal *g = &s->signal;
    const struct view_decision *d = &s->decision;
    bool expired = s->signal_expires_ns <= v->market_ts_ns;
    enum label action = api_signal_action(s, v);
    bool entry = action != LABEL_HOLD;
    bool overruled = action != (enum label)g->action;
    put_text(w, "action", label_text(action));
    put_f64(w, "confidence", overruled ? g->p[LABEL_HOLD] : g->confidence);
    put_f64(w, "ensemble_confidence", g->confidence);
    put_text(w, "voters_action", label_text((enum label)g->action));
    put_u64(w, "consensus", g->consensus);
    put_u64(w, "voters", g->voters);
    put_bool(w, "expired", expired);
    if (expired)
        put_text(w, "expired_action",
                 label_text((enum label)(d->was_decided ? d->action : g->action)));
    put_why(w, s, expired);
    put_f64(w, "expected_edge", entry ? g->edge : 0.0);
    put_text(w, "strategy", strategy_text((enum strategy_kind)s->strategy));
    json_write_key(w, "meta_strategy");
    if (d->was_decided && d->arm < STRATEGY_ARMS)
        json_write_string(w, strategy_name((enum strategy_id)d->arm));
    else
        json_write_null(w);
    put_regime(w, s, v);
    json_write_key(w, "position_size_usd");
    json_write_e8_number(w, entry ? s->position_size.e8 : 0);
    put_f64(w, "position_fraction", or_nan(d->was_decided, entry ? d->fraction : 0));
    put_u64(w, "leverage", entry || !d->was_decided ? s->leverage : 0);
    put_px_number(w, "stop_loss", s->stop_loss, entry);
    put_px_number(w, "take_profit", s->take_profit, entry);
    put_targets(w, s, action);
    put_px_number(w, "last_px", s->last_px, true);
    put_px_number(w, "mark_px", s->mark_px, true);
    put_forecast(w, s, v);
}

/* Members of an object that is open. */
static void put_signal(struct json_writer *w, const struct view_symbol *s, const struct view *v) {
    put_text(w, "symbol", s->symbol);
    put_decision(w, s, v);
    put_context(w, s, v);
    put_model_votes(w, s);
    put_provenance(w, s, v);
}

void api_signal_push(struct json_writer *w, const struct view_symbol *s, const struct view *v) {
    json_write_object_begin(w);
    put_signal(w, s, v);
    json_write_object_end(w);
}

static void put_answer(struct json_writer *w, const struct api_signal_request *request,
                       const struct view_symbol *s, const struct view *v,
                       struct api_explain_places *places) {
    json_write_object_begin(w);
    put_signal(w, s, v);
    put_ignored(w, request, v);
    if (request->include_reasoning) put_reasoning(w, s, s->signal_expires_ns <= v->market_ts_ns);
    if (places)
        places->at[places->count++] = (struct api_explain_place){.symbol = s, .offset = w->size};
    json_write_object_end(w);
}

static void put_batch(struct json_writer *w, const struct api_signal_request *request,
                      const struct api_shot *shot, struct api_explain_places *places) {
    json_write_object_begin(w);
    api_put_stamp(w, shot);
    put_u64(w, "count", request->symbol_count);
    put_array(w, "signals");
    for (uint32_t i = 0; i < request->symbol_count; i++) {
        struct api_refusal refusal = {0};
        const struct view_symbol *s = answerable(&refusal, request->symbols[i], shot->view);
        if (s) {
            put_answer(w, request, s, shot->view, places);
            continue;
        }
        json_write_object_begin(w);
        put_text(w, "symbol", request->symbols[i]);
        put_text(w, "error", refusal.message);
        put_u64(w, "status", (uint64_t)refusal.code);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

bool api_signal_answer(struct json_writer *w, struct api_refusal *refusal,
                       const struct api_signal_request *request, const struct api_shot *shot,
                       struct api_explain_places *places) {
    memset(refusal, 0, sizeof *refusal);
    if (places) places->count = 0;
    if (!may_answer_any(refusal, shot)) return false;
    if (request->is_batch) {
        put_batch(w, request, shot, places);
        return true;
    }
    const struct view_symbol *s = answerable(refusal, request->symbols[0], shot->view);
    if (!s) return false;
    put_answer(w, request, s, shot->view, places);
    return true;
}
