/* One owner, whatever becomes of it: killed, stopped, put aside, or the standby itself asleep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "kernel/lease.h"

#define T_NS (2 * NS_PER_SECOND)

static char dir[256];

static int setup(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/lease-XXXXXX", base ? base : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    char command[sizeof dir * 2 + 32];
    snprintf(command, sizeof command, "rm -rf %s %s.aside", dir, dir);
    return system(command);
}

static struct lease *opened(void) {
    struct lease *l;
    struct err err = {0};
    assert_int_equal(lease_open(&l, dir, &err), ST_OK);
    return l;
}

static struct lease_look look_of(const struct lease *l) {
    struct lease_look look;
    lease_look(&look, l);
    return look;
}

/* A process that owns the run in that state, and waits; stopped, if so wished. Returned when it has got there. */
static pid_t owner_start(enum lease_state owner_state, bool stopped) {
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct lease *l;
        struct err err = {0};
        if (lease_open(&l, dir, &err) != ST_OK || lease_take(l, &err) != ST_OK) _exit(1);
        lease_renew(l, owner_state);
        if (write(ready[1], "!", 1) != 1) _exit(1);
        if (stopped) raise(SIGSTOP);
        for (;;) pause();
    }
    char got;
    assert_int_equal(read(ready[0], &got, 1), 1);
    close(ready[0]);
    close(ready[1]);
    int how;
    if (stopped) assert_int_equal(waitpid(pid, &how, WUNTRACED), pid);
    return pid;
}

static bool lives(pid_t pid) {
    int how;
    return waitpid(pid, &how, WNOHANG) == 0;
}

static int ended_by(pid_t pid) {
    int how;
    assert_int_equal(waitpid(pid, &how, 0), pid);
    return WIFSIGNALED(how) ? WTERMSIG(how) : 0;
}

static void a_second_process_is_refused_and_changes_nothing(void **state) {
    (void)state;
    struct err err = {0};
    pid_t owner = owner_start(LEASE_RUNNING, false);
    struct lease *l = opened();
    char name[32];
    snprintf(name, sizeof name, "process %d", (int)owner);
    assert_int_equal(lease_take(l, &err), ST_EXISTS);
    assert_non_null(strstr(err.text, name));
    assert_int_equal(look_of(l).epoch, 1);
    assert_int_equal(look_of(l).owner_pid, owner);
    assert_int_equal(look_of(l).standby_pid, 0);
    assert_false(look_of(l).is_mine);
    lease_close(l);
    kill(owner, SIGKILL);
    assert_int_equal(ended_by(owner), SIGKILL);
}

static void an_owner_that_ends_in_order_is_followed_at_once(void **state) {
    (void)state;
    struct err err = {0};
    struct lease *a = opened(), *b = opened();
    assert_int_equal(lease_take(a, &err), ST_OK);
    lease_renew(a, LEASE_RUNNING);
    assert_int_equal(lease_stand_by(b, NS_PER_SECOND, T_NS, &err), ST_AGAIN);
    assert_int_equal(look_of(a).standby_pid, getpid());
    lease_close(a);
    assert_int_equal(look_of(b).state, LEASE_NONE);
    assert_int_equal(look_of(b).owner_pid, 0);
    assert_int_equal(lease_stand_by(b, NS_PER_SECOND, T_NS, &err), ST_OK);
    assert_int_equal(look_of(b).epoch, 2);
    assert_int_equal(look_of(b).standby_pid, 0);
    assert_true(look_of(b).is_mine);
    lease_close(b);
}

static void a_killed_owner_is_followed_at_once(void **state) {
    (void)state;
    struct err err = {0};
    pid_t owner = owner_start(LEASE_RUNNING, false);
    struct lease *l = opened();
    assert_int_equal(lease_stand_by(l, NS_PER_SECOND, T_NS, &err), ST_AGAIN);
    kill(owner, SIGKILL);
    assert_int_equal(ended_by(owner), SIGKILL);
    assert_int_equal(lease_stand_by(l, NS_PER_SECOND + LEASE_LOOK_NS, T_NS, &err), ST_OK);
    assert_int_equal(look_of(l).epoch, 2);
    lease_close(l);
}

