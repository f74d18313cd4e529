#include "bench/bench_synth.h"

#include <stdlib.h>

static void fill(struct bench_synth *out, struct synth *synth, struct bar *step,
                 const struct synth_config *c) {
    synth_init(synth, c);
    synth_instruments(c, out->instruments);
    for (size_t t = 0; t < out->count; t++) {
        synth_next(synth, step);
        for (uint32_t i = 0; i < c->symbol_count; i++) out->bars[i * out->count + t] = step[i];
    }
}

enum status bench_synth_make(struct bench_synth *out, const struct synth_config *c, size_t count,
                             struct err *err) {
    *out = (struct bench_synth){.count = count};
    out->bars = calloc(c->symbol_count * count, sizeof *out->bars);
    out->instruments = calloc(c->symbol_count, sizeof *out->instruments);
    struct bar *step = calloc(c->symbol_count, sizeof *step);
    struct synth *synth = aligned_alloc(64, (synth_size(c) + 63) & ~(size_t)63);
    enum status st = ST_OK;
    if (out->bars && out->instruments && step && synth)
        fill(out, synth, step, c);
    else
        st = err_set(err, ST_NO_MEMORY, "%zu bars of %u symbols", count, c->symbol_count);
    free(step);
    free(synth);
    return st;
}

void bench_synth_free(struct bench_synth *s) {
    free(s->bars);
    free(s->instruments);
}
