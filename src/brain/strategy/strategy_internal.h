/* Shared by the files of this folder alone. */
#ifndef BRAIN_STRATEGY_STRATEGY_INTERNAL_H
#define BRAIN_STRATEGY_STRATEGY_INTERNAL_H

#include "brain/strategy/strategy.h"

enum { HINT_WINNING = 1, HINT_LOSING = 2, HINT_WIDE = 4 };

/* What an algorithm needs to know: a decision's or a logged row's. */
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

/* What the heuristic looks at, in bits that a row keeps. */
uint32_t bandit_hints(const struct strategy_context *context);
/* eligible != 0 (asserted). Advances the generator (Thompson). */
void bandit_answer(struct answer *out, struct strategy_state *state, const struct question *q);
/* The reward of arm in its context: both learners. */
void bandit_learn(struct strategy_state *state, uint32_t regime, uint32_t tier, uint32_t arm,
                  double net_r);
/* Posterior mean of an arm. */
double bandit_mean(const struct strategy_config *config, const struct strategy_arm *arm);

/* No trade earns a hundred times its risk: USD or percent taken for R. */
static const double net_r_max = 100;

#endif
