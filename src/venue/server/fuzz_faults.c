/* Any text as --faults: refused with the old rates in place, or rates from 0 to 1. */
#include <stdlib.h>
#include <string.h>

#include "venue/server/faults.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) abort();                                                                 \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct faults f, before;
    struct err err = {0};
    char *spec = malloc(size + 1);
    if (!spec) abort();
    if (size) memcpy(spec, data, size);
    spec[size] = '\0';
    faults_init(&f, 1);
    fault_set(&f, FAULT_LOST_ACK, 0.25, NULL);
    before = f;
    enum status st = faults_parse(&f, spec, &err);
    REQUIRE(st == ST_OK || st == ST_INVALID);
    if (st == ST_INVALID) {
        REQUIRE(memcmp(&f, &before, sizeof f) == 0);
        REQUIRE(err.st == ST_INVALID && err.text[0]);
    }
    for (int k = 0; k < FAULT_COUNT; k++) REQUIRE(f.rows[k].rate >= 0 && f.rows[k].rate <= 1);
    free(spec);
    return 0;
}
