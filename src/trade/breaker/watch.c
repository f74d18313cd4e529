/* Equity, stops and the age of the market: triggers and recovery modes. */
#include <math.h>

#include "trade/breaker/breaker_internal.h"

#define SECOND_NS INT64_C(1000000000)
#define HOUR_NS   (3600 * SECOND_NS)
#define DAY_NS    (24 * HOUR_NS)

struct breaker_config breaker_config_defaults(int64_t interval_ns) {
    int64_t window = 24 * interval_ns;
    return (struct breaker_config){
        .symbol_failures_max = 3,
        .venue_failures_max = 5,
        .cooldown_ns = 300 * SECOND_NS,
        .loss_max = 0.04,
        .daily_loss_max = 0.10,
        .drawdown_max = 0.25,
        .stop_hits_max = 10,
        .stop_hits_within_ns = window > HOUR_NS ? window : HOUR_NS,
        .overdue_ns_max = 300 * SECOND_NS,
        .recover_margin = 0.005,
        .modes = {[BREAKER_CAUTIOUS] = {-0.02, {300 * FX_ONE}, 0.55, 10, 0},
                  [BREAKER_PROTECTIVE] = {-0.04, {100 * FX_ONE}, 0.75, 5, 0},
                  [BREAKER_EMERGENCY] = {-0.10, {0}, 1.0, 0, 0}},
        .crash_bars = 3,
        .crash_hold_bars = 12,
        .crash_history_bars = 60,
        .crash_sigmas = 10,
        .crash_move_min = 0.02,
    };
}

/* ---- triggers ---- */

static void trigger_set(struct breaker_changes *out, struct breaker *b, enum breaker_trigger t,
                        bool is_on, double figure, double limit, const char *cause) {
    uint32_t bit = UINT32_C(1) << t;
    if (((b->tripped & bit) != 0) == is_on) return;
    b->tripped ^= bit;
    b->trips[t] += is_on;
    breaker_note(out, &(struct breaker_change){.part = BREAKER_PART_TRIGGER,
                                               .symbol = BREAKER_ALL,
                                               .before = is_on ? "off" : breaker_trigger_text(t),
                                               .after = is_on ? breaker_trigger_text(t) : "off",
                                               .cause = cause,
                                               .figure = figure,
                                               .limit = limit});
}

static void mode_set(struct breaker_changes *out, struct breaker *b, enum breaker_mode mode,
                     double figure, double limit, const char *cause) {
    if (b->mode == (uint32_t)mode) return;
    breaker_note(out,
                 &(struct breaker_change){.part = BREAKER_PART_MODE,
                                          .symbol = BREAKER_ALL,
                                          .before = breaker_mode_text((enum breaker_mode)b->mode),
                                          .after = breaker_mode_text(mode),
                                          .cause = cause,
                                          .figure = figure,
                                          .limit = limit});
    b->mode = (uint32_t)mode;
}

/* Share of `from` that is gone. */
static double lost(money_t from, money_t now) {
    if (from.e8 <= 0) return 1;
    return (double)(from.e8 - now.e8) / (double)from.e8;
}

double breaker_day_result(const struct breaker *b) {
    return b->has_equity ? -lost(b->day_start, b->equity) : 0;
}

double breaker_fall(const struct breaker *b) {
    return b->has_equity ? lost(b->peak, b->equity) : 0;
}

/* ---- equity ---- */

static void day_begin(struct breaker *b, money_t equity, int64_t day) {
    b->day = day;
    b->day_start = b->day_high = equity;
}

static void day_over(struct breaker_changes *out, struct breaker *b, money_t equity, int64_t day) {
    const char *cause = "a new day";
    day_begin(b, equity, day);
    b->stop_next = 0;
    for (uint32_t i = 0; i < BREAKER_STOPS_KEPT; i++) b->stops_ns[i] = 0;
    trigger_set(out, b, BREAKER_DAILY_LOSS, false, 0, b->config.daily_loss_max, cause);
    trigger_set(out, b, BREAKER_STOP_HITS, false, 0, b->config.stop_hits_max, cause);
    mode_set(out, b, BREAKER_NORMAL, 0, (double)NAN, cause);
}

/* Worse at once, better only with a margin, so that a result at a border does not change it with every bar. */
static void mode_follow(struct breaker_changes *out, struct breaker *b) {
    const struct breaker_config *c = &b->config;
    double result = breaker_day_result(b);
    uint32_t mode = b->mode;
    while (mode + 1 < BREAKER_MODE_COUNT && c->modes[mode + 1].result_max < 0 &&
           result <= c->modes[mode + 1].result_max)
        mode++;
    /* An emergency is left by hand or with the day. */
    while (mode == b->mode && mode > BREAKER_NORMAL && mode < BREAKER_EMERGENCY &&
           result >= c->modes[mode].result_max + c->recover_margin) {
        mode_set(out, b, (enum breaker_mode)(mode - 1), result, c->modes[mode].result_max,
                 "the day's result");
        mode--;
    }
    if (mode > b->mode)
        mode_set(out, b, (enum breaker_mode)mode, result, c->modes[mode].result_max,
                 "the day's result");
}

