/* Private to src/api: who may ask. Everything here is judged before a request is looked at any further. */
#ifndef API_GATE_H
#define API_GATE_H

#include <stdbool.h>

#include "net/net.h"

/* A page on another site can make a name of its own point at 127.0.0.1 and then talk to us as if it were ours; the name
 * it used is in Host. Addresses cannot be rebound, so where we were told to listen on all of them any address is
 * fine, but never a name. */
bool gate_host_is_ours(const char *bind, const struct net_request *r);
/* Browsers name the page that asks wherever asking can do something (POST, WebSocket): it must be ours, that is of the
 * host and port that was asked. Programs send no Origin. */
bool gate_origin_is_ours(const struct net_request *r);
/* Takes the same time wherever the first difference is. */
bool gate_token_is_right(const char *token, const struct net_request *r);
/* JSON, or not said. curl -d calls everything a form unless told otherwise: the body decides. */
bool gate_type_is_fine(const struct net_request *r);

#endif
