/* The twelve parts of the engine that the original counted as "models loaded". Each is counted here if it is there and
 * a live check finds it doing its work; a configuration is no evidence.
 *
 * Checks of the four parts with known answers run once in this process (engine_self_test); the others look at what the
 * part has done where it had something to do. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/api_internal.h"
#include "brain/promotion/validator.h"

const char *api_component_state_text(enum api_component_state state) {
    switch (state) {
    case API_COMPONENT_ABSENT:
        return "absent";
    case API_COMPONENT_FAULTY:
        return "faulty";
    case API_COMPONENT_LOADED:
        return "loaded";
    }
    return "absent";
}

/* Bits of engine_self_test. */
enum { TEST_REGIME = 1, TEST_MEMORY = 2, TEST_STRATEGY = 4, TEST_SIZING = 8 };

__attribute__((format(printf, 3, 4))) static void say(struct api_component *c, bool works,
                                                      const char *format, ...) {
    c->state = works ? API_COMPONENT_LOADED : API_COMPONENT_FAULTY;
    va_list args;
    va_start(args, format);
    vsnprintf(c->evidence, sizeof c->evidence, format, args);
    va_end(args);
}

static void absent(struct api_component *c, const char *why) {
    c->state = API_COMPONENT_ABSENT;
    snprintf(c->evidence, sizeof c->evidence, "%s", why);
}

typedef unsigned long long ull;

static void check_voter(struct api_component *c, const struct api_shot *shot,
                        enum model_kind kind) {
    const struct view_model *m = &shot->view->models[kind];
    if (!m->loaded)
        absent(c, "no model file has this seat");
    else
        say(c, m->hash != 0, "%016llx, %llu votes", (ull)m->hash, (ull)m->votes);
}
static void check_xgboost(struct api_component *c, const struct api_shot *shot) {
    check_voter(c, shot, MODEL_XGBOOST);
}
static void check_lightgbm(struct api_component *c, const struct api_shot *shot) {
    check_voter(c, shot, MODEL_LIGHTGBM);
}
static void check_nhits(struct api_component *c, const struct api_shot *shot) {
    check_voter(c, shot, MODEL_NHITS);
}
static void check_patchtst(struct api_component *c, const struct api_shot *shot) {
    check_voter(c, shot, MODEL_PATCHTST);
}

static const char *tested(const struct api_shot *shot, uint32_t bit) {
    return shot->self_test & bit ? "self-test FAILED" : "self-test passed";
}

static void check_meta_strategy(struct api_component *c, const struct api_shot *shot) {
    const struct view_learned *l = &shot->view->learned;
    say(c, !(shot->self_test & TEST_STRATEGY), "%s; %llu choices, %llu rewarded",
        tested(shot, TEST_STRATEGY), (ull)l->strategy.decisions, (ull)l->strategy.settled);
}

static void check_rl_sizing(struct api_component *c, const struct api_shot *shot) {
    const struct view_learned *l = &shot->view->learned;
    say(c, !(shot->self_test & TEST_SIZING), "%s; %llu sizes taken, %llu rewarded",
        tested(shot, TEST_SIZING), (ull)l->sizing.opened, (ull)l->sizing.credited);
}

static void check_regime(struct api_component *c, const struct api_shot *shot) {
    const struct view *v = shot->view;
    uint32_t known = 0;
    for (int r = REGIME_UNKNOWN + 1; r < REGIME_COUNT; r++) known += v->engine.regimes[r];
    say(c, !(shot->self_test & TEST_REGIME), "%s; %u of %u symbols have a regime",
        tested(shot, TEST_REGIME), known, known + v->engine.regimes[REGIME_UNKNOWN]);
}

static void check_memory(struct api_component *c, const struct api_shot *shot) {
    const struct view_learned *l = &shot->view->learned;
    say(c, !(shot->self_test & TEST_MEMORY), "%s; %llu trades in %llu cells",
        tested(shot, TEST_MEMORY), (ull)l->memory_trades, (ull)l->memory_cells);
}

/* Every seated model is stepped at every close from its second on. */
static void check_supervisor(struct api_component *c, const struct api_shot *shot) {
    const struct view *v = shot->view;
    uint32_t seated = 0, watched = 0;
    for (int m = 0; m < MODEL_COUNT; m++) {
        seated += v->models[m].loaded != 0;
        watched += v->learned.supervisor[m].steps > 0;
    }
    bool works = watched >= seated || v->learned.closes < 2;
    say(c, works, "%u of %u models watched, %llu closes", watched, seated, (ull)v->learned.closes);
}

