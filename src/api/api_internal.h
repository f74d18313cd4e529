/* Private to src/api. */
#ifndef API_API_INTERNAL_H
#define API_API_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/metrics.h"
#include "base/tstamp.h"
#include "kernel/command_body.h"
#include "kernel/events.h"
#include "kernel/lease.h"
#include "kernel/view.h"
#include "learn/explain.h"

enum {
    API_BODY_MAX = 16 * 1024,
    API_OUT_SIZE = 4 * 1024 * 1024, /* 512 symbols with all that is said of them are about 2 MB */
    API_MESSAGE_SIZE = 256,
    API_TRADES_LIMIT_MAX = 1000,
    API_EQUITY_LIMIT_MAX = 10000,
    API_REPORTS_MAX = 2048,
    API_REPORTS_SHOWN = 100,
    API_REPORT_PATH_SIZE = 1024,
    API_REASONS_MAX = VIEW_ROLES_MAX + 12 + 8,
};

/* The kernel publishes several times a second; after this silence nothing it said is current. */
#define API_SILENCE_NS_MAX (10 * NS_PER_SECOND)

/* What one request sees: the newest view and the moment it was taken. */
struct api_shot {
    const struct view *view; /* contents undefined unless published or recovering */
    bool published;
    bool recovering;           /* there is a view, and it is older than the run */
    bool has_lease, stands_by; /* stands_by: another process owns the run */
    struct lease_look lease;
    bool can_retrain; /* somebody takes requests for it */
    bool retrain_requested;
    bool can_command;   /* somebody obeys */
    uint32_t self_test; /* engine_self_test's bits, of this process */
    int64_t now_wall_ns;
    double uptime_seconds;
    const char *version, *commit;
    const char *trades_path; /* NULL none */
};

/* ---- components.c: the twelve parts, each with a live check ---- */

enum { API_COMPONENTS = 12 };
enum api_component_state { API_COMPONENT_ABSENT = 0, API_COMPONENT_FAULTY, API_COMPONENT_LOADED };
const char *api_component_state_text(enum api_component_state state);
struct api_component {
    const char *name; /* static */
    enum api_component_state state;
    char evidence[96]; /* what it was judged by */
};
void api_components_judge(struct api_component out[API_COMPONENTS], const struct api_shot *shot);

/* ---- judgement: health from evidence (age of the last work), never from configuration ---- */

enum api_role_state { API_ROLE_OK = 0, API_ROLE_STALE, API_ROLE_ON_DEMAND };
const char *api_role_state_text(enum api_role_state state);

struct api_role {
    char name[16];
    enum api_role_state state;
    int64_t age_ns, max_age_ns; /* age -1: has not worked yet */
    uint64_t work_count;
};

struct api_health {
    uint32_t role_count, reason_count, voters_loaded, voters_with_skill;
    uint32_t components_loaded;
    bool ok, ready;
    struct api_component components[API_COMPONENTS];
    struct api_role roles[VIEW_ROLES_MAX + 1];
    char reasons[API_REASONS_MAX][API_MESSAGE_SIZE]; /* why it is not OK */
    char not_ready[API_MESSAGE_SIZE];
};
void api_health_judge(struct api_health *out, const struct api_shot *shot);
/* Why no state can be told, of a shot that is not published; returns out. */
const char *api_waiting_text(char out[API_MESSAGE_SIZE], const struct api_shot *shot);

/* ---- JSON documents; each writes one whole object ---- */

void api_render_health(struct json_writer *w, const struct api_shot *shot);
void api_render_positions(struct json_writer *w, const struct api_shot *shot);
void api_render_orders(struct json_writer *w, const struct api_shot *shot);
void api_render_signals(struct json_writer *w, const struct api_shot *shot);
void api_render_state(struct json_writer *w, const struct api_shot *shot);
/* /api/ai/metrics/…, /api/ai/retrain */
void api_render_ensemble(struct json_writer *w, const struct api_shot *shot);
void api_render_meta_strategy(struct json_writer *w, const struct api_shot *shot);
void api_render_rl_sizing(struct json_writer *w, const struct api_shot *shot);
void api_render_retrain(struct json_writer *w, const struct api_shot *shot);
void api_render_risk(struct json_writer *w, const struct api_shot *shot);
/* History from the trade journal; a journal nobody wrote yet is an empty list. limit newest rows. */
enum status api_render_trades(struct json_writer *w, const struct api_shot *shot, size_t limit,
                              struct err *err);
enum status api_render_equity(struct json_writer *w, const struct api_shot *shot, size_t limit,
                              struct err *err);
/* Reports of the run, newest first; dir NULL: none. */
void api_render_reports(struct json_writer *w, const struct api_shot *shot, const char *dir);
/* A report by its name; false: there is none of that name. */
bool api_report_read(char *out, size_t capacity, size_t *out_size, const char *dir,
                     const char *name, size_t size);
