/* The rendering through Prometheus' own checker: `promtool check metrics` parses and lints it. Exits 77
 * (nothing to do) where promtool is not installed. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/metrics.h"

static const char promtool[] = "/usr/bin/promtool";

static int promtool_exit(const char *text, size_t size) {
    FILE *pipe = popen("/usr/bin/promtool check metrics", "w");
    if (!pipe) return -1;
    size_t written = fwrite(text, 1, size, pipe);
    int status = pclose(pipe);
    return written == size && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int main(void) {
    static char out[1 << 16];
    static const double bounds[] = {0.0001, 0.001, 0.01, 0.1, 1, 10};
    if (access(promtool, X_OK) != 0) {
        printf("skipped: %s is not installed\n", promtool);
        return 77;
    }
    struct metrics *m = metrics_create();
    if (!m) return 1;
    int a = metrics_add(m, METRIC_COUNTER, "oms_order_denied_total", "reason=\"daily_loss\"",
                        "Orders that risk denied.", NULL, 0);
    int g = metrics_add(m, METRIC_GAUGE, "engine_equity_usdt", "",
                        "Equity, with a \\ and\na second line.", NULL, 0);
    int h = metrics_add(m, METRIC_HISTOGRAM, "venue_ack_latency_seconds", "venue=\"simex\"",
                        "Time from submit to ack.", bounds, 6);
    int b =
        metrics_add(m, METRIC_COUNTER, "oms_order_denied_total",
                    "reason=\"quote \\\" slash \\\\ end\\n\"", "Orders that risk denied.", NULL, 0);
    metrics_inc(m, a, 1e15);
    metrics_inc(m, b, 0.1);
    metrics_set(m, g, -1.7976931348623157e308);
    for (int i = 0; i < 100; i++) metrics_observe(m, h, 0.0003 * i * i);
    size_t size;
    if (metrics_render(m, out, sizeof out, &size) != ST_OK) return 1;
    metrics_destroy(m);
    int good = promtool_exit(out, size);
    /* The check can fail: a name without HELP is a lint error, half a line a syntax error. */
    static const char lint[] = "x_total 1\n", syntax[] = "x_total{a=\"";
    int bad_lint = promtool_exit(lint, sizeof lint - 1),
        bad_syntax = promtool_exit(syntax, sizeof syntax - 1);
    printf("promtool check metrics: ours %d, without help %d, cut off %d\n", good, bad_lint,
           bad_syntax);
    return good == 0 && bad_lint > 0 && bad_syntax > 0 ? 0 : 1;
}