static void a_silent_owner_is_ended_after_t_and_not_before(void **state) {
    (void)state;
    struct err err = {0};
    pid_t owner = owner_start(LEASE_RUNNING, true);
    struct lease *l = opened();
    for (int64_t t = 0; t < T_NS; t += LEASE_LOOK_NS) {
        assert_int_equal(lease_stand_by(l, NS_PER_SECOND + t, T_NS, &err), ST_AGAIN);
        assert_true(lives(owner));
    }
    assert_int_equal(lease_stand_by(l, NS_PER_SECOND + T_NS, T_NS, &err), ST_AGAIN);
    assert_int_equal(ended_by(owner), SIGKILL); /* though it was stopped */
    assert_int_equal(lease_stand_by(l, NS_PER_SECOND + T_NS, T_NS, &err), ST_OK);
    assert_int_equal(look_of(l).epoch, 2);
    assert_int_equal(look_of(l).owner_pid, getpid());
    lease_close(l);
}

static void one_that_renews_is_left_alone(void **state) {
    (void)state;
    struct err err = {0};
    struct lease *a = opened(), *b = opened();
    assert_int_equal(lease_take(a, &err), ST_OK);
    for (int64_t t = 0; t < 100 * T_NS; t += T_NS / 2) {
        lease_renew(a, LEASE_RUNNING);
        assert_int_equal(lease_stand_by(b, NS_PER_SECOND + t, T_NS, &err), ST_AGAIN);
    }
    lease_close(a);
    lease_close(b);
}

static void one_that_begins_has_more_time(void **state) {
    (void)state;
    struct err err = {0};
    pid_t owner = owner_start(LEASE_STARTING, true);
    struct lease *l = opened();
    int64_t t = 0;
    for (; t < LEASE_START_NS; t += LEASE_LOOK_NS)
        assert_int_equal(lease_stand_by(l, NS_PER_SECOND + t, T_NS, &err), ST_AGAIN);
    assert_true(lives(owner));
    assert_int_equal(lease_stand_by(l, NS_PER_SECOND + t, T_NS, &err), ST_AGAIN);
    assert_int_equal(ended_by(owner), SIGKILL);
    lease_close(l);
}

static void a_standby_that_stood_still_itself_ends_nobody(void **state) {
    (void)state;
    struct err err = {0};
    pid_t owner = owner_start(LEASE_RUNNING, true);
    struct lease *l = opened();
    for (int64_t hours = 0; hours < 4; hours++) /* each look counts as half a second at most */
        assert_int_equal(lease_stand_by(l, NS_PER_SECOND + hours * NS_PER_HOUR, T_NS, &err),
                         ST_AGAIN);
    assert_true(lives(owner));
    assert_int_equal(lease_stand_by(l, NS_PER_SECOND + 4 * NS_PER_HOUR, T_NS, &err), ST_AGAIN);
    assert_int_equal(ended_by(owner), SIGKILL);
    lease_close(l);
}

/* ---- who may be ended ---- */

/* A number of the page, as lease.c lays it out. */
enum { WORD_PID_START = 5, WORD_MACHINE = 6, WORDS = 11 };

static void word_write(int word, uint64_t value) {
    char path[sizeof dir + 16];
    snprintf(path, sizeof path, "%s/lease", dir);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &value, sizeof value, word * 8), sizeof value);
    close(fd);
}

static void a_later_process_of_that_number_is_left_alone(void **state) {
    (void)state;
    struct err err = {0};
    pid_t owner = owner_start(LEASE_RUNNING, true);
    struct lease *l = opened();
    word_write(WORD_PID_START, 12345); /* who has that number now began at another time */
    for (int64_t t = 0; t < 2 * T_NS; t += LEASE_LOOK_NS)
        assert_int_equal(lease_stand_by(l, NS_PER_SECOND + t, T_NS, &err), ST_AGAIN);
    assert_true(lives(owner));
    kill(owner, SIGKILL);
    assert_int_equal(ended_by(owner), SIGKILL);
    lease_close(l);
}

