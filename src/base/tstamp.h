/* Time: int64 nanoseconds since 1970-01-01 UTC. Engines know no other clock than their input. */
#ifndef BASE_TSTAMP_H
#define BASE_TSTAMP_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define NS_PER_MS     INT64_C(1000000)
#define NS_PER_SECOND INT64_C(1000000000)
#define NS_PER_MINUTE (60 * NS_PER_SECOND)
#define NS_PER_HOUR   (60 * NS_PER_MINUTE)
#define NS_PER_DAY    (24 * NS_PER_HOUR)

/* Wall and monotonic clock of this machine. Not for engines (the symbol check forbids both). */
int64_t tstamp_wall_ns(void);
int64_t tstamp_monotonic_ns(void);

/* A simulation's clock in place of this machine's, for the whole process: now gives either time, context is handed to it.
 * NULL: the machine's again. For src/sim alone, and only while no other thread asks for the time. */
enum tstamp_clock { TSTAMP_WALL = 0, TSTAMP_MONOTONIC };
void tstamp_virtual_set(int64_t (*now)(void *context, enum tstamp_clock which), void *context);
/* The machine's own monotonic clock, whatever is simulated: how long something really took. */
int64_t tstamp_machine_ns(void);

/* "2024-10-28", "2024-10-28T07:00:00Z", "2024-10-28 07:00" or what tstamp_format prints, years 1970 to
 * 2200; up to nine digits behind the seconds. ST_INVALID otherwise, out untouched. */
enum status tstamp_parse(int64_t *out_ns, const char *text);

enum { TSTAMP_TEXT_SIZE = 48 };
/* "2024-10-28T07:00:00.123Z", cut to the millisecond; returns out. */
const char *tstamp_format(char out[TSTAMP_TEXT_SIZE], int64_t ns);

/* "1m" "5m" "15m" "1h" "4h" "1d" "30s" to ns; ST_INVALID otherwise. */
enum status tstamp_interval_parse(int64_t *out_ns, const char *text);
/* The reverse, "1h"; returns out. */
const char *tstamp_interval_format(char out[16], int64_t interval_ns);

#endif
