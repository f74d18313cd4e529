#include <math.h>
#include <stddef.h>

#include "base/assert.h"
#include "brain/portfolio/portfolio.h"

static const uint32_t NONE = UINT32_MAX;

const char *portfolio_reason_text(enum portfolio_reason reason) {
    switch (reason) {
#define PORTFOLIO_REASON_TEXT(name, text)                                                          \
    case name:                                                                                     \
        return text;
        PORTFOLIO_REASON_TABLE(PORTFOLIO_REASON_TEXT)
#undef PORTFOLIO_REASON_TEXT
    case PORTFOLIO_REASON_COUNT:
        break;
    }
    return "?";
}

struct portfolio_config portfolio_config_defaults(void) {
    return (struct portfolio_config){
        .cluster_at = 0.70,
        .refuse_at = 0.80,
        .symbol_max = 0.20,
        .cluster_max = 0.60,
        .total_max = 1.0,
        .margin_max = 0.85,
        .band = 0.05,
        .bars_per_day = 24,
        .bars_min = 60,
        .symbols_min = 5,
        .positions_max = 10,
    };
}

const char *portfolio_config_fault(const struct portfolio_config *c) {
    const struct {
        const char *name;
        double value, low, high;
    } rows[] = {
        {"cluster_at", c->cluster_at, 0.01, 1},
        {"refuse_at", c->refuse_at, 0.01, PORTFOLIO_REFUSE_CEILING},
        {"symbol_max", c->symbol_max, 0, PORTFOLIO_SYMBOL_CEILING},
        {"cluster_max", c->cluster_max, 0, PORTFOLIO_CLUSTER_CEILING},
        {"total_max", c->total_max, 0, PORTFOLIO_TOTAL_CEILING},
        {"fraction_min", c->fraction_min, 0, PORTFOLIO_SYMBOL_CEILING},
        {"margin_max", c->margin_max, 0.01, 1},
        {"band", c->band, 0, 1},
        {"half_life_bars", c->half_life_bars, 0, 1e6},
        {"bars_per_day", c->bars_per_day, 1.0 / 31, 86400},
        {"bars_min", c->bars_min, 2, PORTFOLIO_BARS - 1},
        {"symbols_min", c->symbols_min, 1, PORTFOLIO_POSITIONS_CEILING},
        {"positions_max", c->positions_max, 1, PORTFOLIO_POSITIONS_CEILING},
    };
    for (uint32_t k = 0; k < sizeof rows / sizeof *rows; k++)
        if (!(rows[k].value >= rows[k].low && rows[k].value <= rows[k].high)) return rows[k].name;
    return NULL;
}

/* Into 0..ceiling; what is not a number or negative becomes 0. */
static double under(double value, double ceiling) {
    if (!(value >= 0)) return 0;
    return value < ceiling ? value : ceiling;
}

void portfolio_caps_derive(struct portfolio_caps *out, const struct portfolio_config *c) {
    *out = (struct portfolio_caps){.cluster = under(c->cluster_max, PORTFOLIO_CLUSTER_CEILING)};
    out->symbol = under(under(c->symbol_max, PORTFOLIO_SYMBOL_CEILING), out->cluster);
    out->positions = c->positions_max < PORTFOLIO_POSITIONS_CEILING ? c->positions_max
                                                                    : PORTFOLIO_POSITIONS_CEILING;
    uint32_t shares = c->symbols_min < out->positions ? c->symbols_min : out->positions;
    out->total = under(under(c->total_max, PORTFOLIO_TOTAL_CEILING), out->symbol * shares);
}

static bool better(const struct portfolio_wish *wishes, uint32_t a, uint32_t b) {
    const struct portfolio_wish *x = &wishes[a], *y = &wishes[b];
    if (x->edge_net != y->edge_net) return x->edge_net > y->edge_net;
    if (x->instrument_index != y->instrument_index)
        return x->instrument_index < y->instrument_index;
    return a < b;
}

static bool is_side(uint32_t side) {
    return side == SIDE_BUY || side == SIDE_SELL;
}

/* Reasons known before any correlation; ranks the rest. By insertion: at most 512, mostly few. */
static void rank_wishes(struct portfolio_book *b, uint32_t instrument_count) {
    for (uint32_t i = 0; i < b->wish_count; i++) {
        const struct portfolio_wish *wish = &b->wishes[i];
        b->place[i] = NONE;
        b->verdict[i] =
            (struct portfolio_verdict){.against = NONE, .rank = NONE, .correlation = NAN};
        if (wish->instrument_index >= instrument_count || !is_side(wish->side)) {
            b->verdict[i].reason = PORTFOLIO_INVALID;
            continue;
        }
        if (!(wish->edge_net > 0) || !isfinite(wish->edge_net)) {
            b->verdict[i].reason = PORTFOLIO_EDGE;
            continue;
        }
        b->verdict[i].reason = PORTFOLIO_NOT_CONSIDERED;
        uint32_t at = b->ranked++;
        for (; at > 0 && better(b->wishes, i, b->order[at - 1]); at--)
            b->order[at] = b->order[at - 1];
        b->order[at] = i;
    }
    for (uint32_t k = 0; k < b->ranked; k++) b->verdict[b->order[k]].rank = k;
}

