#include "api/listener.h"

#include "service/address.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

static bool set(int descriptor, int level, int option, int value)
{
    return setsockopt(descriptor, level, option, &value, sizeof(value)) == 0;
}

/* A wildcard takes both families, every other IPv6 address only its own. */
static bool prepare(int descriptor, const struct address *address)
{
    if (!set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1))
        return false;
    return address->where.any.sa_family != AF_INET6 ||
           set(descriptor, IPPROTO_IPV6, IPV6_V6ONLY,
               address->both_families ? 0 : 1);
}

static bool listen_at(int descriptor, const struct address *address,
                      uint16_t *out_port)
{
    struct address bound = *address;

    if (!prepare(descriptor, address) ||
        bind(descriptor, &address->where.any, address->size) != 0 ||
        listen(descriptor, BACKLOG) != 0 ||
        getsockname(descriptor, &bound.where.any, &bound.size) != 0)
        return false;
    *out_port = address_port(&bound);
    return true;
}

static enum kist_status refuse(const struct address *address,
                               struct blob *out_why, int error)
{
    blob_append_text(out_why, "cannot listen on ");
    address_print(address, out_why);
    blob_printf(out_why, ": %s", strerror(error));
    return KIST_IO;
}

static int open_socket(const struct address *address)
{
    return socket(address->where.any.sa_family,
                  SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

enum kist_status listener_open(const struct address *address,
                               struct blob *out_why, int *out_descriptor,
                               uint16_t *out_port)
{
    struct address wanted = *address;
    int descriptor = open_socket(&wanted);

    if (descriptor < 0 && errno == EAFNOSUPPORT && wanted.both_families) {
        /* No IPv6 in this kernel: every address of the machine is IPv4. */
        wanted.where.v4 = (struct sockaddr_in){
            .sin_family = AF_INET,
            .sin_port = htons(address_port(address)),
        };
        wanted.size = sizeof(wanted.where.v4);
        descriptor = open_socket(&wanted);
    }
    if (descriptor < 0)
        return refuse(address, out_why, errno);
    if (!listen_at(descriptor, &wanted, out_port)) {
        int error = errno;

        close(descriptor);
        return refuse(address, out_why, error);
    }
    *out_descriptor = descriptor;
    return KIST_OK;
}
