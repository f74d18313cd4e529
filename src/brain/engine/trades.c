/* Trades by intent id: who learns from one, and that he learns once. */
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "brain/engine/engine.h"
#include "brain/engine/engine_internal.h"

static const char *const answer_texts[] = {"taken", "duplicate", "not_known", "full", "not_usable"};

const char *engine_answer_text(enum engine_answer answer) {
    return (uint32_t)answer < sizeof answer_texts / sizeof *answer_texts ? answer_texts[answer]
                                                                         : "?";
}

/* id 0 finds a free place. O(ENGINE_OPEN_MAX), a few hundred. */
static struct engine_open_trade *find(struct engine *e, uint64_t intent_id) {
    for (uint32_t i = 0; i < ENGINE_OPEN_MAX; i++)
        if (e->open[i].intent_id == intent_id) return &e->open[i];
    return NULL;
}

static bool was_settled(const struct engine *e, uint64_t intent_id) {
    uint64_t n = e->done_count < ENGINE_DONE_MAX ? e->done_count : ENGINE_DONE_MAX;
    for (uint64_t i = 0; i < n; i++)
        if (e->done[i] == intent_id) return true;
    return false;
}

uint32_t engine_open_count(const struct engine *e) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < ENGINE_OPEN_MAX; i++) count += e->open[i].intent_id != 0;
    return count;
}

static enum engine_answer refuse(struct engine *e, enum engine_answer answer) {
    e->refused++;
    return answer;
}

static enum engine_answer unknown(struct engine *e, uint64_t intent_id) {
    return refuse(e, intent_id && was_settled(e, intent_id) ? ENGINE_DUPLICATE : ENGINE_NOT_KNOWN);
}

static void settle(struct engine *e, struct engine_open_trade *t) {
    e->done[e->done_count++ % ENGINE_DONE_MAX] = t->intent_id;
    memset(t, 0, sizeof *t);
}

enum engine_answer engine_opened(struct engine *e, uint64_t intent_id,
                                 const struct engine_decision *d) {
    if (intent_id == 0 || d->reason != ENGINE_ALLOW || d->symbol >= e->symbol_count ||
        d->strategy.arm >= STRATEGY_ARMS || !(d->fraction > 0))
        return refuse(e, ENGINE_NOT_USABLE);
    if (find(e, intent_id) || was_settled(e, intent_id)) return refuse(e, ENGINE_DUPLICATE);
    struct engine_open_trade *t = find(e, 0);
    if (!t) return refuse(e, ENGINE_FULL);
    /* Its log may remember an id that thousands of dropped ones have pushed out of ours. */
    if (strategy_opened(&e->strategy, intent_id, &d->strategy, d->ts_ns) != STRATEGY_TAKEN)
        return refuse(e, ENGINE_DUPLICATE);
    enum status sized = sizing_learner_open(&e->sizing, intent_id, &d->choice, &d->sizing);
    *t = (struct engine_open_trade){.intent_id = intent_id,
                                    .ts_ns = d->ts_ns,
                                    .symbol = d->symbol,
                                    .regime = d->regime.regime,
                                    .arm = d->strategy.arm,
                                    .is_sized = sized == ST_OK,
                                    .confidence = d->signal.confidence};
    e->opened++;
    return ENGINE_TAKEN;
}

enum engine_answer engine_dropped(struct engine *e, uint64_t intent_id) {
    struct engine_open_trade *t = intent_id ? find(e, intent_id) : NULL;
    if (!t) return unknown(e, intent_id);
    enum strategy_answer answer = strategy_dropped(&e->strategy, intent_id);
    ASSERT(answer == STRATEGY_TAKEN);
    (void)sizing_learner_forget(&e->sizing, intent_id); /* false: given up before, or never sized */
    settle(e, t);
    e->dropped++;
    return ENGINE_TAKEN;
}

/* What all three can use, so that none learns alone. */
static bool is_usable(const struct engine_outcome *o, const struct engine_open_trade *t) {
    return fabs(o->net_r) <= 100 && o->result > -1 && o->result <= 10 && o->drawdown >= 0 &&
           o->drawdown <= 1 && o->held_ns >= 0 && o->ts_ns > 0 && o->ts_ns >= t->ts_ns;
}

enum engine_answer engine_closed(struct engine *e, uint64_t intent_id,
                                 const struct engine_outcome *o) {
    struct engine_open_trade *t = intent_id ? find(e, intent_id) : NULL;
    if (!t) return unknown(e, intent_id);
    if (!is_usable(o, t)) return refuse(e, ENGINE_NOT_USABLE);
    enum strategy_answer answer = strategy_closed(&e->strategy, intent_id, o->net_r, o->ts_ns);
    ASSERT(answer == STRATEGY_TAKEN);
    struct memory_outcome learned = {.symbol = engine_symbols(e)[t->symbol].name,
                                     .regime = t->regime,
                                     .row = t->arm,
                                     .net_r = o->net_r,
                                     .confidence = fmin(fmax(t->confidence, 0), 1),
                                     .ts_ns = o->ts_ns};
    bool is_learned = memory_learn(&e->memory, &learned);
    ASSERT(is_learned);
    struct sizing_outcome sized = {
        .result = o->result, .drawdown = o->drawdown, .held_ns = o->held_ns};
    if (t->is_sized &&
        sizing_learner_close(&e->sizing, &e->config.sizing_learner, intent_id, &sized) != ST_OK)
        e->sizing_lost++; /* given up there for a younger one */
    settle(e, t);
    e->credited++;
    return ENGINE_TAKEN;
}
