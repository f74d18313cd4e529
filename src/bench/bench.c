#include "bench/bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"

static bool as_json;

void bench_json_set(bool on) {
    as_json = on;
}

void bench_emit(const struct bench_figure *f) {
    double ratio = f->peer_value > 0 ? f->value / f->peer_value : 0;
    if (!as_json) {
        printf("%-28s %14.4g %-8s n=%" PRIu64, f->name, f->value, f->unit, f->n);
        if (f->peer_value > 0) printf("  %s %.4g, ratio %.3f", f->peer, f->peer_value, ratio);
        printf("\n");
    } else {
        char line[512];
        struct json_writer w;
        json_writer_init(&w, line, sizeof line);
        json_write_object_begin(&w);
        json_write_key(&w, "name");
        json_write_string(&w, f->name);
        json_write_key(&w, "value");
        json_write_f64(&w, f->value);
        json_write_key(&w, "unit");
        json_write_string(&w, f->unit);
        json_write_key(&w, "n");
        json_write_u64(&w, f->n);
        json_write_key(&w, "peer");
        json_write_string(&w, f->peer ? f->peer : "");
        json_write_key(&w, "peer_value");
        json_write_f64(&w, f->peer_value);
        json_write_key(&w, "ratio");
        json_write_f64(&w, ratio);
        json_write_object_end(&w);
        if (json_writer_finish(&w) == ST_OK) puts(line);
    }
    fflush(stdout);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void bench_sort(double *values, size_t n) {
    qsort(values, n, sizeof *values, ascending);
}

double bench_median(double *values, uint32_t n) {
    bench_sort(values, n);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

void bench_latency(const char *name, double *ns, size_t n) {
    char name_p99[64];
    snprintf(name_p99, sizeof name_p99, "%s.p99", name);
    bench_sort(ns, n);
    bench_emit(&(struct bench_figure){name, ns[n / 2], "ns", n, "", 0});
    bench_emit(&(struct bench_figure){name_p99, ns[n * 99 / 100], "ns", n, "", 0});
}
