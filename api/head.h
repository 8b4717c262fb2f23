/*
 * head - is this request head one that every hop reads the same way?
 *
 * libmicrohttpd 0.9.75 is lenient: it joins folded lines to the *name* of a
 * header, cuts values at a NUL, takes two Content-Length, and prefers
 * Transfer-Encoding where both are sent. Each is a way to smuggle a request
 * past a proxy. It parses in place, though: each line end became NUL bytes
 * and nothing moved. So a good head is one run of bytes, each line beginning
 * exactly two bytes after the one before ended, and anything folded, cut or
 * ended by a bare LF leaves another gap. The head's size ends the last line.
 *
 * Nothing here knows libmicrohttpd: pointers in, a verdict out.
 *
 *     head_begin(&head, method, target, version);
 *     head_field(&head, name, value);    for each, in the order received
 *     fault = head_end(&head, size);
 */
#ifndef KIST_API_HEAD_H
#define KIST_API_HEAD_H

#include "api/problem.h"
#include "api/request.h"
#include "base/bytes.h"

/* libmicrohttpd has 16 KiB for a head and the answer's head together. */
#define HEAD_SIZE_MAX (12 * 1024)

/* What repeated headers may come to when they are joined. */
#define HEAD_JOINED_MAX (2 * HEAD_SIZE_MAX)

enum head_fault {
    HEAD_FINE,
    HEAD_LINE,    /* Folded, NUL, bare LF or CR, more than one space. */
    HEAD_VERSION, /* Not HTTP/1.0 or HTTP/1.1. */
    HEAD_NAME,    /* A header name that is no token. */
    HEAD_VALUE,   /* A header of ours with control or 8-bit bytes. */
    HEAD_TWICE,   /* A header of ours more than once that is no list. */
    HEAD_HOST,    /* Missing, more than once, or not a host. */
    HEAD_LENGTH,  /* Content-Length: not one plain number. */
    HEAD_LENGTH_AND_CODING,
    HEAD_CODING,         /* A transfer coding other than one "chunked". */
    HEAD_CODING_TOO_OLD, /* Transfer-Encoding in HTTP/1.0. */
    HEAD_SIZE,           /* More than HEAD_SIZE_MAX. */
    HEAD_MEMORY,         /* None for joining repeated headers. */
    HEAD_FAULTS
};

struct head {
    /*
     * The result, meaningful after head_end() said HEAD_FINE. A list that came
     * in several lines (RFC 9110, 5.3) is one, and lies in *joined.
     */
    struct view headers[HEADER_COUNT]; /* Trimmed; data NULL where absent. */
    uint64_t length;                   /* Content-Length, 0 without. */
    bool chunked;
    bool expects_continue;

    /* While reading. */
    struct blob *joined;
    const char *start;
    const char *line_end; /* Where the line before ended. */
    enum head_fault fault;
    bool is_1_0;
    unsigned hosts;
    unsigned lengths;
    unsigned codings;
};

/*
 * The three parts of the request line, each ended by a NUL in place. joined is
 * empty and lives as long as the headers are used.
 */
void head_begin(struct head *head, const char *method, struct view target,
                const char *version, struct blob *joined);
void head_field(struct head *head, struct view name, struct view value);

/* size: from the method's first byte to behind the empty line. */
KIST_CHECKED enum head_fault head_end(struct head *head, size_t size);

enum problem head_fault_problem(enum head_fault fault);
const char *head_fault_detail(enum head_fault fault);

/* The method, or METHOD_COUNT. */
enum method head_method(struct view name);

/* A method of HTTP or WebDAV that nothing here takes: 405 instead of 501. */
bool head_method_is_foreign(struct view name);

/* "GET". */
const char *head_method_name(enum method method);

#endif
