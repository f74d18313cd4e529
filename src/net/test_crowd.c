/* Ten thousand connections that do nothing, or never finish what they began: what they cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "net/test_server.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INSTRUMENTED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define INSTRUMENTED 1
#endif
#endif
#ifndef INSTRUMENTED
#define INSTRUMENTED 0
#endif

enum { CROWD = 10000, SPARE_FILES = 100, IDLE_BYTES_MAX = 1536, BEGUN_BYTES_MAX = 3072 };

static long resident_bytes(void) {
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*s %ld", &pages), 1);
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

/* The clients live in a process of their own: both ends in one would need twice the descriptors. */
struct crowd {
    pid_t pid;
    int order, done;
    int count;
};

static void crowd_run(int order, int done, int count) {
    uint16_t port;
    char byte;
    int *fds = malloc((size_t)count * sizeof *fds);
    if (!fds || read(order, &port, sizeof port) != sizeof port) _exit(1);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < count; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (fds[i] < 0 || connect(fds[i], (struct sockaddr *)&address, sizeof address) != 0)
            _exit(2);
    }
    if (write(done, "1", 1) != 1 || read(order, &byte, 1) != 1) _exit(3);
    for (int i = 0; i < count; i++)
        if (send(fds[i], "GET /never HT", 13, MSG_NOSIGNAL) != 13) _exit(4);
    if (write(done, "2", 1) != 1 || read(order, &byte, 1) != 1) _exit(5);
    _exit(0);
}

static void crowd_start(struct crowd *c) {
    int order[2], done[2];
    assert_int_equal(pipe(order), 0);
    assert_int_equal(pipe(done), 0);
    c->pid = fork();
    assert_true(c->pid >= 0);
    if (c->pid == 0) crowd_run(order[0], done[1], c->count);
    close(order[0]);
    close(done[1]);
    c->order = order[1];
    c->done = done[0];
}

static void crowd_wait(struct crowd *c) {
    char byte;
    if (read(c->done, &byte, 1) == 1) return;
    int status = 0;
    waitpid(c->pid, &status, 0);
    fail_msg("the clients ended with %d", WEXITSTATUS(status));
}

/* Until the server has seen as many as there are. */
static void open_is(int fd, int want) {
    for (int tries = 0; tries < 100000; tries++) {
        put_line(fd, "GET /open HTTP/1.1\r\nHost: h\r\n\r\n");
        struct answer *a = answer_of(fd, true);
        int open = atoi(a->body);
        free(a);
        if (open == want) return;
        sched_yield();
    }
    fail_msg("never saw %d connections", want);
}

static void test_idle_sockets(void **state) {
    (void)state;
    struct rlimit limit;
    struct crowd crowd = {.count = CROWD};
    struct server s;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < CROWD + SPARE_FILES) {
        crowd.count = (int)limit.rlim_cur - SPARE_FILES;
        printf("RLIMIT_NOFILE is %llu: %d connections instead of %d\n",
               (unsigned long long)limit.rlim_cur, crowd.count, CROWD);
        assert_true(crowd.count > 0);
    }
    crowd_start(&crowd);
    server_prepare(&s);
    s.options.limits.request_ms_max = 120 * 1000;
    s.options.limits.idle_ms_max = 120 * 1000;
    server_start(&s);
    int fd = dial(s.port);
    ask(fd, PLAIN, 200, PLAIN_BODY);
    long before = resident_bytes();
    assert_int_equal(write(crowd.order, &s.port, sizeof s.port), sizeof s.port);
    crowd_wait(&crowd);
    open_is(fd, crowd.count + 1);
    long idle = (resident_bytes() - before) / crowd.count;
    others_are_served(s.port);
    assert_int_equal(write(crowd.order, "g", 1), 1);
    crowd_wait(&crowd);
    others_are_served(s.port);
    open_is(fd, crowd.count + 1);
    long begun = (resident_bytes() - before) / crowd.count;
    printf("%d connections: %ld bytes resident each when idle, %ld with part of a request\n",
           crowd.count, idle, begun);
    if (!INSTRUMENTED) {
        assert_in_range(idle, 0, IDLE_BYTES_MAX);
        assert_in_range(begun, 0, BEGUN_BYTES_MAX);
    }
    assert_int_equal(write(crowd.order, "e", 1), 1);
    int status;
    assert_int_equal(waitpid(crowd.pid, &status, 0), crowd.pid);
    assert_int_equal(status, 0);
    open_is(fd, 1);
    ask(fd, PLAIN, 200, PLAIN_BODY);
    close(fd);
    close(crowd.order);
    close(crowd.done);
    server_stop(&s);
    assert_int_equal(s.stats.refused, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_idle_sockets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
