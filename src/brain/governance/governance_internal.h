#ifndef BRAIN_GOVERNANCE_INTERNAL_H
#define BRAIN_GOVERNANCE_INTERNAL_H

#include "brain/governance/governance.h"

/* governance.c: the models whose forecast in this outcome counts; 0 if the outcome itself does not. */
uint32_t governance_awake(const struct governance_outcome *o);

/* weights.c: the learned weights' step for one outcome of a round of n, and for the round's end. `awake`
 * are the models that forecast in the outcome, or anywhere in the round. */
void governance_hedge_outcome(struct governance *g, const struct governance_outcome *o,
                              uint32_t awake, size_t n);
void governance_hedge_round(struct governance *g, uint32_t awake);

/* classic.c: a round's mean error and profit of each model that forecast. */
void governance_classic_note(struct governance *g, const struct governance_outcome *outcomes,
                             size_t n);

#endif
