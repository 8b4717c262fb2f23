#include "tests/api/trial.h"

#include "api/json_text.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

struct trial trial_of(enum edit_kind kind)
{
    return (struct trial){.edit = {.kind = kind,
                                   .max_json_bytes = TRIAL_LIMIT,
                                   .max_value_bytes = TRIAL_LIMIT}};
}

void trial_run(struct trial *trial, const struct record *current)
{
    trial->write = (struct write){.ctx = &trial->edit};
    trial->next = current != NULL ? *current : (struct record){0};
    trial->status = edit_apply(&trial->write, current, &trial->next);
}

struct record trial_json(const char *text)
{
    return (struct record){
        .version = {1, 2},
        .expiry_ms = 77,
        .created_ms = 5,
        .type = json_text_type(view_of(text)),
        .media_type = VIEW_LITERAL("application/json; a=b"),
        .value = view_of(text),
    };
}

struct record trial_bytes(const char *text)
{
    struct record record = trial_json(text);

    record.type = JSON_NONE;
    record.media_type = VIEW_LITERAL("text/plain");
    return record;
}

void trial_expect(const struct trial *trial, const char *value,
                  enum json_type type, const char *media_type)
{
    cr_expect(eq(int, trial->status, KIST_OK), "%s", value);
    cr_expect(view_is(trial->next.value, value), "%.*s, not %s",
              (int)trial->next.value.size, trial->next.value.data, value);
    cr_expect(eq(int, trial->next.type, type), "%s", value);
    cr_expect(view_is(trial->next.media_type, media_type), "%s", value);
    cr_expect(not(trial->next.tombstone));
    cr_expect(not(trial->edit.refused));
}

void trial_expect_refused(const struct trial *trial, enum problem problem,
                          const char *about)
{
    cr_expect(eq(int, trial->status, KIST_INVALID), "%s", about);
    cr_expect(trial->edit.refused, "%s", about);
    cr_expect(eq(int, trial->edit.problem, problem), "%s", about);
    cr_expect(ne(sz, strlen(trial->edit.detail), 0), "%s", about);
}

void trial_expect_kept(const struct trial *trial, const struct record *old)
{
    const struct record *seen = &trial->edit.seen;

    cr_expect(eq(int, trial->status, KIST_OK));
    cr_expect(view_equal(seen->value, old->value));
    cr_expect(ne(ptr, (void *)seen->value.data, (void *)old->value.data));
    cr_expect(view_equal(seen->media_type, old->media_type));
    cr_expect(
        ne(ptr, (void *)seen->media_type.data, (void *)old->media_type.data));
    cr_expect(version_equal(seen->version, old->version));
    cr_expect(eq(int, seen->type, old->type));
}
