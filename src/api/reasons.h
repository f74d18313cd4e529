/* Private to src/api: explanations of forests' answers, made beside the service thread.
 *
 * An explanation takes milliseconds and a model file some more, and whoever asks for a plain signal meanwhile shall not
 * wait: the answer's text is put aside, a worker of libuv's pool adds what was asked for, and the text comes back. One
 * job at a time; the models are the explainer's own instances, loaded from the files that the view names when
 * those change. A file that is not any more the one that serves is not explained.
 *
 * All calls and `done` on the loop's thread. */
#ifndef API_REASONS_H
#define API_REASONS_H

#include "api/api_internal.h"

struct uv_loop_s;
struct reasons;

enum { REASONS_QUEUE_MAX = 32 }; /* jobs that wait; beyond it the asker is told to come back */

/* json (size): the answer with explanations; NULL: no memory, or given up. Comes once for each job. */
typedef void (*reasons_done_fn)(void *context, void *asker, const char *json, size_t size);

struct reasons *reasons_create(struct uv_loop_s *loop, reasons_done_fn done, void *context);
/* When the loop has ended. */
void reasons_destroy(struct reasons *r);
/* text (size): the answer so far. places: where in it "explanations" is to be put. Everything is copied. asker: given to
 * done. False: the queue is full, or no memory; done is not called then. */
bool reasons_add(struct reasons *r, void *asker, const char *text, size_t size,
                 const struct api_explain_places *places, const struct view *v);
/* The jobs that wait are given up; the one under way is still finished. */
void reasons_stop(struct reasons *r);

#endif
