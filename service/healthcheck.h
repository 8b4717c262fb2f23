/*
 * healthcheck - `kistd --healthcheck`: is the kistd with these settings ready?
 *
 * For container health checks where no shell and no curl is: asks /readyz on
 * the first listen address, over the loopback where that is a wildcard.
 */
#ifndef KIST_SERVICE_HEALTHCHECK_H
#define KIST_SERVICE_HEALTHCHECK_H

#include "base/bytes.h"
#include "base/status.h"
#include "service/address.h"

#include <stdint.h>

/*
 * Blocks for at most timeout_ms. Appends one line without newline for people.
 * KIST_OK: it answered 200; KIST_BUSY: it answered something else; KIST_IO: it
 * did not answer in time; KIST_INVALID: the port is chosen by the kernel, so
 * nobody knows where to ask.
 */
KIST_CHECKED enum kist_status healthcheck_run(const struct address *listen,
                                              uint64_t timeout_ms,
                                              struct blob *out_line);

#endif