static void one_of_another_machine_is_not_ended_and_it_is_said(void **state) {
    (void)state;
    struct err err = {0};
    pid_t owner = owner_start(LEASE_RUNNING, true);
    struct lease *l = opened();
    word_write(WORD_MACHINE, 77);
    for (int64_t t = 0; t < T_NS; t += LEASE_LOOK_NS)
        assert_int_equal(lease_stand_by(l, NS_PER_SECOND + t, T_NS, &err), ST_AGAIN);
    assert_int_equal(lease_stand_by(l, NS_PER_SECOND + T_NS, T_NS, &err), ST_REFUSED);
    assert_non_null(strstr(err.text, "cannot be ended"));
    assert_true(lives(owner));
    kill(owner, SIGKILL);
    (void)ended_by(owner);
    /* The lock is the system's, wherever the owner was. */
    assert_int_equal(lease_stand_by(l, NS_PER_SECOND + T_NS, T_NS, &err), ST_OK);
    lease_close(l);
}

static void nobody_ends_itself(void **state) {
    (void)state;
    struct err err = {0};
    struct lease *a = opened(), *b = opened();
    assert_int_equal(lease_take(a, &err), ST_OK);
    lease_renew(a, LEASE_RUNNING);
    for (int64_t t = 0; t < T_NS; t += LEASE_LOOK_NS)
        assert_int_equal(lease_stand_by(b, NS_PER_SECOND + t, T_NS, &err), ST_AGAIN);
    assert_int_equal(lease_stand_by(b, NS_PER_SECOND + T_NS, T_NS, &err), ST_REFUSED);
    lease_close(a);
    lease_close(b);
}

static void a_folder_put_aside_is_not_taken_for_the_new_one(void **state) {
    (void)state;
    struct err err = {0};
    char aside[sizeof dir + 16];
    snprintf(aside, sizeof aside, "%s.aside", dir);
    struct lease *early = opened();
    assert_int_equal(rename(dir, aside), 0);
    assert_int_equal(lease_take(early, &err), ST_STALE);
    assert_int_equal(mkdir(dir, 0755), 0);
    struct lease *late = opened();
    assert_int_equal(lease_take(early, &err), ST_STALE);
    assert_int_equal(lease_take(late, &err), ST_OK);
    assert_int_equal(look_of(late).epoch, 1);
    lease_close(early);
    lease_close(late);
}

static void a_file_of_nonsense_is_begun_anew(void **state) {
    (void)state;
    struct err err = {0};
    for (uint64_t round = 0; round < 4; round++) {
        struct lease *l = opened();
        for (int w = 0; w < WORDS; w++) word_write(w, UINT64_MAX / (round + 1) - (uint64_t)w);
        (void)look_of(l);
        assert_int_equal(lease_take(l, &err), ST_OK);
        assert_int_equal(look_of(l).epoch, 1);
        assert_int_equal(look_of(l).owner_pid, getpid());
        lease_close(l);
    }
}

static void the_longest_turn_is_told(void **state) {
    (void)state;
    struct err err = {0};
    struct lease *l = opened();
    assert_int_equal(lease_take(l, &err), ST_OK);
    lease_renew(l, LEASE_STARTING);
    assert_int_equal(look_of(l).longest_ns, 0);
    lease_renew(l, LEASE_RUNNING);
    assert_int_equal(look_of(l).longest_ns, 0); /* a start is no turn of the loop */
    lease_renew(l, LEASE_RUNNING);
    assert_true(look_of(l).longest_ns > 0);
    assert_int_equal(look_of(l).state, LEASE_RUNNING);
    lease_close(l);
}

/* ---- random lives ---- */

enum { LIVES = 4, WORK = 400 };

struct shared {
    _Atomic uint64_t work[LIVES]; /* what each has done as owner */
    _Atomic uint64_t taken, violations;
};

/* Owner or standby until it is killed, or stops for good in the middle of its work. Whoever owns the run sees that nobody
 * else works. */
