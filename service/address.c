#include "service/address.h"

#include <arpa/inet.h>
#include <string.h>

static bool parse_port(struct view text, uint16_t *out_port)
{
    uint64_t number;

    if (!view_to_u64(text, &number) || number > UINT16_MAX)
        return false;
    *out_port = (uint16_t)number;
    return true;
}

/* host has no brackets; a copy, because inet_pton wants a terminator. */
static bool parse_host(struct view host, int family, void *out_bytes)
{
    char text[INET6_ADDRSTRLEN];

    if (host.size >= sizeof(text) || memchr(host.data, '\0', host.size))
        return false;
    memcpy(text, host.data, host.size);
    text[host.size] = '\0';
    return inet_pton(family, text, out_bytes) == 1;
}

static void set_v4(struct address *address, struct in_addr host, uint16_t port)
{
    address->where.v4 = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = host};
    address->size = sizeof(address->where.v4);
}

static void set_v6(struct address *address, struct in6_addr host, uint16_t port)
{
    address->where.v6 = (struct sockaddr_in6){
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = host};
    address->size = sizeof(address->where.v6);
}

static const char *set_host(struct address *address, struct view host,
                            uint16_t port)
{
    struct in_addr v4 = {htonl(INADDR_LOOPBACK)};
    struct in6_addr v6 = IN6ADDR_ANY_INIT;

    if (host.size == 0) {
        set_v6(address, v6, port);
        address->both_families = true;
        return NULL;
    }
    if (host.data[0] == '[') {
        struct view inner = {host.data + 1, host.size - 1};

        if (inner.size == 0 || inner.data[inner.size - 1] != ']')
            return "lacks the closing bracket";
        inner.size--;
        if (!parse_host(inner, AF_INET6, &v6))
            return "is not an IPv6 address in brackets";
        set_v6(address, v6, port);
        return NULL;
    }
    if (memchr(host.data, ':', host.size) != NULL)
        return "is IPv6 without brackets, or has no port";
    if (!view_is_ignoring_case(host, "localhost") &&
        !parse_host(host, AF_INET, &v4))
        return "is not a numeric address; names are not looked up";
    set_v4(address, v4, port);
    return NULL;
}

enum kist_status address_parse(struct view text, struct address *out_address,
                               const char **out_problem)
{
    const char *colon =
        text.size == 0 ? NULL : memrchr(text.data, ':', text.size);
    struct address address = {.both_families = false};
    uint16_t port;

    if (colon == NULL || text.data[text.size - 1] == ']') {
        *out_problem = "has no port";
        return KIST_INVALID;
    }
    size_t host_size = (size_t)(colon - text.data);
    if (!parse_port(view_from(text, host_size + 1), &port)) {
        *out_problem = "has a port that is not 0 to 65535";
        return KIST_INVALID;
    }

    const char *problem =
        set_host(&address, (struct view){text.data, host_size}, port);
    if (problem != NULL) {
        *out_problem = problem;
        return KIST_INVALID;
    }
    *out_address = address;
    return KIST_OK;
}

uint16_t address_port(const struct address *address)
{
    return ntohs(address->where.any.sa_family == AF_INET
                     ? address->where.v4.sin_port
                     : address->where.v6.sin6_port);
}

void address_set_port(struct address *address, uint16_t port)
{
    if (address->where.any.sa_family == AF_INET6)
        address->where.v6.sin6_port = htons(port);
    else
        address->where.v4.sin_port = htons(port);
}

bool address_equal(const struct address *a, const struct address *b)
{
    if (a->where.any.sa_family != b->where.any.sa_family ||
        address_port(a) != address_port(b) || address_port(a) == 0)
        return false;
    if (a->where.any.sa_family == AF_INET)
        return a->where.v4.sin_addr.s_addr == b->where.v4.sin_addr.s_addr;
    return memcmp(&a->where.v6.sin6_addr, &b->where.v6.sin6_addr,
                  sizeof(struct in6_addr)) == 0;
}

void address_print(const struct address *address, struct blob *out_text)
{
    bool is_v4 = address->where.any.sa_family == AF_INET;
    char host[INET6_ADDRSTRLEN] = "";

    /* Cannot fail: the family is one of two and the room suffices. */
    if (is_v4)
        inet_ntop(AF_INET, &address->where.v4.sin_addr, host, sizeof(host));
    else if (!address->both_families)
        inet_ntop(AF_INET6, &address->where.v6.sin6_addr, host, sizeof(host));

    const char *format = is_v4 || address->both_families ? "%s:%u" : "[%s]:%u";
    blob_printf(out_text, format, host, (unsigned)address_port(address));
}