static uint32_t find_place(const uint32_t *instruments, uint32_t count, uint32_t instrument) {
    for (uint32_t k = 0; k < count; k++)
        if (instruments[k] == instrument) return k;
    return NONE;
}

void portfolio_open(struct portfolio_book *b, const struct portfolio_config *config,
                    const struct portfolio_series *series, uint32_t instrument_count, int64_t bar,
                    const struct portfolio_holding *holdings, uint32_t holding_count,
                    const struct portfolio_wish *wishes, uint32_t wish_count) {
    ASSERT(holding_count <= PORTFOLIO_POSITIONS_CEILING && wish_count <= INSTRUMENTS_MAX);
    b->config = *config;
    b->config.refuse_at = under(config->refuse_at, PORTFOLIO_REFUSE_CEILING);
    b->config.cluster_at = under(config->cluster_at, PORTFOLIO_REFUSE_CEILING);
    portfolio_caps_derive(&b->caps, config);
    b->holding_count = b->positions = holding_count;
    b->wishes = wishes;
    b->wish_count = wish_count;
    b->ranked = 0;
    uint32_t instruments[PORTFOLIO_SET_MAX], count = 0;
    for (uint32_t k = 0; k < holding_count; k++) {
        const struct portfolio_holding *h = &holdings[k];
        ASSERT(h->instrument_index < instrument_count && is_side(h->side) && h->fraction > 0);
        ASSERT(find_place(instruments, count, h->instrument_index) == NONE);
        b->side[count] = h->side;
        b->fraction[count] = h->fraction;
        instruments[count++] = h->instrument_index;
    }
    rank_wishes(b, instrument_count);
    for (uint32_t k = 0; k < b->ranked; k++) {
        uint32_t wish = b->order[k], instrument = wishes[wish].instrument_index;
        uint32_t place = find_place(instruments, count, instrument);
        if (place == NONE && count < PORTFOLIO_SET_MAX) {
            place = count++;
            instruments[place] = instrument;
            b->side[place] = SIDE_NONE;
            b->fraction[place] = 0;
        }
        b->place[wish] = place;
    }
    portfolio_correlate(&b->matrix, b->z, &b->config, series, instruments, count, bar);
}

const uint32_t *portfolio_rank(const struct portfolio_book *b, uint32_t *count) {
    *count = b->ranked;
    return b->order;
}

/* Correlation of two places, sides included; 1 if unknown. */
static double alike(const struct portfolio_book *b, uint32_t i, uint32_t j, int sign) {
    double rho = b->matrix.rho[i][j];
    return isnan(rho) ? 1 : rho * sign;
}

static double sigma_day(const struct portfolio_book *b, uint32_t place) {
    double sigma = b->matrix.sigma[place];
    return isnan(sigma) ? PORTFOLIO_SIGMA_DAY_UNKNOWN : sigma * sqrt(b->config.bars_per_day);
}

/* Variance of the book and its covariance with a unit of `side` at `place`. */
static void book_risk(struct portfolio_room *out, const struct portfolio_book *b, uint32_t place,
                      uint32_t side) {
    double variance = 0, covariance = 0, unit = sigma_day(b, place);
    for (uint32_t i = 0; i < b->matrix.count; i++) {
        if (b->fraction[i] == 0) continue;
        int sign = side_sign((enum side)b->side[i]);
        double risk = b->fraction[i] * sigma_day(b, i);
        variance += risk * risk;
        for (uint32_t j = 0; j < i; j++)
            if (b->fraction[j] != 0)
                variance += 2 * risk * b->fraction[j] * sigma_day(b, j) *
                            alike(b, i, j, sign * side_sign((enum side)b->side[j]));
        covariance += risk * unit * alike(b, i, place, sign * side_sign((enum side)side));
    }
    out->sigma_day = isnan(b->matrix.sigma[place]) ? NAN : unit;
    out->variance_day = variance > 0 ? variance : 0; /* pairs are measured apart: not always >= 0 */
    out->covariance_day = covariance;
}

static double room_left(double cap, double used) {
    return cap > used ? cap - used : 0;
}