/* {"error": …, "status": …}; line 0 leaves the place out. */
void api_render_error(struct json_writer *w, int code, const char *message, uint32_t line,
                      size_t offset);
/* Members of an object that is open: when the figures were true, of which market, made by whom. */
void api_put_stamp(struct json_writer *w, const struct api_shot *shot);
void api_put_health(struct json_writer *w, const struct api_shot *shot, const struct api_health *h);
/* Weights, levels, regimes, reasons and seats, as the page shows them. */
void api_put_engine(struct json_writer *w, const struct api_shot *shot);
/* Of the engine's weights what a seat has among those that are taken: sum 1; 0 for an empty one. */
double api_seat_weight(const struct view *v, int model);
/* "models": each kind's weight, level, reasons and errors. */
void api_put_governance(struct json_writer *w, const struct view *v);
void api_put_verdict(struct json_writer *w, const struct promotion_verdict *d);
void api_put_probabilities(struct json_writer *w, const char *key, const double *p);
/* Name of a vote's, model's or contract's state as every document writes it. */
const char *api_model_state_text(const struct view_model *model);

/* ---- POST /api/ai/signal ---- */

struct api_signal_request {
    uint32_t symbol_count; /* 1 unless is_batch */
    bool is_batch, has_price, has_volume, has_timeframe, include_reasoning;
    double price, volume;
    int64_t timeframe_ns;
    char symbols[INSTRUMENTS_MAX][SYMBOL_SIZE];
};

struct api_refusal {
    int code; /* HTTP; 0: none */
    char message[API_MESSAGE_SIZE];
    uint32_t line; /* 1-based place of a syntax error, 0 none */
    size_t offset;
    uint32_t retry_after_seconds; /* 0 none */
};

/* Decodes the body. 400 for text that is not JSON (with its place), 422 for JSON that is not a
 * request. Returns refusal->code == 0. */
bool api_signal_decode(struct api_signal_request *out, struct api_refusal *refusal,
                       const char *body, size_t size);
/* A request for every symbol of the view. */
void api_signal_all(struct api_signal_request *out, const struct api_shot *shot);

/* ---- POST that changes something ---- */

/* As api_signal_decode. */
bool api_command_decode(struct operator_command *out, struct api_refusal *refusal,
                        enum command_body_kind kind, const char *body, size_t size);
/* Whether it can be handed on now: 409 nobody obeys, or not any more; 503 too early; 404 no such contract. */
bool api_command_may(struct api_refusal *refusal, const struct operator_command *command,
                     const struct api_shot *shot);

/* What is to be explained, and where it belongs in the answer. */
struct api_explain_place {
    const struct view_symbol *symbol; /* in the view */
    size_t offset; /* in the answer's text: before the end of the symbol's object */
};
struct api_explain_places {
    uint32_t count, reserved;
    struct api_explain_place at[INSTRUMENTS_MAX];
};
/* Answers it, or says why not: 404 unknown symbol, 503 with retry_after. A batch is answered unless nothing can be:
 * symbols that could not be answered alone stand in their place with error and status. places: NULL, or filled with
 * the symbols answered. */
bool api_signal_answer(struct json_writer *w, struct api_refusal *refusal,
                       const struct api_signal_request *request, const struct api_shot *shot,
                       struct api_explain_places *places);
/* One whole object of the newest signal, as pushed; the symbol has one. */
void api_signal_push(struct json_writer *w, const struct view_symbol *s, const struct view *v);
/* What is to be done now: HOLD where the engine or time says so, whatever the voters say. */
enum label api_signal_action(const struct view_symbol *s, const struct view *v);

/* ---- Prometheus: what the view says, behind what the registry says ---- */

struct api_page {
    char *out;
    size_t capacity, size;
    bool overflow;
};
__attribute__((format(printf, 2, 3))) void api_prom_line(struct api_page *p, const char *format,
                                                         ...);
void api_prom_head(struct api_page *p, const char *type, const char *name, const char *help);
void api_prom_counter(struct api_page *p, const char *name, const char *help, uint64_t value);
void api_prom_gauge(struct api_page *p, const char *name, const char *help, double value);
/* The engine's part of the page; the breaker's. */
void api_prom_engine(struct api_page *p, const struct view *v);
void api_prom_risk(struct api_page *p, const struct view *v);
/* Who owns the run: of the page, and of /health. */
void api_prom_lease(struct api_page *p, const struct api_shot *shot);
void api_put_lease(struct json_writer *w, const struct api_shot *shot);

enum status api_render_metrics(char *out, size_t capacity, size_t *out_size,
                               const struct metrics *metrics, const struct api_shot *shot);

/* ---- the page ---- */

struct api_asset {
    const char *path, *content_type;
    const unsigned char *data;
    size_t size;
};
enum { API_ASSET_COUNT = 4 };
void api_asset_get(struct api_asset *out, int index);

#endif
