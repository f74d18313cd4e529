/* What the AI engine has said and learned, as the view shows it: counted as it was said, read where it is kept.
 *
 *     after engine_decide()       view_counts_add() for each of its answers
 *     when a view is published    view_learned_get()
 *
 * Plain numbers without pointers: view_counts may live in a snapshot. */
#ifndef KERNEL_VIEW_COUNTS_H
#define KERNEL_VIEW_COUNTS_H

#include <stdint.h>

#include "brain/engine/engine.h"

enum { VIEW_CONFIDENCE_BINS = 20 };

/* Of one model's answers: PRESENT or NO_SKILL, with usable probabilities. */
struct view_model_counts {
    uint64_t answered, voted;     /* voted: with an effective weight above 0 */
    uint64_t agreed;              /* of the voted: its own best label is the ensemble's */
    uint64_t labels[LABEL_COUNT]; /* its own best label, of the answered */
};

struct view_counts {
    uint64_t asked;   /* answers of the engine, of whatever kind */
    uint64_t voted;   /* with at least one voter */
    uint64_t several; /* with at least two, and of these */
    uint64_t unanimous;
    uint64_t actions[LABEL_COUNT]; /* what the voters said, where there was one */
    uint64_t reasons[ENGINE_REASON_COUNT];
    uint64_t portfolio[PORTFOLIO_REASON_COUNT], sizing[SIZING_REASON_COUNT];
    uint64_t regimes[REGIME_COUNT];
    /* The voters' confidence, where there was one: bin b is [b, b + 1) / VIEW_CONFIDENCE_BINS, 1 in the last. */
    uint64_t confidence[VIEW_CONFIDENCE_BINS];
    double confidence_sum, confidence_squares;
    struct view_model_counts models[MODEL_COUNT];
    /* Strategy: chosen arms, of these not the best known one. */
    uint64_t arms[STRATEGY_ARMS], explored;
    /* Sizing, of the entries allowed. */
    uint64_t sized, why[SIZING_WHY_COUNT], bound_by[SIZING_LIMIT_COUNT];
    uint64_t leverage[LEVERAGE_CEILING + 1];
    double fraction_sum, leverage_sum, multiplier_sum, stop_loss_sum;
};

/* votes (MODEL_COUNT): what was asked with. */
void view_counts_add(struct view_counts *c, const struct engine_decision *decision,
                     const struct model_vote *votes);

/* What the learning parts know now. Means are of all regimes and tiers, weighed by the arm's own discounted counts. */
struct view_learned {
    struct {
        uint64_t decisions, explorations, settled, dropped, refused;
        uint32_t pending, algorithm; /* enum strategy_algorithm */
        double epsilon, floor;       /* classic's share of chance, Thompson's */
        struct {
            uint64_t trades, wins;
            double mean_r, q; /* discounted; NaN before any trade */
            double total_r;
        } arms[STRATEGY_ARMS];
        uint32_t acting, looks;  /* enum strategy_policy_id; looks at the log there is */
        int64_t acting_since_ns; /* 0: from the first choice on */
        uint64_t reviews, adopted, returned, verdicts[STRATEGY_VERDICTS];
        struct strategy_evaluation
            policies[STRATEGY_POLICIES]; /* at the last review; rows 0: none */
    } strategy;
    struct {
        uint64_t opened, credited, evicted, refused;
        uint32_t rows_trained, rows; /* rows of the table with an outcome */
        double win_rate, epsilon;
    } sizing;
    struct {
        uint64_t rounds, outcomes, changes;
        uint32_t rule, reserved;
        struct {
            double learned;   /* weight before the supervisor's factor */
            double factor;    /* the supervisor's */
            double mape, pnl; /* means of its last ten rounds; 0 none */
            uint64_t samples; /* rounds it was credited in */
            double loss;      /* mean loss since the last change of weights, 0..1; NaN none */
        } models[MODEL_COUNT];
    } governance;
    struct {
        uint64_t observations, error_alarms, input_alarms, changes, steps;
        uint32_t want_retrain, inputs_watched;
        double loss_limit; /* 0: no seat */
    } supervisor[MODEL_COUNT];
    uint64_t closes, bars, bars_refused, outcomes, outcomes_lost;
    uint64_t entries, opened, dropped, credited, refused;
    uint64_t reliability_count, interval_rounds;
    double interval_alpha;
    uint64_t memory_trades, memory_cells;
};
void view_learned_get(struct view_learned *out, const struct engine *e);

#endif
