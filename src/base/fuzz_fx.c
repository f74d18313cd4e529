/* Any bytes as a decimal: what parses prints and parses back the same; truncation only ever adds what
 * was refused for its digits; the JSON reader's shortcut agrees. */
#include <stdlib.h>
#include <string.h>

#include "base/fx.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) abort();                                                                 \
    } while (0)

static void check_json(const char *text, size_t size, enum status st, int64_t e8) {
    char quoted[80];
    if (size > sizeof quoted - 2 || memchr(text, '"', size) || memchr(text, '\\', size)) return;
    quoted[0] = quoted[size + 1] = '"';
    memcpy(quoted + 1, text, size);
    struct json_reader r;
    json_reader_init(&r, quoted, size + 2);
    int64_t got = json_e8(&r);
    REQUIRE((json_finish(&r) == ST_OK) == (st == ST_OK));
    REQUIRE(got == (st == ST_OK ? e8 : 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    const int64_t untouched = 0x5A5A5A5A5A5A5A5A;
    int64_t exact = untouched, cut = untouched, back;
    enum status st = fx_parse(&exact, text, size);
    enum status st_cut = fx_parse_truncate(&cut, text, size);
    REQUIRE(st == ST_OK || exact == untouched);
    REQUIRE(st_cut == ST_OK || cut == untouched);
    REQUIRE((st == ST_INVALID) == (st_cut == ST_INVALID));
    if (st == ST_OK) REQUIRE(st_cut == ST_OK && cut == exact);
    check_json(text, size, st, exact);
    if (st_cut != ST_OK) return 0;
    char out[FX_TEXT_SIZE];
    size_t n = fx_format(out, cut);
    REQUIRE(n < FX_TEXT_SIZE && out[n] == '\0');
    REQUIRE(fx_parse(&back, out, n) == ST_OK && back == cut);
    n = fx_format_fixed(out, cut, 8);
    REQUIRE(fx_parse(&back, out, n) == ST_OK && back == cut);
    return 0;
}
