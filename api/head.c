#include "api/head.h"

#include <assert.h>
#include <string.h>

static const struct {
    enum problem problem;
    const char *detail;
} faults[HEAD_FAULTS] = {
    [HEAD_FINE] = {PROBLEM_INTERNAL, ""},
    [HEAD_LINE] = {PROBLEM_MALFORMED_REQUEST,
                   "A line of the request head is folded, has a NUL or bare "
                   "CR, does not end in CRLF, or has more than one space "
                   "between its parts."},
    [HEAD_VERSION] = {PROBLEM_VERSION, "Use HTTP/1.1."},
    [HEAD_NAME] = {PROBLEM_MALFORMED_REQUEST,
                   "A header name has a byte that names cannot have, such "
                   "as a space before the colon."},
    [HEAD_VALUE] = {PROBLEM_INVALID_HEADER,
                    "A header that has a meaning here has control or "
                    "non-ASCII bytes."},
    [HEAD_TWICE] = {PROBLEM_INVALID_HEADER,
                    "A header that takes one value is there more than once."},
    [HEAD_HOST] = {PROBLEM_MALFORMED_REQUEST,
                   "HTTP/1.1 needs exactly one Host header."},
    [HEAD_LENGTH] = {PROBLEM_MALFORMED_REQUEST,
                     "Content-Length must be one plain number."},
    [HEAD_LENGTH_AND_CODING] = {PROBLEM_MALFORMED_REQUEST,
                                "Send Content-Length or Transfer-Encoding, "
                                "not both."},
    [HEAD_CODING] = {PROBLEM_NOT_IMPLEMENTED,
                     "The only transfer coding is one 'chunked'."},
    [HEAD_CODING_TOO_OLD] = {PROBLEM_MALFORMED_REQUEST,
                             "HTTP/1.0 has no Transfer-Encoding."},
    [HEAD_SIZE] = {PROBLEM_HEAD_TOO_LARGE,
                   "The request head is larger than 12288 bytes."},
    [HEAD_MEMORY] = {PROBLEM_BUSY,
                     "There is no memory for the request head. Try again."},
};

enum problem head_fault_problem(enum head_fault fault)
{
    assert(fault != HEAD_FINE && fault < HEAD_FAULTS);
    return faults[fault].problem;
}

const char *head_fault_detail(enum head_fault fault)
{
    assert(fault != HEAD_FINE && fault < HEAD_FAULTS);
    return faults[fault].detail;
}

static const char *const names[HEADER_COUNT] = {
    [HEADER_ACCEPT] = "Accept",
    [HEADER_AUTHORIZATION] = "Authorization",
    [HEADER_CACHE_CONTROL] = "Cache-Control",
    [HEADER_CONTENT_DIGEST] = "Content-Digest",
    [HEADER_CONTENT_ENCODING] = "Content-Encoding",
    [HEADER_CONTENT_TYPE] = "Content-Type",
    [HEADER_IF_MATCH] = "If-Match",
    [HEADER_IF_NONE_MATCH] = "If-None-Match",
    [HEADER_IF_RANGE] = "If-Range",
    [HEADER_KIST_AFTER] = "Kist-After",
    [HEADER_KIST_EXPIRES] = "Kist-Expires",
    [HEADER_KIST_VERSION] = "Kist-Version",
    [HEADER_PREFER] = "Prefer",
    [HEADER_RANGE] = "Range",
    [HEADER_REPR_DIGEST] = "Repr-Digest",
    [HEADER_REQUEST_ID] = "Request-Id",
    [HEADER_TRACEPARENT] = "traceparent",
    [HEADER_WANT_CONTENT_DIGEST] = "Want-Content-Digest",
    [HEADER_WANT_REPR_DIGEST] = "Want-Repr-Digest",
};

/* The first fault is the one that is told. */
static void fail(struct head *head, enum head_fault fault)
{
    if (head->fault == HEAD_FINE)
        head->fault = fault;
}

static bool is_token(struct view text)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        bool alphanumeric = (byte >= '0' && byte <= '9') ||
                            (byte >= 'A' && byte <= 'Z') ||
                            (byte >= 'a' && byte <= 'z');

        if (!alphanumeric && (byte == 0 || strchr(others, byte) == NULL))
            return false;
    }
    return text.size > 0;
}

static bool is_printable(struct view text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];

        if (byte >= 0x7f || (byte < 0x20 && byte != '\t'))
            return false;
    }
    return true;
}

static bool is_host(struct view text)
{
    return is_printable(text) && memchr(text.data, ' ', text.size) == NULL &&
           memchr(text.data, '\t', text.size) == NULL &&
           memchr(text.data, '/', text.size) == NULL &&
           memchr(text.data, '@', text.size) == NULL &&
           memchr(text.data, ',', text.size) == NULL;
}

void head_begin(struct head *head, const char *method, struct view target,
                const char *version, struct blob *joined)
{
    *head = (struct head){.start = method, .joined = joined};
    head->is_1_0 = strcmp(version, "HTTP/1.0") == 0;
    if (!head->is_1_0 && strcmp(version, "HTTP/1.1") != 0)
        fail(head, HEAD_VERSION);
    if (target.data != method + strlen(method) + 1 ||
        version != target.data + target.size + 1)
        fail(head, HEAD_LINE);
    head->line_end = version + strlen(version);
}

