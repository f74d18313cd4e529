/* Any bytes as a safetensors file: refused with a reason, or every tensor lies within them and can
 * be read. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "ml/nn/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct safetensors *s = NULL;
    struct err err = {0};
    enum status st = safetensors_parse(&s, data, size, "input", &err);
    if (st != ST_OK) {
        ASSERT(!s && err.st == st && err.text[0]);
        return 0;
    }
    size_t total = 0;
    for (uint32_t i = 0; i < safetensors_count(s); i++) {
        const struct safetensor *t = safetensors_at(s, i);
        ASSERT(safetensors_find(s, t->name) == t);
        ASSERT(t->count <= size);
        double *out = malloc((t->count + 1) * sizeof *out);
        if (out && safetensor_f64(out, t) == ST_OK) total += t->count;
        free(out);
    }
    ASSERT(total <= size);
    ASSERT(!safetensors_find(s, "no such tensor, surely"));
    safetensors_close(s);
    return 0;
}
