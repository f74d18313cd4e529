/* A market's made-up past with something to learn in it, and the voters that learned from one like it. */
#ifndef SIM_SIM_MODELS_H
#define SIM_SIM_MODELS_H

#include "domain/bar.h"
#include "domain/instrument.h"
#include "learn/learn.h"
#include "retrain/retrain.h"
#include "venue/server/world.h"

struct sim_past {
    uint64_t seed; /* the market's, for market_phase */
    double volatility_day, lead;
    int64_t end_ns; /* on a full minute: the last bar closes then */
};
/* Minutes of one contract, oldest first, the last of which closes at end_px. out (count). */
void sim_past_bars(struct bar *out, size_t count, const struct sim_past *past, uint32_t instrument,
                   const struct instrument *in, px_t end_px);

/* The four voters of simulations, each trained on a past of its own seed (not the run's) that ends at past->end_ns, on at
 * most 2,000 rows, networks for one epoch. Files in dir, made where they are not there or belong to an older program.
 * paths (MODEL_COUNT). */
enum { SIM_MODEL_PATH = 4096 };
enum status sim_models_train(char paths[MODEL_COUNT][SIM_MODEL_PATH], const char *dir,
                             const struct sim_past *past, struct err *err);

/* The learner of a run at its 4-hour period on what the exchange has of the past: its registry and trials lie below dir.
 * Borrows everything. */
struct sim_learner {
    struct world *world;
    const struct instrument *contracts; /* of the run */
    uint32_t count;
    struct label_spec labels;
    struct retrain_config config;
    char registry_dir[SIM_MODEL_PATH], work_dir[SIM_MODEL_PATH];
};
enum status sim_learner_open(struct retrain **out, struct sim_learner *l, const char *dir,
                             const char *const paths[MODEL_COUNT], uint64_t seed, int64_t from_ns,
                             struct err *err);

#endif
