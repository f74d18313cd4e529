#include <math.h>

#include "base/assert.h"
#include "base/tstamp.h"
#include "trade/exitbrain/exitbrain.h"

struct row {
    const char *text;
    double take[3], part[3], break_even, trail_from, trail, trail_atr;
    uint32_t seconds;
};
static const struct row rows[PROFILE_COUNT] = {
#define ROW(id, text, t1, t2, t3, p1, p2, p3, even, from, price, atr, seconds)                     \
    [id] = {text, {t1, t2, t3}, {p1, p2, p3}, even, from, price, atr, seconds},
    EXIT_PROFILE_TABLE(ROW)
#undef ROW
};

const char *exitbrain_profile_text(enum exit_profile profile) {
    return profile < PROFILE_COUNT ? rows[profile].text : "?";
}

static uint32_t bars_of(uint32_t seconds, int64_t interval_ns) {
    int64_t bars = ((int64_t)seconds * NS_PER_SECOND + interval_ns - 1) / interval_ns;
    return bars > 0 ? (uint32_t)bars : 1;
}

void exitbrain_plan(struct exit_plan *out, enum exit_profile profile, const struct exit_plan *own,
                    double atr, int64_t interval_ns) {
    ASSERT(profile < PROFILE_COUNT);
    ASSERT(own->stop > 0 && own->stop < EXITBRAIN_STOP_END);
    ASSERT(interval_ns > 0);
    const struct row *r = &rows[profile];
    bool has_atr = isfinite(atr) && atr > 0;
    *out = *own;
    if (profile == PROFILE_OWN || (r->trail_atr > 0 && !has_atr)) return;
    for (int t = 0; t < 3; t++) out->take[t] = fmin(r->take[t] * own->stop, EXITBRAIN_STOP_END);
    for (int t = 0; t < 2; t++) out->part[t] = r->part[t];
    out->break_even = r->break_even * own->stop;
    out->trail_from = r->trail_from * own->stop;
    out->trail = r->trail_atr > 0 ? r->trail_atr * atr : r->trail;
    if (r->seconds) out->horizon_bars = bars_of(r->seconds, interval_ns);
}
