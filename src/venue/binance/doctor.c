/* `quantum doctor`: what the client found, each as one line. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/tstamp.h"
#include "venue/binance/binance_internal.h"

struct doctor {
    void (*print)(void *context, bool ok, const char *text);
    void *context;
    uint32_t failed;
};

__attribute__((format(printf, 3, 4))) static void line(struct doctor *d, bool ok,
                                                       const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    d->failed += !ok;
    d->print(d->context, ok, text);
}

/* Beyond this the venue would refuse a program that trusted the wall clock. */
#define WALL_CLOCK_WRONG_MS 1000

static void check_clock(struct doctor *d, const struct binance *b) {
    int64_t now = binance_monotonic(b);
    if (!b->clock.known) {
        line(d, false, "clock: the venue does not tell the time at %s", b->options.rest_url);
        return;
    }
    double error_ms = (double)binance_clock_error(&b->clock, now) / 1e6;
    line(d, error_ms < 250, "clock: the venue's time is known to %.1f ms", error_ms);
    int64_t wall_ms = tstamp_wall_ns() / NS_PER_MS;
    if (b->options.wall_clock_offset_ms) wall_ms += b->options.wall_clock_offset_ms();
    int64_t off_ms = wall_ms - binance_clock_now(&b->clock, now) / NS_PER_MS;
    bool right = off_ms > -WALL_CLOCK_WRONG_MS && off_ms < WALL_CLOCK_WRONG_MS;
    /* Not a failure: nothing here trusts it. */
    line(d, true, "wall clock: %s%lld ms %s the venue%s", right ? "" : "wrong, ",
         (long long)llabs(off_ms), off_ms < 0 ? "behind" : "ahead of",
         right ? "" : " (trading does not depend on it)");
}

static void check_contracts(struct doctor *d, const struct binance *b) {
    uint32_t no_brackets = 0, settling = 0, cross = 0;
    for (uint32_t i = 0; i < b->instrument_count; i++) {
        no_brackets += b->instruments[i].bracket_count == 0;
        settling += b->instruments[i].status != INSTRUMENT_TRADING;
        cross += !b->isolated[i];
    }
    line(d, b->instrument_count > 0, "contracts: %u known with filters", b->instrument_count);
    line(d, no_brackets == 0, "leverage brackets: missing for %u contracts", no_brackets);
    line(d, true, "contracts not in trading: %u", settling);
    line(d, true,
         "margin: %u contracts are on cross and are set to isolated before the first order", cross);
    line(d, true, "limits: weight %u a minute, orders %u in 10 s and %u a minute",
         b->requests.budget.limits.weight_1m, b->requests.budget.limits.orders_10s,
         b->requests.budget.limits.orders_1m);
}

uint32_t binance_doctor(struct binance *b, void (*print)(void *context, bool ok, const char *text),
                        void *context) {
    struct doctor d = {print, context, 0};
    check_clock(&d, b);
    check_contracts(&d, b);
    line(&d, b->loaded, "account: %s",
         b->loaded ? "keys accepted, one-way mode, single asset" : "not usable, see the error");
    if (b->may_withdraw_known)
        line(&d, !b->may_withdraw, "key: %s",
             b->may_withdraw ? "may withdraw: refused" : "may not withdraw");
    else
        line(&d, b->options.restrictions_url == NULL, "key: whether it may withdraw %s",
             b->options.restrictions_url ? "could not be asked" : "is not asked on this venue");
    if (!b->loaded) return d.failed;
    line(&d, true, "conditional orders: go to the %s endpoint, and to the other one once refused",
         b->algo_service ? "algo" : "classic");
    char wallet[FX_TEXT_SIZE];
    (void)fx_format(wallet, b->orders.wallet.e8);
    line(&d, b->orders.wallet.e8 > 0, "wallet: %s USDT", wallet);
    return d.failed;
}