static void live(struct shared *s, int me, uint64_t seed) {
    struct rng rng;
    struct err err = {0};
    struct lease *l;
    rng = rng_init(seed);
    if (lease_open(&l, dir, &err) != ST_OK) _exit(1);
    for (int64_t t = NS_PER_SECOND; lease_stand_by(l, t, T_NS, &err) != ST_OK; t += LEASE_LOOK_NS)
        sched_yield();
    uint64_t seen[LIVES];
    for (int i = 0; i < LIVES; i++) seen[i] = atomic_load(&s->work[i]);
    atomic_fetch_add(&s->taken, 1);
    uint64_t end = rng_u64(&rng) % WORK;
    for (uint64_t n = 0; n < WORK; n++) {
        atomic_fetch_add(&s->work[me], 1);
        for (int i = 0; i < LIVES; i++)
            if (i != me && atomic_load(&s->work[i]) != seen[i]) atomic_fetch_add(&s->violations, 1);
        lease_renew(l, LEASE_RUNNING);
        if (n == end)
            raise(seed & 1 ? SIGSTOP : SIGKILL); /* and if it is woken, it goes on working */
        if (n % 16 == 0) sched_yield();
    }
    lease_close(l);
    _exit(0);
}

static void of_many_that_die_and_hang_one_works_at_a_time(void **state) {
    (void)state;
    const char *given = getenv("TEST_SEED"), *ops = getenv("TEST_OPS");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 20261123,
             lives_max = ops ? strtoull(ops, NULL, 10) : 120;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    struct shared *s =
        mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(s != MAP_FAILED);
    pid_t pids[LIVES] = {0};
    struct rng rng;
    rng = rng_init(seed);
    for (uint64_t born = 0; born < lives_max;) {
        for (int i = 0; i < LIVES && born < lives_max; i++) {
            if (pids[i]) continue;
            uint64_t own = rng_u64(&rng);
            pids[i] = fork();
            if (pids[i] == 0) live(s, i, own);
            born++;
        }
        /* Now and then one that hangs is woken in the very moment in which it may be ended. */
        if (rng_u64(&rng) % 2)
            for (int i = 0; i < LIVES; i++)
                if (pids[i] && rng_u64(&rng) % 4 == 0) kill(pids[i], SIGCONT);
        int how;
        pid_t gone = waitpid(-1, &how, 0);
        for (int i = 0; i < LIVES; i++)
            if (pids[i] == gone) pids[i] = 0;
        assert_true(WIFEXITED(how) ? WEXITSTATUS(how) == 0 : WTERMSIG(how) == SIGKILL);
    }
    for (int i = 0; i < LIVES; i++)
        if (pids[i]) {
            kill(pids[i], SIGKILL);
            (void)ended_by(pids[i]);
        }
    assert_int_equal(s->violations, 0);
    assert_true(s->taken >= lives_max / 2);
    print_message("%llu of %llu processes owned the run in turn\n", (unsigned long long)s->taken,
                  (unsigned long long)lives_max);
    munmap(s, sizeof *s);
}

int main(void) {
#define LEASE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        LEASE_TEST(a_second_process_is_refused_and_changes_nothing),
        LEASE_TEST(an_owner_that_ends_in_order_is_followed_at_once),
        LEASE_TEST(a_killed_owner_is_followed_at_once),
        LEASE_TEST(a_silent_owner_is_ended_after_t_and_not_before),
        LEASE_TEST(one_that_renews_is_left_alone),
        LEASE_TEST(one_that_begins_has_more_time),
        LEASE_TEST(a_standby_that_stood_still_itself_ends_nobody),
        LEASE_TEST(a_later_process_of_that_number_is_left_alone),
        LEASE_TEST(one_of_another_machine_is_not_ended_and_it_is_said),
        LEASE_TEST(nobody_ends_itself),
        LEASE_TEST(a_folder_put_aside_is_not_taken_for_the_new_one),
        LEASE_TEST(a_file_of_nonsense_is_begun_anew),
        LEASE_TEST(the_longest_turn_is_told),
        LEASE_TEST(of_many_that_die_and_hang_one_works_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