/* Effective weights sum to 1, or are all 0 where every model is excluded. */
static void check_governance(struct api_component *c, const struct api_shot *shot) {
    const struct view *v = shot->view;
    double sum = 0;
    bool sound = true, excluded = true;
    for (int m = 0; m < MODEL_COUNT; m++) {
        sum += v->engine.weights[m];
        sound = sound && v->engine.weights[m] >= 0;
        excluded = excluded && v->engine.levels[m] >= SUPERVISOR_EXCLUDE;
    }
    sound = sound && (fabs(sum - 1) < 1e-9 || (sum == 0 && excluded));
    say(c, sound, "weights sum to %.9g; %llu rounds, %llu changes", sum,
        (ull)v->learned.governance.rounds, (ull)v->learned.governance.changes);
}

/* A period may pass while a run is under way, but not two without one. */
static void check_retrainer(struct api_component *c, const struct api_shot *shot) {
    const struct view_retrain *r = &shot->view->retrain;
    if (!r->enabled) {
        absent(c, "models stay as they are: nothing retrains in this run");
        return;
    }
    bool overdue = !r->running && shot->view->market_ts_ns > r->next_ns + r->period_ns;
    say(c, !overdue, "%llu runs, %llu succeeded, %llu failed%s", (ull)r->runs, (ull)r->succeeded,
        (ull)r->failed, overdue ? "; overdue" : "");
}

/* The rule's own known answers: 3 % lower error and a higher Sharpe, both strictly. */
static bool rule_holds(void) {
    const double better = promotion_config_defaults().improvement;
    return promotion_rule(0.02, 0.5, 0.0194, 0.6, better) == PROMOTION_ERROR_NOT_LOWER &&
           promotion_rule(0.02, 0.5, 0.0193, 0.6, better) == PROMOTION_PASS &&
           promotion_rule(0.02, 0.5, 0.015, 0.5, better) == PROMOTION_SHARPE_NOT_HIGHER &&
           promotion_rule(0.02, 0.5, 0.021, 2.0, better) == PROMOTION_ERROR_NOT_LOWER;
}

static void check_validator(struct api_component *c, const struct api_shot *shot) {
    const struct view_retrain *r = &shot->view->retrain;
    uint64_t promoted = 0, rejected = 0;
    if (!r->enabled) {
        absent(c, "nothing to validate: nothing retrains in this run");
        return;
    }
    for (int m = 0; m < MODEL_COUNT; m++) {
        promoted += r->seats[m].promoted;
        rejected += r->seats[m].rejected;
    }
    bool holds = rule_holds();
    say(c, holds, "known answers %s; %llu promoted, %llu rejected", holds ? "hold" : "FAIL",
        (ull)promoted, (ull)rejected);
}

static const struct {
    const char *name;
    bool of_engine; /* absent without one */
    void (*check)(struct api_component *c, const struct api_shot *shot);
} TABLE[API_COMPONENTS] = {
    {"xgboost", false, check_xgboost},
    {"lightgbm", false, check_lightgbm},
    {"nhits", false, check_nhits},
    {"patchtst", false, check_patchtst},
    {"meta_strategy", true, check_meta_strategy},
    {"rl_sizing", true, check_rl_sizing},
    {"regime_detector", true, check_regime},
    {"memory_manager", true, check_memory},
    {"supervisor", true, check_supervisor},
    {"governance", true, check_governance},
    {"retrainer", false, check_retrainer},
    {"validator", false, check_validator},
};

void api_components_judge(struct api_component out[API_COMPONENTS], const struct api_shot *shot) {
    memset(out, 0, API_COMPONENTS * sizeof *out);
    for (int i = 0; i < API_COMPONENTS; i++) {
        out[i].name = TABLE[i].name;
        if (!shot->published)
            absent(&out[i], "nothing has been published yet");
        else if (TABLE[i].of_engine && !shot->view->has_engine)
            absent(&out[i], "a rule trades in this run, without the engine");
        else
            TABLE[i].check(&out[i], shot);
    }
}