void breaker_equity(struct breaker_changes *out, struct breaker *b, money_t equity,
                    int64_t now_ns) {
    const struct breaker_config *c = &b->config;
    int64_t day = now_ns / DAY_NS;
    if (!b->has_equity) {
        b->has_equity = 1;
        b->peak = equity;
        day_begin(b, equity, day);
    } else if (day > b->day) {
        day_over(out, b, equity, day);
    }
    b->equity = equity;
    if (equity.e8 > b->peak.e8) b->peak = equity;
    if (equity.e8 > b->day_high.e8) b->day_high = equity;
    double fallen = lost(b->day_high, equity);
    if (c->loss_max > 0 && fallen >= c->loss_max) {
        breaker_trip(out, b, BREAKER_ALL, BREAKER_LOSS, fallen, c->loss_max, now_ns);
        b->day_high = equity; /* the next opening takes another fall of that size */
    }
    double loss = lost(b->day_start, equity), fall = breaker_fall(b);
    if (c->daily_loss_max > 0 && loss >= c->daily_loss_max)
        trigger_set(out, b, BREAKER_DAILY_LOSS, true, loss, c->daily_loss_max, "equity");
    if (c->drawdown_max > 0 && fall >= c->drawdown_max)
        trigger_set(out, b, BREAKER_DRAWDOWN, true, fall, c->drawdown_max, "equity");
    mode_follow(out, b);
}

/* ---- trades ---- */

void breaker_trade(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                   uint64_t intent_id, money_t net_pnl, bool is_stop, int64_t now_ns) {
    const struct breaker_config *c = &b->config;
    breaker_probe_judge(out, b, symbol, intent_id, net_pnl, now_ns);
    /* A stop that was moved into the gain is no loss. */
    if (!is_stop || net_pnl.e8 >= 0 || c->stop_hits_max == 0) return;
    b->stops_ns[b->stop_next % BREAKER_STOPS_KEPT] = now_ns;
    b->stop_next++;
    uint32_t hits = 0;
    for (uint32_t i = 0; i < BREAKER_STOPS_KEPT; i++)
        hits += b->stops_ns[i] != 0 && b->stops_ns[i] > now_ns - c->stop_hits_within_ns;
    if (hits > c->stop_hits_max)
        trigger_set(out, b, BREAKER_STOP_HITS, true, hits, c->stop_hits_max, "stops hit");
}

/* ---- the market's age ---- */

void breaker_market(struct breaker_changes *out, struct breaker *b, int64_t due_ns,
                    int64_t now_ns) {
    int64_t most = b->config.overdue_ns_max;
    if (most == 0) return;
    trigger_set(out, b, BREAKER_MARKET_STALE, now_ns - due_ns > most,
                (double)(now_ns - due_ns) / (double)SECOND_NS, (double)most / (double)SECOND_NS,
                now_ns - due_ns > most ? "seconds overdue" : "data again");
}

int64_t breaker_deadline(const struct breaker *b, int64_t due_ns) {
    bool is_stale = b->tripped >> BREAKER_MARKET_STALE & 1;
    return b->config.overdue_ns_max == 0 || is_stale ? INT64_MAX
                                                     : due_ns + b->config.overdue_ns_max + 1;
}

/* ---- others ---- */

void breaker_other_run(struct breaker_changes *out, struct breaker *b, bool is_there) {
    trigger_set(out, b, BREAKER_OTHER_RUN, is_there, (double)NAN, (double)NAN,
                is_there ? "its orders are there" : "nothing of it for long");
}

/* ---- by hand, and what follows for the limits ---- */

void breaker_reset(struct breaker_changes *out, struct breaker *b, uint32_t symbol,
                   int64_t now_ns) {
    breaker_circuits_reset(out, b, symbol, now_ns);
    if (symbol != BREAKER_ALL) return;
    const char *cause = "by hand";
    trigger_set(out, b, BREAKER_DAILY_LOSS, false, (double)NAN, (double)NAN, cause);
    trigger_set(out, b, BREAKER_DRAWDOWN, false, (double)NAN, (double)NAN, cause);
    trigger_set(out, b, BREAKER_STOP_HITS, false, (double)NAN, (double)NAN, cause);
    mode_set(out, b, BREAKER_NORMAL, (double)NAN, (double)NAN, cause);
    b->stop_next = 0;
    for (uint32_t i = 0; i < BREAKER_STOPS_KEPT; i++) b->stops_ns[i] = 0;
    b->peak = b->equity;
    day_begin(b, b->equity, b->day);
    enum { ROOM = 8 };
    for (uint32_t i = 0; i < b->symbol_count && out->count + ROOM < BREAKER_CHANGES_MAX; i++)
        breaker_circuits_reset(out, b, i, now_ns);
}

void breaker_limits(struct risk_limits *limits, const struct breaker *b) {
    if (b->mode == BREAKER_NORMAL) return;
    const struct breaker_mode_limits *m = &b->config.modes[b->mode];
    if (m->notional_max.e8 < limits->notional_symbol_max.e8)
        limits->notional_symbol_max = m->notional_max;
    if (m->leverage_max < limits->leverage_max) limits->leverage_max = m->leverage_max;
    if (m->confidence_min > limits->confidence_min) limits->confidence_min = m->confidence_min;
}
