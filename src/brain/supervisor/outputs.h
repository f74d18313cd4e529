/* Drift of a model's answers: constant, collapsed to one label, knowing nothing, knowing everything.
 *
 * A window of the newest answers, of which each decision time gives at most OUTPUTS_PER_STEP: with a hundred symbols
 * asked at once a window of answers would else be two bars long, and a market that moves as one looks like a model
 * that has collapsed. */
#ifndef BRAIN_SUPERVISOR_OUTPUTS_H
#define BRAIN_SUPERVISOR_OUTPUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "brain/ensemble/ensemble.h"

enum { OUTPUTS_WINDOW = 256, OUTPUTS_PER_STEP = 8 };

/* 3,352 bytes. */
struct outputs {
    uint64_t steps, pushed, refused; /* refused: no probability triple */
    float p[OUTPUTS_WINDOW][LABEL_COUNT];
    uint8_t best[OUTPUTS_WINDOW]; /* enum label */
};
_Static_assert(sizeof(struct outputs) == 3352, "documented size");

/* The answers (n) of one decision time, to n symbols, the same symbols in the same order as far as
 * may be: another part of them enters each time. */
void outputs_step(struct outputs *o, const double (*p)[LABEL_COUNT], size_t n);

struct outputs_figures {
    uint32_t count; /* answers in the window */
    uint32_t top_label;
    double share[LABEL_COUNT];         /* of best labels */
    double entropy;                    /* mean, of the largest possible: 0 certain .. 1 uniform */
    double confidence, confidence_std; /* of the best label's probability */
    double
        spread; /* largest standard deviation of a label's probability: 0 if the model says one thing */
    double psi; /* of the shares against `reference` */
};
/* reference (LABEL_COUNT): shares of best labels on the model's out-of-time rows, sum 1. */
void outputs_figures(struct outputs_figures *out, const struct outputs *o,
                     const double reference[LABEL_COUNT]);

#endif
