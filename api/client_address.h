/*
 * client_address - from where a request came, for logs.
 */
#ifndef KIST_API_CLIENT_ADDRESS_H
#define KIST_API_CLIENT_ADDRESS_H

#include "api/request.h"

#define CLIENT_ADDRESS_SIZE 46 /* INET6_ADDRSTRLEN */

/* Without its port; "" if it has none. Written into text. */
struct view client_address(const struct request *request,
                           char text[CLIENT_ADDRESS_SIZE]);

#endif
