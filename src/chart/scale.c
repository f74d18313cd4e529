#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/tstamp.h"
#include "chart/chart_internal.h"
#include "num/elementary.h"

static const double LN10 = 2.302585092994045684;
/* The least a logarithmic axis shows: far from where num_log ends. */
static const double LOG_LEAST = 1e-100;
/* A share of a step or of an axis, the smaller: below what a picture shows. */
static const double NEAR = 1e-6;

bool scale_takes(const struct chart_axis *axis, double value) {
    return isfinite(value) && (!axis->log || value >= LOG_LEAST);
}

struct scale scale_over(const struct chart_axis *axis, double low, double high, double room_low,
                        double room_high) {
    /* A line at one height, and a difference below what ticks (what differences of logarithms) can say. */
    double least = (axis->log ? 1e-6 : 1e-9) * fmax(fabs(low), fabs(high));
    if (high - low <= least) {
        double half = low != 0 || high != 0 ? 0.05 * fmax(fabs(low), fabs(high)) : 1;
        low -= half;
        high += half;
    }
    if (axis->log) {
        double span = num_log(high) - num_log(low);
        low /= num_exp(room_low * span);
        high *= num_exp(room_high * span);
    } else {
        double span = high - low;
        low -= room_low * span;
        high += room_high * span;
    }
    return (struct scale){.low = low, .high = high, .log = axis->log};
}

double scale_at(const struct scale *s, double value) {
    double share = s->log
                       ? (num_log(value) - num_log(s->low)) / (num_log(s->high) - num_log(s->low))
                       : (value - s->low) / (s->high - s->low);
    return s->from + share * (s->to - s->from);
}

/* 10^n, exact up to 22. */
static double power_of_ten(int n) {
    double p = 1;
    for (int i = n < 0 ? -n : n; i > 0; i--) p *= 10;
    return n < 0 ? 1 / p : p;
}

/* n = k mantissa 10^exponent as text: plain if it is short, else with an exponent. */
static void tick_label(char out[TICK_SIZE], double k, int mantissa, int exponent) {
    double whole = k * mantissa, value = whole * power_of_ten(exponent);
    if (exponent >= -6 && fabs(value) < 1e7) {
        snprintf(out, TICK_SIZE, "%.*f", exponent < 0 ? -exponent : 0, whole == 0 ? 0 : value);
        return;
    }
    int digits = 0;
    double rest = fabs(whole);
    while (rest >= 10) {
        rest /= 10;
        digits++;
    }
    char text[2 * TICK_SIZE];
    snprintf(text, sizeof text, "%.*f", digits, whole * power_of_ten(-digits));
    if (digits) { /* no zeros behind the point */
        size_t n = strlen(text);
        while (text[n - 1] == '0') n--;
        text[n - (text[n - 1] == '.')] = '\0';
    }
    if (whole == 0)
        snprintf(out, TICK_SIZE, "0");
    else
        snprintf(out, TICK_SIZE, "%.15se%d", text, digits + exponent);
}

static void ticks_add(struct ticks *t, double k, int mantissa, int exponent) {
    double value = exponent < 0 ? k * mantissa / power_of_ten(-exponent)
                                : k * mantissa * power_of_ten(exponent);
    if (t->count == TICKS_MAX) return;
    t->values[t->count] = value;
    tick_label(t->labels[t->count++], k, mantissa, exponent);
}

static const int MANTISSAS[] = {1, 2, 5};

/* Steps of 1, 2 or 5 times a power of ten. */
static void ticks_linear(struct ticks *t, const struct scale *s, uint32_t wanted, bool whole) {
    double raw = (s->high - s->low) / wanted;
    int exponent = whole ? 0 : -200, mantissa = 1;
    while (5 * power_of_ten(exponent) < raw) exponent++;
    for (int i = 0; i < 3; i++) {
        mantissa = MANTISSAS[i];
        if (mantissa * power_of_ten(exponent) >= raw) break;
    }
    double step = mantissa * power_of_ten(exponent);
    /* 3 * 0.1 stands at 0.3, too. */
    double slack = NEAR * fmin(1, (s->high - s->low) / step), last = floor(s->high / step + slack);
    for (double k = ceil(s->low / step - slack); k <= last && t->count < TICKS_MAX; k++)
        ticks_add(t, k, mantissa, exponent);
}

