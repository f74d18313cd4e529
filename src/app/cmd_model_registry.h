/* What the commands on registered models share. */
#ifndef APP_CMD_MODEL_REGISTRY_H
#define APP_CMD_MODEL_REGISTRY_H

#include "base/json.h"
#include "registry/registry.h"

#define MODEL_STATE_USAGE                                                                          \
    "  --state DIR    default: $QUANTUM_STATE, else the XDG data folder; the registry is the "     \
    "current run's if it\n"                                                                        \
    "                 retrains, else DIR/models\n"                                                 \
    "  --json         as JSON\n"

/* The registry of a state directory (NULL: the usual one): that of its current run if the run retrains, else
 * STATE/models. -1: go on; else the exit code. For reading, where there is
 * none yet: go on, *out NULL. */
int model_registry_open(struct registry **out, const char *state, bool read_only, struct err *err);
void model_entry_json(struct json_writer *w, const struct registry_entry *entry);
/* True if text could name a registered model rather than a file. */
bool model_registry_names(const char *text);
/* Prints what is known of one; with path (REGISTRY_PATH_SIZE) instead only finds its file. Returns the exit code, -1 with path. */
int model_registry_show(const char *state, const char *text, bool json, char *path);

#endif
