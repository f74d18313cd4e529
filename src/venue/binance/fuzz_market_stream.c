/* Market frames: any bytes get a verdict, and what is accepted is what a market can say. */
#include <stdlib.h>
#include <string.h>

#include "venue/binance/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct stream_event e;
    memset(&e, 0xff, sizeof e);
    if (binance_stream_decode(&e, (const char *)data, size) != ST_OK) return 0;
    if (memchr(e.symbol, '\0', sizeof e.symbol) == NULL) abort();
    if (e.event_ns < 0 || e.ts_ns < 0) abort();
    if (e.kind == STREAM_KLINE && !bar_is_possible(&e.u.kline.bar)) abort();
    if (e.kind == STREAM_DEPTH) {
        if (e.u.depth.bid_count > STREAM_LEVELS_MAX || e.u.depth.ask_count > STREAM_LEVELS_MAX)
            abort();
        for (uint32_t i = 0; i < e.u.depth.bid_count; i++)
            if (e.u.depth.bids[i].px.e8 <= 0 || e.u.depth.bids[i].qty.e8 < 0) abort();
    }
    return 0;
}
