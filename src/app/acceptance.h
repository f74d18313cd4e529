/* Rows 55, 57 and 63 of the acceptance table, from live state: what the original's report printed by hand. */
#ifndef APP_ACCEPTANCE_H
#define APP_ACCEPTANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "backtest/report.h"
#include "base/err.h"

enum {
    ACCEPTANCE_TEXT_SIZE = 160,
    ACCEPTANCE_NAME_SIZE = 40,
    ACCEPTANCE_SIGNALS = 3,
    ACCEPTANCE_ORDERS = 6,
    ACCEPTANCE_COMPONENTS_MAX = 24,
    ACCEPTANCE_ROLES_MAX = 16,
    ACCEPTANCE_TIME_SIZE = 32,
    ACCEPTANCE_ENDPOINTS = 3,
    ACCEPTANCE_TRADES = 50 /* a win rate before so many is not told */
};

struct acceptance_endpoint {
    const char *what;
    int code; /* HTTP; 0 no answer */
    int64_t took_ms;
};
struct acceptance_signal {
    char symbol[ACCEPTANCE_NAME_SIZE], action[ACCEPTANCE_NAME_SIZE], reason[ACCEPTANCE_NAME_SIZE];
    double confidence; /* of the action */
    int64_t voters;
};
struct acceptance_order { /* a position's entry: what was bought, and what became of it */
    char symbol[ACCEPTANCE_NAME_SIZE], side[ACCEPTANCE_NAME_SIZE], qty[ACCEPTANCE_NAME_SIZE];
    char entry_px[ACCEPTANCE_NAME_SIZE], outcome[ACCEPTANCE_NAME_SIZE];
    int64_t leverage, entry_ms, protected_ms; /* -1: a held one tells only whether it is */
};
struct acceptance_component {
    char name[ACCEPTANCE_NAME_SIZE], state[ACCEPTANCE_NAME_SIZE], evidence[ACCEPTANCE_TEXT_SIZE];
};

/* A part of the process by its work: when it last did any. */
struct acceptance_role {
    char name[ACCEPTANCE_NAME_SIZE], state[ACCEPTANCE_NAME_SIZE];
    int64_t age_ms, work; /* age -1: never */
};

struct acceptance {
    int64_t checked_ms;       /* wall, UTC */
    char dead[ERR_TEXT_SIZE]; /* why there is no live state; "" there is */
    char status[ACCEPTANCE_NAME_SIZE], mode[ACCEPTANCE_NAME_SIZE], strategy[ACCEPTANCE_NAME_SIZE];
    char version[ACCEPTANCE_NAME_SIZE], commit[ACCEPTANCE_NAME_SIZE];
    bool synthetic;
    double uptime_seconds;
    int64_t pid, models_loaded, age_ms; /* of the view */
    int64_t signals, intents, denied, orders, fills, trades, rejects, positions, unprotected, lag;
    struct acceptance_endpoint endpoints[ACCEPTANCE_ENDPOINTS];
    uint32_t signal_count, order_count, component_count, role_count, dependency_count;
    struct acceptance_signal asked[ACCEPTANCE_SIGNALS];
    struct acceptance_order newest[ACCEPTANCE_ORDERS];
    struct acceptance_component components[ACCEPTANCE_COMPONENTS_MAX];
    struct acceptance_role roles[ACCEPTANCE_ROLES_MAX];
    struct acceptance_component dependencies[ACCEPTANCE_ROLES_MAX];
    double confidence, confidence_half; /* mean, half of its 95 % interval; NaN: not enough */
    char no_report[ERR_TEXT_SIZE];      /* why nothing is known of trades; "" it is */
    struct report report;
};

/* Asks the system on that port (0: there is none, that is told) and reads the run's journal of trades. What is not there is told in *out. */
void acceptance_collect(struct acceptance *out, const char *run_dir, uint16_t port);
/* Why the row cannot be shown yet; NULL: it can. */
const char *acceptance_fault(const struct acceptance *a, int row);
void acceptance_print(const struct acceptance *a);
/* As a page, HTML or Markdown by the ending of the name; whole or not at all. */
enum status acceptance_save(const char *path, const struct acceptance *a, struct err *err);
/* "LIVE" for a part whose check found it working, else its state. */
const char *acceptance_mark(const struct acceptance_component *c);
bool acceptance_role_is_live(const struct acceptance_role *r);
bool acceptance_is_ok(const char *state);
const char *acceptance_time(char out[ACCEPTANCE_TIME_SIZE], int64_t ms);
enum status acceptance_print_json(const struct acceptance *a, struct err *err); /* ST_FULL */

#endif
