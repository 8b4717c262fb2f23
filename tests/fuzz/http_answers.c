#include "tests/fuzz/http_answers.h"

#include <string.h>

enum framing { FRAMING_NONE, FRAMING_LENGTH, FRAMING_CHUNKS };

struct head {
    unsigned status;
    enum framing framing;
    uint64_t length;
    bool closes;
};

/* The next line without its CR LF; false: none ends, or it holds controls. */
static bool take_line(struct view *stream, struct view *out_line)
{
    const char *end =
        stream->size < 2 ? NULL : memmem(stream->data, stream->size, "\r\n", 2);

    if (end == NULL)
        return false;
    *out_line = (struct view){stream->data, (size_t)(end - stream->data)};
    *stream = view_from(*stream, out_line->size + 2);
    for (size_t i = 0; i < out_line->size; i++) {
        unsigned char byte = (unsigned char)out_line->data[i];

        if ((byte < ' ' && byte != '\t') || byte == 0x7F)
            return false;
    }
    return true;
}

/* "HTTP/1.1 200 OK"; false also for faults that are the server's own. */
static bool read_status(struct view line, unsigned *out_status)
{
    uint64_t status;

    if (line.size < 13 || line.data[12] != ' ' ||
        !view_starts_with(line, VIEW_LITERAL("HTTP/1.1 ")) ||
        !view_to_u64((struct view){line.data + 9, 3}, &status))
        return false;
    *out_status = (unsigned)status;
    return status >= 100 && status <= 599 && status != 500;
}

static bool is_name(struct view name)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return name.size > 0;
}

static bool read_header(struct view line, struct head *head)
{
    const char *colon =
        line.size == 0 ? NULL : memchr(line.data, ':', line.size);
    struct view name, value;

    if (colon == NULL)
        return false;
    name = (struct view){line.data, (size_t)(colon - line.data)};
    value = view_trim(view_from(line, name.size + 1));
    if (!is_name(name))
        return false;
    if (view_is_ignoring_case(name, "connection"))
        head->closes |= view_is_ignoring_case(value, "close");
    if (view_is_ignoring_case(name, "content-length")) {
        bool first = head->framing == FRAMING_NONE;

        head->framing = FRAMING_LENGTH;
        return first && view_to_u64(value, &head->length);
    }
    if (view_is_ignoring_case(name, "transfer-encoding")) {
        bool first = head->framing == FRAMING_NONE;

        head->framing = FRAMING_CHUNKS;
        return first && view_is_ignoring_case(value, "chunked");
    }
    return true;
}

static bool take_head(struct view *stream, struct head *head)
{
    struct view line;

    *head = (struct head){0};
    if (!take_line(stream, &line) || !read_status(line, &head->status))
        return false;
    for (;;) {
        if (!take_line(stream, &line))
            return false;
        if (line.size == 0)
            return true;
        if (!read_header(line, head))
            return false;
    }
}

static bool take_chunks(struct view *stream)
{
    for (;;) {
        struct view line;
        size_t size = 0;

        if (!take_line(stream, &line) || line.size == 0 || line.size > 8)
            return false;
        for (size_t i = 0; i < line.size; i++) {
            const char *digits = "0123456789abcdef";
            const char *digit = strchr(digits, line.data[i] | 0x20);

            if (digit == NULL || line.data[i] == '\0')
                return false;
            size = size * 16 + (size_t)(digit - digits);
        }
        if (size > stream->size)
            return false;
        *stream = view_from(*stream, size);
        if (!take_line(stream, &line) || line.size != 0)
            return false;
        if (size == 0)
            return true;
    }
}

static bool has_no_body(unsigned status)
{
    return status < 200 || status == 204 || status == 304;
}

/* The body of an answer that is not one to HEAD. */
static bool take_body(struct view *stream, const struct head *head)
{
    switch (head->framing) {
    case FRAMING_NONE:
        if (!head->closes)
            return false; /* Nobody knows where it ends. */
        *stream = view_from(*stream, stream->size);
        return true;
    case FRAMING_LENGTH:
        if (head->length > stream->size)
            return false;
        *stream = view_from(*stream, (size_t)head->length);
        return true;
    case FRAMING_CHUNKS:
        return take_chunks(stream);
    }
    return false;
}

bool http_answers_are_right(struct view stream)
{
    struct view behind;
    struct head head;

    if (stream.size == 0)
        return true;
    if (!take_head(&stream, &head))
        return false;
    if (has_no_body(head.status))
        return (head.framing == FRAMING_NONE || head.status == 304) &&
               http_answers_are_right(stream);
    behind = stream;
    if (take_body(&behind, &head) && http_answers_are_right(behind))
        return true;
    return http_answers_are_right(stream); /* To HEAD. */
}
