#include "base/workers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/* About 20 us: longer than the gap between two steps of one computation, shorter than a time slice. */
enum { SPINS = 1000 };

struct workers {
    uint32_t count; /* threads, the caller's included */
    pthread_t threads[WORKERS_MAX];
    pthread_mutex_t lock;
    pthread_cond_t start, done;
    /* Written under the lock before a run begins. */
    void (*task)(void *context, uint32_t part);
    void *context;
    uint32_t parts;
    bool stop;
    /* Run's number << 32 | next part. A part is claimed only in the run whose task was read, so a thread that comes late
     * finds the number changed and does nothing. */
    _Atomic uint64_t ticket;
    _Atomic uint32_t finished;
};

static void pause_a_little(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static bool claim(struct workers *w, uint32_t run, uint32_t parts, uint32_t *part) {
    uint64_t t = atomic_load(&w->ticket);
    while ((uint32_t)(t >> 32) == run && (uint32_t)t < parts)
        if (atomic_compare_exchange_weak(&w->ticket, &t, t + 1)) {
            *part = (uint32_t)t;
            return true;
        }
    return false;
}

static void work(struct workers *w, void (*task)(void *context, uint32_t part), void *context,
                 uint32_t run, uint32_t parts) {
    for (uint32_t part; claim(w, run, parts, &part);) {
        task(context, part);
        if (atomic_fetch_add(&w->finished, 1) + 1 != parts) continue;
        pthread_mutex_lock(&w->lock);
        pthread_cond_signal(&w->done);
        pthread_mutex_unlock(&w->lock);
    }
}

static uint32_t run_number(struct workers *w) {
    return (uint32_t)(atomic_load(&w->ticket) >> 32);
}

static void *thread_main(void *argument) {
    struct workers *w = argument;
    uint32_t seen = 0;
    for (;;) {
        for (int i = 0; i < SPINS && run_number(w) == seen; i++) pause_a_little();
        pthread_mutex_lock(&w->lock);
        while (!w->stop && run_number(w) == seen) pthread_cond_wait(&w->start, &w->lock);
        if (w->stop) break;
        seen = run_number(w);
        void (*task)(void *context, uint32_t part) = w->task;
        void *context = w->context;
        uint32_t parts = w->parts;
        pthread_mutex_unlock(&w->lock);
        work(w, task, context, seen, parts);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static void end_threads(struct workers *w, uint32_t started) {
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_broadcast(&w->start);
    pthread_mutex_unlock(&w->lock);
    for (uint32_t i = 1; i < started; i++) pthread_join(w->threads[i], NULL);
    pthread_cond_destroy(&w->start);
    pthread_cond_destroy(&w->done);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

enum status workers_create(struct workers **out, uint32_t count, struct err *err) {
    if (count == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        count = processors < 1 ? 1 : processors > WORKERS_MAX ? WORKERS_MAX : (uint32_t)processors;
    }
    if (count > WORKERS_MAX)
        return err_set(err, ST_RANGE, "%u threads, at most %d", count, WORKERS_MAX);
    struct workers *w = calloc(1, sizeof *w);
    if (!w) return err_set(err, ST_NO_MEMORY, "threads");
    w->count = count;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->start, NULL);
    pthread_cond_init(&w->done, NULL);
    for (uint32_t i = 1; i < count; i++)
        if (pthread_create(&w->threads[i], NULL, thread_main, w) != 0) {
            end_threads(w, i);
            return err_set(err, ST_NO_MEMORY, "the system gives no thread %u of %u", i + 1, count);
        }
    *out = w;
    return ST_OK;
}

void workers_destroy(struct workers *w) {
    if (w) end_threads(w, w->count);
}

uint32_t workers_count(const struct workers *w) {
    return w ? w->count : 1;
}

void workers_run(struct workers *w, void (*task)(void *context, uint32_t part), void *context,
                 uint32_t parts) {
    if (workers_count(w) == 1 || parts <= 1) {
        for (uint32_t part = 0; part < parts; part++) task(context, part);
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->task = task;
    w->context = context;
    w->parts = parts;
    atomic_store(&w->finished, 0);
    uint32_t run = run_number(w) + 1;
    atomic_store(&w->ticket, (uint64_t)run << 32);
    pthread_cond_broadcast(&w->start);
    pthread_mutex_unlock(&w->lock);
    work(w, task, context, run, parts);
    for (int i = 0; i < SPINS && atomic_load(&w->finished) != parts; i++) pause_a_little();
    if (atomic_load(&w->finished) == parts) return;
    pthread_mutex_lock(&w->lock);
    while (atomic_load(&w->finished) != parts) pthread_cond_wait(&w->done, &w->lock);
    pthread_mutex_unlock(&w->lock);
}
