/* What two lives of one state must have in common, as text: a mismatch can then be shown. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "venue/server/world_internal.h"

static void exchange_lines(FILE *f, const struct exchange_config *c) {
    fprintf(f, "exchange.accounts_max %" PRIu32 "\n", c->accounts_max);
    fprintf(f, "exchange.orders_max %" PRIu32 "\n", c->orders_max);
    fprintf(f, "exchange.algos_max %" PRIu32 "\n", c->algos_max);
    fprintf(f, "exchange.book_orders_max %" PRIu32 "\n", c->book_orders_max);
    fprintf(f, "exchange.book_levels_max %" PRIu32 "\n", c->book_levels_max);
    fprintf(f, "exchange.events_max %" PRIu32 "\n", c->events_max);
    fprintf(f, "exchange.leverage_default %" PRIu32 "\n", c->leverage_default);
    fprintf(f, "exchange.trigger_protect_e8 %" PRId64 "\n", c->trigger_protect.e8);
    fprintf(f, "exchange.classic_conditional %d\n", c->classic_conditional);
    fprintf(f, "exchange.countdown_cancels_algos %d\n", c->countdown_cancels_algos);
    fprintf(f, "exchange.first_order_id %" PRIu64 "\n", c->first_order_id);
    fprintf(f, "exchange.first_algo_id %" PRIu64 "\n", c->first_algo_id);
    fprintf(f, "exchange.first_trade_id %" PRIu64 "\n", c->first_trade_id);
    fprintf(f, "instruments %" PRIu32 "\n", c->instrument_count);
    for (uint32_t i = 0; i < c->instrument_count; i++)
        fprintf(f, "instrument.%.*s rules %016" PRIx64 "\n", SYMBOL_SIZE, c->instruments[i].symbol,
                hash64(&c->instruments[i], sizeof c->instruments[i]));
}

static void market_lines(FILE *f, const struct market_config *c) {
    fprintf(f, "market.source %d\n", (int)c->source);
    fprintf(f, "market.seed %" PRIu64 "\n", c->seed);
    fprintf(f, "market.interval_ns %" PRId64 "\n", c->interval_ns);
    fprintf(f, "market.quote_every_ns %" PRId64 "\n", c->quote_every_ns);
    fprintf(f, "market.levels %" PRIu32 "\n", c->levels);
    fprintf(f, "market.half_spread_e8 %" PRId64 "\n", c->half_spread.e8);
    fprintf(f, "market.volatility_day %.17g\n", c->volatility_day);
    fprintf(f, "market.trades_per_s %.17g\n", c->trades_per_s);
    if (c->lead > 0) fprintf(f, "market.lead %.17g\n", c->lead);
    fprintf(f, "market.funding_count_max %" PRIu32 "\n", c->funding_count_max);
    for (uint32_t i = 0; c->start_px && i < c->instrument_count; i++)
        fprintf(f, "market.start_px_e8.%" PRIu32 " %" PRId64 "\n", i, c->start_px[i].e8);
}

char *world_identity_text(const struct world_options *o) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) return NULL;
    fprintf(f, "format %d\n", WORLD_FORMAT);
    /* The blocks are memory as it is: another layout of what lies in them is another format. */
    fprintf(f, "layout input %zu order %zu algo %zu event %zu instrument %zu bar %zu\n",
            sizeof(struct exchange_input), sizeof(struct exchange_order),
            sizeof(struct exchange_algo), sizeof(struct exchange_event), sizeof(struct instrument),
            sizeof(struct bar));
    exchange_lines(f, &o->exchange);
    market_lines(f, &o->market);
    fprintf(f, "history.orders_max %" PRIu32 "\n", o->history.orders_max);
    fprintf(f, "history.algos_max %" PRIu32 "\n", o->history.algos_max);
    fprintf(f, "history.trades_max %" PRIu32 "\n", o->history.trades_max);
    fprintf(f, "history.incomes_max %" PRIu32 "\n", o->history.incomes_max);
    fprintf(f, "history.amendments_max %" PRIu32 "\n", o->history.amendments_max);
    fprintf(f, "ticks.bars %" PRIu32 "\n", o->ticks.bars);
    fprintf(f, "ticks.trades %" PRIu32 "\n", o->ticks.trades);
    fprintf(f, "ticks.fundings %" PRIu32 "\n", o->ticks.fundings);
    bool bad = ferror(f);
    if (fclose(f) || bad) {
        free(text);
        return NULL;
    }
    return text;
}

enum status world_identity_compare(const char *was, const char *is, struct err *err) {
    while (*was && *is) {
        size_t a = strcspn(was, "\n"), b = strcspn(is, "\n");
        if (a != b || memcmp(was, is, a) != 0)
            return err_set(
                err, ST_MISMATCH,
                "made with another configuration: it has \"%.*s\", asked for is \"%.*s\"", (int)a,
                was, (int)b, is);
        was += a + (was[a] != '\0');
        is += b + (is[b] != '\0');
    }
    if (*was == *is) return ST_OK;
    const char *more = *was ? was : is;
    return err_set(err, ST_MISMATCH, "made with another configuration: \"%.*s\" is in %s only",
                   (int)strcspn(more, "\n"), more, *was ? "it" : "what is asked for");
}
