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
#include "kernel/view.h"

enum {
    API_BODY_MAX = 16 * 1024,
    API_OUT_SIZE = 2 * 1024 * 1024, /* 512 symbols with votes are about 500 kB */
    API_MESSAGE_SIZE = 256,
    API_TRADES_LIMIT_MAX = 1000,
    API_EQUITY_LIMIT_MAX = 10000,
    API_REASONS_MAX = VIEW_ROLES_MAX + 8,
};

/* The kernel publishes several times a second; after this silence nothing it said is current. */
#define API_SILENCE_NS_MAX (10 * NS_PER_SECOND)

/* What one request sees: the newest view and the moment it was taken. */
struct api_shot {
    const struct view *view; /* contents undefined unless published */
    bool published;
    int64_t now_wall_ns;
    double uptime_seconds;
    const char *version, *commit;
    const char *trades_path; /* NULL none */
};

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
    uint32_t role_count, reason_count, models_loaded, models_with_skill;
    bool ok, ready;
    struct api_role roles[VIEW_ROLES_MAX + 1];
    char reasons[API_REASONS_MAX][API_MESSAGE_SIZE]; /* why it is not OK */
    char not_ready[API_MESSAGE_SIZE];
};
void api_health_judge(struct api_health *out, const struct api_shot *shot);

/* ---- JSON documents; each writes one whole object ---- */

void api_render_health(struct json_writer *w, const struct api_shot *shot);
void api_render_positions(struct json_writer *w, const struct api_shot *shot);
void api_render_orders(struct json_writer *w, const struct api_shot *shot);
void api_render_signals(struct json_writer *w, const struct api_shot *shot);
void api_render_state(struct json_writer *w, const struct api_shot *shot);
/* History from the trade journal; a journal nobody wrote yet is an empty list. limit newest rows. */
enum status api_render_trades(struct json_writer *w, const struct api_shot *shot, size_t limit,
                              struct err *err);
enum status api_render_equity(struct json_writer *w, const struct api_shot *shot, size_t limit,
                              struct err *err);
/* {"error": …, "status": …}; line 0 leaves the place out. */
void api_render_error(struct json_writer *w, int code, const char *message, uint32_t line,
                      size_t offset);
/* Name of a vote's, model's or contract's state as every document writes it. */
const char *api_model_state_text(const struct view_model *model);

/* ---- POST /api/ai/signal ---- */

struct api_signal_request {
    char symbol[SYMBOL_SIZE];
    bool has_price, has_volume, has_timeframe, include_reasoning;
    double price, volume;
    int64_t timeframe_ns;
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
/* Answers it, or says why not: 404 unknown symbol, 503 with retry_after. */
bool api_signal_answer(struct json_writer *w, struct api_refusal *refusal,
                       const struct api_signal_request *request, const struct api_shot *shot);

/* ---- Prometheus: what the view says, behind what the registry says ---- */

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
