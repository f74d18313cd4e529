/* Shared by the parts of the retrainer: seats, changes, trainings, trials. */
#ifndef RETRAIN_RETRAIN_INTERNAL_H
#define RETRAIN_RETRAIN_INTERNAL_H

#include <stdatomic.h>

#include "registry/registry.h"
#include "retrain/retrain.h"

/* ---- what learn does; tests plant models of their own here ---- */

struct retrain_hooks {
    enum status (*train)(struct learn_report *out, const char *model_path,
                         const struct learn_series *series, size_t series_count,
                         const struct learn_config *config, learn_progress_fn progress,
                         void *context, struct err *err);
    enum status (*load)(struct served_model **out, const char *path, struct err *err);
    void (*destroy)(struct served_model *m);
    enum status (*vote)(struct model_vote *out, struct served_model *m, const float *features,
                        const struct net_history *const *histories, size_t rows, uint32_t stride,
                        struct err *err);
    bool (*reads_history)(const struct served_model *m);
    uint64_t (*hash)(const struct served_model *m);
    int64_t (*interval_ns)(const struct served_model *m);
    int64_t (*data_end_ns)(const struct served_model *m);
    enum model_kind (*kind)(const struct served_model *m);
    const struct label_spec *(*labels)(const struct served_model *m);
    const struct learn_report *(*report)(const struct served_model *m);
};
extern const struct retrain_hooks retrain_hooks_learn;

enum status retrain_create_with(struct retrain **out, const struct retrain_config *config,
                                const struct retrain_hooks *hooks, const char *const *paths,
                                int64_t now_ns, struct err *err);

/* ---- state ---- */

enum retrain_role { ROLE_SERVED = 0, ROLE_PREDECESSOR, ROLE_CHALLENGER, ROLE_COUNT };
enum {
    RETRAIN_VERSION = 1,
    RETRAIN_LEAVING_MAX = 8 /* of a kind: files kept of models whose trial is over */
};
#define RETRAIN_ACTOR "retrainer"                  /* in the registry's audit */
#define RETRAIN_MAGIC UINT64_C(0x4E49415254455451) /* "QTETRAIN" */

/* What was said at a close, until its horizon is over; NaN: no forecast. */
struct retrain_forecast {
    int64_t decision_ns; /* INT64_MIN: empty */
    double close;
    double by[MODEL_COUNT][ROLE_COUNT];
};
struct retrain_symbol {
    int64_t close_ns; /* of its newest bar, INT64_MIN none */
    double close;
    /* Of the costed rule, while there is a shadow: who serves, who challenges. */
    struct promotion_position positions[MODEL_COUNT][2];
};

/* Trainings begun at one close, on the same candles. */
struct retrain_round {
    int64_t begun_ns;              /* to_ns of the candles */
    uint32_t kinds, pending;       /* bits: of the round; not ended yet */
    uint32_t trained, reserved;    /* bits: ended well */
    uint32_t trigger[MODEL_COUNT]; /* enum promotion_trigger */
    uint64_t against[MODEL_COUNT]; /* who served then: whom a trial is measured against */
};

/* Followed in the block by struct retrain_symbol (symbol_count), then by struct retrain_forecast
 * (symbol_count, horizon_bars). */
struct retrain_state {
    uint64_t magic;
    uint32_t version, symbol_count;
    uint64_t size_bytes, checksum; /* checksum: of everything behind it */
    uint64_t config_hash;
    int64_t close_ns; /* the last, INT64_MIN none */
    uint64_t rounds, rounds_succeeded, rounds_failed;
    struct promotion_schedule schedule[MODEL_COUNT];
    struct promotion_seat seat[MODEL_COUNT];
    struct promotion_verdict verdict[MODEL_COUNT];
    struct retrain_round round;
    uint64_t leaving[MODEL_COUNT][RETRAIN_LEAVING_MAX]; /* hashes, a ring */
    uint64_t left[MODEL_COUNT];                         /* how many were put into it */
};

/* ---- trainings ---- */

struct training {
    enum status st;
    struct err err;
    bool has_trial, is_warm;
    uint64_t parent; /* whose weights it went on from; 0 none */
    char path[REGISTRY_PATH_SIZE];
    struct learn_report report;
    struct served_model *model; /* NULL unless st is ST_OK */
    struct promotion_trial trial;
};

/* What a training needs to know of the seats; never changed while it runs. */
struct training_order {
    int64_t to_ns;
    uint32_t kinds;
    uint64_t against[MODEL_COUNT];
    char served_path[MODEL_COUNT][REGISTRY_PATH_SIZE]; /* "" nobody */
};

/* Who may end a training before it is over; either may be NULL. */
struct training_cancel {
    const atomic_bool *flag;
    const volatile sig_atomic_t *stop;
};
static inline bool training_cancelled(const struct training_cancel *c) {
    return (c->flag && atomic_load_explicit(c->flag, memory_order_relaxed)) ||
           (c->stop && *c->stop);
}

struct trainer; /* the thread */

/* ---- handle ---- */

struct retrain_model_slot {
    struct served_model *model; /* NULL nobody */
    char path[REGISTRY_PATH_SIZE];
};

struct retrain {
    struct retrain_config config;
    const struct retrain_hooks *hooks;
    struct registry *registry;
    int64_t generation; /* of the registry when the seats were last held against it; -1 never */
    bool swept;         /* nobody's candidates of a former process were looked for */
    struct retrain_state *state;
    struct retrain_symbol *symbols;
    struct retrain_forecast *forecasts;
    struct retrain_model_slot slot[MODEL_COUNT][ROLE_COUNT];
    struct model_vote *answers;            /* (symbol_count) */
    struct training training[MODEL_COUNT]; /* not threaded: of the round at hand */
    struct training_order order;
    struct trainer *trainer; /* NULL until the first threaded round */
};