/* The first position the wish is too close to, the closest of them; unknown before known. */
static enum portfolio_reason closest(struct portfolio_room *out, const struct portfolio_book *b,
                                     uint32_t place, uint32_t side) {
    double most = b->config.refuse_at;
    enum portfolio_reason reason = PORTFOLIO_ALLOW;
    for (uint32_t i = 0; i < b->matrix.count; i++) {
        if (b->fraction[i] == 0) continue;
        double rho = b->matrix.rho[i][place];
        if (isnan(rho)) {
            out->against = b->matrix.instrument[i];
            out->correlation = NAN;
            return PORTFOLIO_CORRELATION_UNKNOWN;
        }
        double same = rho * side_sign((enum side)b->side[i]) * side_sign((enum side)side);
        if (same < most || (reason != PORTFOLIO_ALLOW && same == most)) continue;
        most = same;
        reason = PORTFOLIO_CORRELATED;
        out->against = b->matrix.instrument[i];
        out->correlation = same;
    }
    return reason;
}

static enum portfolio_reason judge(struct portfolio_room *out, const struct portfolio_book *b,
                                   uint32_t wish) {
    uint32_t place = b->place[wish], side = b->wishes[wish].side;
    enum portfolio_reason early = (enum portfolio_reason)b->verdict[wish].reason;
    if (early == PORTFOLIO_INVALID || early == PORTFOLIO_EDGE) return early;
    if (place != NONE && b->fraction[place] != 0) return PORTFOLIO_HELD;
    if (b->positions >= b->caps.positions) return PORTFOLIO_SLOTS;
    if (place == NONE) return PORTFOLIO_NOT_CONSIDERED;
    double in_cluster = 0, total = 0;
    for (uint32_t i = 0; i < b->matrix.count; i++) {
        total += b->fraction[i];
        if (b->matrix.cluster[i] == b->matrix.cluster[place]) in_cluster += b->fraction[i];
    }
    out->symbol = b->caps.symbol;
    out->cluster = room_left(b->caps.cluster, in_cluster);
    out->total = room_left(b->caps.total, total);
    book_risk(out, b, place, side);
    if (isnan(out->sigma_day)) return PORTFOLIO_HISTORY;
    enum portfolio_reason close = closest(out, b, place, side);
    if (close != PORTFOLIO_ALLOW) return close;
    double least = b->config.fraction_min;
    if (out->symbol == 0 || out->symbol < least) return PORTFOLIO_SYMBOL_CAP;
    if (out->cluster == 0 || out->cluster < least) return PORTFOLIO_CLUSTER_CAP;
    if (out->total == 0 || out->total < least) return PORTFOLIO_TOTAL_CAP;
    return PORTFOLIO_ALLOW;
}

void portfolio_consider(struct portfolio_room *out, const struct portfolio_book *b, uint32_t wish) {
    ASSERT(wish < b->wish_count);
    *out = (struct portfolio_room){
        .against = NONE, .correlation = NAN, .sigma_day = NAN, .covariance_day = NAN};
    out->reason = judge(out, b, wish);
}

const struct portfolio_verdict *portfolio_admit(struct portfolio_book *b, uint32_t wish,
                                                double fraction) {
    struct portfolio_room room;
    portfolio_consider(&room, b, wish);
    struct portfolio_verdict *v = &b->verdict[wish];
    if (v->fraction > 0) return v;
    v->reason = room.reason;
    v->bound_by = PORTFOLIO_ALLOW;
    v->against = room.against;
    v->correlation = room.correlation;
    if (v->reason != PORTFOLIO_ALLOW) return v;
    if (!(fraction > 0)) {
        v->reason = PORTFOLIO_INVALID;
        return v;
    }
    const double caps[3] = {room.symbol, room.cluster, room.total};
    for (uint32_t k = 0; k < 3; k++)
        if (caps[k] < fraction) {
            fraction = caps[k];
            v->bound_by = PORTFOLIO_SYMBOL_CAP + k;
        }
    if (fraction < b->config.fraction_min) {
        v->reason = PORTFOLIO_BELOW_MINIMUM;
        return v;
    }
    v->fraction = fraction;
    b->side[b->place[wish]] = b->wishes[wish].side;
    b->fraction[b->place[wish]] = fraction;
    b->positions++;
    return v;
}

uint32_t portfolio_select(struct portfolio_book *b) {
    uint32_t allowed = 0;
    for (uint32_t k = 0; k < b->ranked; k++) {
        const struct portfolio_verdict *v =
            portfolio_admit(b, b->order[k], b->wishes[b->order[k]].fraction);
        allowed += v->reason == PORTFOLIO_ALLOW;
    }
    return allowed;
}
