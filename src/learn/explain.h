/* Why a served forest answers as it does: what each column adds to a label's margin (TreeSHAP), and what would have to
 * change, one column at a time, for its answer to be another.
 *
 * Contributions are of the margin, the number of the label before softmax and calibration: they add up to it exactly, and
 * a column that pushes the label up is above 0. Nothing here says that the market would follow if a column moved.
 * Tests   test_explain.c */
#ifndef LEARN_EXPLAIN_H
#define LEARN_EXPLAIN_H

#include "learn/learn.h"

enum { EXPLAIN_FEATURES = 8, EXPLAIN_FLIPS = 4 };

struct explain_feature {
    uint32_t index, reserved; /* in the registry */
    float value;              /* of the row; NaN: not known */
    double contribution;
};

/* The smallest change of one column alone that gives another best label, within the values that the forest tells
 * apart: from its least to its greatest threshold there, which lie among the values it was trained on. */
struct explain_flip {
    uint32_t index;
    uint32_t label; /* enum label: the best one then */
    float value, to;
    double share; /* |to - value| / (greatest - least threshold) */
};

struct model_explanation {
    uint32_t label; /* explained */
    uint32_t best;  /* the model's own best label, calibrated; a tie is HOLD */
    uint32_t feature_count, flip_count;
    uint32_t flips_tried,
        reserved;       /* columns that were moved: the strongest; the others hold no flip alone */
    double expectation; /* the margin of the average training row */
    double margin;      /* expectation + sum of all contributions */
    double rest;        /* sum of the contributions not listed */
    struct explain_feature
        features[EXPLAIN_FEATURES];           /* by magnitude, largest first; none of them 0 */
    struct explain_flip flips[EXPLAIN_FLIPS]; /* by share, nearest first */
};

/* row (feature_count()). Takes milliseconds and allocates its scratch. A model may be asked by one thread at a time.
 * ST_UNSUPPORTED: a network, there are no such contributions of one; ST_AGAIN: the model would not answer on this row;
 * ST_CORRUPT: contributions that do not sum to the margin; ST_NO_MEMORY; else as shap_contributions. */
enum status served_model_explain(struct model_explanation *out, struct served_model *m,
                                 enum label label, const float *row, struct err *err);

#endif
