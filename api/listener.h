/*
 * listener - a listening TCP socket at a configured address.
 */
#ifndef KIST_API_LISTENER_H
#define KIST_API_LISTENER_H

#include "base/bytes.h"
#include "base/status.h"

#include <stdint.h>

struct address;

/*
 * Bind and listen. *out_descriptor is the caller's to close; *out_port is
 * what the kernel chose where the address says 0. KIST_IO: out_why has one
 * line with the address and the reason.
 */
KIST_CHECKED enum kist_status listener_open(const struct address *address,
                                            struct blob *out_why,
                                            int *out_descriptor,
                                            uint16_t *out_port);

#endif
