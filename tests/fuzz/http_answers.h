/*
 * http_answers - is this what an HTTP/1.1 server may send on a connection?
 *
 * Strict, and written for this alone: no line but CR LF, one length, no
 * control byte in a head, nothing between one answer and the next.
 */
#ifndef KIST_TESTS_FUZZ_HTTP_ANSWERS_H
#define KIST_TESTS_FUZZ_HTTP_ANSWERS_H

#include "base/bytes.h"

#include <stdbool.h>

/*
 * Whole answers one after the other, or none. What was asked is not known, so
 * an answer may also be that to HEAD, which has no body. A server's own fault
 * (500) is never right.
 */
bool http_answers_are_right(struct view stream);

#endif