/* Powers of ten; between them 2 and 5 where there is room. */
static void ticks_log(struct ticks *t, const struct scale *s, uint32_t wanted) {
    double decades = (num_log(s->high) - num_log(s->low)) / LN10;
    int stride = (int)ceil(decades / wanted);
    if (stride < 1) stride = 1;
    int first = (int)floor(num_log(s->low) / LN10) - 1, last = (int)ceil(num_log(s->high) / LN10);
    for (int e = first; e <= last; e++) {
        if ((e % stride + stride) % stride) continue;
        for (int i = 0; i < (3 * decades <= wanted ? 3 : 1); i++) {
            double value = MANTISSAS[i] * power_of_ten(e);
            if (value >= s->low * (1 - NEAR) && value <= s->high * (1 + NEAR))
                ticks_add(t, 1, MANTISSAS[i], e);
        }
    }
}

/* "2024-05-01", or "05-01 12:00" below a day's step. */
static void ticks_add_time(struct ticks *t, int64_t second, bool with_hour) {
    char text[TSTAMP_TEXT_SIZE];
    if (t->count == TICKS_MAX) return;
    tstamp_format(text, second * NS_PER_SECOND);
    t->values[t->count] = (double)second;
    if (with_hour)
        snprintf(t->labels[t->count++], TICK_SIZE, "%.5s %.5s", text + 5, text + 11);
    else
        snprintf(t->labels[t->count++], TICK_SIZE, "%.10s", text);
}

/* Firsts of every `step`th month, January first. */
static void ticks_months(struct ticks *t, const struct scale *s, int64_t step) {
    enum { DAY = 86400 };
    char text[TSTAMP_TEXT_SIZE];
    for (int64_t day = (int64_t)ceil(s->low / DAY); day * DAY <= (int64_t)s->high; day++) {
        tstamp_format(text, day * DAY * NS_PER_SECOND);
        int64_t month = 12 * strtol(text, NULL, 10) + strtol(text + 5, NULL, 10) - 1;
        if (strncmp(text + 8, "01", 2) == 0 && month % step == 0)
            ticks_add_time(t, day * DAY, false);
    }
}

/* The least of the steps people count time by that gives no more ticks than wanted. */
static void ticks_time(struct ticks *t, const struct scale *s, uint32_t wanted) {
    static const int64_t steps[] = {60,        300,   900,       3600,      4 * 3600,
                                    12 * 3600, 86400, 2 * 86400, 7 * 86400, 14 * 86400};
    static const int64_t months[] = {1, 2, 3, 6, 12, 24, 60, 120};
    static const double month_s = 30.44 * 86400;
    double raw = (s->high - s->low) / wanted;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if ((double)steps[i] < raw) continue;
        for (int64_t k = (int64_t)ceil(s->low / (double)steps[i]); k * steps[i] <= (int64_t)s->high;
             k++)
            ticks_add_time(t, k * steps[i], steps[i] < 86400);
        return;
    }
    for (size_t i = 0; i < sizeof months / sizeof *months; i++)
        if ((double)months[i] * month_s >= raw) {
            ticks_months(t, s, months[i]);
            return;
        }
}

/* Where the program's time is at home: 1970 to 2200. */
static bool scale_is_of_dates(const struct scale *s) {
    return s->low >= 0 && s->high <= 7258118400.0;
}

void ticks_over(struct ticks *out, const struct scale *s, uint32_t wanted,
                const struct chart_axis *axis) {
    out->count = 0;
    if (wanted < 2) wanted = 2;
    if (wanted > TICKS_MAX - 2) wanted = TICKS_MAX - 2;
    if (axis->time && !s->log && scale_is_of_dates(s)) ticks_time(out, s, wanted);
    if (out->count) return;
    if (s->log && s->high / s->low >= 10)
        ticks_log(out, s, wanted);
    else
        ticks_linear(out, s, wanted, axis->whole);
    if (out->count) return;
    /* Whole numbers wider apart than the axis is long: its middle, whatever it is. */
    out->count = 1;
    out->values[0] = s->low + (s->high - s->low) / 2;
    snprintf(out->labels[0], TICK_SIZE, "%.12g", out->values[0]);
}
