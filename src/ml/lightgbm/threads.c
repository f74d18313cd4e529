/* A pool that hands out the parts of one task at a time.
 *
 * Parts are claimed from one word, by the caller too: a worker that the machine does not run costs nothing,
 * its share is done by the others. Waiting is a short spin (parts last some ten microseconds), then sleep. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "ml/lightgbm/lgbm_internal.h"

/* A pause takes 15 to 45 ns: the spin ends within some 20 to 70 us. */
enum { SPINS = 1500, PART_BITS = 20 };
#define PART_MASK ((UINT64_C(1) << PART_BITS) - 1)

struct lgbm_threads {
    uint32_t count, spins;
    /* generation (24 bits), parts (20), next part to claim (20): one word, so that a claim cannot mix
     * two tasks. */
    _Atomic uint64_t ticket;
    _Atomic uint32_t done;
    /* Read only by who holds a claimed part: until that is done the caller does not change them. */
    void (*task)(void *context, uint32_t part);
    void *context;
    uint64_t generation;
    _Atomic uint32_t sleepers;
    _Atomic bool caller_sleeps, stop;
    pthread_mutex_t lock;
    pthread_cond_t work, finished;
    uint32_t started;
    pthread_t *handles; /* (count - 1) */
};

static uint32_t ticket_parts(uint64_t t) {
    return (uint32_t)(t >> PART_BITS & PART_MASK);
}

static uint32_t ticket_next(uint64_t t) {
    return (uint32_t)(t & PART_MASK);
}

static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Runs one part if one is left. */
static bool part_run(struct lgbm_threads *t) {
    uint64_t ticket = atomic_load(&t->ticket);
    do {
        if (ticket_next(ticket) >= ticket_parts(ticket)) return false;
    } while (!atomic_compare_exchange_weak(&t->ticket, &ticket, ticket + 1));
    t->task(t->context, ticket_next(ticket));
    uint32_t done = atomic_fetch_add(&t->done, 1) + 1;
    if (done == ticket_parts(ticket) && atomic_load(&t->caller_sleeps)) {
        pthread_mutex_lock(&t->lock);
        pthread_cond_signal(&t->finished);
        pthread_mutex_unlock(&t->lock);
    }
    return true;
}

static bool has_work(struct lgbm_threads *t) {
    uint64_t ticket = atomic_load(&t->ticket);
    return ticket_next(ticket) < ticket_parts(ticket);
}

static void *worker(void *argument) {
    struct lgbm_threads *t = argument;
    uint32_t idle = 0;
    while (!atomic_load(&t->stop)) {
        if (part_run(t)) {
            idle = 0;
        } else if (idle++ < t->spins) {
            pause_briefly();
        } else {
            /* Announced before the last look: a caller that posts now sees a sleeper and takes the lock. */
            pthread_mutex_lock(&t->lock);
            atomic_fetch_add(&t->sleepers, 1);
            while (!has_work(t) && !atomic_load(&t->stop)) pthread_cond_wait(&t->work, &t->lock);
            atomic_fetch_sub(&t->sleepers, 1);
            pthread_mutex_unlock(&t->lock);
            idle = 0;
        }
    }
    return NULL;
}

enum status lgbm_threads_create(struct lgbm_threads **out, uint32_t count, struct err *err) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (count == 0) count = processors > 0 ? (uint32_t)processors : 1;
    struct lgbm_threads *t = calloc(1, sizeof *t);
    if (!t) return err_set(err, ST_NO_MEMORY, "threads");
    t->count = count;
    /* More threads than processors: spinning would keep one from who has the work. */
    t->spins = processors >= (long)count ? SPINS : 0;
    t->handles = calloc(count, sizeof *t->handles);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->work, NULL);
    pthread_cond_init(&t->finished, NULL);
    *out = t;
    if (!t->handles) {
        lgbm_threads_destroy(t);
        return err_set(err, ST_NO_MEMORY, "threads");
    }
    while (t->started + 1 < count) {
        int e = pthread_create(&t->handles[t->started], NULL, worker, t);
        if (e != 0) {
            lgbm_threads_destroy(t);
            return err_set(err, ST_FULL, "thread %u of %u: %s", t->started + 2, count, strerror(e));
        }
        t->started++;
    }
    return ST_OK;
}

void lgbm_threads_destroy(struct lgbm_threads *t) {
    if (!t) return;
    pthread_mutex_lock(&t->lock);
    atomic_store(&t->stop, true);
    pthread_cond_broadcast(&t->work);
    pthread_mutex_unlock(&t->lock);
    for (uint32_t i = 0; i < t->started; i++) pthread_join(t->handles[i], NULL);
    pthread_cond_destroy(&t->work);
    pthread_cond_destroy(&t->finished);
    pthread_mutex_destroy(&t->lock);
    free(t->handles);
    free(t);
}

uint32_t lgbm_threads_count(const struct lgbm_threads *t) {
    return t->count;
}

static void wait_for_parts(struct lgbm_threads *t, uint32_t parts) {
    for (uint32_t i = 0; i < t->spins; i++) {
        if (atomic_load(&t->done) == parts) return;
        pause_briefly();
    }
    pthread_mutex_lock(&t->lock);
    atomic_store(&t->caller_sleeps, true);
    while (atomic_load(&t->done) != parts) pthread_cond_wait(&t->finished, &t->lock);
    atomic_store(&t->caller_sleeps, false);
    pthread_mutex_unlock(&t->lock);
}

void lgbm_threads_run(struct lgbm_threads *t, void (*task)(void *context, uint32_t part),
                      void *context, uint32_t parts) {
    ASSERT(parts <= PART_MASK);
    if (t->count == 1 || parts <= 1) {
        for (uint32_t i = 0; i < parts; i++) task(context, i);
        return;
    }
    t->task = task;
    t->context = context;
    t->generation++;
    atomic_store(&t->done, 0);
    atomic_store(&t->ticket, t->generation << 2 * PART_BITS | (uint64_t)parts << PART_BITS);
    if (atomic_load(&t->sleepers) > 0) {
        pthread_mutex_lock(&t->lock);
        pthread_cond_broadcast(&t->work);
        pthread_mutex_unlock(&t->lock);
    }
    while (part_run(t)) continue;
    wait_for_parts(t, parts);
}
