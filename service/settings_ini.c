/*
 * libinih splits lines into names and values, but it cuts long lines, joins
 * indented ones to the value before, ignores empty sections, and does not tell
 * its handler where it is. All of that passes through the line reader we give
 * it, so that is where lines are counted and what we do not mean is refused.
 */
#include "service/settings_ini.h"

#include <ini.h>

#include <assert.h>
#include <string.h>

struct reader {
    struct view rest;
    const struct settings_ini_hooks *hooks;
    unsigned line;
    const char *problem; /* Either one ends the reading. */
    enum kist_status status;
};

static bool is_blank(struct view line)
{
    while (line.size > 0 && strchr(" \t\r\n", line.data[line.size - 1]))
        line.size--;
    return line.size == 0;
}

/* What libinih would silently take for something else. */
static const char *line_problem(struct view line, size_t room)
{
    if (memchr(line.data, '\0', line.size) != NULL)
        return "contains a zero byte";
    if (line.size > room)
        return "is longer than 196 bytes";
    if (is_blank(line) || line.data[0] == '#' || line.data[0] == ';')
        return NULL;
    if (line.data[0] == '[')
        return "begins a section; there are none, only `name = value`";
    if (line.data[0] == ' ' || line.data[0] == '\t')
        return "begins with a space";
    if (memchr(line.data, '=', line.size) == NULL)
        return "is not `name = value`";
    return NULL;
}

/* An ini_reader: one line with its newline, as fgets() would. */
static char *next_line(char *buffer, int size, void *ctx)
{
    struct reader *reader = ctx;
    struct view line = reader->rest;

    if (line.size == 0 || reader->problem != NULL || reader->status != KIST_OK)
        return NULL;
    const char *newline = memchr(line.data, '\n', line.size);
    if (newline != NULL)
        line.size = (size_t)(newline - line.data) + 1;

    reader->line++;
    /* As libinih advises: room for the line's end and a terminator. */
    reader->problem = line_problem(line, (size_t)size - 3);
    if (reader->problem != NULL)
        return NULL;
    reader->rest = view_from(reader->rest, line.size);
    memcpy(buffer, line.data, line.size);
    buffer[line.size] = '\0';
    return buffer;
}

/* An ini_handler: its 1 means "go on", and ours are refused by next_line(). */
static int take_entry(void *ctx, const char *section, const char *name,
                      const char *value)
{
    struct reader *reader = ctx;
    const struct settings_ini_hooks *hooks = reader->hooks;

    assert(section[0] == '\0');
    reader->status =
        hooks->entry(hooks->ctx, view_of(name),
                     view_of(value == NULL ? "" : value), reader->line);
    return 1;
}

enum kist_status settings_ini_read(struct view text,
                                   const struct settings_ini_hooks *hooks,
                                   unsigned *out_line, const char **out_problem)
{
    struct view mark = VIEW_LITERAL("\xEF\xBB\xBF"); /* Of some editors. */
    struct reader reader = {.rest = text, .hooks = hooks};

    if (view_starts_with(text, mark))
        reader.rest = view_from(text, mark.size);
    int fault = ini_parse_stream(next_line, &reader, take_entry, &reader);
    if (fault != 0 && reader.problem == NULL && reader.status == KIST_OK) {
        reader.problem = "is not `name = value`";
        reader.line = (unsigned)fault;
    }
    *out_line = reader.line;
    *out_problem = reader.problem;
    return reader.problem != NULL ? KIST_INVALID : reader.status;
}
