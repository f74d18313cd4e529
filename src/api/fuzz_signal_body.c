/* Any bytes: no crash, and a body that is accepted is one that may be looked up. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct api_signal_request request; /* 12 KB; every field read is set by the call */
    struct api_refusal refusal;
    if (api_signal_decode(&request, &refusal, (const char *)data, size)) {
        if (request.symbol_count == 0 || request.symbol_count > INSTRUMENTS_MAX) abort();
        if (!request.is_batch && request.symbol_count != 1) abort();
        for (uint32_t i = 0; i < request.symbol_count; i++) {
            size_t length = strnlen(request.symbols[i], SYMBOL_SIZE);
            if (length == 0 || length >= SYMBOL_SIZE) abort();
        }
        if (request.has_price && !(isfinite(request.price) && request.price > 0)) abort();
        if (request.has_volume && !(isfinite(request.volume) && request.volume >= 0)) abort();
        if (request.has_timeframe && request.timeframe_ns <= 0) abort();
        if (refusal.code != 0) abort();
    } else {
        if (refusal.code != 400 && refusal.code != 422) abort();
        if (refusal.message[0] == '\0') abort();
        if (refusal.code == 400 && (refusal.line == 0 || refusal.offset > size)) abort();
    }
    return 0;
}