/* One line end lies between: CRLF, made two NUL bytes. */
static void check_place(struct head *head, struct view name, struct view value)
{
    const char *gap = name.data + name.size;

    if (name.data != head->line_end + 2 || value.data <= gap) {
        fail(head, HEAD_LINE);
        return;
    }
    /* The colon became a NUL; blanks follow it up to the value. */
    for (gap++; gap < value.data; gap++) {
        if (*gap != ' ' && *gap != '\t')
            fail(head, HEAD_LINE);
    }
    if (memchr(value.data, '\r', value.size) != NULL)
        fail(head, HEAD_LINE);
    head->line_end = value.data + value.size;
}

static void read_length(struct head *head, struct view value)
{
    head->lengths++;
    if (head->lengths > 1 || !view_to_u64(value, &head->length))
        fail(head, HEAD_LENGTH);
}

static void read_coding(struct head *head, struct view value)
{
    head->codings++;
    head->chunked = view_is_ignoring_case(value, "chunked");
    if (head->codings > 1 || !head->chunked)
        fail(head, HEAD_CODING);
}

static void read_host(struct head *head, struct view value)
{
    head->hosts++;
    if (head->hosts > 1 || !is_host(view_trim(value)))
        fail(head, HEAD_HOST);
}

/* Headers whose value is a list may come in several lines. */
static const bool lists[HEADER_COUNT] = {
    [HEADER_ACCEPT] = true,           [HEADER_CACHE_CONTROL] = true,
    [HEADER_CONTENT_DIGEST] = true,   [HEADER_IF_MATCH] = true,
    [HEADER_IF_NONE_MATCH] = true,    [HEADER_PREFER] = true,
    [HEADER_REPR_DIGEST] = true,      [HEADER_WANT_CONTENT_DIGEST] = true,
    [HEADER_WANT_REPR_DIGEST] = true,
};

/*
 * list becomes "list, more". The room for all is reserved at once, so that
 * what was joined before stays where it is.
 */
static void join(struct head *head, struct view *list, struct view more)
{
    struct blob *joined = head->joined;
    bool is_last = joined->size > 0 &&
                   list->data + list->size == joined->data + joined->size;
    size_t added = (is_last ? 0 : list->size) + 2 + more.size;

    if (joined->data == NULL &&
        blob_reserve_exactly(joined, HEAD_JOINED_MAX) != KIST_OK) {
        fail(head, HEAD_MEMORY);
        return;
    }
    if (added > HEAD_JOINED_MAX - joined->size) {
        fail(head, HEAD_SIZE);
        return;
    }
    if (!is_last) {
        const char *start = joined->data + joined->size;

        blob_append(joined, *list);
        list->data = start;
    }
    blob_append_text(joined, ", ");
    blob_append(joined, more);
    list->size += 2 + more.size;
}

static void read_ours(struct head *head, enum request_header header,
                      struct view value)
{
    struct view *ours = &head->headers[header];

    if (!is_printable(value))
        fail(head, HEAD_VALUE);
    value = view_trim(value);
    if (ours->data == NULL)
        *ours = value;
    else if (lists[header])
        join(head, ours, value);
    else
        fail(head, HEAD_TWICE);
}

void head_field(struct head *head, struct view name, struct view value)
{
    check_place(head, name, value);
    if (!is_token(name))
        fail(head, HEAD_NAME);

    if (view_is_ignoring_case(name, "Content-Length")) {
        read_length(head, value);
        return;
    }
    if (view_is_ignoring_case(name, "Transfer-Encoding")) {
        read_coding(head, value);
        return;
    }
    if (view_is_ignoring_case(name, "Host")) {
        read_host(head, value);
        return;
    }
    if (view_is_ignoring_case(name, "Expect")) {
        head->expects_continue =
            view_is_ignoring_case(view_trim(value), "100-continue");
        return;
    }
    for (enum request_header header = 0; header < HEADER_COUNT; header++) {
        if (view_is_ignoring_case(name, names[header])) {
            read_ours(head, header, value);
            return;
        }
    }
}

enum head_fault head_end(struct head *head, size_t size)
{
    /* The last line's CRLF and the empty line's. */
    if (head->line_end + 4 != head->start + size)
        fail(head, HEAD_LINE);
    if (head->lengths > 0 && head->codings > 0)
        fail(head, HEAD_LENGTH_AND_CODING);
    if (head->is_1_0 && head->codings > 0)
        fail(head, HEAD_CODING_TOO_OLD);
    if (!head->is_1_0 && head->hosts == 0)
        fail(head, HEAD_HOST);
    if (size > HEAD_SIZE_MAX)
        fail(head, HEAD_SIZE);
    return head->fault;
}

static const char *const methods[METHOD_COUNT] = {
    [METHOD_GET] = "GET",         [METHOD_HEAD] = "HEAD",
    [METHOD_PUT] = "PUT",         [METHOD_PATCH] = "PATCH",
    [METHOD_POST] = "POST",       [METHOD_DELETE] = "DELETE",
    [METHOD_OPTIONS] = "OPTIONS",
};

const char *head_method_name(enum method method)
{
    assert(method < METHOD_COUNT);
    return methods[method];
}

enum method head_method(struct view name)
{
    enum method method = 0;

    while (method < METHOD_COUNT && !view_is(name, methods[method]))
        method++;
    return method;
}

bool head_method_is_foreign(struct view name)
{
    static const char *const foreign[] = {
        "TRACE", "CONNECT", "PROPFIND", "PROPPATCH", "MKCOL",  "COPY",
        "MOVE",  "LOCK",    "UNLOCK",   "REPORT",    "SEARCH", "LINK"};

    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        if (view_is(name, foreign[i]))
            return true;
    }
    return false;
}
