/* Header detection and every row parser on arbitrary lines; what is accepted must hold. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/import_csv.h"
#include "store/import_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
    if (!ok) abort();
}

static void one_row(const struct csv_layout *l, const char *line, size_t size) {
    struct bar bar;
    struct funding_rate rate;
    struct bracket bracket;
    char symbol[SYMBOL_SIZE];
    int64_t lcd = FX_ONE;
    switch (l->kind) {
    case CSV_KLINES:
        if (csv_kline(&bar, &lcd, l, line, size)) return;
        require(bar.open_ts_ns > 0 && lcd >= 1 && lcd <= FX_ONE);
        require(isfinite(bar.volume) && bar.volume >= 0);
        require(isnan(bar.taker_buy_ratio) ||
                (bar.taker_buy_ratio >= 0.0f && bar.taker_buy_ratio <= 1.0f));
        break;
    case CSV_FUNDING:
        if (csv_funding(&rate, l, line, size)) return;
        require(rate.ts_ns > 0 && rate.rate.e8 <= FX_ONE && rate.rate.e8 >= -FX_ONE);
        break;
    case CSV_BRACKETS:
        if (csv_bracket(symbol, &bracket, l, line, size)) return;
        require(symbol[0] && strnlen(symbol, SYMBOL_SIZE) < SYMBOL_SIZE);
        require(bracket.leverage_max <= 1000);
        break;
    }
}

/* The first byte chooses between mark and funding files, the rest is the file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct csv_layout layout;
    bool first = true;
    if (size < 2) return 0;
    bool mark = data[0] & 1, funding = data[0] & 2;
    const char *p = (const char *)data + 1, *end = (const char *)data + size;
    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t n = newline ? (size_t)(newline - p) : (size_t)(end - p);
        if (first && csv_layout_detect(&layout, p, n, mark, funding)) return 0;
        if (!first || !layout.has_header) one_row(&layout, p, n);
        first = false;
        p += n + 1;
    }
    return 0;
}
