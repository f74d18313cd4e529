#include "api/gate.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A header as text; one too long for its buffer reads as something that matches nothing. */
static bool header(const struct net_request *r, char *out, size_t size, const char *name) {
    struct net_text t = net_header(r, name);
    out[0] = '\0';
    if (!t.data) return false;
    if (t.size >= size)
        snprintf(out, size, "?");
    else
        snprintf(out, size, "%.*s", (int)t.size, t.data);
    return true;
}

static bool is_wildcard(const char *bind) {
    return strcmp(bind, "0.0.0.0") == 0 || strcmp(bind, "::") == 0;
}

bool gate_host_is_ours(const char *bind, const struct net_request *r) {
    char host[128];
    if (!header(r, host, sizeof host, "host")) return false;
    char *name = host, *rest;
    if (host[0] == '[') {
        name++;
        rest = strchr(host, ']');
        if (!rest) return false;
        *rest++ = '\0';
    } else {
        rest = strchr(host, ':');
        if (!rest) rest = host + strlen(host);
    }
    const char *port = rest;
    if (*port && (*port != ':' || strspn(port + 1, "0123456789") != strlen(port + 1))) return false;
    *rest = '\0';
    if (strcasecmp(name, "localhost") == 0 || strcmp(name, "127.0.0.1") == 0 ||
        strcmp(name, "::1") == 0 || strcasecmp(name, bind) == 0)
        return true;
    struct in6_addr address;
    return is_wildcard(bind) &&
           (inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1);
}

bool gate_origin_is_ours(const struct net_request *r) {
    char origin[160], host[128];
    if (!header(r, origin, sizeof origin, "origin")) return true;
    if (!header(r, host, sizeof host, "host")) return false;
    return strncasecmp(origin, "http://", 7) == 0 && strcasecmp(origin + 7, host) == 0;
}

bool gate_token_is_right(const char *token, const struct net_request *r) {
    char given[160];
    if (!header(r, given, sizeof given, "authorization")) return false;
    if (strncasecmp(given, "Bearer ", 7) != 0) return false;
    size_t length = strlen(token), given_length = strlen(given + 7);
    unsigned difference = length != given_length;
    for (size_t i = 0; i < given_length; i++)
        difference |= (unsigned)(given[7 + i] ^ token[i % (length ? length : 1)]);
    return difference == 0;
}

bool gate_type_is_fine(const struct net_request *r) {
    char type[128];
    if (!header(r, type, sizeof type, "content-type")) return true;
    type[strcspn(type, "; ")] = '\0';
    return strcasecmp(type, "application/json") == 0 ||
           strcasecmp(type, "application/x-www-form-urlencoded") == 0;
}
