/* quantum: one program, one table of commands. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/command.h"
#include "app/version.h"

static const struct {
    const char *name, *about;
    int (*run)(int argc, char **argv);
} commands[] = {
#define COMMAND_ROW(name, about) {#name, about, cmd_##name},
    COMMAND_TABLE(COMMAND_ROW)
#undef COMMAND_ROW
};

/* The table's names are C's: walk_forward is the command walk-forward. */
static bool is_command(const char *name, const char *text) {
    for (; *name && (*text == *name || (*name == '_' && *text == '-')); name++) text++;
    return *name == '\0' && *text == '\0';
}

static void usage(FILE *out) {
    fprintf(out,
            "quantum %s (%s): an AI trader for USD-M perpetual futures\n\nusage: quantum COMMAND "
            "[options]\n\n",
            QUANTUM_VERSION, QUANTUM_COMMIT);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s", commands[i].name);
        for (char *c = name; *c; c++)
            if (*c == '_') *c = '-';
        fprintf(out, "  %-12s %s\n", name, commands[i].about);
    }
    fprintf(out, "\n`quantum COMMAND --help` explains a command. Real money is traded by "
                 "`up --mode live` alone, and only after three confirmations.\n"
                 "Exit codes: 0 done, 1 failed, 2 usage, 3 refused for safety.\n");
}

static int make_path(char *path) {
    for (char *p = path + 1; *p; p++) {
        if (*p != '/') continue;
        *p = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST) return -1;
        *p = '/';
    }
    return mkdir(path, 0755) != 0 && errno != EEXIST ? -1 : 0;
}

int state_dir(char *out, unsigned long size, const char *option) {
    const char *env = getenv("QUANTUM_STATE"), *xdg = getenv("XDG_DATA_HOME"),
               *home = getenv("HOME");
    int n;
    if (option && *option)
        n = snprintf(out, size, "%s", option);
    else if (env && *env)
        n = snprintf(out, size, "%s", env);
    else if (xdg && *xdg)
        n = snprintf(out, size, "%s/quantum", xdg);
    else if (home && *home)
        n = snprintf(out, size, "%s/.local/share/quantum", home);
    else {
        fprintf(stderr,
                "quantum: no place to keep anything: give --state DIR or set QUANTUM_STATE\n");
        return -1;
    }
    if (n < 0 || (unsigned long)n >= size) {
        fprintf(stderr, "quantum: state path is too long\n");
        return -1;
    }
    if (make_path(out) != 0) {
        fprintf(stderr, "quantum: state directory %s: %s\n", out, strerror(errno));
        return -1;
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("quantum %s (%s)\n", QUANTUM_VERSION, QUANTUM_COMMIT);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (is_command(commands[i].name, argv[1])) return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "quantum: no command '%s'; `quantum --help` lists them\n", argv[1]);
    return EXIT_USAGE;
}
