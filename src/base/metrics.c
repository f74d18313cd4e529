#include "base/metrics.h"

#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/numtext.h"

enum { NAME_SIZE = 96, LABELS_SIZE = 192, HELP_SIZE = 192, NONE = -1 };

/* One label set of one name. Doubles live in atomics as their bits: C17 has no fetch_add on them. */
struct series {
    char name[NAME_SIZE], labels[LABELS_SIZE], help[HELP_SIZE];
    enum metric_type type;
    int first;        /* the name's first series, which is where the name is rendered */
    int next_of_name; /* NONE at the end */
    uint32_t bound_count;
    double bounds[METRICS_BOUNDS_MAX];
    _Atomic uint64_t value_bits; /* value, or a histogram's sum */
    _Atomic uint64_t bucket_counts[METRICS_BOUNDS_MAX + 1];
};

struct metrics {
    int count;
    struct series series[METRICS_MAX];
};

struct metrics *metrics_create(void) {
    return calloc(1, sizeof(struct metrics));
}
void metrics_destroy(struct metrics *m) {
    free(m);
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool name_is_valid(const char *name) {
    if (!is_letter(*name) && *name != ':') return false;
    for (; *name; name++)
        if (!is_letter(*name) && !is_digit(*name) && *name != ':') return false;
    return true;
}

/* key="value",key="value": values with \\ \" \n escaped, as they will be printed. */
static bool labels_are_valid(const char *p) {
    while (*p) {
        const char *key = p;
        if (!is_letter(*p)) return false;
        while (is_letter(*p) || is_digit(*p)) p++;
        if (p - key == 2 && strncmp(key, "le", 2) == 0) return false; /* belongs to histograms */
        if (*p++ != '=' || *p++ != '"') return false;
        for (; *p != '"'; p++) {
            if ((unsigned char)*p < 0x20) return false;
            if (*p == '\\' && *++p != '\\' && *p != '"' && *p != 'n') return false;
        }
        p++;
        if (*p == ',' && p[1])
            p++;
        else if (*p)
            return false;
    }
    return true;
}

static void copy(char *out, size_t size, const char *text) {
    size_t n = strlen(text);
    ASSERT(n < size);
    memcpy(out, text, n + 1);
}

int metrics_add(struct metrics *m, enum metric_type type, const char *name, const char *labels,
                const char *help, const double *bounds, size_t bound_count) {
    ASSERT(m->count < METRICS_MAX);
    ASSERT(name_is_valid(name) && labels_are_valid(labels));
    ASSERT(bound_count <= METRICS_BOUNDS_MAX && (type == METRIC_HISTOGRAM) == (bound_count > 0));
    int handle = m->count;
    struct series *s = &m->series[handle];
    copy(s->name, sizeof s->name, name);
    copy(s->labels, sizeof s->labels, labels);
    copy(s->help, sizeof s->help, help);
    s->type = type;
    s->first = handle;
    s->next_of_name = NONE;
    s->bound_count = (uint32_t)bound_count;
    for (size_t i = 0; i < bound_count; i++) {
        ASSERT(isfinite(bounds[i]) && (i == 0 || bounds[i] > bounds[i - 1]));
        s->bounds[i] = bounds[i];
    }
    for (int i = 0; i < handle; i++) {
        struct series *other = &m->series[i];
        if (strcmp(other->name, name) != 0) continue;
        ASSERT(other->type == type && strcmp(other->help, help) == 0);
        ASSERT(strcmp(other->labels, labels) != 0);
        s->first = other->first;
        if (other->next_of_name == NONE) other->next_of_name = handle;
    }
    m->count++;
    return handle;
}

static struct series *series_of(struct metrics *m, int handle) {
    ASSERT(handle >= 0 && handle < m->count);
    return &m->series[handle];
}

static double bits_to_f64(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t f64_to_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void add(_Atomic uint64_t *bits, double by) {
    uint64_t old = atomic_load_explicit(bits, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(bits, &old, f64_to_bits(bits_to_f64(old) + by),
                                                  memory_order_relaxed, memory_order_relaxed)) {}
}

void metrics_inc(struct metrics *m, int handle, double by) {
    struct series *s = series_of(m, handle);
    ASSERT(s->type == METRIC_GAUGE || (s->type == METRIC_COUNTER && by >= 0));
    add(&s->value_bits, by);
}

void metrics_set(struct metrics *m, int handle, double value) {
    struct series *s = series_of(m, handle);
    ASSERT(s->type != METRIC_HISTOGRAM);
    if (s->type == METRIC_GAUGE) {
        atomic_store_explicit(&s->value_bits, f64_to_bits(value), memory_order_relaxed);
        return;
    }
    /* A counter only rises: an older total that arrives late is dropped. */
    uint64_t old = atomic_load_explicit(&s->value_bits, memory_order_relaxed);
    while (bits_to_f64(old) < value &&
           !atomic_compare_exchange_weak_explicit(&s->value_bits, &old, f64_to_bits(value),
                                                  memory_order_relaxed, memory_order_relaxed)) {}
}

void metrics_observe(struct metrics *m, int handle, double value) {
    struct series *s = series_of(m, handle);
    ASSERT(s->type == METRIC_HISTOGRAM && !isnan(value));
    uint32_t i = 0;
    while (i < s->bound_count && value > s->bounds[i]) i++;
    atomic_fetch_add_explicit(&s->bucket_counts[i], 1, memory_order_relaxed);
    add(&s->value_bits, value);
}

/* ---- rendering ---- */

struct text {
    char *out;
    size_t size, capacity;
    bool full;
};

static void put_n(struct text *t, const char *bytes, size_t n) {
    if (t->full || n >= t->capacity - t->size) {
        t->full = true;
        return;
    }
    memcpy(t->out + t->size, bytes, n);
    t->size += n;
}

static void put(struct text *t, const char *text) {
    put_n(t, text, strlen(text));
}

static void put_f64(struct text *t, double value) {
    char text[NUMTEXT_SIZE];
    if (isnan(value))
        put(t, "NaN");
    else if (isinf(value))
        put(t, value > 0 ? "+Inf" : "-Inf");
    else
        put_n(t, text, numtext_f64(text, value));
}

/* name suffix {labels,le="…"} value; le may be NULL. */
static void put_sample(struct text *t, const struct series *s, const char *suffix, const double *le,
                       double value) {
    put(t, s->name);
    put(t, suffix);
    if (s->labels[0] || le) {
        put(t, "{");
        put(t, s->labels);
        if (s->labels[0] && le) put(t, ",");
        if (le) {
            put(t, "le=\"");
            put_f64(t, *le);
            put(t, "\"");
        }
        put(t, "}");
    }
    put(t, " ");
    put_f64(t, value);
    put(t, "\n");
}

static void put_histogram(struct text *t, const struct series *s) {
    uint64_t cumulative = 0;
    const double infinity = HUGE_VAL;
    for (uint32_t i = 0; i <= s->bound_count; i++) {
        cumulative += atomic_load_explicit(&s->bucket_counts[i], memory_order_relaxed);
        put_sample(t, s, "_bucket", i < s->bound_count ? &s->bounds[i] : &infinity,
                   (double)cumulative);
    }
    put_sample(t, s, "_sum", NULL,
               bits_to_f64(atomic_load_explicit(&s->value_bits, memory_order_relaxed)));
    /* The same number as the last bucket, also while others observe. */
    put_sample(t, s, "_count", NULL, (double)cumulative);
}

static void put_head(struct text *t, const struct series *s) {
    static const char *const types[] = {"counter", "gauge", "histogram"};
    put(t, "# HELP ");
    put(t, s->name);
    put(t, " ");
    for (const char *p = s->help; *p; p++) {
        if (*p == '\n')
            put(t, "\\n");
        else if (*p == '\\')
            put(t, "\\\\");
        else
            put_n(t, p, 1);
    }
    put(t, "\n# TYPE ");
    put(t, s->name);
    put(t, " ");
    put(t, types[s->type]);
    put(t, "\n");
}

enum status metrics_render(const struct metrics *m, char *out, size_t capacity, size_t *out_size) {
    ASSERT(capacity > 0);
    struct text t = {.out = out, .capacity = capacity};
    for (int i = 0; i < m->count; i++) {
        if (m->series[i].first != i) continue;
        put_head(&t, &m->series[i]);
        for (int j = i; j != NONE; j = m->series[j].next_of_name) {
            const struct series *s = &m->series[j];
            if (s->type == METRIC_HISTOGRAM)
                put_histogram(&t, s);
            else
                put_sample(&t, s, "", NULL,
                           bits_to_f64(atomic_load_explicit(&s->value_bits, memory_order_relaxed)));
        }
    }
    out[t.size] = '\0';
    *out_size = t.size;
    return t.full ? ST_FULL : ST_OK;
}
