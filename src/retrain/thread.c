/* The thread of trainings. The kernel hands it an order and looks at one word for what is over; a result's own memory
 * is the thread's until its bit is set, and the kernel's from then on. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/assert.h"
#include "base/log.h"
#include "retrain/retrain_internal.h"

enum { NICE = 10 };

struct trainer {
    const struct retrain *r;
    pthread_t thread;
    pthread_mutex_t
        mutex; /* of has_order, stop, order; held for no longer than it takes to copy them */
    pthread_cond_t wake;
    bool has_order, stop;
    struct training_order order;
    struct training_order at_hand; /* the thread's */
    struct training training[MODEL_COUNT];
    atomic_bool cancel;
    atomic_uint finished; /* bits of kinds */
    uint32_t taken;       /* the kernel's */
    bool started;         /* the kernel's: an order was given and not wholly taken */
};

static void kind_done(void *context, enum model_kind kind) {
    struct trainer *t = context;
    atomic_fetch_or_explicit(&t->finished, 1U << kind, memory_order_release);
}

static bool order_wait(struct trainer *t) {
    pthread_mutex_lock(&t->mutex);
    while (!t->has_order && !t->stop) pthread_cond_wait(&t->wake, &t->mutex);
    bool go = !t->stop;
    t->has_order = false;
    t->at_hand = t->order;
    pthread_mutex_unlock(&t->mutex);
    return go;
}

static void *run(void *context) {
    struct trainer *t = context;
    const struct training_cancel cancel = {.flag = &t->cancel};
    /* On Linux this is the calling thread's own, and that of the threads it starts. */
    if (setpriority(PRIO_PROCESS, 0, NICE) != 0)
        log_warn("retrain", "trainings run at the kernel's priority");
    while (order_wait(t)) training_run_all(t->training, t->r, &t->at_hand, &cancel, kind_done, t);
    return NULL;
}

enum status trainer_create(struct trainer **out, const struct retrain *r, struct err *err) {
    struct trainer *t = calloc(1, sizeof *t);
    if (!t) return err_set(err, ST_NO_MEMORY, "thread of trainings");
    t->r = r;
    atomic_init(&t->cancel, false);
    atomic_init(&t->finished, 0);
    if (pthread_mutex_init(&t->mutex, NULL) != 0) {
        free(t);
        return err_set(err, ST_NO_MEMORY, "thread of trainings");
    }
    if (pthread_cond_init(&t->wake, NULL) != 0) {
        pthread_mutex_destroy(&t->mutex);
        free(t);
        return err_set(err, ST_NO_MEMORY, "thread of trainings");
    }
    if (pthread_create(&t->thread, NULL, run, t) != 0) {
        pthread_cond_destroy(&t->wake);
        pthread_mutex_destroy(&t->mutex);
        free(t);
        return err_set(err, ST_NO_MEMORY, "cannot start the thread of trainings");
    }
    *out = t;
    return ST_OK;
}

void trainer_destroy(struct trainer *t) {
    if (!t) return;
    atomic_store_explicit(&t->cancel, true, memory_order_relaxed);
    pthread_mutex_lock(&t->mutex);
    t->stop = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->mutex);
    pthread_join(t->thread, NULL);
    for (uint32_t k = 0; k < MODEL_COUNT; k++) training_drop(&t->training[k], t->r);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->mutex);
    free(t);
}

void trainer_start(struct trainer *t, const struct training_order *order) {
    ASSERT(!trainer_is_busy(t));
    t->taken = 0;
    t->started = true;
    atomic_store_explicit(&t->finished, 0, memory_order_relaxed);
    pthread_mutex_lock(&t->mutex);
    t->order = *order;
    t->has_order = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->mutex);
}

uint32_t trainer_finished(struct trainer *t) {
    return t->started ? atomic_load_explicit(&t->finished, memory_order_acquire) & ~t->taken : 0;
}

struct training *trainer_take(struct trainer *t, enum model_kind kind) {
    ASSERT(trainer_finished(t) >> kind & 1);
    t->taken |= 1U << kind;
    if (t->taken == t->order.kinds) t->started = false;
    return &t->training[kind];
}

bool trainer_is_busy(const struct trainer *t) {
    return t->started;
}
