#include "base/tstamp.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t clock_ns(clockid_t id) {
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * NS_PER_SECOND + ts.tv_nsec;
}

static int64_t (*virtual_now)(void *context, enum tstamp_clock which);
static void *virtual_context;

void tstamp_virtual_set(int64_t (*now)(void *context, enum tstamp_clock which), void *context) {
    virtual_now = now;
    virtual_context = context;
}

int64_t tstamp_wall_ns(void) {
    return virtual_now ? virtual_now(virtual_context, TSTAMP_WALL) : clock_ns(CLOCK_REALTIME);
}
int64_t tstamp_monotonic_ns(void) {
    return virtual_now ? virtual_now(virtual_context, TSTAMP_MONOTONIC) : clock_ns(CLOCK_MONOTONIC);
}
int64_t tstamp_machine_ns(void) {
    return clock_ns(CLOCK_MONOTONIC);
}

/* Days since 1970-01-01 of a proleptic Gregorian date; the era arithmetic is the well-known one
 * of 400-year cycles (146097 days). */
static int64_t days_from_date(int64_t y, int m, int d) {
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void date_from_days(int64_t days, int64_t *y, int *m, int *d) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *d = (int)(doy - (153 * mp + 2) / 5 + 1);
    *m = (int)(mp < 10 ? mp + 3 : mp - 9);
    *y = yoe + era * 400 + (*m <= 2);
}

static int days_in_month(int64_t y, int m) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return m == 2 && leap ? 29 : days[m - 1];
}

/* Reads exactly `digits` digits; false otherwise. */
static bool number_read(int *out, const char **p, int digits) {
    int value = 0;
    for (int i = 0; i < digits; i++, (*p)++) {
        if (**p < '0' || **p > '9') return false;
        value = value * 10 + (**p - '0');
    }
    *out = value;
    return true;
}

static bool char_read(const char **p, char c) {
    if (**p != c) return false;
    (*p)++;
    return true;
}

/* ".123": one to nine digits behind the point. */
static bool fraction_read(int64_t *out_ns, const char **p) {
    int64_t unit = NS_PER_SECOND;
    *out_ns = 0;
    if (!char_read(p, '.')) return true;
    if (**p < '0' || **p > '9') return false;
    for (; **p >= '0' && **p <= '9'; (*p)++) {
        if (unit == 1) return false;
        unit /= 10;
        *out_ns += (**p - '0') * unit;
    }
    return true;
}

enum status tstamp_parse(int64_t *out_ns, const char *text) {
    int y, m, d, h = 0, min = 0, s = 0;
    int64_t fraction = 0;
    const char *p = text;
    if (!number_read(&y, &p, 4) || !char_read(&p, '-') || !number_read(&m, &p, 2) ||
        !char_read(&p, '-') || !number_read(&d, &p, 2))
        return ST_INVALID;
    if (char_read(&p, 'T') || char_read(&p, ' ')) {
        if (!number_read(&h, &p, 2) || !char_read(&p, ':') || !number_read(&min, &p, 2))
            return ST_INVALID;
        if (char_read(&p, ':') && (!number_read(&s, &p, 2) || !fraction_read(&fraction, &p)))
            return ST_INVALID;
        char_read(&p, 'Z');
    }
    if (*p || y < 1970 || y > 2200 || m < 1 || m > 12 || d < 1 || d > days_in_month(y, m) ||
        h > 23 || min > 59 || s > 59)
        return ST_INVALID;
    *out_ns = days_from_date(y, m, d) * NS_PER_DAY + h * NS_PER_HOUR + min * NS_PER_MINUTE +
              s * NS_PER_SECOND + fraction;
    return ST_OK;
}

const char *tstamp_format(char out[TSTAMP_TEXT_SIZE], int64_t ns) {
    int64_t days = ns / NS_PER_DAY, rest = ns % NS_PER_DAY, y;
    if (rest < 0) {
        rest += NS_PER_DAY;
        days--;
    }
    int m, d;
    date_from_days(days, &y, &m, &d);
    snprintf(out, TSTAMP_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)y, m, d,
             (int)(rest / NS_PER_HOUR), (int)(rest / NS_PER_MINUTE % 60),
             (int)(rest / NS_PER_SECOND % 60), (int)(rest / NS_PER_MS % 1000));
    return out;
}

enum status tstamp_interval_parse(int64_t *out_ns, const char *text) {
    char *end;
    if (*text < '0' || *text > '9') return ST_INVALID; /* strtol would take a space or a sign */
    long n = strtol(text, &end, 10);
    if (n <= 0 || n > 100000 || !end[0] || end[1]) return ST_INVALID;
    int64_t unit;
    switch (*end) {
    case 's':
        unit = NS_PER_SECOND;
        break;
    case 'm':
        unit = NS_PER_MINUTE;
        break;
    case 'h':
        unit = NS_PER_HOUR;
        break;
    case 'd':
        unit = NS_PER_DAY;
        break;
    default:
        return ST_INVALID;
    }
    *out_ns = n * unit;
    return ST_OK;
}

const char *tstamp_interval_format(char out[16], int64_t interval_ns) {
    static const struct {
        int64_t ns;
        char unit;
    } units[] = {{NS_PER_DAY, 'd'}, {NS_PER_HOUR, 'h'}, {NS_PER_MINUTE, 'm'}, {NS_PER_SECOND, 's'}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (interval_ns % units[i].ns == 0) {
            snprintf(out, 16, "%lld%c", (long long)(interval_ns / units[i].ns), units[i].unit);
            return out;
        }
    snprintf(out, 16, "%lldns", (long long)interval_ns);
    return out;
}
