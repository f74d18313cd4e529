#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/tstamp.h"

static char path[] = "/tmp/quantum-test-log-XXXXXX";
static char content[1 << 22];

static const char *read_back(void) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(content, 1, sizeof content - 1, f);
    fclose(f);
    content[n] = '\0';
    return content;
}

static int setup(void **state) {
    (void)state;
    int fd = mkstemp(path);
    if (fd < 0) return -1;
    close(fd);
    log_stderr_set(0);
    log_level_set(LOG_INFO);
    return log_file_set(path);
}

static int teardown(void **state) {
    (void)state;
    log_stderr_set(1);
    int failed = log_file_set(NULL) | unlink(path);
    strcpy(path, "/tmp/quantum-test-log-XXXXXX");
    return failed;
}

static void test_line_has_its_fields(void **state) {
    (void)state;
    log_info("engine", "model loaded", "path=%s skill_t=%.1f", "a.json", 2.5);
    log_warn("engine", "no fields");
    const char *text = read_back();
    char ts[TSTAMP_TEXT_SIZE];
    int64_t ns;
    assert_int_equal(sscanf(text, "ts=%40s ", ts), 1);
    assert_int_equal(tstamp_parse(&ns, ts), ST_OK);
    assert_true(llabs(tstamp_wall_ns() - ns) < 60 * NS_PER_SECOND);
    assert_memory_equal(strchr(text, ' '),
                        " level=info role=engine msg=\"model loaded\" path=a.json skill_t=2.5\n",
                        67);
    assert_non_null(strstr(text, " level=warn role=engine msg=\"no fields\"\n"));
}

static void test_levels(void **state) {
    (void)state;
    log_debug("a", "hidden");
    log_level_set(LOG_ERROR);
    log_warn("a", "hidden");
    log_error("a", "shown");
    log_level_set(LOG_DEBUG);
    log_debug("a", "shown too");
    const char *text = read_back();
    assert_null(strstr(text, "hidden"));
    assert_non_null(strstr(text, "level=error role=a msg=\"shown\"\n"));
    assert_non_null(strstr(text, "level=debug role=a msg=\"shown too\"\n"));
}

static void test_a_line_stays_one_line(void **state) {
    (void)state;
    log_info("r\n1", "say \"hi\"\n\\ \t\r\x01\x7f \xc3\xa9", "text=%s", "a\nb\x1b[31m");
    const char *text = read_back();
    assert_non_null(strstr(text, "role=r\\n1 msg=\"say \\\"hi\\\"\\n\\\\ \\t\\r\\x01\\x7f "
                                 "\xc3\xa9\" text=a\\nb\\x1b[31m\n"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void test_long_lines_are_cut(void **state) {
    (void)state;
    static char longer[2 * LOG_LINE_SIZE];
    memset(longer, 'x', sizeof longer - 1);
    log_info("a", "m", "text=%s", longer);
    log_info("a", longer);
    const char *text = read_back();
    size_t first = strcspn(text, "\n") + 1, second = strlen(text) - first;
    assert_true(first <= LOG_LINE_SIZE && second <= LOG_LINE_SIZE);
    assert_memory_equal(text + first - 10, " cut=true\n", 10);
    assert_memory_equal(text + first + second - 10, " cut=true\n", 10);
    assert_non_null(strstr(text + first, "xx\" cut=true\n")); /* the quote is closed */
}

static void test_quote(void **state) {
    (void)state;
    char out[32], small[6];
    assert_string_equal(log_quote(out, sizeof out, "a \"b\"\n"), "\"a \\\"b\\\"\\n\"");
    assert_string_equal(log_quote(small, sizeof small, "abcdef"), "\"abc\"");
    assert_string_equal(log_quote(small, sizeof small, "ab\ncd"), "\"ab\"");
    assert_string_equal(log_quote(small, 3, "abc"), "\"\"");
}

static void test_errno_survives(void **state) {
    (void)state;
    errno = ERANGE;
    log_info("a", "b");
    assert_int_equal(errno, ERANGE);
}

enum { THREADS = 4, LINES = 2000 };

static void *shout(void *arg) {
    const char *name = arg;
    char fill[200];
    memset(fill, *name, sizeof fill - 1);
    fill[sizeof fill - 1] = '\0';
    for (int i = 0; i < LINES; i++) log_info(name, "shout", "i=%d fill=%s", i, fill);
    return NULL;
}

/* Every line whole, and each thread's own lines in its order. */
static void test_threads_do_not_mix(void **state) {
    (void)state;
    static char names[THREADS][2] = {"a", "b", "c", "d"};
    pthread_t threads[THREADS];
    int next[THREADS] = {0}, lines = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, shout, names[i]), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    read_back();
    for (char *line = strtok(content, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        char name, fill[256];
        int i;
        const char *role = strstr(line, " role=");
        assert_non_null(role);
        assert_int_equal(sscanf(role, " role=%c msg=\"shout\" i=%d fill=%255s", &name, &i, fill),
                         3);
        assert_true(name >= 'a' && name < 'a' + THREADS);
        assert_int_equal(i, next[name - 'a']++);
        assert_int_equal(strlen(fill), 199);
        assert_int_equal(strspn(fill, (char[]){name, '\0'}), 199);
    }
    assert_int_equal(lines, THREADS * LINES);
}

static void test_lost_lines_are_counted(void **state) {
    (void)state;
    uint64_t before = log_lost_count();
    if (access("/dev/full", W_OK) != 0) skip();
    assert_int_equal(log_file_set("/dev/full"), 0);
    log_info("a", "nobody reads this");
    assert_int_equal(log_lost_count(), before + 1);
    errno = 0;
    assert_int_equal(log_file_set("/no/such/directory/log"), -1);
    assert_int_equal(errno, ENOENT);
}

static void test_standard_error_gets_lines(void **state) {
    (void)state;
    int saved = dup(STDERR_FILENO), fds[2];
    assert_true(saved >= 0);
    assert_int_equal(pipe(fds), 0);
    assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
    log_stderr_set(1);
    log_info("a", "both");
    log_stderr_set(0);
    log_info("a", "file only");
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    close(fds[1]);
    char text[512];
    ssize_t n = read(fds[0], text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = '\0';
    assert_int_equal(read(fds[0], text + n, 1), 0);
    close(fds[0]);
    assert_non_null(strstr(text, "msg=\"both\"\n"));
    assert_null(strstr(text, "file only"));
    assert_non_null(strstr(read_back(), "msg=\"both\"\n"));
    assert_non_null(strstr(content, "msg=\"file only\"\n"));
}

int main(void) {
#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_FILE(test_line_has_its_fields),
        WITH_FILE(test_levels),
        WITH_FILE(test_a_line_stays_one_line),
        WITH_FILE(test_long_lines_are_cut),
        WITH_FILE(test_quote),
        WITH_FILE(test_errno_survives),
        WITH_FILE(test_threads_do_not_mix),
        WITH_FILE(test_lost_lines_are_counted),
        WITH_FILE(test_standard_error_gets_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
