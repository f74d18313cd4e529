/* What happened to earlier trades and forecasts, by symbol, regime and strategy, the recent
 * counting more: read by strategy and sizing as a prior that says how much is behind it.
 *
 * An outcome of age a weighs 2^(-a / half-life). Learned figures are kept as weighted sums, so an
 * update is O(1) and nothing is kept of the single trade. The state is one block of fixed size
 * without pointers: it is written and read back as it is. Nothing allocates. */
#ifndef BRAIN_MEMORY_MEMORY_H
#define BRAIN_MEMORY_MEMORY_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "brain/regime/regime.h"
#include "domain/instrument.h"

enum {
    MEMORY_STRATEGIES = 7,                /* indices of brain/strategy's table */
    MEMORY_FORECASTS = MEMORY_STRATEGIES, /* the row of forecasts that were only logged */
    MEMORY_ROWS = MEMORY_STRATEGIES + 1,
    MEMORY_BUCKETS = 128,
    MEMORY_WAYS = 16,
    MEMORY_CELLS = MEMORY_BUCKETS * MEMORY_WAYS, /* 2048 of symbol x regime x row */
    MEMORY_VERSION = 1,
};
#define MEMORY_MAGIC UINT64_C(0x59524F4D454D5451) /* "QTMEMORY" */

struct memory_config {
    int64_t half_life_ns; /* 30 days */
    /* Outcomes by which a mean is drawn to that of the wider group, and the widest to 0: 10. */
    double prior_samples;
};
struct memory_config memory_config_defaults(void);

/* Weighted sums as they stood at last_ts_ns. Private to the module, plain so that it can be
 * copied. */
struct memory_sum {
    double weight, weight_square; /* sums of weights, of their squares */
    double mean, square;          /* of the net R; square: weighted squared deviations */
    double wins, confidence;      /* weighted sums */
    int64_t last_ts_ns;
    uint64_t count;
};

struct memory_cell {
    char symbol[SYMBOL_SIZE]; /* zero-padded; "" free */
    uint32_t regime, row;
    struct memory_sum sum;
};

struct memory_state {
    uint64_t magic;
    uint32_t version, size_bytes;
    uint64_t checksum; /* of everything behind it; by memory_seal */
    struct memory_config config;
    struct memory_sum by_regime_row[REGIME_COUNT][MEMORY_ROWS]; /* over symbols */
    struct memory_sum by_regime[REGIME_COUNT], all; /* over symbols and strategies: trades */
    uint64_t evictions, refusals;
    struct memory_cell cells[MEMORY_CELLS];
};
static_assert(sizeof(struct memory_cell) == 96, "no padding: the block is hashed");

void memory_init(struct memory_state *state, const struct memory_config *config);

/* One closed trade, or (row MEMORY_FORECASTS) one forecast against what happened at its horizon. */
struct memory_outcome {
    const char *symbol;
    uint32_t regime; /* enum regime when it was decided */
    uint32_t row;    /* strategy index, or MEMORY_FORECASTS */
    double net_r; /* net of fees and funding, in units of the risk at the first stop; for a forecast
                        what its side would have earned, same unit */
    double confidence; /* as the signal said it, 0..1 */
    int64_t ts_ns;     /* when it was known */
};

/* Adds it; older than what is known already is weighed by its age. A full bucket gives up its
 * cell of the least weight at that time (then the one untouched longest, then the first): the
 * same cell on any machine. False, counted in refusals, and nothing changed: no symbol, a regime
 * or row that does not exist, |net_r| > 100 or NaN (a unit mistaken), confidence outside 0..1,
 * ts_ns <= 0. */
bool memory_learn(struct memory_state *state, const struct memory_outcome *outcome);

struct memory_view {
    double samples;      /* sum of weights: fades as what is known grows old */
    double effective;    /* Kish's (sum w)^2 / sum w^2: behind the mean's error, does not fade */
    double mean_r, sd_r; /* NaN with no outcome; sd NaN with fewer than 2 effective */
    double win_rate, confidence; /* shares; confidence - win_rate > 0: too sure of itself */
    uint64_t count;              /* outcomes ever */
    int64_t last_ts_ns;
};

/* Of one symbol (NULL: all), regime and row at now_ns. O(MEMORY_WAYS). Nothing there: samples 0. */
void memory_get(struct memory_view *out, const struct memory_state *state, const char *symbol,
                enum regime regime, uint32_t row, int64_t now_ns);

/* What to expect of the next such trade: the symbol's mean drawn to that of all symbols in this
 * regime with this strategy by prior_samples, that one to 0 by as many.
 *     pool = s_pool m_pool / (s_pool + k),   mean_r = (s m + k pool) / (s + k)
 * Never NaN; samples 0 and mean 0 when nothing is known. */
struct memory_prior {
    double mean_r;
    double sd_r;         /* drawn likewise to 1 R */
    double win_rate;     /* likewise to 0.5 */
    double samples;      /* of the symbol itself */
    double pool_samples; /* of all symbols */
};
void memory_prior(struct memory_prior *out, const struct memory_state *state, const char *symbol,
                  enum regime regime, uint32_t row, int64_t now_ns);

/* What `quantum:feedback:strategic_memory` says. */
enum memory_policy { MEMORY_CONSERVATIVE = 0, MEMORY_BALANCED, MEMORY_AGGRESSIVE, MEMORY_POLICIES };
const char *memory_policy_text(enum memory_policy policy); /* "CONSERVATIVE" … */

struct memory_feedback {
    uint32_t preferred_regime; /* enum regime; REGIME_UNKNOWN: none known well enough */
    uint32_t updated_policy;   /* enum memory_policy */
    double confidence_boost;   /* 0..1: 2 P(mean R of the preferred regime > 0) - 1, at least 0 */
    double leverage_hint; /* 0.5..2: 2^(z / 2), z = mean R of all trades / its error; 1 unknown */
    double samples;       /* of the preferred regime's trades, faded; of all where there is none */
    uint64_t count;       /* trades ever */
    double mean_r, win_rate; /* of the preferred regime; 0 where there is none */
};

/* Preferred is the regime (not UNKNOWN, not ILLIQUID) of at least 10 samples whose mean R less
 * its standard error is highest, if that is above 0. The error takes the deviation drawn to 1 R.
 * Policy: AGGRESSIVE in a trend with win rate > 0.6 and mean R > 0.2; BALANCED in a trend with >
 * 0.5 and > 0.1, in a range with win rate > 0.55; else CONSERVATIVE. The thresholds are the
 * original's, which knew a good trend only upwards. Pure. */
void memory_feedback(struct memory_feedback *out, const struct memory_state *state, int64_t now_ns);

/* Sets the checksum; the block may then be written as it is. */
void memory_seal(struct memory_state *state);
/* bytes (size) as memory_seal left them. ST_VERSION, ST_CORRUPT: out is as memory_init leaves it
 * with the defaults. */
enum status memory_restore(struct memory_state *out, const void *bytes, size_t size,
                           struct err *err);
/* True if every sum is finite and in its range, every cell lies in its bucket and none twice. */
bool memory_check(const struct memory_state *state);
/* Learns a made-up history in `scratch` and reads it back: true if what is known comes out. */
bool memory_self_test(struct memory_state *scratch);

#endif
