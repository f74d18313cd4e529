/* Any bytes as messages of the WebSocket API: no crash, always one JSON object, and money that adds up.
 *
 * Input: byte 0: bit 0 as a session that has logged on, bit 1 the message is completed: "timestamp" is put in place
 * of the text NOW. Then the message. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "venue/server/fuzz_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char text[FUZZ_TEXT];
    struct fuzz_world *f = fuzz_world();
    if (size < 1 || size > 16384) return 0;
    int64_t now_ns = fuzz_tick(f);
    struct wsapi_session session = {.connected_ns = now_ns};
    if (data[0] & 1) {
        session.account = 2;
        session.authorized_ns = now_ns;
        snprintf(session.api_key, sizeof session.api_key, "ed-key");
    }
    memcpy(text, data + 1, size - 1);
    struct net_text message = {text, size - 1}, answer;
    char *hole = data[0] & 2 ? memmem(text, message.size, "NOW", 3) : NULL;
    if (hole) {
        char now[24];
        size_t n = (size_t)snprintf(now, sizeof now, "%lld", (long long)(now_ns / NS_PER_MS));
        size_t behind = message.size - (size_t)(hole - text) - 3;
        memmove(hole + n, hole + 3, behind);
        memcpy(hole, now, n);
        message.size += n - 3;
    }
    (void)wsapi_class_of(&f->rest, message);
    wsapi_handle(&f->rest, &session, "127.0.0.1", message, now_ns, &answer);
    fuzz_check(f, answer.data, answer.size);
    if (answer.size < 2 || answer.data[0] != '{') abort();
    if (session.account && !keys_find(&f->keys, session.api_key, strlen(session.api_key))) abort();
    return 0;
}
