/* The HTTP side of the process: the original's AI-engine service (port 8001), a read-only JSON view
 * of everything, a WebSocket of signals, Prometheus text, and one page. docs/api.md lists every endpoint and answer.
 *
 * One thread of its own (module net on a libuv loop), and a worker of libuv's pool while somebody asks for explanations. It
 * reads the newest view (kernel/view.h) and, for history, opens the trade journal read-only; it writes nothing but
 * the one flag of retrain_request and the inbox, and cannot slow the kernel down. What it holds is bounded by the connections
 * and the largest answer, so it does not grow under load.
 *
 * Safety: listens where it is told, 127.0.0.1 by default. A request whose Host is neither local nor
 * the configured address is refused (DNS rebinding), a POST or WebSocket of another site's page, too. Bodies
 * end at 16 KiB. */
#ifndef API_API_H
#define API_API_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"
#include "base/metrics.h"
#include "kernel/inbox.h"
#include "kernel/lease.h"
#include "kernel/view.h"

enum { API_PORT_DEFAULT = 8001 };

struct api;

struct api_config {
    const char *bind;             /* numeric address or "localhost"; NULL: 127.0.0.1 */
    uint16_t port;                /* 0: any free one, api_port() tells which */
    struct view_box *view_box;    /* borrowed until api_stop */
    const char *trades_path;      /* trades.sqlite; NULL: history answers with empty lists */
    const char *reports_dir;      /* of the reports the run writes by itself; NULL none */
    const char *token;            /* NULL or "": none; else every request but the page itself and
                                    /health/live needs "Authorization: Bearer TOKEN" */
    const char *version, *commit; /* as /health shows them */
    struct metrics *metrics; /* borrowed; the http_* names are registered in it. NULL: its own */
    /* Borrowed. POST /api/ai/retrain sets it to 1; whoever retrains takes it back to 0. NULL: 409, nobody does. */
    _Atomic uint32_t *retrain_request;
    struct inbox
        *inbox; /* borrowed; POSTs that change something go there. NULL: 409, nobody obeys */
    /* Borrowed. Of the run; not this process's: it stands by, says so, and answers nothing else. NULL: none. */
    const struct lease *lease;
};
struct api_config api_config_defaults(void); /* 127.0.0.1:8001, all else empty */

/* Copies what config points at, but for view_box, metrics and retrain_request. Once it returns ST_OK the port
 * answers. ST_EXISTS names the port that something else listens on; ST_INVALID a bind address that
 * is not an address of this machine; ST_EXTERNAL, ST_NO_MEMORY. *out is untouched on failure. */
enum status api_start(struct api **out, const struct api_config *config, struct err *err);
/* The port it listens on. */
uint16_t api_port(const struct api *api);
/* Closes every connection, joins the thread, frees. NULL is fine. */
void api_stop(struct api *api);

#endif
