/* Shared by the files of this folder alone. */
#ifndef BRAIN_STRATEGY_STRATEGY_INTERNAL_H
#define BRAIN_STRATEGY_STRATEGY_INTERNAL_H

#include "brain/strategy/strategy.h"

enum { HINT_WINNING = 1, HINT_LOSING = 2, HINT_WIDE = 4 };

/* What an algorithm needs to know. */
struct question {
    uint32_t regime, tier, eligible, hints;
    double shift[STRATEGY_ARMS];
};

/* What it would do: chances (STRATEGY_ARMS), expected R, and for the classic the greedy arm and
 * how. */
struct answer {
    double probability[STRATEGY_ARMS], expected[STRATEGY_ARMS], best_share[STRATEGY_ARMS];
    uint32_t greedy, how;
};

/* The question of a choice as this policy sees it: its own means set the shifts. priors (ARMS). */
void bandit_question(struct question *out, const struct strategy_policy *policy,
                     const struct strategy_context *context, uint32_t eligible,
                     const struct strategy_prior *priors);
/* eligible != 0 (asserted). Advances the generator (Thompson). */
void bandit_answer(struct answer *out, const struct strategy_policy *policy, struct rng *rng,
                   const struct question *q);
/* The reward of arm in its context: every policy, both learners. */
void bandit_learn(struct strategy_state *state, uint32_t regime, uint32_t tier, uint32_t arm,
                  double net_r);

/* No trade earns a hundred times its risk: USD or percent taken for R. */
static const double net_r_max = 100;

#endif