/* The close at hand. */
struct close {
    struct retrain *r;
    const struct retrain_close *in;
    struct retrain_changes *out;
    struct err *err;
};

static inline struct retrain_forecast *retrain_forecast_at(const struct retrain *r, uint32_t symbol,
                                                           int64_t decision_ns) {
    uint32_t horizon = r->config.labels.horizon_bars;
    uint64_t bar = (uint64_t)(decision_ns / r->config.interval_ns);
    return &r->forecasts[(size_t)symbol * horizon + bar % horizon];
}
static inline bool retrain_has_shadow(const struct promotion_seat *s) {
    return s->challenger != 0 && s->challenger_state != PROMOTION_CANDIDATE;
}

/* ---- slots (retrain.c) ---- */

void retrain_slot_clear(struct retrain *r, enum model_kind kind, enum retrain_role role);
/* The role's model, loaded from the registry and held against the configuration. hash 0: nobody. */
enum status retrain_slot_load(struct retrain *r, enum model_kind kind, enum retrain_role role,
                              uint64_t hash, struct err *err);
/* Loads a file and holds it against the configuration. */
enum status retrain_load(struct served_model **out, const struct retrain *r, enum model_kind kind,
                         const char *path, struct err *err);
/* What a vote says of the return over the horizon; NaN: nothing. */
double retrain_expected(const struct model_vote *vote);

/* ---- shadows.c: what came, and who else is asked ---- */

void retrain_learn(struct close *c);
enum status retrain_ask(struct close *c);
/* Open forecasts follow their models through a change of roles: from[role] is who a role's forecasts are from now on,
 * ROLE_COUNT nobody's. */
void retrain_roles_move(struct retrain *r, enum model_kind kind,
                        const enum retrain_role from[ROLE_COUNT]);
/* Nobody has a position under the costed rule. */
void retrain_positions_clear(struct retrain *r, enum model_kind kind);

/* One symbol's bar of the costed rule for both; where one forecast is missing, neither has one. True if it tells
 * anything: both forecast, or something is held. */
bool retrain_costed_bar(double *net_old, double *net_new, struct promotion_position positions[2],
                        const struct promotion_config *config, double forecast_old,
                        double forecast_new, double bar_return);

/* ---- changes.c: registry, seat, models, record ---- */

/* The next change on record, NULL behind its end. */
const struct model_changed *retrain_recorded(const struct close *c);
/* A change that is not measured, of a seat. */
struct model_changed retrain_change(const struct close *c, enum model_kind kind, const char *change,
                                    const char *reason, uint64_t hash);
/* Holds it against the record: ST_CORRUPT. Before anything is written because of it. */
enum status retrain_change_check(struct close *c, const struct model_changed *change);
/* It has happened. */
void retrain_change_put(struct close *c, const struct model_changed *change);

/* What the seat's rule asks for, until it asks for nothing. */
enum status retrain_settle(struct close *c, enum model_kind kind);
/* A trained model wants to be tried: entry in the registry; model is taken over. trial NULL: none. */
enum status retrain_admit(struct close *c, enum model_kind kind, const struct registry_entry *entry,
                          struct served_model *model, const struct promotion_trial *trial);
/* Models put in by hand since the last look, from the registry or from the record. */
enum status retrain_installed(struct close *c);
/* Rejects candidates that a killed process left in the registry. */
enum status retrain_sweep(struct close *c);

/* ---- rounds.c: beginning and ending of trainings ---- */

enum status retrain_results(struct close *c);
enum status retrain_begin(struct close *c);

/* ---- training.c ---- */

/* Trains one kind on the series of an order, loads the file, tries it. Never fails otherwise than by out->st. */
void training_run(struct training *out, const struct retrain *r, enum model_kind kind,
                  const struct training_order *order, const struct learn_series *series,
                  size_t count, const struct training_cancel *cancel);
/* All kinds of an order, one after the other, on one opening of the source. done(context, kind): may be NULL. */
void training_run_all(struct training out[MODEL_COUNT], const struct retrain *r,
                      const struct training_order *order, const struct training_cancel *cancel,
                      void (*done)(void *context, enum model_kind kind), void *context);
/* Model and temporary file. */
void training_drop(struct training *t, const struct retrain *r);

/* ---- thread.c ---- */

enum status trainer_create(struct trainer **out, const struct retrain *r, struct err *err);
void trainer_destroy(struct trainer *t);
/* Nothing may be under way. */
void trainer_start(struct trainer *t, const struct training_order *order);
/* Bits of the kinds that are over and whose result was not taken yet; never waits. */
uint32_t trainer_finished(struct trainer *t);
/* The result of a finished kind, to be dropped by the caller. */
struct training *trainer_take(struct trainer *t, enum model_kind kind);
/* Whether an order is under way or not wholly taken. */
bool trainer_is_busy(const struct trainer *t);

/* ---- trial.c ---- */

/* Old (NULL: nobody) and new on the same rows: decided at or after both know nothing of, at the series' end. */
enum status trial_run(struct promotion_trial *out, const struct retrain *r,
                      struct served_model *old, struct served_model *new,
                      const struct learn_series *series, size_t count, int64_t to_ns,
                      const struct training_cancel *cancel, struct err *err);
/* Kept beside the registry for a restart: figures of a trial, named by the candidate. */
enum status trial_file_write(const struct retrain *r, uint64_t hash, uint64_t against,
                             const struct promotion_trial *trial, struct err *err);
/* ST_NOT_FOUND, ST_CORRUPT: not to be had. */
enum status trial_file_read(struct promotion_trial *out, const struct retrain *r, uint64_t hash,
                            uint64_t against, struct err *err);
void trial_file_remove(const struct retrain *r, uint64_t hash);

#endif
