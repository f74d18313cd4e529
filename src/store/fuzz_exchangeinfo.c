/* The three kinds of contract JSON on arbitrary text; accepted contracts must be usable ones. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/contracts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct rules_list list = {0};
    struct err err;
    enum status st = contracts_parse(&list, (const char *)data, size, NULL, NULL, &err);
    require(st == ST_OK || (st == ST_INVALID && list.count == 0));
    for (size_t i = 0; i < list.count; i++) {
        const struct rules *r = &list.rows[i];
        const struct instrument *in = &r->instrument;
        require(r->sources != 0 && in->symbol[0]);
        require(in->tick_size.e8 > 0 && in->step_size.e8 > 0 && in->market_step_size.e8 > 0);
        require(in->bracket_count >= 1 && in->bracket_count <= BRACKETS_MAX);
        require(in->funding_interval_ns > 0);
        /* Continuous maintenance margin is the exchange's business; that it can be computed, ours. */
        (void)instrument_maint_margin(in, money_e8(1000 * FX_ONE));
        (void)instrument_check_px(in, px_e8(FX_ONE));
        (void)instrument_check_qty(in, qty_e8(FX_ONE), true);
    }
    rules_list_free(&list);
    return 0;
}
