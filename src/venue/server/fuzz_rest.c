/* Any bytes as a request: no crash, always one JSON value, and money that adds up.
 *
 * Input: byte 0: bit 0 signed, bits 1-2 method, bits 3-4 whose key, bit 5 parameters in the body; then lines:
 * path, query, body. A signed request gets its timestamp and signature here, so that the bytes reach the
 * handlers; an unsigned one goes in as it is, with the key of bits 3-4. The exchange is made once and lives on
 * over all inputs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "venue/server/fuzz_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct net_text line(const char **at, const char *end) {
    const char *begin = *at, *stop = memchr(begin, '\n', (size_t)(end - begin));
    struct net_text out = {begin, (size_t)((stop ? stop : end) - begin)};
    *at = stop ? stop + 1 : end;
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const key_names[] = {"hmac-key", "ed-key", "reader-key", "nobody"};
    static const enum net_method methods[] = {NET_GET, NET_POST, NET_PUT, NET_DELETE};
    static char text[FUZZ_TEXT];
    struct fuzz_world *f = fuzz_world();
    if (size < 1 || size > 16384) return 0;
    const char *at = (const char *)data + 1, *end = (const char *)data + size;
    unsigned key = data[0] >> 3 & 3;
    struct rest_request r = {.method = methods[data[0] >> 1 & 3],
                             .path = line(&at, end),
                             .query = line(&at, end),
                             .body = line(&at, end),
                             .api_key = {key_names[key], strlen(key_names[key])},
                             .peer = "127.0.0.1",
                             .now_ns = fuzz_tick(f)};
    if (data[0] & 1) {
        size_t n = fuzz_sign(f, text, r.query, key == 1);
        if (data[0] & 32) {
            r.query.size = 0;
            r.body = (struct net_text){text, n};
        } else {
            r.query = (struct net_text){text, n};
            r.body.size = 0;
        }
    }
    struct rest_answer a;
    rest_handle(&f->rest, &r, &a);
    fuzz_check(f, a.body, a.body_size);
    if ((a.code == 0) != (a.status == 200)) abort();
    if (strlen(a.headers) >= sizeof a.headers - 1) abort();
    return 0;
}
