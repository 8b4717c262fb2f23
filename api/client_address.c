#include "api/client_address.h"

#include "api/exchange.h"
#include "base/owner.h"

#include <arpa/inet.h>
#include <assert.h>

static_assert(CLIENT_ADDRESS_SIZE == INET6_ADDRSTRLEN, "room for any address");

struct view client_address(const struct request *request,
                           char text[CLIENT_ADDRESS_SIZE])
{
    const struct exchange *exchange = OWNER(request, struct exchange, request);
    const struct sockaddr *address =
        MHD_get_connection_info(exchange->mhd,
                                MHD_CONNECTION_INFO_CLIENT_ADDRESS)
            ->client_addr;
    const char *printed = NULL;

    if (address->sa_family == AF_INET)
        printed = inet_ntop(
            AF_INET,
            &((const struct sockaddr_in *)(const void *)address)->sin_addr,
            text, CLIENT_ADDRESS_SIZE);
    else if (address->sa_family == AF_INET6)
        printed = inet_ntop(
            AF_INET6,
            &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr,
            text, CLIENT_ADDRESS_SIZE);
    return printed == NULL ? VIEW_LITERAL("") : view_of(printed);
}
